"""Headers that may stand once."""

from __future__ import annotations

from aimem.api.incoming import Incoming
from aimem.errors import InvalidRequest


def single(incoming: Incoming, name: str) -> str | None:
    """A header that decides what a request means: of two, another reader on the way might have taken the other.

    Raises: InvalidRequest naming it.
    """
    values = incoming.values_of(name)
    if len(values) > 1:
        raise InvalidRequest(f"the header {name} is given {len(values)} times; give it once", field=name)
    return values[0] if values else None
