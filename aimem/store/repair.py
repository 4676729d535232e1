"""Mending objects in which two nodes differ although both know the same ops: reading both sides, and joining them.

Nothing here decides whether they differ (`replication.judge`). A join is safe, whatever was written meanwhile. Where
two values stand under one stamp no join can tell which is right, and the log has to: its bytes are chained and signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.model import Cell, Dot, Entry, FieldValue, ObjectState, Stamp, StreamHead, StreamId, decode_entry
from aimem.ports import Connection
from aimem.store import heldops, inbound, oplog, outbound, snapshot
from aimem.store.fields import Kind
from aimem.store.fold import has_dead_end
from aimem.store.kinds import KINDS, is_whole, load_object
from aimem.store.transaction import Transaction

NAMED_MAX: Final = 256
"""Objects that are read by name at once, at most."""

_LOGGED = (
    "SELECT e.data FROM op_entries e JOIN ops o ON o.position = e.position "
    "WHERE e.kind = ? AND e.key = ? AND o.stream = ? AND o.hlc = ? AND o.held IS NULL ORDER BY e.ordinal"
)


class Known(Struct, frozen=True, kw_only=True):
    """What a node knows of one object.

    Attributes:
      has_dead_end: it is absent because a memory that it hangs on is dead.
    """

    kind: str
    key: str
    state: ObjectState
    has_dead_end: bool = False


class Facts(Struct, frozen=True, kw_only=True):
    """Objects, and how far each stream was known at the same moment.

    Attributes:
      closed: streams whose writers signed two histories: nothing more will come of them.
      held: hash of the dots that are known and not applied: see `heldops.digest`.
    """

    objects: tuple[Known, ...]
    heads: Mapping[StreamId, StreamHead]
    closed: frozenset[StreamId] = frozenset()
    held: str = ""


class Theirs(Struct, frozen=True, kw_only=True):
    """What another node knows of an object that is to be mended here.

    Attributes:
      tied: fields in which another value stands here under the same stamp; `state` has them not.
    """

    kind: str
    key: str
    state: ObjectState
    tied: frozenset[str] = frozenset()


class Mended(Struct, frozen=True, kw_only=True):
    """How many objects changed, and in how many nothing tells which of two values is right."""

    mended: int
    undecided: int


def facts_of(conn: Connection, names: Sequence[tuple[str, str]], max_bytes: int) -> Facts:
    """What is known of objects (kind, key), in their order; of the first ones if all have too many bytes, one at least.

    Raises: InvalidRequest for a kind that is none, or a key of another form.
    """
    found: list[Known] = []
    size_bytes = 0
    for name, key in names[:NAMED_MAX]:
        kind = _kind(name, key)
        # A row that cannot be read, or holds what nobody wrote, is as good as lost.
        state = _read(conn, kind, key) or ObjectState()
        known = Known(kind=name, key=key, state=state, has_dead_end=has_dead_end(conn, kind, key))
        size_bytes += snapshot.size_of(snapshot.Told(kind=name, key=key, state=known.state))
        if found and size_bytes > max_bytes:
            break
        found.append(known)
    return Facts(
        objects=tuple(found), heads=outbound.heads(conn), closed=frozenset(inbound.closed_streams(conn)),
        held=heldops.digest(conn),
    )


def doubtful(conn: Connection, theirs: Mapping[StreamId, StreamHead]) -> frozenset[StreamId]:
    """The streams of which another node may know other ops: what it knows as the last is none of ours, or not here."""
    own = outbound.heads(conn)
    return frozenset(
        stream for stream, head in theirs.items()
        if stream not in own or head.seq > own[stream].seq
        or (head.chain_hash != own[stream].chain_hash and _is_other(conn, head, own[stream]))
    )


def _is_other(conn: Connection, head: StreamHead, own: StreamHead) -> bool:
    # None is below the log: that far back nobody could tell, and nothing was closed for it.
    known = own.chain_hash if head.seq == own.seq else oplog.hash_at(conn, Dot(head.stream, head.seq))
    return known not in (None, head.chain_hash)


def _kind(name: str, key: str) -> Kind:
    kind = KINDS.get(name)
    try:
        if kind is not None:
            kind.split_key(key)
            return kind
    except (ValueError, msgspec.MsgspecError):
        pass
    raise InvalidRequest(f"{name[:64]!r} {key[:80]!r} is no object of this version", field="named")


def _read(conn: Connection, kind: Kind, key: str) -> ObjectState | None:
    """None for what stands there and is no state."""
    try:
        state = load_object(conn, kind, key)
        return state if is_whole(conn, kind, key, state) else None
    except (ValueError, msgspec.MsgspecError):
        return None


def mend(transaction: Transaction, objects: Sequence[Theirs]) -> Mended:
    """Join what another node knows of some objects; what lost its value under a stamp gets it back from the log.

    Raises: UnknownKind, ValueError for a state that no node of ours can have; DatabaseError.
    """
    mended = undecided = 0
    for theirs in objects:
        kind = KINDS[theirs.kind]
        read = _read(transaction.conn, kind, theirs.key)
        own = read or ObjectState()
        truth = {name: cell for name in theirs.tied if (cell := _logged(transaction.conn, theirs, own, name))}
        undecided += len(truth) < len(theirs.tied)
        right = msgspec.structs.replace(own, fields={**own.fields, **truth})
        if read is None or right != own:
            transaction.remove(kind, theirs.key)
            _join(transaction, theirs, right)
        _join(transaction, theirs, theirs.state)
        mended += load_object(transaction.conn, kind, theirs.key) != own
    return Mended(mended=mended, undecided=undecided)


def _join(transaction: Transaction, theirs: Theirs, state: ObjectState) -> None:
    snapshot.join_objects(transaction, [snapshot.Told(kind=theirs.kind, key=theirs.key, state=state)])


def _logged(conn: Connection, theirs: Theirs, own: ObjectState, name: str) -> Cell | None:
    """What the op that set a field says; None where the log no longer tells."""
    cell = own.fields.get(name)
    if cell is None:
        return None
    stamp: Stamp = cell.stamp
    value: FieldValue = None
    is_found = False
    for (data,) in conn.execute(_LOGGED, (theirs.kind, theirs.key, stamp.stream, stamp.hlc)):
        entry = decode_entry(cast("bytes", data))
        if isinstance(entry, Entry) and name in entry.fields:
            value, is_found = entry.fields[name], True
    return Cell(stamp, value) if is_found else None
