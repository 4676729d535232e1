"""What is looked at after every commit of every node: vectors, chains, causality, the dead.

A finding is noted, not raised: it would come up inside the node, whose doors catch what they can.
"""

from __future__ import annotations

from itertools import islice

import msgspec
import trio
from msgspec import Struct

from aimem.model import Dot, Op, StreamId, Vector, chain_hash, covers, decode_entry, dominates
from aimem.ports import Connection, DatabaseError
from aimem.store import STREAM, oplog, outbound
from tests.sim.machine import Process
from tests.sim.seals import Seals
from tests.sim.trace import Trace

_CHANGES = "SELECT total_changes()"
_FIRST = "SELECT coalesce(max(position), 0) FROM ops"
_FIRST_OF_STREAMS = "SELECT stream, min(seq) FROM ops WHERE position > 0 GROUP BY stream"
_TOMBSTONES = "SELECT kind, key FROM tombstones"
_SHOWN_DEAD = (
    "SELECT t.key FROM tombstones AS t WHERE t.kind = 'memory' AND "
    "(EXISTS (SELECT 1 FROM memories AS m WHERE m.id = t.key) OR EXISTS (SELECT 1 FROM memory_view AS v "
    "WHERE v.id = t.key))"
)
BATCH = 10_000


class Violation(Struct, frozen=True):
    """A promise that did not hold.

    Attributes:
      check: which: acked, convergence, causality, resurrection, idempotence, vector, model, refused, liveness,
        fork, session, outcome, governance, answers, hooks, access, bounds, meaning,
        journal, forged, renewed, alarm, delisted, believed, standing, cluster, clock, report, progress, index, shown,
        sync, spool, divergence.
    """

    check: str
    text: str
    at: float


class Written(Struct, frozen=True):
    """An op as its origin committed it, and what the origin knew then.

    Attributes:
      context: at least. It `is_exact` but where the origin joined another one's state since it was looked at before:
        that comes without ops.
    """

    op: Op
    node: str
    context: Vector
    is_exact: bool = True


class _Seen(Struct):
    """What one machine's database held when it was last looked at."""

    life: int
    changes: int
    position: int
    vector: Vector


class _Shunned(Struct, frozen=True):
    """A node that is off the lists, and how many ops were written by then."""

    name: str
    after: int


class Watcher:
    """Looks at databases from outside, by the connection of their writer, between two transactions.

    Attributes:
      written: every op of the run by its dot.
      found: the violations, in the order in which they were seen; `failed` is set with the first.
      checks: how many single comparisons were made.
      doubted: streams of which there may be two histories: nothing is expected of which op has which number.
      others: what stands in other histories of doubted streams under a dot.
      skipped: doubted streams of which a machine had one history beyond where they part, and joined a state that goes
        on: that comes without ops, and none was sent that could show it the other one.
      lied: those of a liar among them.
      touched: keys of what a liar wrote to: where it signs two ops for one dot, one of them is not among `written`.
      liar: a machine of which nothing is expected.
      seals: what was signed by whom.
      shunned: who is off the lists of all others just now; None for nobody.
      held: what each machine has in its log and has not applied.
      kept_back: streams of which a liar said that it takes no more: it hands on what was written by whoever knew more.
      two_faced: streams of a liar of which two honest nodes took different ops for one dot.
    """

    def __init__(self, trace: Trace, seals: Seals, liar: str) -> None:
        self.seals, self.liar = seals, liar
        self.lied: set[StreamId] = set()
        self.touched: set[str] = set()
        self.two_faced: set[StreamId] = set()
        self.kept_back: set[StreamId] = set()
        self.shunned: _Shunned | None = None
        self._faces: dict[Dot, bytes] = {}
        self.written: dict[Dot, Written] = {}
        self.found: list[Violation] = []
        self.failed = trio.Event()
        self.checks = 0
        self.doubted: set[StreamId] = set()
        self.others: dict[Dot, dict[bytes, Written]] = {}
        self.skipped: set[StreamId] = set()
        self._trace = trace
        self._seen: dict[str, _Seen] = {}
        self._lost: list[tuple[str, Vector]] = []
        self._chain: dict[Dot, bytes] = {}
        self._dead: dict[str, frozenset[tuple[str, str]]] = {}
        self.held: dict[str, frozenset[Dot]] = {}

    def find(self, check: str, text: str) -> None:
        """Note that a promise does not hold."""
        self.found.append(Violation(check, text, trio.current_time()))
        self._trace.note("violation", check, text)
        self.failed.set()

    def look(self, process: Process) -> None:
        """After a transaction of this process: take up what it committed."""
        conn = process.writer
        if conn is None:
            return
        try:
            self._look(process, conn)
        except DatabaseError:
            return      # a disk that fails says so to the node as well

    def _look(self, process: Process, conn: Connection) -> None:
        seen, changes = self._seen.get(process.name), _int(conn, _CHANGES)
        if seen is not None and seen.life == process.life and seen.changes == changes:
            return
        vector = oplog.vector(conn)
        position = seen.position if seen is not None else 0
        if seen is not None and not self._rises(process, seen, vector):
            return
        known = dict(seen.vector) if seen is not None else _before_log(conn, vector)
        count = len(self.written)
        self.held[process.name] = frozenset(outbound.held(conn, BATCH).dots)
        for at, op in oplog.read_after(conn, position, BATCH):
            self._take(process, op, known, vector)
            position = at
        if known != vector:
            for dot, written in [*islice(self.written.items(), count, None)]:
                self.written[dot] = msgspec.structs.replace(written, is_exact=False)
            self.skipped |= {
                dot.stream for dot in self.others if dot.seq <= known.get(dot.stream, 0) < vector.get(dot.stream, 0)
            }
        self._check_shunned(process, vector)
        self.checks += 1
        self._seen[process.name] = _Seen(process.life, changes, max(position, _int(conn, _FIRST)), vector)

    def writers_of(self, key: str) -> set[str]:
        """The nodes that wrote anything about the objects under a key."""
        return {
            written.node for written in self.written.values()
            if any(decode_entry(entry).key == key for entry in written.op.entries)
        }

    def skipped_with(self, key: str) -> set[StreamId]:
        """The skipped streams in one of whose histories something was written of the objects under a key."""
        found = set()
        for stream in self.skipped:
            parting = min(dot.seq for dot in self.others if dot.stream == stream)
            ops = [written.op for dot, written in self.written.items() if dot.stream == stream and dot.seq >= parting]
            ops += [other.op for dot, them in self.others.items() if dot.stream == stream for other in them.values()]
            if any(decode_entry(entry).key == key for op in ops for entry in op.entries):
                found.add(stream)
        return found

    def met(self, source: str, target: str) -> None:
        """A node let somebody in that is on no list of its own."""
        self.find("access", f"{target} let {source} in, whose certificate is not on its list")

    def shun(self, name: str) -> None:
        """From now on nothing passes between a node and all others."""
        self.shunned = _Shunned(name, len(self.written))

    def _check_shunned(self, process: Process, vector: Vector) -> None:
        """Whoever is off the lists has no op of others, and they have none of its."""
        shunned = self.shunned
        if shunned is None:
            return
        is_it = process.name == shunned.name
        for dot, written in islice(self.written.items(), shunned.after, None):
            self.checks += 1
            if (written.node == shunned.name) != is_it and covers(vector, dot):
                self.find("delisted", f"{process.name} has {_name(dot)} of {written.node}, and {shunned.name} is off "
                                      "the lists")

    def _rises(self, process: Process, seen: _Seen, vector: Vector) -> bool:
        self.checks += 1
        if dominates(vector, seen.vector):
            return True
        self.find("vector", f"{process.name} knew {_short(seen.vector)} and now {_short(vector)}")
        return False

    def _take(self, process: Process, op: Op, known: dict[StreamId, int], vector: Vector) -> None:
        """One op of this node's log, in its order; `known` is what the node knew before it."""
        dot, before = op.dot, known.get(op.dot.stream, 0)
        chained = chain_hash(dot, op.stamp, op.kind, op.entries, op.previous)
        self._trace.note("op", process.name, dot.stream[:6], dot.seq, op.kind, op.stamp.hlc, chained.hex()[:12])
        if not self.seals.is_signed(dot.stream, chained) and process.name != self.liar:
            self.find("forged", f"{process.name} took {_name(dot)}, which its stream's key never signed")
        if self._is_of_liar(dot.stream):
            entries = map(decode_entry, op.entries)
            self.touched |= {
                entry.key for entry in entries
                if entry.kind != STREAM.name or self.seals.owners.get(StreamId(entry.key)) == self.liar
            }
            if process.name != self.liar and self._faces.setdefault(dot, chained) != chained:
                self.two_faced.add(dot.stream)
        written = self.written.get(dot)
        if written is None:
            # The first to have it is whoever wrote it: nobody else can know it before its commit.
            self.written[dot] = Written(op, process.name, {k: v for k, v in known.items() if k != dot.stream})
            self._chain[dot] = chained
            self.check_stamp(self.written[dot])
        else:
            if dot.stream in self.doubted and self._chain[dot] != chained:
                self.others.setdefault(dot, {})[chained] = Written(op, process.name, written.context)
            self._check_copy(process, written, chained, known)
        if dot.seq > before + 1:
            self.find("vector", f"{process.name} logged {_name(dot)} after {before} of its stream")
        if vector.get(dot.stream, 0) < dot.seq:
            self.find("vector", f"{process.name} logged {_name(dot)} and its head is {vector.get(dot.stream, 0)}")
        known[dot.stream] = max(before, dot.seq)
        self.checks += 3

    def _is_of_liar(self, stream: StreamId) -> bool:
        return self.liar != "" and self.seals.owners.get(stream) == self.liar

    def check_stamp(self, written: Written) -> None:
        """The clock moves past all that was applied: whoever changes what it has seen must not lose to that."""
        self.checks += 1
        seen = [Dot(stream, seq) for stream, seq in written.context.items()
                if stream not in self.doubted and not self._is_of_liar(stream)]
        stamps = (self.written[dot].op.stamp for dot in seen
                  if dot in self.written and not self.holds(written.node, dot))
        before = max((stamp.hlc for stamp in stamps), default=0)
        op = written.op
        if op.stamp.hlc <= before and not self._is_of_liar(op.dot.stream):
            self.find("clock", f"{written.node} stamped {_name(op.dot)} {op.stamp.hlc}, and knew of {before}")

    def _check_copy(self, process: Process, written: Written, chained: bytes, known: Vector) -> None:
        dot = written.op.dot
        self.checks += 2
        if dot.stream in self.doubted or dot.stream in self.lied or process.name == self.liar:
            return
        if self._chain[dot] != chained:
            self.find("vector", f"{process.name} has another {_name(dot)} than its origin")
        passed_over = self.doubted | self.lied | self.kept_back
        context = {stream: seq for stream, seq in written.context.items() if stream not in passed_over}
        if not dominates(known, context):
            self.find("causality", f"{process.name} took {_name(dot)} before what its writer had seen")

    def joined(self, name: str) -> None:
        """The files of this machine are others now (lost, restored): what they held before binds no more."""
        seen = self._seen.pop(name, None)
        if seen is not None:
            self._lost.append((name, seen.vector))
        self._dead.pop(name, None)
        self.held.pop(name, None)

    def look_at_dead(self, process: Process) -> None:
        """Nothing that is dead shows, and nothing that was dead is not."""
        conn = process.writer
        if conn is None:
            return
        dead = frozenset((str(kind), str(key)) for kind, key in conn.execute(_TOMBSTONES))
        # A tombstone that came before the death of its entity leaves with it.
        lost = {key for kind, key in self._dead.get(process.name, frozenset()) - dead if kind == "memory"}
        shown = [str(row[0]) for row in conn.execute(_SHOWN_DEAD).fetchall()]
        for key in sorted([*lost, *shown]):
            self.find("resurrection", f"{key} is dead and shows on {process.name}")
        self._dead[process.name] = dead
        self.checks += len(dead)

    def had(self, dot: Dot) -> list[str]:
        """The machines whose database has an op, or had it when its files were taken away."""
        return sorted({*self.holders(dot), *(name for name, vector in self._lost if covers(vector, dot))})

    def holds(self, name: str, dot: Dot) -> bool:
        """Whether a machine has an op in its log that it has not applied."""
        return dot in self.held.get(name, ())

    def vector_of(self, name: str) -> Vector | None:
        """What a machine's database held when it was last looked at; None before the first time, or without files."""
        seen = self._seen.get(name)
        return None if seen is None else seen.vector

    def holders(self, dot: Dot) -> list[str]:
        """The honest machines whose database has an op, by what was last seen of it, running or not."""
        return sorted(
            name for name, seen in self._seen.items() if name != self.liar and covers(seen.vector, dot)
        )


def _before_log(conn: Connection, vector: Vector) -> dict[StreamId, int]:
    """What a database knows beside its log, which need not reach back to the beginning."""
    first = {StreamId(str(stream)): int(str(seq)) for stream, seq in conn.execute(_FIRST_OF_STREAMS)}
    return {stream: first.get(stream, head + 1) - 1 for stream, head in vector.items()}


def _int(conn: Connection, sql: str) -> int:
    row = conn.execute(sql).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _name(dot: Dot) -> str:
    return f"{dot.stream[:6]}:{dot.seq}"


def _short(vector: Vector) -> str:
    return " ".join(f"{stream[:6]}:{head}" for stream, head in sorted(vector.items()))
