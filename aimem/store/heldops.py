"""Ops that this version cannot apply: how many there may be, and where they are once the log is cut behind them.

What is held stands in the log as any other op. When the log is cut it is set aside: in the same table, at a position
below 1, which is in no log, so that the log may go on without it. There it stays until a version applies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Blank, Dot, Entry, Op, Stamp, StreamId, decode_entry
from aimem.ports import Connection, Row

HELD_MAX_COUNT: Final = 10_000
HELD_MAX_BYTES: Final = 64 << 20
"""Bounds of what is held; bytes are those of the entries. Beyond them a stream ends before its next op of the kind."""
_DIGEST_CHARS: Final = 32

_COUNT = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'held_count'"
_BYTES = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'held_bytes'"
_ADD = (
    "INSERT INTO meta (name, value) VALUES (:name, CAST(:change AS TEXT)) "
    "ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + :change AS TEXT)"
)
_MEASURE = (
    "SELECT coalesce(sum(length(e.data)), 0) FROM ops o JOIN op_entries e ON e.position = o.position "
    "WHERE o.held IS NOT NULL"
)
_SIZE_OF = "SELECT coalesce(sum(length(data)), 0) FROM op_entries WHERE position = ?"
_HOLD = "UPDATE ops SET held = ? WHERE position = ?"
_RELEASE = "UPDATE ops SET held = NULL WHERE position = ?"
_DROP = "DELETE FROM ops WHERE position = ?"
_COLUMNS = "position, stream, seq, hlc, kind, previous, signature, held"
_HELD = f"SELECT {_COLUMNS} FROM ops WHERE held IS NOT NULL AND position > ? ORDER BY position LIMIT ?"
_UP_TO = f"SELECT {_COLUMNS} FROM ops WHERE held IS NOT NULL AND position > 0 AND position <= ? ORDER BY position"
_OF_STREAM = f"SELECT {_COLUMNS} FROM ops WHERE held IS NOT NULL AND position > 0 AND stream = ? AND seq <= ?"
_DOTS = "SELECT stream, seq FROM ops WHERE held IS NOT NULL ORDER BY stream, seq"
_ENTRIES = "SELECT kind, key, data FROM op_entries WHERE position = ? ORDER BY ordinal"
_LEAST = "SELECT min(0, coalesce(min(position), 0)) FROM ops"
_INSERT = (
    "INSERT INTO ops (position, stream, seq, hlc, kind, previous, signature, held) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ENTRY = "INSERT INTO op_entries (position, ordinal, kind, key, data) VALUES (?, ?, ?, ?, ?)"

BEFORE_ALL: Final = -(1 << 62)
"""A position before that of every op."""


class HeldOp(Struct, frozen=True, kw_only=True):
    """An op that is held, and where it stands."""

    position: int
    op: Op
    reason: str


def count(conn: Connection) -> int:
    """How many ops are held."""
    return _number(conn, _COUNT) or 0


def has_room(conn: Connection, size_bytes: int) -> bool:
    """Whether one more op, with so many bytes of entries, may be held."""
    held_bytes = _number(conn, _BYTES)
    if held_bytes is None:      # held by a version that did not count them
        held_bytes = _number(conn, _MEASURE) or 0
        conn.execute(_ADD, {"name": "held_bytes", "change": held_bytes})
    return count(conn) < HELD_MAX_COUNT and held_bytes + size_bytes <= HELD_MAX_BYTES


def hold(conn: Connection, position: int, reason: str) -> None:
    """Note that a logged op is not applied. There has to be room: see `has_room`."""
    conn.execute(_HOLD, (reason, position))
    _count(conn, 1, _number(conn, _SIZE_OF, position) or 0)


def release(conn: Connection, held: HeldOp) -> None:
    """An op is applied now; one that was set aside goes, as its log is cut."""
    conn.execute(_RELEASE if held.position > 0 else _DROP, (held.position,))
    _count(conn, -1, -sum(map(len, held.op.entries)))


def read(conn: Connection, after_position: int, limit: int) -> list[HeldOp]:
    """At most so many held ops behind a position, in its order; those set aside come first."""
    return [_held(conn, row) for row in conn.execute(_HELD, (after_position, limit)).fetchall()]


def digest(conn: Connection) -> str:
    """32 hex digits over the dots of all that is held; empty where nothing is."""
    if not count(conn):
        return ""
    found = hashlib.sha256()
    for dot in conn.execute(_DOTS):
        found.update(msgspec.json.encode(dot))
    return found.hexdigest()[:_DIGEST_CHARS]


def set_aside_up_to(conn: Connection, position: int) -> None:
    """Before the log is cut behind a position: keep what is held there."""
    _set_aside(conn, conn.execute(_UP_TO, (position,)).fetchall())


def set_aside_of(conn: Connection, dot: Dot) -> None:
    """Before the ops of one stream are dropped up to a dot: keep what is held of them."""
    _set_aside(conn, conn.execute(_OF_STREAM, (dot.stream, dot.seq)).fetchall())


def _set_aside(conn: Connection, rows: Sequence[Row]) -> None:
    for row in rows:
        held = _held(conn, row)
        conn.execute(_DROP, (held.position,))
        _insert(conn, held.op, held.reason)


def keep(conn: Connection, op: Op, reason: str) -> None:
    """Keep an op that was held elsewhere, and is in no log here. There has to be room: see `has_room`."""
    _insert(conn, op, reason)
    _count(conn, 1, sum(map(len, op.entries)))


def _insert(conn: Connection, op: Op, reason: str) -> None:
    at = (_number(conn, _LEAST) or 0) - 1
    values = (at, op.dot.stream, op.dot.seq, op.stamp.hlc, op.kind, op.previous, op.signature, reason)
    conn.execute(_INSERT, values)
    keys = map(_key_of, op.entries)
    conn.executemany(_INSERT_ENTRY, [
        (at, ordinal, kind, key, data) for ordinal, ((kind, key), data) in enumerate(zip(keys, op.entries, strict=True))
    ])


def _key_of(data: bytes) -> tuple[str, str]:
    """The object that an entry is about, by which its contents are found when that object dies."""
    try:
        entry: Entry | Blank = decode_entry(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", ""
    return entry.kind, entry.key


def _held(conn: Connection, row: Row) -> HeldOp:
    position, stream, seq, hlc, kind, previous, signature, reason = cast(
        "tuple[int, str, int, int, str, bytes, bytes, str]", row
    )
    owner = StreamId(stream)
    op = Op(
        dot=Dot(owner, seq), stamp=Stamp(hlc, owner), kind=kind, entries=tuple(_data(conn, position)),
        previous=previous, signature=signature,
    )
    return HeldOp(position=position, op=op, reason=reason)


def _data(conn: Connection, position: int) -> Iterator[bytes]:
    return (cast("bytes", data) for _, _, data in conn.execute(_ENTRIES, (position,)))


def _count(conn: Connection, change: int, change_bytes: int) -> None:
    conn.execute(_ADD, {"name": "held_count", "change": change})
    if _number(conn, _BYTES) is not None:
        conn.execute(_ADD, {"name": "held_bytes", "change": change_bytes})


def _number(conn: Connection, sql: str, *values: int) -> int | None:
    row = conn.execute(sql, values).fetchone()
    return None if row is None else cast("int", row[0])
