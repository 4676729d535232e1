"""Bugs in streams, logs and exchanges: which ops are taken, in which order, and whose they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any  # what patched functions are handed

import msgspec
import pytest
import trio

from aimem.model import Op, StreamId, chain_hash
from aimem.replication import Mesh, catchup, closure, cluster, intake, peer
from aimem.replication import mesh as peers
from aimem.replication.renewal import Renewal
from aimem.service import mesh
from aimem.store import inbound, outbound, snapshot, trimming
from aimem.store.kinds import KINDS
from aimem.store.spool import Spool
from aimem.store.transaction import Transaction
from aimem.store.trimming import DAY_S, LogBounds
from aimem.supervisor.reloading import Reloader
from tests.sim.planting import SECONDS, Planted, beside, storm
from tests.sim.swarm import Fault, Lie
from tests.sim.world import World

YEARS: dict[str, Any] = {"keeps_key": True, "log_most": 40}
YEARS_S = 25.0


async def _believe(*_: object) -> bool:
    return True


def exchange_without_assumed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mesh, "wait_known", _believe)


def op_past_a_gap(patch: pytest.MonkeyPatch) -> None:
    judge, receive, numbers = intake._Walk.judge, mesh._receive, itertools.count(1)

    def leap(self: intake._Walk, op: Op) -> Any:
        head = self._heads.get(op.dot.stream) or self._book.head(op.dot.stream)
        if op.dot.seq <= head.seq + 1:
            return judge(self, op)
        self._take(op, chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous))
        return None

    async def receive_less(node: Any, asker: StreamId, request: Any) -> Any:
        is_cut = len(request.ops) > 1 and next(numbers) % 2 == 0
        cut = msgspec.structs.replace(request, ops=request.ops[1:]) if is_cut else request
        return await receive(node, asker, cut)

    patch.setattr(intake._Walk, "judge", leap)
    patch.setattr(mesh, "_receive", receive_less)


def chain_not_checked(patch: pytest.MonkeyPatch) -> None:
    refusal = intake._Walk._refusal

    def skip(self: intake._Walk, *_: object) -> None:
        self._skipped += 1

    def unchained(self: intake._Walk, op: Op, chained: bytes, head: Any) -> Any:
        return refusal(self, op, chained, msgspec.structs.replace(head, chain_hash=op.previous))

    patch.setattr(intake._Walk, "_skip", skip)
    async def pass_by(*_: object) -> None:
        return

    patch.setattr(intake._Walk, "_refusal", unchained)
    patch.setattr(closure, "close_twins", pass_by)


def identity_kept_at_restore(patch: pytest.MonkeyPatch) -> None:
    for module in (peer, peers):
        patch.setattr(module, "has_other_history", lambda *_: False)
    patch.setattr(Mesh, "is_forked", property(lambda _: False))


def snapshot_replaces(patch: pytest.MonkeyPatch) -> None:
    join = snapshot.join_objects

    def replace(transaction: Transaction, told: Any) -> None:
        for one in told:
            if one.kind in KINDS:
                transaction.remove(KINDS[one.kind], one.key)
        join(transaction, told)

    patch.setattr(snapshot, "join_objects", replace)


def clock_not_moved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Transaction, "pass_clock", lambda *_: None)


def streams_sent_one_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbound, "heapq", SimpleNamespace(merge=itertools.chain))


def ops_lost_on_the_way(patch: pytest.MonkeyPatch) -> None:
    count, receive = itertools.count(1), inbound._receive_all
    patch.setattr(
        inbound, "_receive_all",
        lambda transaction, ops: receive(transaction, [op for op in ops if next(count) % 7]),
    )


def newest_write_forgotten(patch: pytest.MonkeyPatch) -> None:
    def stale(self: Mesh) -> Any:
        head = self.store.log.heads[self.store.stream]
        return msgspec.structs.replace(head, seq=max(1, head.seq - 1))

    patch.setattr(Mesh, "own_head", property(stale))


def sender_gives_up(patch: pytest.MonkeyPatch) -> None:
    failed = peer._failed

    def give_up(*args: Any) -> Any:
        return msgspec.structs.replace(failed(*args), due_at=float("inf"))

    patch.setattr(peer, "_failed", give_up)
    patch.setattr(peer, "_heard", lambda state, event: state)


def exchange_breaks(patch: pytest.MonkeyPatch) -> None:
    numbers: Iterator[int] = itertools.count(1)
    lacking = mesh._lacking

    async def break_down(*args: Any) -> Any:
        if next(numbers) % 50 == 0:
            raise RuntimeError("planted")
        return await lacking(*args)

    patch.setattr(mesh, "_lacking", break_down)


def breakers_stay_open(patch: pytest.MonkeyPatch) -> None:
    known = Mesh.is_reachable
    patch.setattr(Mesh, "is_reachable", lambda self, peer: trio.current_time() < SECONDS and known(self, peer))


def logs_grow_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trimming, "trim", lambda transaction, floor, size, bounds: size)


def logs_keep_what_is_old(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LogBounds, "horizon", lambda *_: 0)


def keeping_five_seconds(world: World) -> None:
    """Every log is to keep what is younger than five seconds."""
    for name in world.swarm.names:
        world.logs.bound(name, LogBounds(kept_count=10_000, most_days=5 / DAY_S))


def snapshots_leave_out(patch: pytest.MonkeyPatch) -> None:
    count, join = itertools.count(1), snapshot.join_objects
    patch.setattr(
        snapshot, "join_objects", lambda transaction, told: join(transaction, [one for one in told if next(count) % 9])
    )


def snapshots_not_fetched(patch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> bool:
        return False

    patch.setattr(catchup, "_join", refuse)


def snapshots_never_dropped(patch: pytest.MonkeyPatch) -> None:
    async def keep(self: Any, name: str) -> None:
        self._kept.pop(name, None)

    patch.setattr(Spool, "_drop", keep)


def mesh_not_named(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cluster, "due", lambda *_: cluster.Due.REST)


def reloaded_list_not_used(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reloader, "_use", lambda *_: None)


def restored_never_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Renewal, "has_caught_up", lambda *_: False)


ROWS = (
    Planted(
        name="exchange-without-assumed", plant=exchange_without_assumed, weather=storm(),
        checks=frozenset({"causality"}),
        broken="A node takes ops without looking whether it knows what their sender assumes that it does.",
    ),
    Planted(
        name="op-past-a-gap", plant=op_past_a_gap, weather=storm(), checks=frozenset({"vector", "causality"}),
        broken="An op is taken though one before it in its stream is missing (every second batch loses its first one).",
    ),
    Planted(
        name="chain-not-checked", plant=chain_not_checked, weather=beside(Lie.EQUIVOCATE),
        checks=frozenset({"convergence", "alarm"}), seconds=40.0,
        broken="An op is taken whatever op it was written after, and another one for a known dot is passed over, also "
               "where it is the last of its stream.",
    ),
    Planted(
        name="identity-kept-at-restore", plant=identity_kept_at_restore, seconds=40.0,
        weather=storm(Fault.RESTORE, keeps_key=True, quorum=3, calm_s=2.0),
        checks=frozenset({"liveness", "convergence", "acked", "fork", "journal", "standing"}),
        broken="A node that was put back from a copy goes on in the stream that it wrote before.",
    ),
    Planted(
        name="snapshot-replaces", plant=snapshot_replaces,
        weather=storm(Fault.PARTITION, Fault.TRIM, Fault.AWAY, log_most=15),
        checks=frozenset({"convergence", "model", "acked", "resurrection"}), seconds=YEARS_S,
        broken="A snapshot takes the place of what a node knows, instead of being joined to it.",
    ),
    Planted(
        name="clock-not-moved", plant=clock_not_moved, weather=storm(clock_offset_s=2.0), checks=frozenset({"clock"}),
        broken="The hybrid clock does not move past the stamps of what was applied.",
    ),
    Planted(
        name="streams-sent-one-by-one", plant=streams_sent_one_by_one, weather=storm(nodes=5, clients=10), seconds=20.0,
        checks=frozenset({"causality"}),
        broken="Ops are sent stream by stream, and not in the order of the log.",
    ),
    Planted(
        name="ops-lost-on-the-way", plant=ops_lost_on_the_way, weather=storm(),
        checks=frozenset({"vector", "causality"}),
        broken="Every seventh op of others is counted as known and not stored.",
    ),
    Planted(
        name="newest-write-forgotten", plant=newest_write_forgotten, weather=storm(),
        checks=frozenset({"fork", "liveness", "journal"}),
        broken="A node takes its own stream to end one op earlier than it does.",
    ),
    Planted(
        name="sender-gives-up", plant=sender_gives_up, weather=storm(),
        checks=frozenset({"convergence", "acked", "liveness"}),
        broken="After one failure a peer is never asked again.",
    ),
    Planted(
        name="exchange-breaks", plant=exchange_breaks, weather=storm(), checks=frozenset({"journal"}),
        broken="Every fiftieth exchange ends in an error that nobody expects.",
    ),
    Planted(
        name="breakers-stay-open", plant=breakers_stay_open, weather=storm(), checks=frozenset({"liveness"}),
        broken="Peers that were away are not taken for reachable again.",
    ),
    Planted(
        name="logs-grow-for-ever", plant=logs_grow_for_ever, weather=storm(log_most=15), checks=frozenset({"bounds"}),
        broken="Nothing is trimmed from a log.",
    ),
    Planted(
        name="logs-keep-what-is-old", plant=logs_keep_what_is_old, weather=storm(Fault.TRIM, calm_s=1e6),
        prepare=keeping_five_seconds, checks=frozenset({"bounds"}), seconds=10.0,
        broken="A log is trimmed by the number of its ops, and not by their age.",
    ),
    Planted(
        name="snapshots-leave-out", plant=snapshots_leave_out, weather=storm(Fault.LOSE, Fault.TRIM, **YEARS),
        checks=frozenset({"convergence", "model", "acked", "governance"}), seconds=YEARS_S,
        broken="Every ninth object of a snapshot is not joined.",
    ),
    Planted(
        name="snapshots-not-fetched", seeds=range(3, 11), plant=snapshots_not_fetched,
        weather=storm(Fault.AWAY, Fault.TRIM, **YEARS), seconds=YEARS_S,
        checks=frozenset({"convergence", "liveness", "acked"}),
        broken="A node that is too far behind the logs of others fetches no snapshot.",
    ),
    Planted(
        name="snapshots-never-dropped", plant=snapshots_never_dropped,
        weather=storm(Fault.AWAY, Fault.TRIM, **YEARS), checks=frozenset({"spool"}), seconds=YEARS_S,
        broken="Snapshots that nobody reads any more stay beside the database.",
    ),
    Planted(
        name="mesh-not-named", plant=mesh_not_named, weather=storm(),
        checks=frozenset({"standing"}),
        broken="No node proposes which mesh this is, so none ever knows.",
    ),
    Planted(
        name="reloaded-list-not-used", plant=reloaded_list_not_used, weather=storm(Fault.JOIN, **YEARS),
        checks=frozenset({"standing", "convergence", "liveness", "governance"}), seconds=YEARS_S,
        broken="A list of members that was read anew is not used.",
    ),
    Planted(
        name="restored-never-ready", plant=restored_never_ready, weather=storm(Fault.RESTORE, **YEARS),
        checks=frozenset({"standing", "liveness"}), seconds=YEARS_S,
        broken="A node that begins a new stream never takes itself for caught up.",
    ),
)
