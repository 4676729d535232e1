"""Events: every write makes some; a reader gets those that it may see, in order, or hears that it lost its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import Code, Unavailable
from aimem.model import AgentId, Credential, Event, Namespace, Principal, Role
from aimem.service import Follower, Node, Policy, following, happenings
from aimem.store import Transaction, events, oplog
from aimem.wire import (
    AgentRequest,
    ArchiveRequest,
    EntityRequest,
    EventsQuery,
    GcQuery,
    InvalidateRequest,
    KeyRequest,
    LinkRequest,
    NotifyRequest,
    ReadRequest,
    RecallRequest,
    ResetOut,
    RestoreQuery,
    RotateRequest,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, connect, put, refused

KEYED = Principal(agent_id=AgentId("carol"), credential=Credential.AGENT_KEY, role=Role.AGENT, home=Namespace("acme/a"))
OPERATOR = Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=Role.OPERATOR)


async def log_of(node: Node) -> list[Event]:
    return await node.store.read(events.after, 0, 10_000)


async def since(node: Node, count: int) -> list[tuple[str, str, str]]:
    return [(event.event.value, event.kind, event.key) for event in (await log_of(node))[count:]]


@asynccontextmanager
async def followed(node: Node) -> AsyncIterator[trio.Event]:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run_events, node, stop)
        yield stop
        nursery.cancel_scope.cancel()


def query(**fields: str) -> EventsQuery:
    return msgspec.convert(fields, EventsQuery)


async def taken(follower: Follower) -> list[str]:
    """The next that the reader is told, shortly."""
    told = await follower.take()
    assert told is not None
    return ["reset" if isinstance(one, ResetOut) else f"{one.event} {one.namespace}" for one in told]


async def test_each_write_makes_the_event_of_its_name(node: Node, clock: FakeClock) -> None:
    one, two = (await put(node, "one")).id, (await put(node, "two", ttl_secs=60)).id
    assert await since(node, 0) == [("store", "memory", one), ("store", "memory", two)]
    count = 2

    async def expect(*wanted: tuple[str, str, str]) -> None:
        nonlocal count
        assert await since(node, count) == list(wanted)
        count += len(wanted)

    await put(node, "one", "another text")
    await expect(("update", "memory", one))
    await service.promote(node, ALICE, one, None)
    await expect(("promote", "memory", one))
    link = msgspec.json.encode([one, two, "related_to"]).decode()
    await connect(node, one, two)
    await expect(("link", "link", link))
    await service.kg_invalidate(
        node, ALICE, InvalidateRequest(source_id=one, target_id=two, relation="related_to", reason="no more")
    )
    await expect(("link_invalidate", "link", link))
    await service.unlink(node, ALICE, LinkRequest(source_id=one, target_id=two))
    await expect(("link_delete", "link", link))
    await service.archive(node, ALICE, ArchiveRequest(ids=[one]))
    await expect(("archive", "memory", one))
    await service.restore(node, ALICE, one, RestoreQuery())
    await expect(("restore", "memory", one))
    await service.delete(node, ALICE, one)
    await expect(("delete", "memory", one))
    clock.advance(3600)
    await service.collect(node, ALICE, GcQuery(dry_run=False))
    await expect(("archive", "memory", two))
    await service.register_agent(node, ALICE, AgentRequest(agent_id="alice", agent_type="human"))
    await expect(("agent", "agent", "alice"))
    entity = await service.register_entity(
        node, ALICE, EntityRequest(canonical_name="Ada", namespace="people", aliases=["A. L.", "Countess"])
    )
    await expect(("entity", "memory", entity.entity_id))
    sent = await service.notify(node, ALICE, NotifyRequest(target_agent_id="bob", title="hi", payload="there"))
    await expect(("notify", "memory", sent.id))
    await service.mark_read(node, BOB, ReadRequest(ids=[sent.id]))
    await expect(("update", "memory", sent.id))


async def test_a_recall_is_no_event(node: Node) -> None:
    await put(node, "one", "some words", tier="short")
    await service.recall(node, ALICE, RecallRequest(context="words", touch=True))
    await trio.testing.wait_all_tasks_blocked()
    assert [event.event.value for event in await log_of(node)] == ["store"]


async def test_an_event_names_who_did_it_and_no_text(node: Node) -> None:
    one = (await put(node, "a secret title", "a secret content", namespace="n", scope="private")).id
    await service.update(node, BOB, one, UpdateMemory(tags=["secret-tag"]))
    log = await log_of(node)
    assert [event.agent_id for event in log] == ["alice", "bob"]
    assert all("secret" not in repr(event) for event in log)
    assert all(event.exposure is not None and event.exposure.author == "alice" for event in log)
    assert all(event.is_own for event in log)


async def test_a_refused_write_makes_none(node: Node) -> None:
    async with followed(node):
        await refused(Code.NOT_FOUND, service.delete(node, ALICE, "no-such-memory"))
        assert await log_of(node) == []
        assert node.happenings.position == 0


async def test_a_reader_gets_what_comes_from_now_on_in_order(node: Node) -> None:
    await put(node, "before")
    async with followed(node):
        with Follower(node, ALICE, query()) as reader:
            async with trio.open_nursery() as nursery:
                got: list[str] = []

                async def read() -> None:
                    while len(got) < 3:
                        got.extend(await taken(reader))

                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                for number in range(3):
                    await put(node, f"n{number}", namespace=f"ns{number}")
    assert got == ["store ns0", "store ns1", "store ns2"]
    assert node.happenings.reader_count == 0


async def test_a_reader_goes_on_behind_the_place_that_it_names(node: Node) -> None:
    for number in range(5):
        await put(node, f"n{number}", namespace=f"ns{number}")
    stream = node.store.stream[:8]
    async with followed(node):
        for header, parameter in ((f"{stream}.3", None), ("", f"{stream}.3"), (f"{stream}.3", f"{stream}.1")):
            asked = EventsQuery(after=parameter)
            with Follower(node, ALICE, asked, header) as reader:
                assert await taken(reader) == ["store ns3", "store ns4"]


@pytest.mark.parametrize("place", ["00000000.3", "{stream}.99", "{stream}.1", "nonsense", "{stream}.x"])
async def test_a_place_that_is_not_in_the_buffer_is_answered_by_a_reset_and_then_live(node: Node, place: str) -> None:
    for number in range(5):
        await put(node, f"n{number}")
    await node.store.write(lambda transaction: events.trim_to_count(transaction.conn, 2))
    async with followed(node):
        with Follower(node, ALICE, query(), place.format(stream=node.store.stream[:8])) as reader:
            (reset,) = await reader.take() or ()
            assert isinstance(reset, ResetOut)
            assert reset.id == f"{node.store.stream[:8]}.5"
            await put(node, "live", namespace="live")
            assert await taken(reader) == ["store live"]


async def test_the_buffer_may_be_empty_and_its_end_is_still_a_place(node: Node, clock: FakeClock) -> None:
    await put(node, "n")
    clock.advance(8 * 86_400)
    await service.tidy(node)
    assert await log_of(node) == []
    async with followed(node):
        with Follower(node, ALICE, query(), f"{node.store.stream[:8]}.1") as reader:
            await put(node, "m", namespace="m")
            assert await taken(reader) == ["store m"]


async def test_a_reader_far_behind_reads_on_from_the_store(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAGE", 7)
    async with followed(node):
        for number in range(40):
            await put(node, f"n{number}", namespace=f"ns{number}")
        await trio.testing.wait_all_tasks_blocked()
        node.happenings._latest.clear()
        with Follower(node, ALICE, query(), f"{node.store.stream[:8]}.0") as reader:
            got: list[str] = []
            while len(got) < 40:
                got += await taken(reader)
    assert got == [f"store ns{number}" for number in range(40)]


async def test_a_reader_that_fell_behind_the_buffer_is_told(node: Node) -> None:
    async with followed(node):
        with Follower(node, ALICE, query()) as reader:
            with trio.move_on_after(0):
                await reader.take()
            await reader._begin()
            for number in range(9):
                await put(node, f"n{number}")
            await node.store.write(lambda transaction: events.trim_to_count(transaction.conn, 3))
            node.happenings._latest.clear()
            assert await taken(reader) == ["reset"]


async def test_the_log_of_events_stays_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "TRIM_EVERY", 10)
    monkeypatch.setattr(following, "GATHER_S", 0.0)
    policy = Policy(events_count=20)
    async with open_node(tmp_path / "n.db", threads=InlineThreads(), policy=policy) as node, followed(node):
        for number in range(60):
            await put(node, f"n{number}")
        await trio.testing.wait_all_tasks_blocked()
        held = await node.store.read(events.bounds)
        assert (held.last, 20 <= held.last - held.first + 1 <= 30) == (60, True)


async def test_filters_narrow(node: Node) -> None:
    start = f"{node.store.stream[:8]}.0"
    one = (await put(node, "one", namespace="a/b")).id
    two = (await put(node, "two", namespace="a")).id
    await put(node, "three", namespace="ab")
    await connect(node, one, two)
    await service.delete(node, ALICE, two)
    async with followed(node):
        for fields, wanted in (
            ({"namespace": "a"}, ["store a/b", "store a", "link a/b", "delete a"]),
            ({"namespace": "a/b"}, ["store a/b", "link a/b"]),
            ({"event": "delete"}, ["delete a"]),
            ({"event": "memory_delete, link"}, ["link a/b", "delete a"]),
            ({"kind": "link"}, ["link a/b"]),
        ):
            with Follower(node, ALICE, query(**fields), start) as reader:
                assert await taken(reader) == wanted


@pytest.mark.parametrize(
    "fields", [{"event": "explode"}, {"kind": "thing"}, {"after": "5"}, {"after": "x.y"}, {"namespace": "a b"}]
)
async def test_a_bad_filter_is_named(node: Node, fields: dict[str, str]) -> None:
    with pytest.raises(Exception, match=next(iter(fields))) as caught:
        Follower(node, ALICE, query(**fields))
    assert caught.value.code is Code.INVALID_REQUEST  # type: ignore[attr-defined]


async def test_a_reader_is_told_only_of_what_it_may_see(node: Node) -> None:
    start = f"{node.store.stream[:8]}.0"
    seen = (await put(node, "1", namespace="acme/a", scope="private")).id
    hidden = (await put(node, "2", namespace="acme/b", scope="private")).id
    await put(node, "3", namespace="other/x", scope="unit")
    await put(node, "4", namespace="other/x", scope="collective")
    await connect(node, seen, hidden)
    await service.delete(node, ALICE, hidden)
    await service.delete(node, ALICE, seen)
    async with followed(node):
        with Follower(node, KEYED, query(), start) as reader:
            assert await taken(reader) == ["store acme/a", "store other/x", "delete acme/a"]
        with Follower(node, OPERATOR, query(), start) as reader:
            assert len(await taken(reader)) == 7


async def test_what_moves_out_of_sight_is_deleted_and_what_moves_into_it_is_stored(node: Node) -> None:
    start = f"{node.store.stream[:8]}.0"
    one = (await put(node, "1", namespace="acme/a", scope="private")).id
    await service.update(node, ALICE, one, UpdateMemory(namespace="acme/b"))
    await service.update(node, ALICE, one, UpdateMemory(namespace="acme/a"))
    async with followed(node):
        with Follower(node, KEYED, query(), start) as reader:
            assert await taken(reader) == ["store acme/a", "delete acme/a", "store acme/a"]
        with Follower(node, ALICE, query(), start) as reader:
            assert await taken(reader) == ["store acme/a", "update acme/b", "update acme/a"]
        with Follower(node, ALICE, query(namespace="acme/b"), start) as reader:
            assert await taken(reader) == ["store acme/b", "delete acme/b"]


@pytest.mark.parametrize(
    ("who", "is_told"),
    [(BOB, True), (ALICE, False), (OPERATOR, True), (KEYED, False)], ids=["recipient", "sender", "operator", "other"],
)
async def test_messages_are_told_to_their_recipient_and_to_operators(node: Node, who: Principal, is_told: bool) -> None:
    start = f"{node.store.stream[:8]}.0"
    await service.notify(node, ALICE, NotifyRequest(target_agent_id="bob", title="hi", payload="there"))
    await put(node, "after", namespace="acme/a", scope="collective")
    async with followed(node):
        with Follower(node, who, query(), start) as reader:
            assert await taken(reader) == ["notify _messages/bob", "store acme/a"][0 if is_told else 1 :]


async def test_a_quiet_stream_beats_every_fifteen_seconds(node: Node, autojump_clock: trio.testing.MockClock) -> None:
    async with followed(node):
        with Follower(node, ALICE, query()) as reader:
            begin = trio.current_time()
            assert await reader.take() == ()
            assert trio.current_time() - begin == pytest.approx(15)


async def test_readers_leave_when_the_node_stops(node: Node) -> None:
    async with followed(node) as stop:
        with Follower(node, ALICE, query()) as reader:
            async with trio.open_nursery() as nursery:

                async def read() -> None:
                    assert await reader.take() is None

                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                stop.set()


@pytest.mark.parametrize("ends", ["revoked", "rotated", "expired"])
async def test_a_stream_ends_with_its_key(
    node: Node, clock: FakeClock, autojump_clock: trio.testing.MockClock, ends: str
) -> None:
    key = await service.add_key(node, OPERATOR, KeyRequest(agent_id="carol", home="acme/a", ttl_secs=3_600))
    await service.add_key(node, OPERATOR, KeyRequest(agent_id="dan"))
    carol = msgspec.structs.replace(KEYED, key_id=key.key_id)
    place = f"{node.store.stream[:8]}.{len(await log_of(node))}"
    async with followed(node):
        with Follower(node, carol, query(), place) as reader:
            await put(node, "one", namespace="acme/a", by=OPERATOR)
            assert await taken(reader) == ["store acme/a"]
            if ends == "revoked":
                await service.revoke_key(node, OPERATOR, key.key_id)
            elif ends == "rotated":
                await service.rotate_key(node, OPERATOR, key.key_id, RotateRequest())
            else:
                clock.advance(3_600)
            await put(node, "two", namespace="acme/a", by=OPERATOR)
            assert await reader.take() is None


async def test_who_came_without_a_key_leaves_once_keys_are_asked_for(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    owner = msgspec.structs.replace(ALICE, credential=Credential.SOCKET)
    async with followed(node):
        with Follower(node, ALICE, query()) as reader, Follower(node, owner, query()) as owners:
            for one in (reader, owners):
                assert await one.take() == ()
            await service.add_key(node, OPERATOR, KeyRequest(agent_id="carol"))
            assert await reader.take() is None
            assert await owners.take()


async def test_one_reader_too_many_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happenings, "READERS_MAX", 2)
    async with followed(node):
        with Follower(node, ALICE, query()), Follower(node, ALICE, query()), pytest.raises(Exception) as caught:
            Follower(node, ALICE, query())
        assert caught.value.code is Code.OVERLOADED  # type: ignore[attr-defined]
        # Three that looked for room at once: the last to come in leaves.
        late = [Follower(node, ALICE, query()) for _ in range(3)]
        with late[0], late[1], late[2]:
            assert await late[2].take() is None
    assert node.happenings.refused_count == 1


async def test_one_agent_does_not_take_all_the_places(
    node: Node, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(happenings, "READERS_OF_AGENT_MAX", 1)
    async with followed(node):
        with Follower(node, ALICE, query()), Follower(node, BOB, query()) as bobs:
            assert await bobs.take() == ()
            with pytest.raises(Unavailable) as caught:
                Follower(node, ALICE, query())
            assert caught.value.code is Code.OVERLOADED
        assert not node.happenings.readers_of
        Follower(node, ALICE, query())


async def test_a_reader_that_does_not_take_what_it_is_sent_counts_as_dropped(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    async with followed(node):
        for pause_s in (1, 10):
            with Follower(node, ALICE, query()) as reader:
                await reader.take()
                await trio.sleep(pause_s)
        assert node.happenings.dropped_count == 1


async def test_events_of_another_nodes_ops_are_noted_as_theirs(node: Node, tmp_path: Path) -> None:
    async with open_node(tmp_path / "b.db", threads=InlineThreads(), chance=seeded_chance(9)) as other:
        one = (await put(other, "theirs", namespace="n")).id
        ops = [op for _, op in await other.store.read(oplog.read_after, 0, 100)]

    def fold(transaction: Transaction) -> None:
        for op in ops:
            transaction.fold(op)
            transaction.fold(op)

    async with followed(node):
        await node.store.write(fold)
        (event,) = await log_of(node)
        assert (event.event, event.key, event.is_own, event.agent_id) == ("store", one, False, "alice")
        assert event.version.startswith(ops[-1].dot.stream)
