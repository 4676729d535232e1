"""Errors as HTTP answers: one table from code, else family, to status, and one envelope."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from msgspec import Struct

from aimem.errors import AimemError, Code
from aimem.wire import encode

JSON_TYPE: Final = "application/json"
RETRY_AFTER_S: Final = 2
INTERNAL_TEXT: Final = "internal error"

STATUS: Final[dict[Code, int]] = {
    Code.APPROVAL_REQUIRED: 202,
    Code.INVALID_REQUEST: 400,
    Code.MALFORMED_JSON: 400,
    Code.PROTOCOL_MISMATCH: 400,
    Code.AMBIGUOUS_ID: 400,
    Code.CONFIG_INVALID: 400,
    Code.WEBHOOK_URL: 400,
    Code.UNKNOWN_SCOPE: 400,
    Code.MALFORMED_POLICY: 400,
    Code.FORGED: 400,
    Code.UNAUTHENTICATED: 401,
    Code.KEY_EXPIRED: 401,
    Code.KEY_REVOKED: 401,
    Code.DENIED: 403,
    Code.RESERVED_NAMESPACE: 403,
    Code.FOREIGN_HOST: 403,
    Code.FOREIGN_ORIGIN: 403,
    Code.INSECURE_BIND: 403,
    Code.DENIED_BY_POLICY: 403,
    Code.OPERATOR_REQUIRED: 403,
    Code.IDENTITY_MISMATCH: 403,
    Code.OUTSIDE_HOME: 403,
    Code.NOT_ENTITLED: 403,
    Code.OWN_ACTION: 403,
    Code.PROOF_REQUIRED: 403,
    Code.PROOF_WRONG: 403,
    Code.NODE_UNTRUSTED: 403,
    Code.NAME_OF_ANOTHER: 403,
    Code.CERTIFICATE_OF_ANOTHER: 403,
    Code.PINS_FULL: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.NAME_TAKEN: 409,
    Code.ID_TAKEN: 409,
    Code.ALREADY_DECIDED: 409,
    Code.PENDING_EXPIRED: 409,
    Code.KEY_ENDED: 409,
    Code.LOCKS_OUT: 409,
    Code.IS_STANDARD: 409,
    Code.WRONG_NODE: 409,
    Code.OTHER_CLUSTER: 409,
    Code.AUDIT_DAMAGED: 409,
    Code.GONE: 410,
    Code.VERSION_NOT_REACHED: 412,
    Code.BODY_TOO_LARGE: 413,
    Code.EXPORT_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.SCHEMA_MISMATCH: 422,
    Code.IDEMPOTENCY_MISMATCH: 422,
    Code.QUOTA_EXCEEDED: 429,
    Code.RATE_LIMITED: 429,
    Code.WRITER_BUSY: 429,
    Code.INTERNAL: 500,
    Code.CORRUPT: 500,
    Code.NOT_A_DATABASE: 500,
    Code.NEWER_SCHEMA: 500,
    Code.LLM_ANSWER_UNUSABLE: 502,
    Code.UNAVAILABLE: 503,
    Code.STORAGE_READ_ONLY: 503,
    Code.DATABASE_BUSY: 503,
    Code.DEADLINE_EXCEEDED: 503,
    Code.SHUTTING_DOWN: 503,
    Code.QUORUM_NOT_MET: 503,
    Code.CLOCK_SKEWED: 503,
    Code.STREAM_FORKED: 503,
    Code.MEMBERS_UNEQUAL: 503,
    Code.CATCHING_UP: 503,
    Code.OVERLOADED: 503,
    Code.EMBEDDER_UNAVAILABLE: 503,
    Code.NEEDS_LLM: 503,
    Code.STORAGE_FULL: 507,
}
"""The status of each code; one that is missing here has its family's. A test keeps it complete."""


class Reply(Struct, frozen=True, kw_only=True):
    """An answer ready to be sent."""

    status: int
    content: bytes
    media_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


class Stream(Struct, frozen=True, kw_only=True):
    """An answer that is sent piece by piece as it comes about. The request's deadline ends where it begins.

    `pieces` has to be an async generator: Quart closes no other iterator.
    """

    pieces: AsyncGenerator[bytes, None]
    media_type: str


def status_of(error: AimemError) -> int:
    """The HTTP status of an error: its code's, else its family's."""
    return STATUS.get(error.code, STATUS[error.family])


def refusal(error: AimemError, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An error as an answer: `{"error","code","field"?}` and its details.

    What is our fault (500) says only "internal error": its message may name paths of this machine and goes to the log.
    """
    status = status_of(error)
    body: dict[str, object] = {"error": error.message, "code": error.code}
    if error.family is Code.APPROVAL_REQUIRED:
        # What is queued is no refusal: the body is v0.6.3's, whose clients look at `status`.
        body = {"message": error.message, "code": error.code}
    if error.field is not None:
        body["field"] = error.field
    if status == 500:
        body["error"] = INTERNAL_TEXT
    else:
        body |= {name: value for name, value in error.details.items() if name not in body}
    extra = headers
    # Where it is known how long it takes, that is said; what no waiting mends (a full inbox) says nothing.
    wait_s = error.details.get("retry_after_s", RETRY_AFTER_S if status == 503 else None)
    if wait_s is not None:
        extra = (*extra, ("Retry-After", str(wait_s)))
    if status == 401:
        extra = (*extra, ("WWW-Authenticate", 'ApiKey header="X-API-Key"'))
    return Reply(status=status, content=encode(body), headers=extra)
