"""The error families of ai-memory: every failure that leaves a room is one of these.

A family says what kind of trouble it is (and so which HTTP status, JSON-RPC code and exit status it becomes); its
`code` is stable, machine-readable and documented in ai-memory-api(7); its message says what happened, to what, and what
to do.
This module imports nothing of ours and must never know a transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum


class Code(StrEnum):
    """Every error code that a door may answer. The manual lists them; a test compares the two."""

    # The families' own codes.
    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    GONE = "gone"
    CONFLICT = "conflict"
    APPROVAL_REQUIRED = "approval_required"
    QUOTA_EXCEEDED = "quota_exceeded"
    UNAVAILABLE = "unavailable"
    CORRUPT = "corrupt"
    INTERNAL = "internal"
    # Refinements of InvalidRequest.
    MALFORMED_JSON = "malformed_json"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    SCHEMA_MISMATCH = "schema_mismatch"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    AMBIGUOUS_ID = "ambiguous_id"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    CONFIG_INVALID = "config_invalid"
    EXPORT_TOO_LARGE = "export_too_large"
    WEBHOOK_URL = "webhook_url"
    UNKNOWN_SCOPE = "unknown_scope"
    MALFORMED_POLICY = "malformed_policy"
    FORGED = "forged"
    # Refinements of Unauthenticated.
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"
    # Refinements of Denied.
    RESERVED_NAMESPACE = "reserved_namespace"
    FOREIGN_HOST = "foreign_host"
    FOREIGN_ORIGIN = "foreign_origin"
    INSECURE_BIND = "insecure_bind"
    DENIED_BY_POLICY = "denied_by_policy"
    OPERATOR_REQUIRED = "operator_required"
    IDENTITY_MISMATCH = "identity_mismatch"
    OUTSIDE_HOME = "outside_home"
    NOT_ENTITLED = "not_entitled"
    OWN_ACTION = "own_action"
    PROOF_REQUIRED = "proof_required"
    PROOF_WRONG = "proof_wrong"
    NODE_UNTRUSTED = "node_untrusted"
    NAME_OF_ANOTHER = "name_of_another"
    CERTIFICATE_OF_ANOTHER = "certificate_of_another"
    PINS_FULL = "pins_full"
    # Refinements of QuotaExceeded.
    RATE_LIMITED = "rate_limited"
    # Refinements of Conflict.
    NAME_TAKEN = "name_taken"
    ID_TAKEN = "id_taken"
    ALREADY_DECIDED = "already_decided"
    PENDING_EXPIRED = "pending_expired"
    KEY_ENDED = "key_ended"
    AUDIT_DAMAGED = "audit_damaged"
    LOCKS_OUT = "locks_out"
    IS_STANDARD = "is_standard"
    WRONG_NODE = "wrong_node"
    OTHER_CLUSTER = "other_cluster"
    # Refinements of Unavailable.
    STORAGE_FULL = "storage_full"
    STORAGE_READ_ONLY = "storage_read_only"
    DATABASE_BUSY = "database_busy"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    SHUTTING_DOWN = "shutting_down"
    QUORUM_NOT_MET = "quorum_not_met"
    VERSION_NOT_REACHED = "version_not_reached"
    CLOCK_SKEWED = "clock_skewed"
    STREAM_FORKED = "stream_forked"
    MEMBERS_UNEQUAL = "members_unequal"
    CATCHING_UP = "catching_up"
    OVERLOADED = "overloaded"
    WRITER_BUSY = "writer_busy"
    EMBEDDER_UNAVAILABLE = "embedder_unavailable"
    NEEDS_LLM = "needs_llm"
    LLM_ANSWER_UNUSABLE = "llm_answer_unusable"
    # Refinements of Corrupt.
    NOT_A_DATABASE = "not_a_database"
    NEWER_SCHEMA = "newer_schema"


class AimemError(Exception):
    """Base of all errors of ours.

    Attributes:
      code: the stable code, a refinement of the family's own.
      field: the input field at fault, dotted (`metadata.scope`), or None.
      details: further plain values for the answer (counts, ids, limits); never memory text or keys.
      retryable: whether the same request may succeed later, unchanged.
    """

    family: Code = Code.INTERNAL
    retryable: bool = False

    def __init__(self, message: str, *, code: Code | None = None, field: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.family
        self.field = field
        self.details = details


class InvalidRequest(AimemError):
    """The request cannot be understood or breaks a stated limit; sending it again unchanged cannot help."""

    family = Code.INVALID_REQUEST


class Unauthenticated(AimemError):
    """No credential, or one that is not known."""

    family = Code.UNAUTHENTICATED


class Denied(AimemError):
    """The caller is known and may not do this.

    Attributes:
      is_noted: whether the audit has been told already.
    """

    family = Code.DENIED
    is_noted: bool = False


class NotFound(AimemError):
    """There is no such thing, or none that the caller may see."""

    family = Code.NOT_FOUND


class Gone(AimemError):
    """It was here, and is no longer kept."""

    family = Code.GONE


class Conflict(AimemError):
    """The request is sound and does not fit the present state."""

    family = Code.CONFLICT


class ApprovalRequired(AimemError):
    """Policy wants a decision first; the action is queued."""

    family = Code.APPROVAL_REQUIRED


class QuotaExceeded(AimemError):
    """The caller used up what it was given for now."""

    family = Code.QUOTA_EXCEEDED
    retryable = True


class Unavailable(AimemError):
    """The node cannot do this now; the request was not applied unless `outcome` says otherwise."""

    family = Code.UNAVAILABLE
    retryable = True


class Corrupt(AimemError):
    """Stored data cannot be trusted, or a commit's result is unknown: the process must end."""

    family = Code.CORRUPT


class Bug(AimemError):
    """A state that our own code promised could not be."""

    family = Code.INTERNAL


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The single errors inside groups, as nurseries raise them; of a single error that one."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
