"""How far a node is with the state of another one, for people."""

from __future__ import annotations

from msgspec import Struct


class JoiningOut(Struct, kw_only=True):
    """How far the snapshot of a peer is joined; `chunks` and `of` are 0 while nobody knows how many there are.

    Attributes:
      chunk: chunks that are done, of `chunks`; `objects` objects, of `of`.
    """

    url: str
    chunk: int
    chunks: int
    objects: int
    of: int
