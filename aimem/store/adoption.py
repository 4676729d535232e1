"""How far this node has joined the snapshot of another one, across restarts; and the end of such a join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """Where a join stands.

    Attributes:
      stream, id: of the node whose snapshot it is, and of that snapshot; empty where none is under way.
      chunk: the next one.
      objects: that were joined so far.
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
    """Where the last join stands that did not end."""
    row = conn.execute(_LOAD).fetchone()
    try:
        return Progress() if row is None else msgspec.json.decode(str(row[0]), type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def join_chunk(transaction: Transaction, objects: Sequence[snapshot.Told], progress: Progress) -> None:
    """Join the objects of a chunk, and note that they are. Raises: as snapshot.join_objects."""
    snapshot.join_objects(transaction, objects)
    transaction.conn.execute(_NOTE, (msgspec.json.encode(progress).decode(),))


def forget(transaction: Transaction) -> None:
    """The next join begins anew."""
    transaction.conn.execute(_FORGET)


def finish(
    transaction: Transaction, heads: Mapping[StreamId, StreamHead], proofs: Mapping[StreamId, HeadProof],
    own: StreamId, held: Sequence[Op],
) -> Finished:
    """Once every chunk is joined: know all that the snapshot covers, and apply or hold what its node could not apply.

    Args:
      held: those ops; their signatures are verified. Of a stream for which there is no room nothing is known beyond
        what was.
    Raises: InvalidRequest for a clock value that is none.
    """
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
