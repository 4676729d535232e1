"""Taking ops of other nodes: one transaction for a batch, in the order in which the sender's log has them.

What is taken is judged above (`replication.examine`), by the LogBook that is handed to it here. An op that cannot be
folded is held: logged, so that the prefix goes on, and applied by a version that can. An error of SQLite is never the
op's fault: the whole batch rolls back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol, cast

import msgspec
from msgspec import Struct

from aimem.errors import AimemError
from aimem.model import (
    Blank,
    Dot,
    Entry,
    Evidence,
    Instant,
    Intake,
    Op,
    Stamp,
    Stop,
    StopReason,
    StreamHead,
    StreamId,
    attestation_of,
    blank_entry,
    decode_entry,
)
from aimem.ports import Connection
from aimem.store import headproofs, heldops, oplog
from aimem.store.kinds import ALIAS, KINDS, MEMORY
from aimem.store.outbound import Logged
from aimem.store.transaction import Transaction

_COUNT_STREAMS = "SELECT count(*) FROM streams"
_CLOSE = "INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)"
_ALL_CLOSED = "SELECT substr(name, 8) FROM meta WHERE name GLOB 'closed:*' ORDER BY name"

_FOLD_FAULTS: Final = (
    AimemError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, RecursionError,
    msgspec.MsgspecError,
)
"""What a fold may raise over an op's contents. DatabaseError and MemoryError are not among them: no op's fault."""


class LogBook(Protocol):
    """What a judge of inbound ops may ask; all as of this transaction."""

    @property
    def now(self) -> Instant:
        """This node's wall clock."""
        ...

    @property
    def hlc(self) -> int:
        """Past everything known."""
        ...

    @property
    def own_stream(self) -> StreamId:
        """The stream that this node writes."""
        ...

    @property
    def stream_count(self) -> int:
        """Streams known."""
        ...

    def head(self, stream: StreamId) -> StreamHead:
        """The end of the known prefix; `seq` 0 for an unknown stream."""
        ...

    def hash_at(self, dot: Dot) -> bytes | None:
        """The chain hash of a known op that is not its stream's head; None if the log no longer tells."""
        ...

    def public_key(self, stream: StreamId) -> bytes | None:
        """The key that signs a stream, from its opening op."""
        ...

    def is_closed(self, stream: StreamId) -> bool:
        """Whether the stream's writer is known to have signed two histories."""
        ...


class Examine(Protocol):
    """The judge: `replication.examine`."""

    def __call__(self, ops: Sequence[Op], book: LogBook) -> Intake:
        """Decide how much of a batch may be taken."""
        ...


class Received(Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes:
      taken: new ops.
      held: those of them that are logged and not applied.
      full: streams that end here, since their next op would be held and no more can be.
      evidence: where it ended with a fork, what shows it to others.
    """

    taken: int
    skipped: int
    held: tuple[Dot, ...]
    stop: Stop | None
    full: frozenset[StreamId] = frozenset()
    evidence: Evidence | None = None


class _Book:
    """See LogBook."""

    def __init__(self, transaction: Transaction) -> None:
        self._conn = transaction.conn
        self.now = transaction.now
        self.hlc = transaction.tip.hlc
        self._own = transaction.tip.head
        self.own_stream = self._own.stream
        counted = self._conn.execute(_COUNT_STREAMS).fetchone()
        self.stream_count = cast("int", counted[0]) if counted else 0
        self._closed = frozenset(closed_streams(self._conn))

    def head(self, stream: StreamId) -> StreamHead:
        if stream == self.own_stream:
            return self._own
        known = oplog.head(self._conn, stream)
        return known or StreamHead(stream=stream, seq=0, hlc=0, chain_hash=oplog.GENESIS)

    def hash_at(self, dot: Dot) -> bytes | None:
        return oplog.hash_at(self._conn, dot)

    def public_key(self, stream: StreamId) -> bytes | None:
        return headproofs.public_key(self._conn, stream)

    def is_closed(self, stream: StreamId) -> bool:
        return stream in self._closed


def take(transaction: Transaction, ops: Sequence[Op], examine: Examine) -> Received:
    """Log and fold a batch as far as the judge lets it in.

    Raises: DatabaseError, and then nothing of it is taken.
    """
    intake = examine(ops, _Book(transaction))
    logged = _receive_all(transaction, [item.op for item in intake.takes])
    takes = [item for item in intake.takes if item.op.dot not in logged.left]
    heads = {item.head.stream: item.head for item in takes}
    for head in heads.values():
        oplog.set_head(transaction.conn, head)
    transaction.heads.update(heads)
    stop = intake.stop
    evidence = _close_forked(transaction.conn, stop, ops)
    return Received(
        taken=len(takes), skipped=intake.skipped, held=logged.held, stop=stop, evidence=evidence,
        full=frozenset(dot.stream for dot in logged.left),
    )


def _close_forked(conn: Connection, stop: Stop | None, ops: Sequence[Op]) -> Evidence | None:
    if stop is None or stop.reason is not StopReason.FORK or stop.dot is None:
        return None
    stream = stop.dot.stream
    conn.execute(_CLOSE, (f"closed:{stream}", str(stop.dot)))
    key = headproofs.public_key(conn, stream)
    found = None
    for op in ops:
        if op.dot == stop.dot and key is not None and found is None:
            found = headproofs.evidence_against(conn, stream, attestation_of(op, key))
    if found is not None:
        headproofs.keep_evidence(conn, {stream: found})
    return found


def closed_streams(conn: Connection) -> tuple[StreamId, ...]:
    """Streams whose writers signed two histories."""
    return tuple(StreamId(str(row[0])) for row in conn.execute(_ALL_CLOSED))


def refold_held(transaction: Transaction, after_position: int, limit: int) -> int | None:
    """Apply the held ops that this version can fold, whatever is known by now: order does not matter.

    Returns: the position of the last one looked at; None when there are no more.
    """
    position = None
    for held in heldops.read(transaction.conn, after_position, limit):
        position = held.position
        if not fold_or_say(transaction, held.op):
            heldops.release(transaction.conn, held)
    return position


class _LoggedOps(Struct, frozen=True):
    """Which ops of a batch are held, and which were left out, as no more can be held."""

    held: tuple[Dot, ...] = ()
    left: frozenset[Dot] = frozenset()


def _receive_all(transaction: Transaction, ops: Sequence[Op]) -> _LoggedOps:
    """Log and fold ops.

    Nearly always all are applied; only a batch that has one that is not is done once more, each op within a savepoint
    of its own. A stream whose op finds no room ends before it; the others go on.
    """
    part = transaction.begin_part()
    try:
        _take_all(transaction, ops)
    except _FOLD_FAULTS:
        transaction.undo_part(part)
    else:
        transaction.end_part()
        return _LoggedOps()
    held: list[Dot] = []
    left: set[Dot] = set()
    full: set[StreamId] = set()
    for op in ops:
        reason = None if op.dot.stream in full else _receive(transaction, op)
        if reason is None:
            left.add(op.dot)
            full.add(op.dot.stream)
        elif reason:
            held.append(op.dot)
    return _LoggedOps(tuple(held), frozenset(left))


def _take_all(transaction: Transaction, ops: Sequence[Op]) -> None:
    read = [[decode_entry(data) for data in op.entries] for op in ops]
    with transaction.gathering():
        transaction.expect((entry.kind, entry.key) for entries in read for entry in entries)
        for op, entries in zip(ops, read, strict=True):
            # One after the other: what an op buries is laid out blank from the next op on.
            data = tuple(map(partial(_kept, transaction), entries, op.entries))
            transaction.take(msgspec.structs.replace(op, entries=data), entries)


def _receive(transaction: Transaction, op: Op) -> str | None:
    """Log one op at the end and fold it.

    Returns: why it is held; an empty text if it is applied; None if nothing was done, as there is no room for it.
    """
    part = transaction.begin_part()
    position = _log(transaction, op)
    reason = fold_or_say(transaction, op)
    if reason and not heldops.has_room(transaction.conn, sum(map(len, op.entries))):
        transaction.undo_part(part)
        return None
    if reason:
        heldops.hold(transaction.conn, position, reason)
    transaction.end_part()
    return reason


def _log(transaction: Transaction, op: Op) -> int:
    """Log one op at the end. Returns: its position."""
    logged = [_laid_out(transaction, data) for data in op.entries]
    kept = msgspec.structs.replace(op, entries=tuple(data for _, data in logged))
    position = oplog.append(transaction.conn, kept, tuple(key for key, _ in logged))
    transaction.logged.append(Logged(position, kept))
    return position


def fold_or_say(transaction: Transaction, op: Op) -> str:
    """Fold an op, or nothing of it. Returns: why it cannot be folded, or an empty text."""
    part = transaction.begin_part()
    try:
        transaction.fold(op)
    except _FOLD_FAULTS as error:
        transaction.undo_part(part)
        # The kind of trouble, never the text: an error may quote what the op carries.
        return type(error).__name__
    transaction.end_part()
    return ""


def _laid_out(transaction: Transaction, data: bytes) -> tuple[tuple[str, str], bytes]:
    """What the log keeps of an entry: the object that it is about, and the bytes; a blank if that object is dead.

    What cannot be read is kept as it came: the op is held then.
    """
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ("", ""), data
    return (entry.kind, entry.key), _kept(transaction, entry, data)


def _kept(transaction: Transaction, entry: Entry | Blank, data: bytes) -> bytes:
    if isinstance(entry, Blank) or entry.dead:
        return data
    dead = _dead_since(transaction, entry)
    return data if dead is None else blank_entry(data, entry, dead)


def _dead_since(transaction: Transaction, entry: Entry) -> Stamp | None:
    """Since when the object, or the entity of an alias, is dead: its texts have no place in the log then."""
    kind = KINDS.get(entry.kind)
    if kind is None:
        return None
    try:
        dead = transaction.load(kind, entry.key).dead
        if dead is None and kind is ALIAS:
            dead = transaction.load(MEMORY, kind.split_key(entry.key)[0]).dead
    except (ValueError, msgspec.MsgspecError):
        return None     # a key of another form: the op is held
    return dead
