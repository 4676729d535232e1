"""Asking a node for the ops behind a place of its log, or beyond a vector."""

from __future__ import annotations

from msgspec import Struct

from aimem.wire.mesh import OpOut


class SinceQuery(Struct, kw_only=True):
    """`clock` is a position of the answering node's log (with `log`, which names that log); `since` is v0.6.3's."""

    clock: int | None = None
    log: str | None = None
    peer: str | None = None
    since: str | None = None
    limit: int | None = None


class SinceRequest(Struct, kw_only=True):
    """The same by what the asker knows: stream -> the last op that it has."""

    vector: dict[str, int] = {}
    limit: int | None = None


class SinceAnswer(Struct, kw_only=True):
    """Ops in the order of the answering node's log.

    Attributes:
      clock: position of the last op here; to ask from next. None in an answer to a vector.
      log: which log that position is of; it changes when the node writes another stream.
      vector_clock: all that the node knows: stream -> its last op.
    """

    ops: tuple[OpOut, ...]
    count: int
    more: bool
    clock: int | None
    log: str
    vector_clock: dict[str, int]
