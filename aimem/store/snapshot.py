"""The whole state for a node that is too far behind the log, page by page, and its join into what that node has.

Pages need not be of one moment. The vector is read before the first of them, so that they hold at least all that it
covers; what they hold beyond it comes once more as ops, and joins to the same. So nothing is kept between two pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from msgspec import Struct

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import Create, Dot, Entry, HeadProof, ObjectState, Stamp, StreamHead, StreamId, is_beyond, unpack_stamp
from aimem.ports import Connection, Row
from aimem.store import headproofs, heldops, oplog, outbound
from aimem.store.kinds import KINDS, read_state
from aimem.store.transaction import Transaction
from aimem.store.walking import TOMBSTONES, Place, key_width, place_of, walk

_DROP_BELOW = "DELETE FROM ops WHERE stream = ? AND seq <= ? AND position > 0"


class Told(Struct, frozen=True, kw_only=True):
    """One object of a snapshot."""

    kind: str
    key: str
    state: ObjectState


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
    shown: list[Told] = []
    size_bytes, place = 0, after
    for table, row in walk(conn, after, max_count + 1):
        told = _told(table, row)
        size_bytes += size_of(told)
        if len(shown) == max_count or (shown and size_bytes > max_bytes):
            return SnapshotPage(objects=tuple(shown), after=place)
        shown.append(told)
        place = place_of(table, row)
    return SnapshotPage(objects=tuple(shown), after=None)


def size_of(told: Told) -> int:
    """About how many bytes an object has on its way."""
    texts = [cell.value for cell in told.state.fields.values() if isinstance(cell.value, str)]
    return len(told.key) + 100 * (1 + len(told.state.fields)) + sum(len(text.encode()) for text in texts)


def _told(table: str, row: Row) -> Told:
    if table == TOMBSTONES:
        name, dead, stamp = cast("tuple[str, str, bytes]", row)
        return Told(kind=name, key=dead, state=ObjectState(dead=unpack_stamp(stamp)))
    kind, width = KINDS[table], key_width(table)
    key = kind.join_key(tuple(str(part) for part in row[:width]))
    return Told(kind=table, key=key, state=read_state(kind, row[width:]))


def join_objects(transaction: Transaction, objects: Sequence[Told]) -> None:
    """Join objects into what is known here, whatever that is.

    Raises: InvalidRequest for a clock value that is none; ValueError, UnknownKind, DatabaseError.
    """
    with transaction.gathering():
        transaction.expect((told.kind, told.key) for told in objects)
        for told in objects:
            known = transaction.load(KINDS[told.kind], told.key) if told.kind in KINDS else ObjectState()
            for stamp, entry in entries_of(told, known):
                _refuse_beyond(transaction, stamp.hlc)
                transaction.join(stamp, [entry])


def adopt_heads(
    transaction: Transaction, heads: Mapping[StreamId, StreamHead], proofs: Mapping[StreamId, HeadProof], own: StreamId
) -> None:
    """Once every page is joined: know all that the snapshot's vector covers.

    The log holds gapless ends of streams only: what it had of a stream below the snapshot goes. The proofs of the heads
    are kept in the place of their ops.
    Raises: InvalidRequest for a clock value that is none.
    """
    for head in heads.values():
        known = oplog.head(transaction.conn, head.stream)
        if head.stream == own or (known is not None and known.seq >= head.seq):
            continue
        _refuse_beyond(transaction, head.hlc)
        oplog.set_head(transaction.conn, head)
        if head.stream in proofs:
            headproofs.keep(transaction.conn, head, proofs[head.stream])
        heldops.set_aside_of(transaction.conn, Dot(head.stream, head.seq))
        transaction.conn.execute(_DROP_BELOW, (head.stream, head.seq))
        transaction.heads[head.stream] = head
        transaction.pass_clock(head.hlc)


def _refuse_beyond(transaction: Transaction, hlc: int) -> None:
    if is_beyond(hlc, transaction.now, transaction.tip.hlc):
        raise InvalidRequest("a clock value is more than a hundred years ahead", code=Code.SCHEMA_MISMATCH)


def entries_of(told: Told, known: ObjectState) -> Iterator[tuple[Stamp, Entry]]:
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
