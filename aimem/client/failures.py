"""From an answer that is no success to the error that the node raised."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final  # Any: details go through `**`, where mypy would compare them with `code` and `field`

import msgspec

from aimem.errors import (
    AimemError,
    ApprovalRequired,
    Bug,
    Code,
    Conflict,
    Corrupt,
    Denied,
    Gone,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)

_REFINED: Final[Mapping[type[AimemError], tuple[Code, ...]]] = MappingProxyType({
    InvalidRequest: (
        Code.MALFORMED_JSON, Code.SCHEMA_MISMATCH, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE,
        Code.METHOD_NOT_ALLOWED, Code.AMBIGUOUS_ID, Code.IDEMPOTENCY_MISMATCH, Code.CONFIG_INVALID,
        Code.EXPORT_TOO_LARGE, Code.WEBHOOK_URL, Code.UNKNOWN_SCOPE, Code.MALFORMED_POLICY, Code.PROTOCOL_MISMATCH,
        Code.FORGED,
    ),
    Unauthenticated: (Code.KEY_EXPIRED, Code.KEY_REVOKED),
    Denied: (
        Code.RESERVED_NAMESPACE, Code.FOREIGN_HOST, Code.FOREIGN_ORIGIN, Code.INSECURE_BIND,
        Code.DENIED_BY_POLICY, Code.OPERATOR_REQUIRED, Code.IDENTITY_MISMATCH, Code.OUTSIDE_HOME,
        Code.NOT_ENTITLED, Code.OWN_ACTION, Code.PROOF_REQUIRED, Code.PROOF_WRONG, Code.NODE_UNTRUSTED,
        Code.NAME_OF_ANOTHER, Code.CERTIFICATE_OF_ANOTHER, Code.PINS_FULL,
    ),
    QuotaExceeded: (Code.RATE_LIMITED,),
    Conflict: (
        Code.NAME_TAKEN, Code.ID_TAKEN, Code.KEY_ENDED, Code.LOCKS_OUT, Code.IS_STANDARD, Code.AUDIT_DAMAGED,
        Code.ALREADY_DECIDED, Code.PENDING_EXPIRED, Code.WRONG_NODE, Code.OTHER_CLUSTER,
    ),
    Unavailable: (
        Code.STORAGE_FULL, Code.STORAGE_READ_ONLY, Code.DATABASE_BUSY, Code.DEADLINE_EXCEEDED, Code.SHUTTING_DOWN,
        Code.QUORUM_NOT_MET, Code.OVERLOADED, Code.WRITER_BUSY, Code.EMBEDDER_UNAVAILABLE, Code.NEEDS_LLM,
        Code.LLM_ANSWER_UNUSABLE, Code.VERSION_NOT_REACHED, Code.CLOCK_SKEWED, Code.STREAM_FORKED,
        Code.MEMBERS_UNEQUAL,
        Code.CATCHING_UP,
    ),
    Corrupt: (Code.NOT_A_DATABASE, Code.NEWER_SCHEMA),
})
_FAMILIES: Final = (
    InvalidRequest, Unauthenticated, Denied, NotFound, Gone, Conflict, ApprovalRequired, QuotaExceeded, Unavailable,
    Corrupt, Bug,
)
FAMILY_OF_CODE: Final[Mapping[Code, type[AimemError]]] = MappingProxyType(
    {family.family: family for family in _FAMILIES}
    | {code: family for family, codes in _REFINED.items() for code in codes}
)
"""The family of every code; a test compares it with `errors.Code`."""

_FAMILY_OF_STATUS: Final[Mapping[int, type[AimemError]]] = MappingProxyType({
    401: Unauthenticated, 403: Denied, 404: NotFound, 409: Conflict, 410: Gone, 429: QuotaExceeded, 500: Bug,
})
_OWN_FIELDS: Final = frozenset({"error", "code", "field", "message", "self"})
_SHOWN_BYTES: Final = 60
"""Of what somebody else says, such as a page for browsers: enough to know whose it is."""


def error_of_answer(status: int, body: bytes) -> AimemError:
    """Read an error answer.

    Args:
      status: the HTTP status, 400 or more.
      body: the answer's bytes; ours is `{"error", "code", "field"?, ...details}`.
    Returns: the family of its code (of its status, if a newer node sent a code that we do not know); Unavailable if the
      body is not ours, because then something else answers at that address.
    """
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = {}
    message, word, field = answer.get("error"), answer.get("code"), answer.get("field")
    if not isinstance(message, str) or not isinstance(word, str):
        said = " ".join(body[:_SHOWN_BYTES].decode(errors="replace").split())
        more = "..." if len(body) > _SHOWN_BYTES else ""
        return Unavailable(f"the answer (status {status}) is no ai-memory node's: {said + more!r}; check the address")
    details: dict[str, Any] = {name: value for name, value in answer.items() if name not in _OWN_FIELDS}
    where = field if isinstance(field, str) else None
    if word not in set(Code):
        family = _FAMILY_OF_STATUS.get(status, InvalidRequest if status < 500 else Unavailable)
        return family(message, field=where, **details)
    code = Code(word)
    return FAMILY_OF_CODE[code](message, code=code, field=where, **details)


def pending_of_answer(body: bytes) -> ApprovalRequired:
    """Read a 202: the action waits for a decision; its details are the answer's fields."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = {}
    reason = answer.get("message", answer.get("reason"))
    details: dict[str, Any] = {name: value for name, value in answer.items() if name not in _OWN_FIELDS}
    return ApprovalRequired(reason if isinstance(reason, str) else "governance requires approval", **details)
