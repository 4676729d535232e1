"""What a person is told whose write may have been done: in words of the command line, not of HTTP."""

from __future__ import annotations

from aimem.errors import AimemError, Code

_AGAIN = "ai-memory store under the same title again is safe: it updates"


def sentence_of(error: AimemError) -> str:
    """The error's message; of a write whose outcome is not known yet, what to do about it at a shell."""
    details = error.details
    if details.get("outcome") != "indeterminate":
        return error.message
    version = details.get("version")
    if error.code is Code.QUORUM_NOT_MET and version:
        return (
            f"{details.get('got')} of {details.get('needed')} nodes said in time that they have this write; it is "
            f"stored here, as version {version}, and goes on replicating. GET /api/v1/writes/{version} tells who has "
            f"it; {_AGAIN}"
        )
    if error.code is Code.DEADLINE_EXCEEDED:
        return f"no answer in time, and nobody can say whether it was done: look before doing it again. {_AGAIN}"
    return error.message
