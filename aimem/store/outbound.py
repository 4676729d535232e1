"""Reading the log for others: what a vector lacks, in this log's order, within the bounds of a batch."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import cast

from msgspec import Struct

from aimem.errors import Gone
from aimem.model import Dot, Op, Stamp, StreamHead, StreamId, Vector
from aimem.ports import Connection, Row

_COLUMNS = "position, stream, seq, hlc, kind, previous, signature"
_OF_STREAM = f"SELECT {_COLUMNS} FROM ops WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_AFTER = f"SELECT {_COLUMNS} FROM ops WHERE position > ? ORDER BY position LIMIT ?"
_ENTRIES = "SELECT data FROM op_entries WHERE position = ? ORDER BY ordinal"
_HEADS = "SELECT stream, head_seq, head_hlc, head_hash FROM streams ORDER BY stream"
# Positions below 1 are of what is held, and set aside: see `heldops`.
_FIRST = "SELECT min(seq) FROM ops WHERE stream = ? AND position > 0"
_ENDS = "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM ops WHERE position > 0"
_HELD = "SELECT stream, seq FROM ops WHERE held IS NOT NULL ORDER BY stream <> ?, stream, seq LIMIT ?"
_COUNT_HELD = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'held_count'"


class LogPage(Struct, frozen=True, kw_only=True):
    """Some ops in the order of this log; `position` is that of the last, `more` whether there are further ones."""

    ops: tuple[Op, ...]
    more: bool
    position: int


class Logged(Struct, frozen=True):
    """An op, and where it stands in this log."""

    position: int
    op: Op


class HeldDots(Struct, frozen=True, kw_only=True):
    """Ops that are logged and could not be applied: the first ones, and how many there are."""

    dots: tuple[Dot, ...]
    count: int


def heads(conn: Connection) -> dict[StreamId, StreamHead]:
    """The end of the known prefix of every stream."""
    found = {}
    for row in conn.execute(_HEADS):
        stream, seq, hlc, chained = cast("tuple[str, int, int, bytes]", row)
        found[StreamId(stream)] = StreamHead(stream=StreamId(stream), seq=seq, hlc=hlc, chain_hash=chained)
    return found


def lacking(
    conn: Connection, known: Vector, max_count: int, max_bytes: int, *, until: Vector | None = None
) -> LogPage:
    """The ops that somebody with this vector lacks, in the order of this log: deliverable one after the other.

    One op is given even if it alone has more than `max_bytes`.

    Args:
      until: ops beyond this vector are left out: a commit can be read before its writer was told of it, and a peer
        that knows more of this node than the node itself takes it for one that lost its writes.
    Raises: Gone if some of them are no longer in the log.
    """
    ends = {head.stream: head.seq if until is None else until.get(head.stream, 0) for head in heads(conn).values()}
    streams = {stream: end for stream, end in ends.items() if end > known.get(stream, 0)}
    for stream, end in streams.items():
        _refuse_trimmed(conn, Dot(stream, end), known.get(stream, 0))
    # Within a stream positions rise with seq, so that the order of the whole log is a merge of the streams'.
    rows = heapq.merge(*(_rows_of(conn, Dot(*one), known, max_count + 1) for one in streams.items()))
    return _page(conn, rows, max_count, max_bytes, 0)


def after(conn: Connection, position: int, max_count: int, max_bytes: int) -> LogPage:
    """The ops behind a position of this log. Raises: Gone if the log does not reach back, or up, to it."""
    first, last = cast("tuple[int, int]", conn.execute(_ENDS).fetchone())
    if position > last or position < first - 1:
        raise Gone(
            f"this log holds the positions {first} to {last}, and you asked for what follows {position}; "
            "ask with a vector", first=first, last=last,
        )
    return _page(conn, iter(conn.execute(_AFTER, (position, max_count + 1))), max_count, max_bytes, position)


def held(conn: Connection, limit: int, first: str = "") -> HeldDots:
    """The ops that wait for a version that can apply them; those of the stream `first` before all others."""
    counted = conn.execute(_COUNT_HELD).fetchone()
    count = cast("int", counted[0]) if counted else 0
    if not count:
        return HeldDots(dots=(), count=0)       # nearly always; finding them means to look at the whole log
    dots = tuple(Dot(StreamId(str(row[0])), cast("int", row[1])) for row in conn.execute(_HELD, (first, limit)))
    return HeldDots(dots=dots, count=count)


def _rows_of(conn: Connection, end: Dot, known: Vector, limit: int) -> Iterator[Row]:
    return iter(conn.execute(_OF_STREAM, (end.stream, known.get(end.stream, 0), end.seq, limit)))


def _refuse_trimmed(conn: Connection, end: Dot, known_seq: int) -> None:
    row = conn.execute(_FIRST, (end.stream,)).fetchone()
    first = row[0] if row else None
    if not isinstance(first, int) or first > known_seq + 1:
        kept = f"from {first} on" if isinstance(first, int) else "none"
        raise Gone(
            f"the log no longer holds op {known_seq + 1} of {end.stream} (of {end.seq} it holds {kept})",
            stream=end.stream,
        )


def _page(conn: Connection, rows: Iterator[Row], max_count: int, max_bytes: int, position: int) -> LogPage:
    ops: list[Op] = []
    size_bytes = 0
    for row in rows:
        if len(ops) == max_count:
            return LogPage(ops=tuple(ops), more=True, position=position)
        op = _op(conn, row)
        size_bytes += sum(map(len, op.entries))
        if ops and size_bytes > max_bytes:
            return LogPage(ops=tuple(ops), more=True, position=position)
        ops.append(op)
        position = cast("int", row[0])
    return LogPage(ops=tuple(ops), more=False, position=position)


def _op(conn: Connection, row: Row) -> Op:
    position, stream, seq, hlc, kind, previous, signature = cast("tuple[int, str, int, int, str, bytes, bytes]", row)
    owner = StreamId(stream)
    entries = tuple(cast("bytes", data) for (data,) in conn.execute(_ENTRIES, (position,)))
    return Op(
        dot=Dot(owner, seq), stamp=Stamp(hlc, owner), kind=kind, entries=entries, previous=previous,
        signature=signature,
    )
