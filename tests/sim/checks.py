"""What must hold once the weather is fine again and all have caught up; each check says what it found."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set

from aimem.model import Blank, Dot, Entry, Vector, covers, decode_entry, parse_dot
from aimem.ports import Connection
from aimem.store import digest, oplog
from aimem.store.inbound import closed_streams
from aimem.store.kinds import KINDS, load_object
from tests.nodes import START
from tests.sim.history import Deed, dots_of
from tests.sim.oracle import Model, lines_of
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher, Written

_VIEW = (
    "SELECT v.id, v.state, v.holder, v.namespace, v.title, v.owner, v.expires_at FROM memory_view AS v ORDER BY v.id"
)
_WORDS = (
    "SELECT DISTINCT v.id FROM memory_fts AS f JOIN memory_view AS v ON v.no = f.rowid >> 6 "
    "WHERE memory_fts MATCH 'word' ORDER BY v.id"
)
_MARKED = "SELECT id FROM memories WHERE content LIKE ? OR metadata LIKE ?"
_STANDS = (
    "SELECT 1 FROM memory_view WHERE id = :id AND state = 'live' AND title LIKE 'about %' "
    "AND (expires_at IS NULL OR expires_at > :soon)"
)
"""Live, of a name that no other memory has, and not about to expire by any clock."""
FAR_US = 3_600_000_000
_SHOWN = 3
_OK = 200
_MARK = re.compile(rb"m\d+q")
_MAKING_ONE = frozenset({"store", "notify", "consolidate"})
"""Acts that make one memory; they are the labels of their ops as well."""

Nodes = Mapping[str, Connection]


def vectors_of(nodes: Nodes) -> dict[str, Vector]:
    """What each node knows."""
    return {name: oplog.vector(conn) for name, conn in nodes.items()}


def know_the_same(nodes: Nodes) -> bool:
    """Whether all know the same ops."""
    vectors = list(vectors_of(nodes).values())
    return all(vector == vectors[0] for vector in vectors)


def have_converged(nodes: Nodes) -> bool:
    """Whether all know the same and are in the same state."""
    return know_the_same(nodes) and len({digest(conn) for conn in nodes.values()}) == 1


def length_of(conn: Connection) -> int:
    """Ops in the log of a node."""
    return oplog.count(conn)


def check_convergence(nodes: Nodes, watcher: Watcher) -> None:
    """Same vectors, digests, rows, view and index of words everywhere."""
    names = sorted(nodes)
    first = names[0]
    for name in names[1:]:
        for what, read in (("objects", lines_of), ("view", _view), ("index", _index), ("vector", _vector)):
            one, other = read(nodes[first]), read(nodes[name])
            watcher.checks += max(len(one), len(other))
            for text in _differences(one, other):
                watcher.find("convergence", f"{first} and {name} differ in their {what}: {text}")
        watcher.checks += 1
        if digest(nodes[first]) != digest(nodes[name]):
            watcher.find("convergence", f"{first} and {name} have different digests")


def check_model(nodes: Nodes, watcher: Watcher, rng: random.Random) -> None:
    """Each node holds what the ops make that it knows, joined by a model that shares no code with the fold."""
    if watcher.doubted:
        return      # of two histories only one is among the ops that are known by their numbers
    for name, conn in sorted(nodes.items()):
        vector, model = oplog.vector(conn), Model()
        known = [written.op for dot, written in watcher.written.items() if covers(vector, dot)]
        watcher.checks += len(known)
        # Of its own stream a liar may sign what it likes.
        claimed = sum(seq for stream, seq in vector.items() if stream not in watcher.lied)
        if sum(op.dot.stream not in watcher.lied for op in known) < claimed:
            watcher.find("vector", f"{name} claims {claimed} ops; {len(known)} of them were ever written")
        model.take(known, rng)
        for text in _differences(*(_without(lines, watcher.touched) for lines in (model.lines(), lines_of(conn)))):
            watcher.find("model", f"the model and {name} differ: {text}")


def check_quorum(deed: Deed, watcher: Watcher, needed: int) -> None:
    """What is acknowledged is on as many disks as were to have it, and applied, the moment somebody is told."""
    version = deed.done.answer.get("version") if deed.done is not None else None
    if not isinstance(version, str):
        return
    watcher.checks += 1
    # A disk may be lost between the commit on it and the moment in which the client hears of that.
    dot = parse_dot(version, field="version")
    holders = [name for name in watcher.had(dot) if not watcher.holds(name, dot)]
    if len(holders) < needed:
        watcher.find("acked", f"deed {deed.number} ({deed.kind}) got {version} for {needed}; only {holders} have it")


def check_session(name: str, version: str, watcher: Watcher) -> None:
    """Who has seen a version is answered by a node that knows it."""
    watcher.checks += 1
    if name not in watcher.had(parse_dot(version, field="version")):
        watcher.find("session", f"{name} answered a reader of {version}, which it does not know")


def check_missing(name: str, key: str, conn: Connection, watcher: Watcher) -> None:
    """A node that knows a memory shows it to whoever stored it, if nobody has touched it, or its name, since."""
    watcher.checks += 1
    if conn.execute(_STANDS, {"id": key, "soon": START + FAR_US}).fetchone() is None:
        return
    entries = (decode_entry(data) for written in watcher.written.values() for data in written.op.entries)
    if sum(entry.key == key for entry in entries) == 1:
        watcher.find("session", f"{name} does not show {key} to its author, and has it")


def check_outcome(name: str, answer: Mapping[str, object], swarm: Swarm, watcher: Watcher) -> None:
    """When all is quiet every node says of every write that all have it."""
    watcher.checks += 1
    if answer.get("outcome") != "applied" or answer.get("got") not in range(len(swarm.honest), swarm.nodes + 1):
        watcher.find("outcome", f"{name} says of a write that {len(swarm.honest)} nodes have: {dict(answer)}")


def check_acknowledged(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher) -> None:
    """Every acknowledged write is known everywhere, and its effect stands or gave way to a later one."""
    vectors, dead_ids = vectors_of(nodes), {name: _dead(conn) for name, conn in nodes.items()}
    for deed in deeds:
        if deed.done is None:
            continue
        for dot in dots_of(deed.done.answer):
            watcher.checks += len(vectors)
            for name, vector in sorted(vectors.items()):
                if not covers(vector, dot):
                    watcher.find("acked", f"deed {deed.number} ({deed.kind}) got {_name(dot)}; {name} lacks it")
            written = watcher.written.get(dot)
            if written is None:
                watcher.find("acked", f"deed {deed.number} ({deed.kind}) got {_name(dot)}, which nobody wrote")
                continue
            # Of two histories of a stream the one is meant that is kept: who lost its end begins there anew.
            histories = [written, *watcher.others.get(dot, {}).values()]
            for text in min((list(_unkept(one, nodes, watcher, dead_ids)) for one in histories), key=len):
                watcher.find("acked", f"deed {deed.number} ({deed.kind}), {_name(dot)}: {text}")


def _unkept(
    written: Written, nodes: Nodes, watcher: Watcher, dead_ids: Mapping[str, Set[str]]
) -> Iterator[str]:
    """Entries of an op that neither stand on a node nor gave way."""
    stamp = written.op.stamp
    for data in written.op.entries:
        entry = decode_entry(data)
        kind = KINDS.get(entry.kind)
        if kind is None:
            continue
        ends = kind.split_key(entry.key)[: kind.end_count] if kind.end_count else ()
        for name, conn in nodes.items():
            watcher.checks += 1
            state = load_object(conn, kind, entry.key)
            if state.dead is not None or not dead_ids[name].isdisjoint(ends):
                continue
            if isinstance(entry, Blank) or entry.dead:
                yield f"{entry.kind} {entry.key} is not dead on {name}"
            elif state.born is None and entry.create is not None:
                yield f"{entry.kind} {entry.key} does not exist on {name}"
            else:
                yield from (
                    f"{field} of {entry.kind} {entry.key} is older on {name}" for field in _older(entry, state, stamp)
                )


def _older(entry: Entry, state: object, stamp: object) -> list[str]:
    cells = state.fields  # type: ignore[attr-defined]
    plain = [field for field in entry.fields if field not in KINDS[entry.kind].maxima]
    return [field for field in plain if field not in cells or cells[field].stamp < stamp]


def check_deletes(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher) -> None:
    """What somebody was told is deleted is dead on every node that knows of it."""
    for deed in deeds:
        if deed.done is None or deed.done.status != _OK or deed.kind not in ("delete", "drop_message"):
            continue    # 202 says that it waits for approval
        dots = dots_of(deed.done.answer)
        for name, conn in sorted(nodes.items()):
            watcher.checks += 1
            if all(covers(oplog.vector(conn), dot) for dot in dots) and not set(deed.subjects) <= _dead(conn):
                watcher.find("resurrection", f"deed {deed.number}: {deed.subjects[0]} is not dead on {name}")


def check_refused(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher, doubled: Set[str]) -> None:
    """What somebody was told did not happen did not happen; but a copy of a request may still meet its chance."""
    marks = {deed.mark: deed for deed in deeds if deed.mark and deed.is_refused and deed.key not in doubled}
    for written in watcher.written.values():
        for data in written.op.entries:
            watcher.checks += 1
            for mark in marks.keys() & {found.decode() for found in _MARK.findall(data)}:
                watcher.find("refused", f"deed {marks[mark].number} was refused, and {_name(written.op.dot)} is it")
    for name, conn in sorted(nodes.items()):
        for mark, deed in marks.items():
            if conn.execute(_MARKED, (f"%{mark}%", f"%{mark}%")).fetchone() is not None:
                watcher.find("refused", f"deed {deed.number} was refused, and stands on {name}")


def check_forks(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher, rejoining: Collection[str]) -> None:
    """Nobody put a key back here: no node may take another for a liar, or be told that it lost its writes.

    Args:
      rejoining: nodes whose operators had them begin a new stream, before which they take no writes.
    """
    if watcher.doubted:
        return
    for deed in deeds:
        watcher.checks += 1
        told = [attempt.node for attempt in deed.attempts if attempt.answer.get("code") == "stream_forked"]
        if not set(told) <= set(rejoining):
            watcher.find("fork", f"deed {deed.number} was refused by a node that takes itself for forked")
    for name, conn in sorted(nodes.items()):
        for stream in closed_streams(conn):
            if stream not in watcher.lied:
                watcher.find("fork", f"{name} takes {stream[:6]} for forked")


def check_renewed(losses: Mapping[str, int], watcher: Watcher) -> None:
    """A node begins another stream where its files were taken from it, and for nobody's word.

    Args:
      losses: how often that was done to each.
    """
    begun: dict[str, set[str]] = {name: set() for name in losses}
    for dot in watcher.written:
        owner = watcher.seals.owners.get(dot.stream)
        if owner in begun and dot.seq == 1:
            begun[owner].add(dot.stream)
    for name, streams in sorted(begun.items()):
        watcher.checks += 1
        if len(streams) > 1 + losses[name]:
            watcher.find("renewed", f"{name} lost its files {losses[name]} times, and began {len(streams)} streams")


def check_retries(deeds: Sequence[Deed], watcher: Watcher) -> None:
    """One key, one object: whatever was sent again, here or to another node, made no second one."""
    marks = {deed.mark.encode(): deed for deed in deeds if deed.kind in _MAKING_ONE and deed.mark}
    made: dict[bytes, set[str]] = {}
    for written in watcher.written.values():
        if written.op.kind not in _MAKING_ONE:
            continue
        for data in written.op.entries:
            entry = decode_entry(data)
            if isinstance(entry, Blank) or entry.create is None:
                continue
            for mark in marks.keys() & set(_MARK.findall(data)):
                made.setdefault(mark, set()).add(entry.key)
    watcher.checks += len(marks)
    for mark, ids in sorted(made.items()):
        if len(ids) > 1:
            watcher.find("idempotence", f"deed {marks[mark].number} made {', '.join(sorted(ids))} under one key")


def _dead(conn: Connection) -> set[str]:
    return {str(row[0]) for row in conn.execute("SELECT key FROM tombstones WHERE kind = 'memory'")}


def _view(conn: Connection) -> dict[str, str]:
    return {str(row[0]): repr(row[1:]) for row in conn.execute(_VIEW)}


def _index(conn: Connection) -> dict[str, str]:
    return {str(row[0]): "indexed" for row in conn.execute(_WORDS)}


def _without(lines: Mapping[str, str], keys: Set[str]) -> dict[str, str]:
    """Without some objects, and what hangs on them."""
    return {line: text for line, text in lines.items() if not any(key in line for key in keys)}


def _vector(conn: Connection) -> dict[str, str]:
    return {stream: str(head) for stream, head in oplog.vector(conn).items()}


def _differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    return [f"{key}: {one.get(key, 'nothing')[:600]} | {other.get(key, 'nothing')[:600]}" for key in keys[:_SHOWN]]


def _name(dot: Dot) -> str:
    return f"{dot.stream[:6]}:{dot.seq}"
