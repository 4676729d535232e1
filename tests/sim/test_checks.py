"""Every check can fail: faults that we put into the nodes on purpose are found, each by the check that is for it.

Those that only a lying member can use are in `test_planted_lies`.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio

from aimem import service
from aimem.governance import approval
from aimem.model import Blank, Merged, ObjectState, Principal
from aimem.replication import Mending, Mesh, merge, peer, quorum
from aimem.service import Node, approvals, comparing, delivering, once, writing
from aimem.service import mesh as mesh_service
from aimem.service.homes import Home
from aimem.store import inbound, outbound, trimming
from aimem.store.transaction import Transaction
from aimem.supervisor import furnish
from tests import disk
from tests.sim.machine import Process
from tests.sim.swarm import Certificates, Fault, Swarm, roll
from tests.sim.world import World, simulate

SEEDS = range(1, 9)
SECONDS = 20.0
Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.slow


def stormy(seed: int, *faults: Fault) -> Swarm:
    """Bad weather of which every seed has some."""
    return msgspec.structs.replace(
        roll(seed, nodes=3), quorum=2, loss=0.02, duplicates=0.1, leaves_late=0.0, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=False, governed=False, clients=4, think_s=0.3, calm_s=4.0, commit_s=0.002, compare_s=None,
        certificates=Certificates.NONE,
        faults=faults or (Fault.PARTITION, Fault.KILL),
    )


def acks_count_what_was_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quorum.Report, "lacks", lambda self, dots: "" if self.stream else "unasked")


def the_first_write_wins_a_field(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "_latest", lambda known, new: known)


def some_deletes_do_nothing(patch: pytest.MonkeyPatch) -> None:
    count = itertools.count(1)

    def join(state: ObjectState, entry: Any, stamp: Any, *, maxima: Any) -> Any:
        if not isinstance(entry, Blank) and entry.dead and next(count) % 3 == 0:
            return Merged(state=state, changed=frozenset())
        return merge.merge_entry(state, entry, stamp, maxima=maxima)

    patch.setattr(furnish, "merge_entry", join)


def streams_are_sent_one_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbound, "heapq", SimpleNamespace(merge=itertools.chain))


def some_ops_are_lost_on_the_way(patch: pytest.MonkeyPatch) -> None:
    count, receive = itertools.count(1), inbound._receive_all
    patch.setattr(
        inbound, "_receive_all",
        lambda transaction, ops: receive(transaction, [op for op in ops if next(count) % 7]),
    )


def some_ops_are_logged_and_not_applied(patch: pytest.MonkeyPatch) -> None:
    count, take = itertools.count(1), Transaction.take

    def skip(self: Transaction, op: Any, entries: Any) -> None:
        if next(count) % 7:
            take(self, op, entries)
        else:
            self._fold.log(op, tuple((entry.kind, entry.key) for entry in entries))
            self.pass_clock(op.stamp.hlc)

    patch.setattr(Transaction, "take", skip)


def keys_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1)
    patch.setattr(once, "derived_memory_id", lambda *_: f"00000000-0000-4000-8000-{next(numbers):012x}")


def disks_lie(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk._Image, "sync", lambda self: None)


def what_was_stored_is_denied(patch: pytest.MonkeyPatch) -> None:
    wait = quorum_scope_wait()

    async def deny(self: Any, dots: Sequence[Any]) -> int:
        try:
            return await wait(self, dots)
        except Exception as error:
            error.details["outcome"] = "not_applied"  # type: ignore[attr-defined]
            raise

    patch.setattr("aimem.replication.mesh.QuorumScope.wait", deny)


def quorum_scope_wait() -> Any:
    from aimem.replication.mesh import QuorumScope

    return QuorumScope.wait


def a_sender_gives_up(patch: pytest.MonkeyPatch) -> None:
    failed = peer._failed

    def give_up(*args: Any) -> Any:
        return msgspec.structs.replace(failed(*args), due_at=float("inf"))

    patch.setattr(peer, "_failed", give_up)
    patch.setattr(peer, "_heard", lambda state, event: state)


def inbound_texts_are_not_indexed(patch: pytest.MonkeyPatch) -> None:
    take_all = inbound._take_all

    def forget(transaction: Transaction, ops: Any) -> None:
        take_all(transaction, ops)
        transaction.reindex.clear()

    patch.setattr(inbound, "_take_all", forget)


def a_node_forgets_its_newest_write(patch: pytest.MonkeyPatch) -> None:
    def stale(self: Mesh) -> Any:
        head = self.store.log.heads[self.store.stream]
        return msgspec.structs.replace(head, seq=max(1, head.seq - 1))

    patch.setattr(Mesh, "own_head", property(stale))


def an_exchange_breaks(patch: pytest.MonkeyPatch) -> None:
    numbers: Iterator[int] = itertools.count(1)
    lacking = mesh_service._lacking

    async def break_down(*args: Any) -> Any:
        if next(numbers) % 50 == 0:
            raise RuntimeError("planted")
        return await lacking(*args)

    patch.setattr(mesh_service, "_lacking", break_down)


def breakers_stay_open(patch: pytest.MonkeyPatch) -> None:
    known = Mesh.is_reachable
    patch.setattr(Mesh, "is_reachable", lambda self, peer: trio.current_time() < SECONDS and known(self, peer))


def one_node_hides_what_others_wrote(patch: pytest.MonkeyPatch) -> None:
    page = service.list_memories

    async def hide(node: Node, who: Principal, query: Any) -> Any:
        answer = await page(node, who, query)
        shown = [one for one in answer.memories if one.metadata.get("agent_id") != "ben"]
        return msgspec.structs.replace(answer, memories=shown) if node.store.node_name == "n1" else answer

    patch.setattr(service, "list_memories", hide)


def rejections_do_not_count(patch: pytest.MonkeyPatch) -> None:
    judge = approval._judge
    patch.setattr(
        approval, "_judge", lambda question, approval_count, _, now: judge(question, approval_count, 0, now)
    )


def everybody_decides(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(approvals, "home_of", lambda *_: Home.HERE)


def an_outcome_is_told_early(patch: pytest.MonkeyPatch) -> None:
    needed = quorum.Rule.needed
    patch.setattr(
        quorum.Rule, "needed", lambda self, wish: 1 if wish is quorum.Consistency.MAJORITY else needed(self, wish)
    )


def what_waits_is_done_at_once(patch: pytest.MonkeyPatch) -> None:
    queue = writing.queue

    def hasten(transaction: Transaction, node: Node, gate: Any, portion: Any, **given: Any) -> Any:
        waiting = queue(transaction, node, gate, portion, **given)
        gate.write_own(transaction, "store", portion.ops[0].entries)
        return waiting

    patch.setattr(writing, "queue", hasten)


def every_node_tells_what_happened_anywhere(patch: pytest.MonkeyPatch) -> None:
    page = delivering._page

    async def claim(node: Node, no: int) -> Any:
        return [msgspec.structs.replace(event, is_own=True) for event in await page(node, no)]

    patch.setattr(delivering, "_page", claim)


def some_deliveries_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    count, deliveries_of = itertools.count(1), delivering._deliveries_of
    patch.setattr(
        delivering, "_deliveries_of",
        lambda *given: [delivery for delivery in deliveries_of(*given) if next(count) % 3],
    )


def revoked_keys_still_open(patch: pytest.MonkeyPatch) -> None:
    for module in ("aimem.governance.keyring", "aimem.service.keyring"):
        patch.setattr(importlib.import_module(module), "refuse_ended", lambda *_: None)


def nothing_is_mended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(comparing, "Mending", SimpleNamespace(MEND=Mending.LOOK, LOOK=Mending.LOOK))


def logs_grow_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trimming, "trim", lambda transaction, floor, size, bounds: size)


PLANTS: dict[Plant, tuple[set[str], tuple[Fault, ...]]] = {
    acks_count_what_was_sent: ({"acked"}, ()),
    the_first_write_wins_a_field: ({"convergence", "model", "acked"}, ()),
    some_deletes_do_nothing: ({"resurrection", "model", "convergence", "acked"}, ()),
    streams_are_sent_one_by_one: ({"causality"}, ()),
    some_ops_are_lost_on_the_way: ({"vector", "causality"}, ()),
    some_ops_are_logged_and_not_applied: ({"model", "convergence"}, ()),
    keys_are_forgotten: ({"idempotence"}, ()),
    disks_lie: ({"vector", "acked", "journal"}, (Fault.POWER,)),
    what_was_stored_is_denied: ({"refused"}, ()),
    a_sender_gives_up: ({"convergence", "acked"}, ()),
    inbound_texts_are_not_indexed: ({"convergence"}, ()),
    a_node_forgets_its_newest_write: ({"fork", "liveness", "journal"}, ()),
    an_exchange_breaks: ({"journal"}, ()),
    breakers_stay_open: ({"liveness"}, ()),
    one_node_hides_what_others_wrote: ({"answers"}, ()),
    rejections_do_not_count: ({"governance"}, ()),
    everybody_decides: ({"governance"}, ()),
    what_waits_is_done_at_once: ({"governance"}, ()),
    every_node_tells_what_happened_anywhere: ({"hooks"}, ()),
    some_deliveries_are_forgotten: ({"hooks"}, ()),
    revoked_keys_still_open: ({"access"}, ()),
    an_outcome_is_told_early: ({"governance"}, ()),
    logs_grow_for_ever: ({"bounds"}, ()),
    nothing_is_mended: ({"convergence"}, (Fault.ROT,)),
}
AGENTS: dict[str, Any] = {"secured": True, "think_s": 0.15}
# So many clients and so few faults that votes meet in nearly every seed; with few of either, most fail or come alone.
VOTERS: dict[str, Any] = {"governed": True, "delay_s": 0.05, "think_s": 0.15, "clients": 10, "calm_s": 12.0}
AMONG: dict[Plant, dict[str, Any]] = {
    logs_grow_for_ever: {"log_most": 15}, streams_are_sent_one_by_one: {"nodes": 5, "clients": 10},
    rejections_do_not_count: VOTERS, everybody_decides: VOTERS, what_waits_is_done_at_once: VOTERS,
    an_outcome_is_told_early: VOTERS | {"nodes": 5}, revoked_keys_still_open: AGENTS,
}
"""What the weather is like for a fault that shows in no other."""


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found_by_its_check(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, faults = PLANTS[plant]
    plant(monkeypatch)
    found: set[str] = set()
    for seed in SEEDS:
        swarm = msgspec.structs.replace(stormy(seed, *faults), **AMONG.get(plant, {}))
        found |= {violation.check for violation in simulate(swarm, SECONDS).violations}
        if found:
            break
    assert found
    assert found <= expected


def test_without_a_planted_fault_the_same_weather_finds_nothing() -> None:
    assert not simulate(stormy(1), SECONDS).violations
    assert not simulate(stormy(2, Fault.POWER), SECONDS).violations


def test_a_tombstone_that_goes_is_a_resurrection() -> None:
    def plant(world: World) -> None:
        look = world.watcher.look_at_dead

        def dig_up(process: Process) -> None:
            look(process)
            if process.writer is not None:
                process.writer.execute("DELETE FROM tombstones WHERE kind = 'memory'")

        world.watcher.look_at_dead = dig_up  # type: ignore[method-assign]

    found = {violation.check for violation in simulate(stormy(1), SECONDS, prepare=plant).violations}
    assert "resurrection" in found


def test_a_row_that_a_disk_loses_is_found_when_nodes_compare_themselves() -> None:
    def plant(world: World) -> None:
        look = world.watcher.look_at_dead
        left = [1]

        def lose(process: Process) -> None:
            look(process)
            if process.writer is not None and process.machine.name == "n1" and left:
                row = process.writer.execute("SELECT id FROM memories LIMIT 1").fetchone()
                if row is not None:
                    left.pop()
                    process.writer.execute("DELETE FROM memories WHERE id = ?", row)

        world.watcher.look_at_dead = lose  # type: ignore[method-assign]

    def found(seed: int) -> set[str]:
        swarm = msgspec.structs.replace(stormy(seed), compare_s=2.0)
        return {violation.check for violation in simulate(swarm, SECONDS, prepare=plant).violations}

    assert "divergence" in set().union(*map(found, SEEDS))
