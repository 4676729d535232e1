"""The mesh as its users meet it: whom a write waits for, what is told when it cannot, and that everything arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Create, Credential, Dot, Entry, Principal, Role, StopReason, parse_dot
from aimem.replication import Consistency, Mesh, MeshSettings, consistently
from aimem.replication.absence import ALARM_AFTER_S, TOLD_AFTER_S
from aimem.service import Node, Once
from aimem.service.meshfigures import mesh_samples
from aimem.store import digest, trimming
from aimem.wire import (
    PROTOCOL,
    CreateMemory,
    ExchangeRequest,
    ImportMemory,
    ImportRequest,
    MeshQuery,
    SinceQuery,
    SinceRequest,
    Stored,
    UpdateMemory,
    heads_out,
    op_out,
)
from tests.meshes import OPERATOR, World, join, open_world
from tests.nodes import principal
from tests.proofs import exchanged
from tests.service.steps import ALICE, put, refused, shown
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")


async def settled(world: World) -> None:
    """Wait until all nodes know the same; fails after a minute of virtual time."""
    with trio.fail_after(60):
        for node in world.nodes.values():
            for other in world.nodes.values():
                known = [Dot(head.stream, head.seq) for head in other.store.log.heads.values()]
                await node.store.log.wait_covered(known)


async def digests(world: World) -> set[str]:
    return {await node.store.read(digest) for node in world.nodes.values()}


def mesh_of(node: Node) -> Mesh:
    assert node.mesh is not None
    return node.mesh


async def missing(call: Callable[[], Awaitable[object]]) -> AimemError:
    with pytest.raises(AimemError) as caught:
        await call()
    return caught.value


async def test_a_write_is_on_w_nodes_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        stored = await put(world.nodes["n0"], "t", "text")
        holders = [name for name, node in world.nodes.items() if await _has(node, stored.id)]
        assert "n0" in holders
        assert len(holders) >= 2
        assert stored.quorum_acks is not None


async def _has(node: Node, memory_id: str) -> bool:
    try:
        await shown(node, memory_id)
    except AimemError:
        return False
    return True


async def test_every_write_reaches_every_node_whoever_was_away(tmp_path: Path) -> None:
    async with open_world(tmp_path, 4, writes=2) as world:
        world.isolate("n3")
        first = await put(world.nodes["n0"], "t", "text")
        second = await put(world.nodes["n1"], "u", "other")
        await service.delete(world.nodes["n2"], ALICE, first.id)
        world.heal()
        await settled(world)
        assert len(await digests(world)) == 1
        assert not await _has(world.nodes["n3"], first.id)
        assert await _has(world.nodes["n3"], second.id)


async def test_a_write_that_cannot_reach_enough_nodes_stores_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        await put(world.nodes["n0"], "t", "text")
        world.isolate("n0")
        await trio.sleep(5)
        error = await missing(lambda: put(world.nodes["n0"], "u", "lonely"))
        assert error.code is Code.QUORUM_NOT_MET
        assert error.details["outcome"] == "not_applied"
        assert set(error.details["waiting_for"]) == {"http://n1", "http://n2"}  # type: ignore[call-overload]
        world.heal()
        await trio.sleep(10)
        stored = await put(world.nodes["n0"], "u", "lonely")
        assert stored.action == "created"


async def test_the_mesh_tells_of_the_last_write_that_too_few_nodes_have(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        node = world.nodes["n0"]
        await put(node, "t", "text")
        document = await service.mesh_status(node, OPERATOR, MeshQuery())
        assert (document.short_writes, document.last_short) == (0, None)
        world.hung = {"n1"}
        error = await missing(lambda: put(node, "u", "hangs"))
        last = (await service.mesh_status(node, OPERATOR, MeshQuery())).last_short
        assert last is not None
        assert (last.outcome, last.why) == ("indeterminate", error.message)
        await trio.sleep(60)
        error = await missing(lambda: put(node, "v", "lonely"))
        document = await service.mesh_status(node, OPERATOR, MeshQuery())
        assert document.last_short is not None
        assert (document.last_short.outcome, document.last_short.why) == ("not_applied", error.message)
        assert document.last_short.at > last.at
        assert document.short_writes == 2


async def test_a_write_whose_answers_are_lost_is_indeterminate_and_its_retry_makes_nothing_new(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        await put(world.nodes["n0"], "t", "text")
        world.hung = {"n1"}
        once = Once(key="k", request_hash=b"h")
        error = await missing(lambda: _keyed(world.nodes["n0"], once))
        assert error.details["outcome"] == "indeterminate"
        assert (error.details["got"], error.details["needed"]) == (2, 3)
        assert list(error.details["waiting_for"]) == ["http://n1"]  # type: ignore[call-overload]
        version = str(error.details["version"])
        outcome = await service.write_outcome(world.nodes["n0"], version)
        assert (outcome.outcome, outcome.got) == ("replicating", 2)
        world.heal()
        await trio.sleep(30)
        stored = await _keyed(world.nodes["n0"], once)
        assert stored.version == version
        assert (await service.write_outcome(world.nodes["n0"], version)).outcome == "applied"


async def _keyed(node: Node, once: Once) -> Stored:
    return await service.remember(node, ALICE, CreateMemory(title="k", content="keyed"), once)


async def test_a_retry_on_another_node_makes_the_same_memory(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        once = Once(key="k", request_hash=b"h")
        first = await _keyed(world.nodes["n0"], once)
        second = await _keyed(world.nodes["n1"], once)
        assert first.id == second.id
        await settled(world)
        assert len(await digests(world)) == 1


async def test_a_write_may_ask_for_this_node_alone_or_for_all(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        world.isolate("n0")
        await trio.sleep(5)
        with consistently(Consistency.LOCAL):
            stored = await put(world.nodes["n0"], "t", "text")
        assert stored.quorum_acks == 1
        world.heal()
        await trio.sleep(10)
        with consistently(Consistency.ALL):
            assert (await put(world.nodes["n0"], "u", "text")).quorum_acks == 3


async def test_an_import_without_enough_nodes_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        world.isolate("n0")
        await trio.sleep(5)
        request = ImportRequest(memories=[ImportMemory(title="t", content="text")])
        error = await missing(lambda: service.import_memories(world.nodes["n0"], ALICE, request))
        assert (error.code, error.details["outcome"]) == (Code.QUORUM_NOT_MET, "not_applied")


async def test_edits_of_different_fields_on_two_sides_both_survive(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "text")
        await settled(world)
        world.isolate("n0")
        await service.update(n0, ALICE, stored.id, UpdateMemory(content="from n0"))
        await service.update(n1, ALICE, stored.id, UpdateMemory(priority=9))
        world.heal()
        await settled(world)
        for node in (n0, n1):
            memory = await shown(node, stored.id)
            assert (memory.content, memory.priority) == ("from n0", 9)


async def test_a_lost_edit_is_kept_as_a_conflict_and_shown(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        stored = await put(n0, "t", "text")
        await settled(world)
        world.isolate("n0")
        await service.update(n0, ALICE, stored.id, UpdateMemory(content="from n0"))
        await service.update(n1, ALICE, stored.id, UpdateMemory(content="from n1"))
        world.heal()
        await settled(world)
        texts = {(await shown(node, stored.id)).content for node in (n0, n1)}
        assert len(texts) == 1
        document = await service.mesh_status(n0, OPERATOR, MeshQuery(conflicts=10))
        assert isinstance(document.conflicts, tuple)
        lost = {conflict.value for conflict in document.conflicts if conflict.field == "content"}
        assert lost | texts == {"from n0", "from n1"}


async def test_a_read_waits_for_the_version_that_its_caller_has_seen(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        world.isolate("n2")
        stored = await put(world.nodes["n0"], "t", "text")
        error = await missing(lambda: service.wait_version(world.nodes["n2"], stored.version))
        assert error.code is Code.VERSION_NOT_REACHED
        world.heal()
        await service.wait_version(world.nodes["n2"], stored.version)
        assert await _has(world.nodes["n2"], stored.id)


async def test_on_a_quiet_mesh_nobody_is_shown_as_behind(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        await settled(world)
        await trio.sleep(2)
        stored = await put(world.nodes["n1"], "t", "text")
        await settled(world)
        await trio.sleep(3)      # long before the next exchange that nothing but the interval asks for
        for name, node in world.nodes.items():
            document = await service.mesh_status(node, OPERATOR, MeshQuery())
            behind = {peer.url: (peer.lag_ops, peer.lag_s) for peer in document.peers}
            assert set(behind.values()) == {(0, 0.0)}, (name, behind)
            outcome = await service.write_outcome(node, stored.version)
            assert "n1" in ",".join(outcome.acked_by), (name, outcome)


async def test_a_node_that_fetches_from_logs_tells_how_many_writes_it_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aimem.replication.mesh.EXCHANGE_MAX_OPS", 2)     # in many small steps
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0, n1 = world.nodes.values()
        await settled(world)
        world.isolate("n1")
        for number in range(9):
            await put(n0, f"t{number}", "text")
        world.heal()
        world.deaf.add(("n0", "n1"))     # it has to ask
        seen = [await _behind(n1)]
        with trio.fail_after(60):
            while seen[-1] or len(seen) == 1:
                await n1.store.log.wait_change(n1.store.log.change_count)
                seen.append(await _behind(n1))
        assert len(seen) > 3 and sorted(seen[1:], reverse=True) == seen[1:] and 4 < seen[1] < 9
        assert await _behind(n0) == 0


async def _behind(node: Node) -> int:
    """The same wherever it is asked."""
    told = (await service.mesh_status(node, OPERATOR, MeshQuery())).behind
    [figure] = [sample.value for sample in mesh_samples(node) if sample.name == "ai_memory_mesh_behind_ops"]
    assert (await service.health(node)).behind == told == figure
    return told


async def test_the_document_tells_who_is_behind_and_why(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        n0 = world.nodes["n0"]
        await settled(world)
        await trio.sleep(2)      # all that was under way has been answered
        world.isolate("n2")
        await put(n0, "t", "text")
        await trio.sleep(10)
        document = await service.mesh_status(n0, OPERATOR, MeshQuery(digest=True, verify=True))
        by_url = {peer.url: peer for peer in document.peers}
        assert (document.members, document.writes) == (3, 1)
        assert (by_url["http://n1"].state, by_url["http://n1"].lag_ops) == ("reachable", 0)
        assert (by_url["http://n2"].state, by_url["http://n2"].breaker) == ("unreachable", "open")
        assert by_url["http://n2"].lag_ops == 1
        assert by_url["http://n2"].lag_s > 5
        assert "cut" in by_url["http://n2"].last_error
        assert isinstance(document.verified, tuple)
        assert {found.url: found.verdict for found in document.verified} == {
            "http://n1": "equal", "http://n2": "unreachable",
        }


async def test_the_log_has_a_line_for_a_peer_that_was_really_away_and_none_at_a_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[tuple[str, str, str]]:
        lines = [
            (record.levelname, record.message, record.__dict__["peer"]) for record in caplog.records
            if record.message in ("peer.lost", "peer.back")
        ]
        caplog.clear()
        return lines

    with caplog.at_level("INFO"):
        async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
            settings = mesh_of(world.nodes["n1"]).settings
            await world.stop("n1")
            await trio.sleep(TOLD_AFTER_S - 3)       # ten attempts or so
            assert mesh_of(world.nodes["n0"]).peers[0].state.failures > 3
            await world.start("n1", settings)
            await trio.sleep(10)
            assert told() == []
            await world.stop("n1")
            await trio.sleep(60)
            assert told() == [("WARNING", "peer.lost", "http://n1")]
            await world.start("n1", settings)
            await trio.sleep(10)
            assert told() == [("INFO", "peer.back", "http://n1")]


async def test_a_peer_that_has_not_answered_for_long_is_an_alarm_until_it_does(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2) as world:
        n0 = world.nodes["n0"]
        await settled(world)
        settings = mesh_of(world.nodes["n2"]).settings
        await world.stop("n2")
        await trio.sleep(ALARM_AFTER_S - 60)
        assert not (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        await trio.sleep(120)
        [alarm] = (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms
        assert alarm.startswith("n2 (http://n2) has not answered since ") and "mesh remove n2" in alarm
        assert alarm in (await service.health(n0)).warnings
        await world.start("n2", settings)
        await trio.sleep(30)
        assert not (await service.mesh_status(n0, OPERATOR, MeshQuery())).alarms


async def test_a_peer_that_is_this_node_or_another_peer_does_not_count(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2, interval_s=1) as world:
        world.nodes["alias"] = world.nodes["n1"]
        world.nodes["x"] = world.nodes["n0"]
        settings = MeshSettings(peers=("http://n0", "http://n1", "http://alias"), writes=3, interval_s=1)
        await join(world, "x", settings)
        await trio.sleep(5)
        document = await service.mesh_status(world.nodes["x"], OPERATOR, MeshQuery())
        assert [peer.state for peer in document.peers] == ["self", "reachable", "duplicate"]
        error = await missing(lambda: put(world.nodes["x"], "t", "text"))
        assert error.code is Code.QUORUM_NOT_MET


async def test_a_node_whose_clock_is_off_refuses_to_write(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1) as world:
        world.clocks["n0"].advance(60)
        await trio.sleep(5)
        error = await missing(lambda: put(world.nodes["n0"], "t", "text"))
        assert (error.code, error.details["outcome"]) == (Code.CLOCK_SKEWED, "not_applied")
        await put(world.nodes["n1"], "t", "text")


async def test_a_clock_that_was_set_stops_writes_at_once_and_the_peers_have_the_last_word(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1, interval_s=1000) as world:
        await put(world.nodes["n0"], "t", "text")
        await trio.sleep(100)
        for clock in world.clocks.values():
            clock.advance(60)       # they all slept
        error = await missing(lambda: put(world.nodes["n0"], "u", "text"))
        assert (error.code, error.details["outcome"]) == (Code.CLOCK_SKEWED, "not_applied")
        await trio.sleep(1)
        await put(world.nodes["n0"], "u", "text")
        world.clocks["n0"].advance(60)
        assert (await missing(lambda: put(world.nodes["n0"], "v", "text"))).code is Code.CLOCK_SKEWED


async def test_a_node_that_starts_with_a_wrong_clock_does_not_write_before_it_heard_of_the_others(
    tmp_path: Path
) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        await trio.sleep(1)
        node = world.nodes["n0"]
        world.clocks["n0"].advance(60)
        await join(world, "n0", mesh_of(node).settings)
        before = dict(node.store.log.vector)
        assert (await missing(lambda: put(world.nodes["n0"], "t", "text"))).code is Code.CLOCK_SKEWED
        assert node.store.log.vector == before
        await put(world.nodes["n1"], "t", "text")


async def test_an_exchange_of_another_protocol_or_with_nonsense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node, other = world.nodes["n0"], Author(5)
        before = dict(node.store.log.vector)
        plain = ExchangeRequest(protocol=PROTOCOL + 1, node="x", stream=other.stream, ops=())
        await refused(Code.PROTOCOL_MISMATCH, exchanged(node, other, plain))
        strange = ExchangeRequest(protocol=PROTOCOL, node="x", stream="no stream")
        await refused(Code.SCHEMA_MISMATCH, exchanged(node, other, strange))
        other.memory("m1")
        gap = ExchangeRequest(protocol=PROTOCOL, node="x", stream=other.stream, ops=(op_out(other.ops[1]),))
        answer = await exchanged(node, other, gap)
        assert (answer.taken, answer.stopped) == (0, StopReason.GAP.value)
        assumed = ExchangeRequest(protocol=PROTOCOL, node="x", stream=other.stream, assumed={other.stream: 3})
        assert (await exchanged(node, other, assumed)).stopped == StopReason.ASSUMED.value
        assert dict(node.store.log.vector) == before


async def test_the_same_exchange_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node, other = world.nodes["n0"], Author(5)
        other.memory("m1")
        request = ExchangeRequest(
            protocol=PROTOCOL, node="x", stream=other.stream, vector=heads_out({other.stream: other.head}),
            ops=tuple(map(op_out, other.ops)), wants=10,
        )
        first = await exchanged(node, other, request)
        at = await node.store.read(digest)
        second = await exchanged(node, other, request)
        assert (first.taken, second.taken) == (2, 0)
        assert await node.store.read(digest) == at
        assert [op.stream for op in second.ops] == [node.store.stream]


async def test_what_follows_a_position_or_a_vector_is_told_in_the_logs_order(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node = world.nodes["n0"]
        for number in range(5):
            await put(node, f"t{number}", "text")
        page = await service.changes_since(node, OPERATOR, SinceQuery(clock=0, limit=4))
        assert (page.count, page.more) == (4, True)
        rest = await service.changes_since(node, OPERATOR, SinceQuery(clock=page.clock, log=page.log))
        assert not rest.more
        assert [op.seq for op in (*page.ops, *rest.ops)] == list(range(1, 7))
        lacking = await service.changes_for(node, OPERATOR, SinceRequest(vector={node.store.stream: 5}))
        assert [op.seq for op in lacking.ops] == [6]
        await refused(Code.GONE, service.changes_since(node, OPERATOR, SinceQuery(clock=99)))
        await refused(Code.GONE, service.changes_since(node, OPERATOR, SinceQuery(clock=0, log="0" * 32)))


async def test_an_agents_key_does_not_open_the_mesh(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        node = world.nodes["n0"]
        agent = Principal(agent_id=principal("a").agent_id, credential=Credential.AGENT_KEY, role=Role.AGENT)
        await refused(Code.OPERATOR_REQUIRED, service.mesh_status(node, agent, MeshQuery()))
        await refused(Code.OPERATOR_REQUIRED, service.changes_since(node, agent, SinceQuery()))


async def test_a_peer_whose_answers_are_not_signed_counts_as_failed(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        world.garbled = {"n1"}
        await trio.sleep(5)
        mesh = mesh_of(world.nodes["n0"])
        assert "forged" in mesh.peers[0].state.last_error
        assert not mesh.is_reachable(mesh.peers[0])
        world.heal()
        await trio.sleep(20)
        assert mesh.is_reachable(mesh.peers[0])


async def test_a_peer_that_has_a_write_from_another_before_it_answers_is_no_fork(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        n0 = world.nodes["n0"]
        await settled(world)
        # n1 takes the write and answers late; meanwhile it hears of the next one from n2.
        world.late["n1"] = 1.0
        await put(n0, "t", "text")
        await trio.sleep(0.1)
        second = await put(n0, "u", "text")
        await world.nodes["n1"].store.log.wait_covered([parse_dot(second.version, field="version")])
        await trio.sleep(5)
        assert not mesh_of(n0).is_forked
        await put(n0, "v", "text")


async def test_an_op_of_a_newer_version_is_logged_passed_on_and_does_not_count(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1) as world:
        newer = Author(5)
        newer.write("dream", [Entry(kind="dream", key="d1", create=Create(author="x"), fields={"text": "?"})])
        newer.memory("m1")
        request = ExchangeRequest(
            protocol=PROTOCOL, node="x", stream=newer.stream, ops=tuple(map(op_out, newer.ops)), wants=0,
        )
        answer = await exchanged(world.nodes["n0"], newer, request)
        assert (answer.taken, answer.held, answer.held_count) == (3, (f"{newer.stream}:2",), 1)
        await settled(world)
        for node in world.nodes.values():
            assert (await service.write_outcome(node, f"{newer.stream}:2")).outcome == "held"
            document = await service.mesh_status(node, OPERATOR, MeshQuery())
            assert document.held == (f"{newer.stream}:2",)
            assert "install a newer one" in document.alarms[0]
            assert await _has(node, "m1")


async def test_a_node_that_is_too_far_behind_the_logs_joins_the_state_and_goes_on(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        n0, n2 = world.nodes["n0"], world.nodes["n2"]
        early = await put(n2, "early", "text")
        await settled(world)
        world.isolate("n2")
        gone = await put(n0, "gone", "text")
        stored = [await put(n0, f"t{number}", "text") for number in range(20)]
        await service.delete(n0, ALICE, early.id)
        await service.delete(n0, ALICE, gone.id)
        await trio.sleep(3)
        for name in ("n0", "n1"):
            store = world.nodes[name].store
            size = await store.read(trimming.log_size)
            await store.write(trimming.trim, store.log.vector, size, trimming.LogBounds(kept_count=0))
        world.heal()
        await settled(world)
        assert len(await digests(world)) == 1
        assert await _has(n2, stored[-1].id)
        assert not await _has(n2, early.id)
        await put(n2, "back", "text")
        await settled(world)
        assert len(await digests(world)) == 1
        document = await service.mesh_status(n2, OPERATOR, MeshQuery())
        assert not document.alarms


async def test_a_node_that_starts_late_counts_as_soon_as_it_has_asked(tmp_path: Path) -> None:
    async with open_world(tmp_path, 1, writes=1) as world:
        await join(world, "n0", MeshSettings(peers=("http://n1",), writes=2))
        await trio.sleep(60)
        error = await missing(lambda: put(world.nodes["n0"], "early", "text"))
        assert error.code == Code.QUORUM_NOT_MET
        await world.start("n1", MeshSettings(peers=("http://n0",), writes=2))
        began = trio.current_time()
        mesh = mesh_of(world.nodes["n0"])
        while mesh.reachable_count() < mesh.rule.members:
            await mesh.next_report.wait()
        assert trio.current_time() - began < 0.5
        await put(world.nodes["n0"], "late", "text")
