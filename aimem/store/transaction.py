"""What a write function is handed: a connection inside a savepoint, and the pen that writes ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from aimem.store.fold import Folded, Merge, fold_entries, remove_object
from aimem.store.kinds import KINDS, load_object
from aimem.store.outbound import Logged
from aimem.store.view import Reindex, join_reindex

OP_MAX_BYTES = 1_048_576


STATES_KEPT: Final = 64
"""Objects whose states a job keeps at hand, so that gate, fold and answer read and decode each of them once."""

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
    position: int = 0


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
      conn: for the store's queries; never used after the job.
      now: the wall clock when the job began.
      dots: of the ops that this job wrote.
      stands_on: of ops written before, on which its answer stands (an answer that was given once already).
      heads: how far the streams of others are known after it, if it took any of their ops.
      logged: the ops that it logged, its own and those of others.
      kinds: names of the kinds of objects that its ops touched, those taken back included.
      gate: judges each op; None for what nobody asked for.
      has_events: whether somebody who follows events has something to look for after the commit.
    """

    def __init__(self, conn: Connection, merge: Merge, signer: Signer, tip: Tip, now: Instant) -> None:
        self.conn = conn
        self.now = now
        self.tip = tip
        self.dots: list[Dot] = []
        self.stands_on: list[Dot] = []
        self.heads: dict[StreamId, StreamHead] = {}
        self.logged: list[Logged] = []
        self.changed: set[int] = set()
        self.kinds: set[str] = set()
        self.reindex: dict[int, Reindex] = {}
        self.gate: Gate | None = None
        self.has_events = False
        self._merge = merge
        self._signer = signer
        self._agree: Callable[[], None] | None = None
        self._began = Part(tip, 0, 0, frozenset(), {}, signer)
        self._states: dict[tuple[str, str], ObjectState] = {}

    @property
    def signer(self) -> Signer:
        """The key of the stream that this node writes."""
        return self._signer

    def load(self, kind: Kind, key: str) -> ObjectState:
        """The object as known now; `ObjectState()` if nothing is."""
        state = self._states.get((kind.name, key))
        if state is None:
            if len(self._states) >= STATES_KEPT:
                self._states.clear()
            state = self._states[kind.name, key] = load_object(self.conn, kind, key)
        return state

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

    def note_logged(self, logged: Logged) -> None:
        """Say what was logged last, and so how far the log reaches."""
        self.logged.append(logged)
        self.tip = msgspec.structs.replace(self.tip, position=logged.position)

    def emit(self, label: str, entries: Sequence[Entry]) -> Dot:
        """Write one op: stamp it, log it, sign it, and fold it into the tables.

        Raises: InvalidRequest if it has too many entries or bytes for one op; Bug for none, or an unknown kind; what
          `agree_before_ops` was given raises.
        """
        data = tuple(encode_entry(entry) for entry in entries)
        if not entries or any(entry.kind not in KINDS for entry in entries):
            raise Bug(f"an op ({label}) without entries, or of a kind that is not in the table")
        size = sum(map(len, data))
        if len(entries) > MAX_OP_ENTRIES or size > OP_MAX_BYTES:
            raise InvalidRequest(
                f"one write may touch {MAX_OP_ENTRIES} objects and {OP_MAX_BYTES} bytes; "
                f"this has {len(entries)} and {size}: split it"
            )
        if self.gate is not None:
            self.gate.judge(self, label, entries)
        if self._agree is not None and not self.dots:
            self._agree()
        head = self.tip.head
        clock = next_hlc(Hlc(self.tip.hlc), self.now)
        if clock > HLC_MAX:
            raise Bug("the hybrid clock is exhausted: the wall clock must be wrong by many millennia")
        stamp, dot = Stamp(clock, head.stream), Dot(head.stream, head.seq + 1)
        chained = chain_hash(dot, stamp, label, data, head.chain_hash)
        op = Op(
            dot=dot,
            stamp=stamp,
            kind=label,
            entries=data,
            previous=head.chain_hash,
            signature=self._signer.sign(chained),
        )
        position = oplog.append(self.conn, op, tuple((entry.kind, entry.key) for entry in entries))
        self.logged.append(Logged(position, op))
        self._fold(op, entries)
        self.tip = Tip(
            head=StreamHead(stream=head.stream, seq=dot.seq, hlc=clock, chain_hash=chained),
            hlc=clock,
            position=position,
        )
        self.dots.append(dot)
        if self.gate is not None:
            self.gate.note(self, label, entries, dot)
        return dot

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
        self.conn.execute(_ROLLBACK_TO)
        self.conn.execute(_RELEASE)
        self._go_back(part)

    def undo_all(self) -> None:
        """Take back all that the job did so far, and go on with it."""
        self.conn.execute(ROLLBACK_TO_JOB)
        self._go_back(self._began)

    def _go_back(self, part: Part) -> None:
        self.tip, self.changed, self.reindex = part.tip, set(part.changed), dict(part.reindex)
        self._signer = part.signer
        del self.dots[part.dot_count :]
        del self.logged[part.logged_count :]
        self._states.clear()

    def fold(self, op: Op) -> None:
        """Join an op from elsewhere into the objects, without logging it: repair and replay, in any order."""
        entries = [decode_entry(data) for data in op.entries]
        self._fold(op, entries)
        self.pass_clock(op.stamp.hlc)

    def join(self, stamp: Stamp, entries: Sequence[Entry | Blank]) -> Folded:
        """Join writes into the objects, without an op and without telling those who follow events: a snapshot's."""
        self.kinds.update(entry.kind for entry in entries)
        folded = fold_entries(self.conn, self._merge, stamp, entries, self.now, self._states)
        self.changed |= folded.viewed.changed
        join_reindex(self.reindex, folded.viewed.reindex)
        self.pass_clock(stamp.hlc)
        return folded

    def remove(self, kind: Kind, key: str) -> None:
        """Take an object out of the tables as if it had never been, to be joined anew: repair alone does so."""
        viewed = remove_object(self.conn, kind, key)
        self.kinds.add(kind.name)
        self.changed |= viewed.changed
        join_reindex(self.reindex, viewed.reindex)
        self._states.clear()

    def pass_clock(self, hlc: int) -> None:
        """Move this node's clock past a value, if it is not yet."""
        self.tip = msgspec.structs.replace(self.tip, hlc=max(self.tip.hlc, hlc))

    def _fold(self, op: Op, entries: Sequence[Entry | Blank]) -> None:
        folded = self.join(op.stamp, entries)
        is_own = op.dot.stream == self.tip.head.stream
        actor = self.gate.who.agent_id if is_own and self.gate is not None else None
        source = events.Source(dot=op.dot, label=op.kind, agent_id=actor, is_own=is_own)
        self.has_events = bool(events.note(self.conn, source, folded.changes, self.now)) or self.has_events
