"""Exit statuses: documented in ai-memory(1), one for each kind of trouble that a script may want to tell apart."""

from __future__ import annotations

from enum import IntEnum

from aimem.errors import AimemError, Code, leaves


class ExitStatus(IntEnum):
    """What the process returns; MEANING says when."""

    OK = 0
    OTHER = 1
    INVALID = 2
    PENDING = 3
    DENIED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANING = {
    ExitStatus.OK: "Success.",
    ExitStatus.OTHER: "A failure that no other status names: corrupt data, an output that cannot be written, a bench "
                      "over its budget or behind its baseline, or a bug.",
    ExitStatus.INVALID: "Wrong usage, an invalid value or configuration, or items of an import that were refused.",
    ExitStatus.PENDING: "Policy wants a decision first; the action is queued.",
    ExitStatus.DENIED: "Not allowed, or no valid credential.",
    ExitStatus.NOT_FOUND: "There is no such thing, or no longer.",
    ExitStatus.CONFLICT: "The request does not fit the present state, such as a title that is taken.",
    ExitStatus.UNAVAILABLE: "The node cannot be reached or cannot do this now; try again.",
    ExitStatus.INTERRUPTED: "Ended by an interrupt from the keyboard.",
    ExitStatus.BROKEN_PIPE: "The reader of standard output went away.",
}
"""The manual's line for each status."""

_OF_FAMILY = {
    Code.INVALID_REQUEST: ExitStatus.INVALID, Code.UNAUTHENTICATED: ExitStatus.DENIED, Code.DENIED: ExitStatus.DENIED,
    Code.NOT_FOUND: ExitStatus.NOT_FOUND, Code.GONE: ExitStatus.NOT_FOUND, Code.CONFLICT: ExitStatus.CONFLICT,
    Code.APPROVAL_REQUIRED: ExitStatus.PENDING, Code.QUOTA_EXCEEDED: ExitStatus.UNAVAILABLE,
    Code.UNAVAILABLE: ExitStatus.UNAVAILABLE, Code.CORRUPT: ExitStatus.OTHER, Code.INTERNAL: ExitStatus.OTHER,
}


def status_of(error: AimemError) -> ExitStatus:
    """The exit status of an error, by its family."""
    return _OF_FAMILY[error.family]


def is_interrupt(error: BaseException) -> bool:
    """Whether the keyboard ended this."""
    return any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves(error))
