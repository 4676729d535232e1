"""Headers that may stand once."""

from __future__ import annotations

from quart import Request

from aimem.errors import InvalidRequest


def single(incoming: Request, name: str) -> str | None:
    """A header that decides what a request means: of two, another reader on the way might have taken the other.

    Raises: InvalidRequest naming it.
    """
    values = incoming.headers.getlist(name)
    if len(values) > 1:
        raise InvalidRequest(f"the header {name} is given {len(values)} times; give it once", field=name)
    return values[0] if values else None
