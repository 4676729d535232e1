"""How much of another node's snapshot this node has fetched, across restarts; and the join of all of it at once.

A part of a snapshot shows effects without their causes, and comes without its ops; so nothing of it is joined before
all of it is there, and then by one transaction: no reader sees a part, and nothing is written on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from aimem.model import HeadProof, Op, StreamHead, StreamId
from aimem.ports import Connection
from aimem.store import heldops, inbound, oplog, snapshot
from aimem.store.transaction import Transaction

_LOAD = "SELECT value FROM meta WHERE name = 'joining'"
_NOTE = "INSERT INTO meta (name, value) VALUES ('joining', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_FORGET = "DELETE FROM meta WHERE name = 'joining'"


class Progress(Struct, frozen=True, kw_only=True):
    """How far a snapshot is fetched.

    Attributes:
      stream, id: of the node whose snapshot it is, and of that snapshot; empty where none is under way.
      chunk: the next one.
      objects: in those before it.
    """

    stream: str = ""
    id: str = ""
    chunk: int = 0
    objects: int = 0


class Finished(Struct, frozen=True, kw_only=True):
    """What the end of a join came to: ops that are held now, and streams that do not go on for want of room."""

    held: int
    full: frozenset[StreamId]


def load(conn: Connection) -> Progress:
    """How far the last snapshot is fetched that was not joined."""
    row = conn.execute(_LOAD).fetchone()
    try:
        return Progress() if row is None else msgspec.json.decode(str(row[0]), type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def note(transaction: Transaction, progress: Progress) -> None:
    """A chunk more is kept."""
    transaction.conn.execute(_NOTE, (msgspec.json.encode(progress).decode(),))


def forget(transaction: Transaction) -> None:
    """The next one is fetched from its beginning."""
    transaction.conn.execute(_FORGET)


def adopt(
    transaction: Transaction, chunks: Iterable[Sequence[snapshot.Told]], heads: Mapping[StreamId, StreamHead],
    proofs: Mapping[StreamId, HeadProof], own: StreamId, held: Sequence[Op], verify: Callable[[Connection], None],
) -> Finished:
    """Join every chunk, know all that the snapshot covers, and apply or hold what its node could not apply.

    Args:
      chunks: the objects of each, read one after the other.
      held: those ops. Of a stream for which there is no room nothing is known beyond what was.
      verify: raises if one of them is not signed, by the keys that came with the state.
    Raises: InvalidRequest for a clock value that is none; what `chunks` and `verify` raise; as snapshot.join_objects.
    """
    for objects in chunks:
        snapshot.join_objects(transaction, objects)
    verify(transaction.conn)
    by_stream: dict[StreamId, dict[int, Op]] = {}
    for op in held:
        by_stream.setdefault(op.dot.stream, {})[op.dot.seq] = op
    full, count = set(), 0
    for stream, ops in by_stream.items():
        known = oplog.head(transaction.conn, stream)
        known_seq = 0 if known is None else known.seq
        if stream == own or stream not in heads:
            continue
        kept = _keep(transaction, [op for seq, op in sorted(ops.items()) if known_seq < seq <= heads[stream].seq])
        count += kept or 0
        if kept is None:
            full.add(stream)
    snapshot.adopt_heads(transaction, {s: head for s, head in heads.items() if s not in full}, proofs, own)
    forget(transaction)
    return Finished(held=count, full=frozenset(full))


def _keep(transaction: Transaction, ops: Sequence[Op]) -> int | None:
    """Apply the ops of a stream, or hold them. Returns: how many are held; None if there is no room, and none is."""
    part = transaction.begin_part()
    count = 0
    for op in ops:
        reason = inbound.fold_or_say(transaction, op)
        if reason and not heldops.has_room(transaction.conn, sum(map(len, op.entries))):
            transaction.undo_part(part)
            return None
        if reason:
            heldops.keep(transaction.conn, op, reason)
            count += 1
    transaction.end_part()
    return count
