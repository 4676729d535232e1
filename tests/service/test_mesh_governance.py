"""Governance on several nodes: who decides, what a voter is told, and that what one node sets holds on all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code
from aimem.model import Entry, decode_entry, parse_dot
from aimem.replication import Mesh, MeshSettings, Roll, roll_of
from aimem.service import Node, Once, homes
from aimem.service.verdicts import CAME_LATE, WAITS_FOR_HOME, WAITS_FOR_MAJORITY
from aimem.store import PENDING as PENDING_KIND
from aimem.store import STREAM, Transaction, headproofs, lineage
from aimem.wire import Approved, BulkMemories, CreateMemory, DecisionRequest, StandardRequest
from tests.meshes import World, join, open_world, set_up_anew
from tests.nodes import principal
from tests.pendings import ASKED, queue_pending
from tests.service.steps import ALICE, BOB, ids_listed, ops_of, put, refused
from tests.service.test_mesh import settled

pytestmark = pytest.mark.usefixtures("autojump_clock")

CAROL = principal("carol")
NOTHING = DecisionRequest()
LATER_S = 10.0
"""By then whoever was cut off has been asked again, and has decided."""


@asynccontextmanager
async def governed_world(folder: Path, count: int = 3, *, writes: int = 1) -> AsyncIterator[World]:
    """A world whose nodes settle what they queued."""
    async with open_world(folder, count, writes=writes, interval_s=1) as world:
        for node in list(world.nodes.values()):
            await world.nursery.start(service.run_approvals, node)
        yield world


async def asked(world: World, title: str = "Asked for") -> str:
    """An action that n0 queued and all know."""
    pending_id = await queue_pending(world.nodes["n0"], title, key=title)
    await settled(world)
    return pending_id


async def decisions(node: Node, pending_id: str) -> int:
    """Ops that wrote an outcome of this action, as far as a node knows."""
    entries = [decode_entry(data) for op in await ops_of(node.store) for data in op.entries]
    return sum(
        isinstance(entry, Entry) and entry.kind == PENDING_KIND.name and entry.key == pending_id
        and bool(entry.fields.get("outcome")) for entry in entries
    )


async def statuses(world: World, pending_id: str) -> set[str]:
    return {(await service.get_pending(node, ALICE, pending_id)).status for node in world.nodes.values()}


async def test_a_vote_on_another_node_is_answered_with_the_outcome_that_its_home_wrote(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        voted = await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING)
        assert (voted.approved, voted.status, voted.executed, voted.decided_by) == (True, "approved", True, "alice")
        outcome = await service.write_outcome(world.nodes["n1"], str(voted.version))
        assert outcome.got >= 2
        assert str(voted.version).startswith(world.nodes["n0"].store.stream)
        assert {voted.memory_id} == await ids_listed(world.nodes["n1"])


async def test_a_rejection_on_another_node_ends_an_action(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        voted = await service.reject_pending(world.nodes["n2"], ALICE, pending_id, NOTHING)
        assert (voted.rejected, voted.status, voted.decided_by) == (True, "rejected", "alice")
        await settled(world)
        assert await statuses(world, pending_id) == {"rejected"}


async def test_a_vote_while_its_home_is_away_waits_and_is_carried_out_once(tmp_path: Path) -> None:
    async with governed_world(tmp_path, writes=2) as world:
        pending_id = await asked(world)
        world.isolate("n0")
        once = Once("vote", bytes(32))
        began = trio.current_time()
        waits = await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING, once)
        assert trio.current_time() - began == pytest.approx(2.0, abs=0.1)
        assert (waits.approved, waits.status, waits.reason) == (False, "pending", WAITS_FOR_HOME)
        world.heal()
        await trio.sleep(LATER_S)
        await settled(world)
        again = await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING, once)
        assert (again.approved, again.executed) == (True, True)
        assert await statuses(world, pending_id) == {"approved"}
        assert await decisions(world.nodes["n2"], pending_id) == 1
        assert await ids_listed(world.nodes["n2"]) == {again.memory_id}


async def test_an_outcome_that_less_than_half_of_the_nodes_have_is_not_told_as_one(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        world.isolate("n0")
        once = Once("vote", bytes(32))
        waits = await service.approve_pending(world.nodes["n0"], ALICE, pending_id, NOTHING, once)
        assert (waits.approved, waits.reason) == (False, WAITS_FOR_MAJORITY)
        refusal = await service.reject_pending(world.nodes["n1"], CAROL, pending_id, NOTHING)
        assert (refusal.status, refusal.reason) == ("rejected", WAITS_FOR_HOME)
        world.heal()
        await trio.sleep(LATER_S)
        told: Approved = await service.approve_pending(world.nodes["n0"], ALICE, pending_id, NOTHING, once)
        assert (told.approved, told.version) == (True, waits.version)


async def test_a_vote_that_reaches_the_home_after_its_decision_is_kept_as_late(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        world.isolate("n2")
        await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING)
        once = Once("vote", bytes(32))
        waits = await service.reject_pending(world.nodes["n2"], CAROL, pending_id, NOTHING, once)
        assert waits.reason == WAITS_FOR_HOME
        world.heal()
        await trio.sleep(LATER_S)
        late = await service.reject_pending(world.nodes["n2"], CAROL, pending_id, NOTHING, once)
        assert (late.rejected, late.status, late.reason) == (False, "approved", CAME_LATE)
        shown = await service.get_pending(world.nodes["n0"], ALICE, pending_id)
        assert {vote.agent_id: vote.late for vote in shown.votes} == {"alice": False, "carol": True}
        await refused(Code.ALREADY_DECIDED, service.approve_pending(world.nodes["n2"], BOB, pending_id, NOTHING))


async def test_a_rejection_dominates_what_was_approved_on_the_other_side_of_a_partition(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        pending_id = await asked(world)
        for name in world.nodes:
            world.isolate(name)
        await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING)
        await service.reject_pending(world.nodes["n2"], CAROL, pending_id, NOTHING)
        world.heal()
        await trio.sleep(LATER_S)
        await settled(world)
        # Its home was busy with other things and looks now, when it knows both.
        await world.nursery.start(service.run_approvals, world.nodes["n0"])
        await trio.sleep(LATER_S)
        assert await statuses(world, pending_id) == {"rejected"}
        assert await ids_listed(world.nodes["n1"]) == set()



async def test_a_home_that_was_set_up_anew_under_its_name_decides_once_all_have_told_it_what_they_know(
    tmp_path: Path
) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        world.isolate("n0")
        await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING)
        home = await set_up_anew(world, "n0", tmp_path)
        world.heal()
        world.isolate("n2")
        await world.nursery.start(service.run_approvals, home)
        await trio.sleep(LATER_S)
        # The node that is away may know of an outcome that was lost here.
        assert (await service.get_pending(home, ALICE, pending_id)).status == "pending"
        await refused(Code.UNAVAILABLE, service.ask_again(home, ALICE, pending_id))
        world.heal()
        await trio.sleep(LATER_S)
        await settled(world)
        assert await statuses(world, pending_id) == {"approved"}
        assert await decisions(world.nodes["n2"], pending_id) == 1


async def test_a_home_that_was_set_up_anew_does_not_decide_again_what_it_had_decided(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        world.isolate("n2")
        once = Once("vote", bytes(32))
        told = await service.approve_pending(world.nodes["n0"], ALICE, pending_id, NOTHING, once)
        assert told.approved
        world.heal()
        world.isolate("n0")
        world.isolate("n2")     # which has not heard of the outcome, and hears of a rejection
        await service.reject_pending(world.nodes["n2"], CAROL, pending_id, NOTHING)
        home = await set_up_anew(world, "n0", tmp_path)
        await world.nursery.start(service.run_approvals, home)
        world.heal()
        await trio.sleep(LATER_S)
        await settled(world)
        assert await statuses(world, pending_id) == {"approved"}
        assert await decisions(home, pending_id) == 1


async def test_a_home_decides_for_its_earlier_stream_once_its_namesake_has_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with governed_world(tmp_path, 2) as world:
        home = world.nodes["n0"]
        pending_id = await asked(world)
        await home.store.renew()
        await trio.sleep(LATER_S)       # until all have heard of the stream that it goes on in
        await settled(world)

        def with_namesake(mesh: Mesh) -> Roll:
            known = roll_of(mesh)
            return replace(known, names=known.names | {"n0"}) if mesh is home.mesh else known

        with monkeypatch.context() as patch:
            patch.setattr(homes, "roll_of", with_namesake)
            await service.approve_pending(world.nodes["n1"], ALICE, pending_id, NOTHING)
            await trio.sleep(LATER_S)
            assert await decisions(home, pending_id) == 0
        await trio.sleep(LATER_S)
        await settled(world)
        assert await statuses(world, pending_id) == {"approved"}


async def test_who_says_that_another_nodes_stream_was_its_own_decides_on_none_of_its_actions(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        home, liar = world.nodes["n0"], world.nodes["n2"]
        pending_id, old = await asked(world), home.store.stream
        key = (await home.store.read(headproofs.public_key, old) or b"").hex()
        await home.store.renew()
        await trio.sleep(LATER_S)       # until all have heard of the stream that it goes on in
        await settled(world)
        for said in (old, f"{old}.{key}.{'ab' * 64}"):
            await liar.store.write(claim_predecessor, said)
            await settled(world)
            for node in world.nodes.values():
                assert await node.store.read(lineage.line_of, liar.store.stream) == (liar.store.stream,)
                assert await node.store.read(lineage.line_of, home.store.stream) == (home.store.stream, old)
            mandate = await liar.store.read(homes.mandate_of, liar)
            assert mandate.streams == (liar.store.stream,)
        world.isolate("n0")
        voted = await service.approve_pending(liar, ALICE, pending_id, NOTHING)
        assert (voted.status, voted.reason) == ("pending", WAITS_FOR_HOME)
        await trio.sleep(LATER_S)
        assert await decisions(liar, pending_id) == 0
        world.heal()
        await trio.sleep(LATER_S)
        await settled(world)
        assert await statuses(world, pending_id) == {"approved"}
        [decided] = [op for op in await ops_of(liar.store) if op.kind == "pending_decision"]
        assert decided.dot.stream == home.store.stream


def claim_predecessor(transaction: Transaction, said: str) -> None:
    """Have the stream say whose it goes on from."""
    stream = transaction.tip.head.stream
    transaction.emit("stream", [transaction.change(STREAM, stream, {"predecessor": said})])


async def test_an_action_whose_home_is_no_member_any_more_is_asked_for_again_by_an_operator(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        n1, n2 = world.nodes["n1"], world.nodes["n2"]
        await refused(Code.CONFLICT, service.ask_again(n1, ALICE, pending_id))
        world.isolate("n0")
        for name, other in (("n1", "n2"), ("n2", "n1")):
            await join(world, name, MeshSettings(peers=(f"http://{other}",), interval_s=1))
        await trio.sleep(LATER_S)
        n1, n2 = world.nodes["n1"], world.nodes["n2"]
        assert (await service.get_pending(n2, ALICE, pending_id)).orphaned
        again = await service.ask_again(n1, ALICE, pending_id)
        await n2.store.log.wait_covered([parse_dot(again.version, field="version")])
        voted = await service.approve_pending(n2, CAROL, str(again.pending_id), NOTHING)
        assert (voted.approved, voted.executed) == (True, True)


async def test_while_the_members_are_not_agreed_on_nothing_that_governs_is_taken(tmp_path: Path) -> None:
    async with governed_world(tmp_path) as world:
        pending_id = await asked(world)
        await join(world, "n0", MeshSettings(peers=("http://n1",), interval_s=1))
        await trio.sleep(LATER_S)
        for name in ("n0", "n1"):
            node = world.nodes[name]
            before = node.store.log.heads[node.store.stream]
            policy = StandardRequest(namespace="acme", governance={"write": "owner"})
            for attempt in (
                service.set_standard(node, ALICE, policy), service.clear_standard(node, ALICE, ASKED),
                service.approve_pending(node, ALICE, pending_id, NOTHING),
                service.remember(node, BOB, CreateMemory(title="t", content="x", namespace=ASKED)),
                service.remember_many(node, BOB, BulkMemories(memories=[
                    msgspec.Raw(b'{"title": "t", "content": "x", "namespace": "asked"}')
                ])),
            ):
                error = await refused(Code.MEMBERS_UNEQUAL, attempt)
                assert (error.retryable, error.details["outcome"]) == (True, "not_applied")
            assert node.store.log.heads[node.store.stream] == before
            await put(node, f"of {name}")     # what governs nobody goes on
        await join(world, "n0", MeshSettings(peers=("http://n1", "http://n2"), interval_s=1))
        await trio.sleep(LATER_S)
        voted = await service.approve_pending(world.nodes["n0"], ALICE, pending_id, NOTHING)
        assert voted.approved
