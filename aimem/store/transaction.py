"""What a write function is handed: a connection inside a savepoint, and the pen that writes ops."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from aimem.errors import Bug, InvalidRequest
from aimem.model import (
    HLC_MAX,
    MAX_OP_ENTRIES,
    AgentId,
    Blank,
    Create,
    Dot,
    Entry,
    FieldValue,
    Hlc,
    Instant,
    ObjectState,
    Op,
    Principal,
    Stamp,
    StreamHead,
    StreamId,
    chain_hash,
    decode_entry,
    encode_entry,
    next_hlc,
)
from aimem.ports import Connection, Signer
from aimem.store import events, oplog
from aimem.store.fields import Kind
from aimem.store.fold import Fold, Merge
from aimem.store.kinds import KINDS
from aimem.store.outbound import Logged
from aimem.store.view import Name, Reindex

OP_MAX_BYTES = 1_048_576

SHARED_OP_COUNT: Final = 50
SHARED_OP_BYTES: Final = 262_144
"""New objects in one op, and bytes of theirs, as long as they were asked for together."""


ROLLBACK_TO_JOB: Final = "ROLLBACK TO job"
"""Takes back all of a job; its savepoint, which the writer opened, stays."""

_SAVEPOINT = "SAVEPOINT part"
_ROLLBACK_TO = "ROLLBACK TO part"
_RELEASE = "RELEASE part"


class Gate(Protocol):
    """Who judges ops before they are written: `service.Gate`. Without one, ops pass (repair, the stream's opening)."""

    @property
    def who(self) -> Principal:
        """On whose behalf ops are written."""
        ...

    @property
    def adds_up(self) -> bool:
        """Whether it judges an op by what the ops before came to, so that each object needs one of its own."""
        ...

    def judge(self, transaction: Transaction, label: str, entries: Sequence[Entry]) -> None:
        """Let an op pass. Raises: Denied."""
        ...

    def note(self, transaction: Transaction, label: str, entries: Sequence[Entry], dot: Dot) -> None:
        """Be told of an op that was written."""
        ...


class Tip(Struct, frozen=True, kw_only=True):
    """Where the writer stands: the end of its own stream and the clock that all ops so far have moved.

    Frozen, so that a rolled-back job is forgotten by going back to the tip before it.
    """

    head: StreamHead
    hlc: int


class _SharedOp(Struct):
    """An op that new objects are still added to; they are joined already, under its stamp."""

    dot: Dot
    stamp: Stamp
    label: str
    entries: list[Entry]
    data: list[bytes]

    def has_room(self, label: str, more: bytes) -> bool:
        """Whether one more belongs into it."""
        size_bytes = sum(map(len, self.data)) + len(more)
        return label == self.label and len(self.data) < SHARED_OP_COUNT and size_bytes <= SHARED_OP_BYTES


class Part(Struct, frozen=True):
    """Where a part of a job began."""

    tip: Tip
    dot_count: int
    logged_count: int
    changed: frozenset[int]
    reindex: dict[int, Reindex]
    signer: Signer


class Transaction:
    """One job's part of a group: reads see the group's earlier jobs; nothing is visible outside before COMMIT.

    Attributes:
      now: the wall clock when the job began.
      dots: of the ops that this job wrote, one for each act: several may share an op.
      stands_on: of ops written before, on which its answer stands (an answer that was given once already).
      heads: how far the streams of others are known after it, if it took any of their ops.
      kinds: names of the kinds of objects that its ops touched, those taken back included.
      gate: judges each op; None for what nobody asked for.
      has_events: whether somebody who follows events has something to look for after the commit.
    """

    def __init__(self, conn: Connection, merge: Merge, signer: Signer, tip: Tip, now: Instant) -> None:
        self.now = now
        self.tip = tip
        self.dots: list[Dot] = []
        self.stands_on: list[Dot] = []
        self.heads: dict[StreamId, StreamHead] = {}
        self.kinds: set[str] = set()
        self.gate: Gate | None = None
        self.has_events = False
        self._conn = conn
        self._fold = Fold(conn, merge)
        self._gathers = False
        self._shared: _SharedOp | None = None
        self._signer = signer
        self._agree: Callable[[], None] | None = None
        self._began = Part(tip, 0, 0, frozenset(), {}, signer)

    @property
    def conn(self) -> Connection:
        """For the store's queries, which see all that the job did; never used after the job."""
        self._settle()
        return self._conn

    @property
    def logged(self) -> list[Logged]:
        """The ops that it logged, as the log keeps them; all once what was gathered is written."""
        return self._fold.logged

    @property
    def changed(self) -> set[int]:
        """Rows of the view that changed."""
        return self._fold.changed

    @property
    def reindex(self) -> dict[int, Reindex]:
        """What the full-text indexes owe them."""
        return self._fold.reindex

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Write what the block's ops come to at its end, by few statements, or as soon as somebody asks for `conn`."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
        self._settle()

    def _settle(self) -> None:
        self._close_op()
        if self._fold.owes:
            self._fold.write()

    @property
    def signer(self) -> Signer:
        """The key of the stream that this node writes."""
        return self._signer

    def load(self, kind: Kind, key: str) -> ObjectState:
        """The object as known now; `ObjectState()` if nothing is."""
        return self._fold.load(kind, key)

    def expect(self, objects: Iterable[tuple[str, str]], names: Collection[Name] = ()) -> None:
        """Read at once what many ops will be about, which otherwise is read for each of them.

        Args:
          objects: (kind, key) of each.
          names: that memories may be given.
        """
        self._settle()
        self._fold.expect(objects)
        if names:
            self._fold.expect_names(names)

    def is_free_name(self, name: Name) -> bool:
        """Whether no memory has a name that was expected, in whatever state; False for any other name."""
        return self._fold.is_free_name(name)

    def create(self, kind: Kind, key: str, author: AgentId, fields: Mapping[str, FieldValue]) -> Entry:
        """An entry that brings an object into being, with all its required fields."""
        missing = kind.required - fields.keys()
        if missing:
            raise Bug(f"a new {kind.name} lacks {', '.join(sorted(missing))}")
        return Entry(kind=kind.name, key=key, create=Create(author=author), fields=dict(fields))

    def change(self, kind: Kind, key: str, fields: Mapping[str, FieldValue]) -> Entry:
        """An entry that sets some fields, naming for each the stamp that it replaces."""
        cells = self.load(kind, key).fields
        base = {name: cells[name].stamp.text() for name in fields if name in cells}
        return Entry(kind=kind.name, key=key, fields=dict(fields), base=base)

    def bury(self, kind: Kind, key: str) -> Entry:
        """An entry that deletes an object for ever."""
        return Entry(kind=kind.name, key=key, dead=True)

    def agree_before_ops(self, agree: Callable[[], None]) -> None:
        """Have this asked before the first op is written; what it raises ends the job with nothing stored."""
        self._agree = agree

    def emit(self, label: str, entries: Sequence[Entry]) -> Dot:
        """Write one op: stamp it, log it, sign it, and fold it into the tables.

        Raises: InvalidRequest if it has too many entries or bytes for one op; Bug for none, or an unknown kind; what
          `agree_before_ops` was given raises.
        """
        self._close_op()
        data = tuple(encode_entry(entry) for entry in entries)
        if not entries or any(entry.kind not in KINDS for entry in entries):
            raise Bug(f"an op ({label}) without entries, or of a kind that is not in the table")
        size = sum(map(len, data))
        if len(entries) > MAX_OP_ENTRIES or size > OP_MAX_BYTES:
            raise InvalidRequest(
                f"one write may touch {MAX_OP_ENTRIES} objects and {OP_MAX_BYTES} bytes; "
                f"this has {len(entries)} and {size}: split it"
            )
        self._judge(label, entries)
        stamp, dot = self._next()
        op, chained = self._signed(dot, stamp, label, data)
        self._fold.log(op, tuple((entry.kind, entry.key) for entry in entries))
        self._join_op(dot, stamp, label, entries)
        self._move_tip(stamp, dot, chained)
        self._note(label, entries, dot)
        return dot

    def emit_beside(self, label: str, entry: Entry) -> Dot:
        """Write a new object, in one op with those written just before under the same label, while ops are gathered.

        A request that makes a thousand objects makes some twenty ops then: to sign, chain, log and ship each for
        itself took as long as half of all the rest. Each object is judged for itself.
        Raises: as `emit`.
        """
        data = encode_entry(entry)
        adds_up = self.gate is not None and self.gate.adds_up
        if not self._gathers or adds_up or entry.create is None or entry.kind not in KINDS:
            return self.emit(label, [entry])
        self._judge(label, [entry])     # which may look into the tables: then the op before is written
        if self._shared is not None and not self._shared.has_room(label, data):
            self._close_op()
        if self._shared is None:
            stamp, dot = self._next()
            self._shared = _SharedOp(dot=dot, stamp=stamp, label=label, entries=[], data=[])
        shared = self._shared
        shared.entries.append(entry)
        shared.data.append(data)
        self._join_op(shared.dot, shared.stamp, label, [entry])
        self._note(label, [entry], shared.dot)
        return shared.dot

    def _judge(self, label: str, entries: Sequence[Entry]) -> None:
        if self.gate is not None:
            self.gate.judge(self, label, entries)
        if self._agree is not None and not self.dots:
            self._agree()

    def _next(self) -> tuple[Stamp, Dot]:
        head = self.tip.head
        clock = next_hlc(Hlc(self.tip.hlc), self.now)
        if clock > HLC_MAX:
            raise Bug("the hybrid clock is exhausted: the wall clock must be wrong by many millennia")
        return Stamp(clock, head.stream), Dot(head.stream, head.seq + 1)

    def _signed(self, dot: Dot, stamp: Stamp, label: str, data: tuple[bytes, ...]) -> tuple[Op, bytes]:
        """An op, and its chain hash."""
        previous = self.tip.head.chain_hash
        chained = chain_hash(dot, stamp, label, data, previous)
        op = Op(
            dot=dot, stamp=stamp, kind=label, entries=data, previous=previous, signature=self._signer.sign(chained)
        )
        return op, chained

    def _move_tip(self, stamp: Stamp, dot: Dot, chained: bytes) -> None:
        head = StreamHead(stream=dot.stream, seq=dot.seq, hlc=stamp.hlc, chain_hash=chained)
        self.tip = Tip(head=head, hlc=stamp.hlc)

    def _note(self, label: str, entries: Sequence[Entry], dot: Dot) -> None:
        self.dots.append(dot)
        if self.gate is not None:
            self.gate.note(self, label, entries, dot)

    def _close_op(self) -> None:
        """Sign and log the op that new objects were gathered in, if there is one."""
        shared, self._shared = self._shared, None
        if shared is None:
            return
        op, chained = self._signed(shared.dot, shared.stamp, shared.label, tuple(shared.data))
        self._fold.log(op, tuple((entry.kind, entry.key) for entry in shared.entries))
        self._move_tip(shared.stamp, shared.dot, chained)

    def begin_stream(self, signer: Signer, head: StreamHead) -> None:
        """From here on write another stream of this node; the one before stays known as far as it was written."""
        before = self.tip.head
        if before.seq:
            oplog.set_head(self.conn, before)
            self.heads[before.stream] = before
        self._signer = signer
        self.tip = msgspec.structs.replace(self.tip, head=head)

    def begin_part(self) -> Part:
        """Begin what may have to be taken back; `end_part` or `undo_part` follows."""
        self.conn.execute(_SAVEPOINT)
        return Part(
            self.tip, len(self.dots), len(self.logged), frozenset(self.changed), dict(self.reindex), self._signer
        )

    def end_part(self) -> None:
        """Keep what was done since `begin_part`."""
        self.conn.execute(_RELEASE)

    def undo_part(self, part: Part) -> None:
        """Take back what was done since; as if it never was."""
        self._conn.execute(_ROLLBACK_TO)
        self._conn.execute(_RELEASE)
        self._go_back(part)

    def undo_all(self) -> None:
        """Take back all that the job did so far, and go on with it."""
        self._conn.execute(ROLLBACK_TO_JOB)
        self._go_back(self._began)

    def _go_back(self, part: Part) -> None:
        self.tip, self._shared = part.tip, None
        self._fold.forget(part.logged_count, part.changed, part.reindex)
        self._signer = part.signer
        del self.dots[part.dot_count :]

    def fold(self, op: Op) -> None:
        """Join an op from elsewhere into the objects, without logging it: repair and replay, in any order."""
        self._join_op(op.dot, op.stamp, op.kind, [decode_entry(data) for data in op.entries])
        self.pass_clock(op.stamp.hlc)

    def take(self, op: Op, entries: Sequence[Entry | Blank]) -> None:
        """Log an op from elsewhere and join it; `entries` are those of the op, decoded."""
        self._fold.log(op, tuple((entry.kind, entry.key) for entry in entries))
        self._join_op(op.dot, op.stamp, op.kind, entries)
        self.pass_clock(op.stamp.hlc)

    def join(self, stamp: Stamp, entries: Sequence[Entry | Blank]) -> None:
        """Join writes into the objects, without an op and without telling those who follow events: a snapshot's."""
        self._join(stamp, entries)
        self.pass_clock(stamp.hlc)
        if not self._gathers:
            self._settle()

    def remove(self, kind: Kind, key: str) -> None:
        """Take an object out of the tables as if it had never been, to be joined anew: repair alone does so."""
        self._fold.remove(kind, key)
        self.kinds.add(kind.name)

    def pass_clock(self, hlc: int) -> None:
        """Move this node's clock past a value, if it is not yet."""
        if hlc > self.tip.hlc:
            self.tip = msgspec.structs.replace(self.tip, hlc=hlc)

    def _join(self, stamp: Stamp, entries: Sequence[Entry | Blank]) -> tuple[events.Change, ...]:
        self.kinds.update(entry.kind for entry in entries)
        return self._fold.join(stamp, entries, self.now)

    def _join_op(self, dot: Dot, stamp: Stamp, label: str, entries: Sequence[Entry | Blank]) -> None:
        changes = self._join(stamp, entries)
        is_own = dot.stream == self.tip.head.stream
        actor = self.gate.who.agent_id if is_own and self.gate is not None else None
        source = events.Source(dot=dot, label=label, agent_id=actor, is_own=is_own)
        rows = events.derive(self._fold.load, source, changes, self.now)
        self._fold.tell(rows)
        self.has_events = bool(rows) or self.has_events
        if not self._gathers:
            self._settle()
