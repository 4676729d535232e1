"""The whole state for a node that is too far behind the log, page by page, and its join into what that node has.

Pages need not be of one moment. The vector is read before the first of them, so that they hold at least all that it
covers; what they hold beyond it comes once more as ops, and joins to the same. So nothing is kept between two pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest, Unavailable
from aimem.model import Create, Entry, ObjectState, Stamp, StreamHead, StreamId, unpack_stamp
from aimem.ports import Connection
from aimem.store import oplog, outbound
from aimem.store.fields import Kind
from aimem.store.kinds import KINDS, read_state
from aimem.store.transaction import Transaction

_TOMBSTONES: Final = "tombstones"
_DEAD_AFTER = (
    "SELECT kind, key, stamp FROM tombstones WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?"
)
_DROP_BELOW = "DELETE FROM ops WHERE stream = ? AND seq <= ?"


def _select_after(kind: Kind) -> str:
    keys = ", ".join(kind.key_columns)
    marks = ", ".join("?" * len(kind.key_columns))
    return (
        f"SELECT {', '.join(kind.key_columns + kind.columns)} FROM {kind.table} WHERE ({keys}) > ({marks}) "
        f"ORDER BY {keys} LIMIT ?"
    )


_AFTER: Final = {kind.name: _select_after(kind) for kind in KINDS.values()}


class Told(Struct, frozen=True, kw_only=True):
    """One object of a snapshot."""

    kind: str
    key: str
    state: ObjectState


class Place(Struct, array_like=True, frozen=True):
    """Where a page ended: a table, and the key of its last row there."""

    table: str
    key: tuple[str, ...]


class SnapshotPage(Struct, frozen=True, kw_only=True):
    """Some objects, and where to go on; None after the last ones."""

    objects: tuple[Told, ...]
    after: Place | None


def refuse_held(conn: Connection) -> None:
    """Make sure that the state has all that the log has. Raises: Unavailable if ops are held here."""
    if outbound.held(conn, 1).count:
        raise Unavailable("this node holds ops that it cannot apply, so its state is no snapshot; ask another")


def snapshot_page(conn: Connection, after: Place | None, max_count: int, max_bytes: int) -> SnapshotPage:
    """The objects behind a place, dead ones last; one at least, however large.

    Raises: InvalidRequest for a place that is none.
    """
    tables = [*KINDS, _TOMBSTONES]
    if after is not None and after.table not in tables:
        raise InvalidRequest("that is no place in a snapshot; begin again without one", field="after")
    begin = 0 if after is None else tables.index(after.table)
    shown: list[Told] = []
    size_bytes, place = 0, after
    for table in tables[begin:]:
        key = after.key if after is not None and after.table == table else None
        for at, told in _told(conn, table, key, max_count - len(shown) + 1):
            size_bytes += _size_bytes(told)
            if len(shown) == max_count or (shown and size_bytes > max_bytes):
                return SnapshotPage(objects=tuple(shown), after=place)
            shown.append(told)
            place = at
    return SnapshotPage(objects=tuple(shown), after=None)


def _size_bytes(told: Told) -> int:
    texts = [cell.value for cell in told.state.fields.values() if isinstance(cell.value, str)]
    return len(told.key) + 100 * (1 + len(told.state.fields)) + sum(len(text.encode()) for text in texts)


def _told(conn: Connection, table: str, key: tuple[str, ...] | None, limit: int) -> Iterator[tuple[Place, Told]]:
    if table == _TOMBSTONES:
        start = ("", "") if key is None else key
        if len(start) != 2:
            raise InvalidRequest("that is no place in a snapshot; begin again without one", field="after")
        for row in conn.execute(_DEAD_AFTER, (*start, limit)):
            name, dead, stamp = cast("tuple[str, str, bytes]", row)
            yield Place(table, (name, dead)), Told(kind=name, key=dead, state=ObjectState(dead=unpack_stamp(stamp)))
        return
    kind = KINDS[table]
    width = len(kind.key_columns)
    start = ("",) * width if key is None else key
    if len(start) != width:
        raise InvalidRequest("that is no place in a snapshot; begin again without one", field="after")
    for row in conn.execute(_AFTER[table], (*start, limit)):
        parts = tuple(str(part) for part in row[:width])
        yield Place(table, parts), Told(kind=table, key=kind.join_key(parts), state=read_state(kind, row[width:]))


def join_objects(transaction: Transaction, objects: Sequence[Told]) -> None:
    """Join objects into what is known here, whatever that is. Raises: ValueError, UnknownKind, DatabaseError."""
    with transaction.gathering():
        transaction.expect((told.kind, told.key) for told in objects)
        for told in objects:
            known = transaction.load(KINDS[told.kind], told.key) if told.kind in KINDS else ObjectState()
            for stamp, entry in _entries(told, known):
                transaction.join(stamp, [entry])


def adopt_heads(transaction: Transaction, heads: Mapping[StreamId, StreamHead], own: StreamId) -> None:
    """Once every page is joined: know all that the snapshot's vector covers.

    The log holds gapless ends of streams only: what it had of a stream below the snapshot goes.
    """
    for head in heads.values():
        known = oplog.head(transaction.conn, head.stream)
        if head.stream == own or (known is not None and known.seq >= head.seq):
            continue
        oplog.set_head(transaction.conn, head)
        transaction.conn.execute(_DROP_BELOW, (head.stream, head.seq))
        transaction.heads[head.stream] = head
        transaction.pass_clock(head.hlc)


def _entries(told: Told, known: ObjectState) -> Iterator[tuple[Stamp, Entry]]:
    """The writes that an object is the join of, as far as it shows; each names what it meets here as what it replaces.

    They were judged where they were written: what loses here lost to a write that the other node knew.
    """
    state = told.state
    if state.dead is not None:
        yield state.dead, Entry(kind=told.kind, key=told.key, dead=True)
        return
    for stamp in sorted({cell.stamp for cell in state.fields.values()} | ({state.born} if state.born else set())):
        fields = {name: cell.value for name, cell in state.fields.items() if cell.stamp == stamp}
        base = {name: known.fields[name].stamp.text() for name in fields if name in known.fields}
        create = Create(author=state.author or "") if stamp == state.born else None
        yield stamp, Entry(kind=told.kind, key=told.key, create=create, fields=fields, base=base)


def place_text(place: Place) -> str:
    """A place as text."""
    return msgspec.json.encode(place).decode()


def parse_place(text: str) -> Place:
    """Inverse of place_text. Raises: InvalidRequest."""
    try:
        return msgspec.json.decode(text, type=Place)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise InvalidRequest("that is no place in a snapshot; begin again without one", field="after") from None
