"""Webhooks: who is told what, in order, until it is taken or given up; and that one who fails hinders nobody."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import Code
from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.ports import Connection
from aimem.service import Node, delivering
from aimem.store import KEY, Transaction, deliveries, snapshot
from aimem.webhooks import Reach, Sender
from aimem.wire import (
    DeliveriesQuery,
    NotifyRequest,
    RedeliverRequest,
    SubscribeRequest,
    SubscriptionOut,
    SubscriptionsQuery,
    UnsubscribeQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, put, refused

OPERATOR = Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=Role.OPERATOR)
OWNER = Principal(agent_id=AgentId("alice"), credential=Credential.SOCKET, role=Role.OPERATOR)
CAROL = Principal(agent_id=AgentId("carol"), credential=Credential.AGENT_KEY, role=Role.AGENT, home=Namespace("acme/a"))


class Receivers(httpx.AsyncBaseTransport):
    """All receivers: each path answers as it is told, with 200 if nothing is said."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, object]]] = []
        self.times: list[float] = []
        self.answers: dict[str, list[int]] = {}
        self.hold: trio.Event | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if self.hold is not None and path == "/slow":
            await self.hold.wait()
        told = self.answers.get(path, [])
        status = told.pop(0) if told else 200
        self.got.append((path, json.loads(request.content)))
        self.times.append(trio.current_time())
        return httpx.Response(status, stream=httpx.ByteStream(b""))

    def names(self, path: str = "/in") -> list[str]:
        return [str(body["event"]) for at, body in self.got if at == path]


async def resolve(host: str, port: int) -> tuple[str, ...]:
    del host, port
    return ("93.184.216.34",)


@asynccontextmanager
async def delivered(node: Node, receivers: Receivers) -> AsyncIterator[None]:
    """The tasks that deliver, until the block ends."""
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run_events, node, trio.Event())
        await nursery.start(service.run_webhooks, node, Sender(receivers, resolve, Reach.PUBLIC))
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture
def receivers() -> Receivers:
    return Receivers()


async def subscribed(node: Node, who: Principal = ALICE, path: str = "/in", **fields: object) -> str:
    request = msgspec.convert({"url": f"https://hooks.example{path}", **fields}, SubscribeRequest)
    return (await service.subscribe(node, who, request)).id


async def fare(node: Node, subscription_id: str) -> SubscriptionOut:
    found = await service.list_subscriptions(node, OPERATOR, SubscriptionsQuery())
    return next(one for one in found.subscriptions if one.id == subscription_id)


def add_key(transaction: Transaction, agent_id: str, home: str | None, role: str = "agent") -> None:
    """A key as another part of the program makes it."""
    fields = {
        "agent_id": agent_id, "secret_hash": "0", "role": role, "home": home, "created_at": transaction.now,
        "expires_at": None, "revoked_at": None,
    }
    transaction.emit("key", [transaction.create(KEY, f"key-{agent_id}", AgentId(agent_id), fields)])


def revoke_key(transaction: Transaction, agent_id: str) -> None:
    transaction.emit("key", [transaction.change(KEY, f"key-{agent_id}", {"revoked_at": transaction.now})])


async def test_a_subscriber_that_came_with_a_snapshot_is_told_what_happens_here(
    node: Node, receivers: Receivers, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_node(tmp_path / "other.db", chance=seeded_chance(2)) as other, delivered(node, receivers):
        await subscribed(other)
        page = await other.store.read(snapshot.snapshot_page, None, 10, 1 << 20)
        await node.store.write(snapshot.join_objects, page.objects)
        await put(node, "one")
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert receivers.names() == ["memory_store"]


async def test_every_write_is_told_once_in_order_with_v063s_fields(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await put(node, "before")
    made = await subscribed(node, events="memory_store,update,delete", secret="s")
    async with delivered(node, receivers):
        one = await put(node, "one", namespace="acme/x")
        await service.update(node, BOB, one.id, UpdateMemory(content="other"))
        await service.delete(node, ALICE, one.id)
        await trio.testing.wait_all_tasks_blocked()
    assert receivers.names() == ["memory_store", "memory_update", "memory_delete"]
    first = receivers.got[0][1]
    wanted = {
        "event": "memory_store", "memory_id": one.id, "namespace": "acme/x", "agent_id": "alice", "attempt": 1,
        "kind": "memory", "key": one.id, "author": "alice", "version": one.version, "subscription_id": made,
    }
    assert {name: first[name] for name in wanted} == wanted
    assert str(first["delivered_at"]).endswith("Z")
    assert "some text" not in str(receivers.got)
    found = await fare(node, made)
    assert (found.dispatch_count, found.failure_count, found.waiting_count, found.dead_count) == (3, 0, 0, 0)
    assert found.last_dispatched_at


async def test_what_waited_when_the_process_ended_is_sent_after_the_next_start(
    tmp_path: Path, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    clock, chance = FakeClock(), seeded_chance(3)

    async with open_node(tmp_path / "m.db", clock=clock, chance=chance, threads=InlineThreads()) as node:
        await subscribed(node)
        await put(node, "while nobody delivers")
        receivers.answers["/in"] = [500]
        async with delivered(node, receivers):
            await put(node, "then")
            await trio.testing.wait_all_tasks_blocked()
    assert [body["attempt"] for _, body in receivers.got] == [1]
    async with (
        open_node(tmp_path / "m.db", clock=clock, chance=chance, threads=InlineThreads()) as node,
        delivered(node, receivers),
    ):
        await trio.sleep(20)
    bodies = [body for _, body in receivers.got]
    assert [(body["event"], body["attempt"]) for body in bodies] == [
        ("memory_store", 1), ("memory_store", 2), ("memory_store", 1)
    ]
    assert bodies[0]["delivery_id"] == bodies[1]["delivery_id"] != bodies[2]["delivery_id"]


async def test_a_failing_receiver_is_tried_again_with_growing_pauses_and_hinders_nobody(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    failing, fine = [await subscribed(node, path=path, events="store") for path in ("/failing", "/fine")]
    receivers.answers["/failing"] = [500, 302, 429]
    async with delivered(node, receivers):
        begin = trio.current_time()
        first, second = await put(node, "one"), await put(node, "two")
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == begin
        assert receivers.names("/fine") == ["memory_store"] * 2
        assert (await fare(node, failing)).last_error == "it answered with status 500"
        await trio.sleep(60)
    times = [at for at, (path, _) in zip(receivers.times, receivers.got, strict=True) if path == "/failing"]
    keys = [body["key"] for path, body in receivers.got if path == "/failing"]
    assert keys == [first.id] * 4 + [second.id]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert all(low <= pause <= 2 * low for low, pause in zip((2.5, 5, 10), pauses, strict=False))
    found = await fare(node, failing)
    assert (found.dispatch_count, found.failure_count, found.waiting_count) == (2, 3, 0)
    assert (await fare(node, fine)).failure_count == 0


async def test_what_is_given_up_is_listed_and_tried_anew_on_order(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    made = await subscribed(node, events="store")
    receivers.answers["/in"] = [500] * delivering.ATTEMPTS_MAX
    async with delivered(node, receivers):
        one, two = await put(node, "one"), await put(node, "two")
        await trio.sleep(2 * 3600)
        assert len(receivers.got) == delivering.ATTEMPTS_MAX + 1
        dead = await service.list_deliveries(node, ALICE, made, DeliveriesQuery(state="dead"))
        (letter,) = dead.deliveries
        assert (dead.total, letter.state, letter.memory_id, letter.attempts, letter.last_error) == (
            1, "dead", one.id, delivering.ATTEMPTS_MAX, "it answered with status 500"
        )
        assert receivers.got[-1][1]["key"] == two.id
        waiting = await service.list_deliveries(node, ALICE, made, DeliveriesQuery(state="waiting"))
        assert waiting.deliveries == ()
        answer = await service.redeliver(node, ALICE, made, RedeliverRequest(delivery_id=letter.id))
        assert answer.redelivered == 1
        await trio.testing.wait_all_tasks_blocked()
        assert (receivers.got[-1][1]["key"], receivers.got[-1][1]["attempt"]) == (one.id, 1)
        assert (await service.redeliver(node, ALICE, made, RedeliverRequest())).redelivered == 0
        again = service.redeliver(node, ALICE, made, RedeliverRequest(delivery_id=letter.id))
        assert (await refused(Code.NOT_FOUND, again)).field == "delivery_id"
        wrong = service.list_deliveries(node, ALICE, made, DeliveriesQuery(state="some"))
        assert (await refused(Code.INVALID_REQUEST, wrong)).field == "state"


async def test_a_day_is_the_longest_that_is_tried(
    node: Node, clock: FakeClock, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    made = await subscribed(node)
    receivers.answers["/in"] = [500, 500]
    async with delivered(node, receivers):
        await put(node, "one")
        await trio.testing.wait_all_tasks_blocked()
        clock.advance(delivering.AGE_MAX_S)
        await trio.sleep(10)
    assert (await fare(node, made)).dead_count == 1


async def test_a_subscriber_is_told_what_it_may_see_and_no_more(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await subscribed(node, ALICE, "/claimed")       # gets no key
    await node.store.write(add_key, "carol", "acme/a")
    await subscribed(node, CAROL, "/carol")
    await subscribed(node, OPERATOR, "/root")
    async with delivered(node, receivers):
        seen = await put(node, "team", namespace="acme/b", by=OWNER)
        hidden = await put(node, "hers", namespace="acme/a/x", scope="private", by=OWNER)
        await put(node, "elsewhere", namespace="other", by=OWNER)
        await service.update(node, OWNER, seen.id, UpdateMemory(metadata={"scope": "private"}))
        await service.notify(node, OWNER, NotifyRequest(target_agent_id="carol", title="hello", payload="text"))
        await service.notify(node, OWNER, NotifyRequest(target_agent_id="dave", title="hello", payload="text"))
        await trio.testing.wait_all_tasks_blocked()
    carol = [(body["event"], body["key"] == seen.id) for path, body in receivers.got if path == "/carol"]
    assert carol == [("memory_store", True), ("memory_delete", True), ("memory_notify", False)]
    assert receivers.names("/root") == ["memory_store"] * 3 + ["memory_update"] + ["memory_notify"] * 2
    assert receivers.names("/claimed") == []
    assert hidden.id not in str([body for path, body in receivers.got if path == "/carol"])


async def test_a_key_that_was_revoked_stops_what_waits(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await node.store.write(add_key, "carol", "acme/a")
    made = await subscribed(node, CAROL, "/carol")
    receivers.answers["/carol"] = [500]
    async with delivered(node, receivers):
        await put(node, "team", namespace="acme/b", by=OWNER)
        await trio.testing.wait_all_tasks_blocked()
        await node.store.write(revoke_key, "carol")
        await put(node, "later", namespace="acme/b", by=OWNER)
        await trio.sleep(3600)
        found = await fare(node, made)
        assert (len(receivers.got), found.dropped_count, found.waiting_count) == (1, 1, 0)


async def test_filters_are_exact(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await subscribed(node, path="/ns", namespace_filter="acme/x")
    await subscribed(node, path="/bob", agent_filter="bob")
    async with delivered(node, receivers):
        one = await put(node, "one", namespace="acme/x")
        await put(node, "below", namespace="acme/x/y", by=BOB)
        await service.update(node, ALICE, one.id, UpdateMemory(namespace="acme/x/y"))
        await trio.testing.wait_all_tasks_blocked()
    assert receivers.names("/ns") == ["memory_store", "memory_delete"]
    assert receivers.names("/bob") == ["memory_store"]


async def test_what_is_taken_back_is_sent_no_more(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    made = await subscribed(node)
    receivers.answers["/in"] = [500] * 9
    async with delivered(node, receivers):
        await put(node, "one")
        await put(node, "two")
        await trio.testing.wait_all_tasks_blocked()
        await service.unsubscribe(node, ALICE, UnsubscribeQuery(id=made))
        await trio.sleep(3600)
        assert len(receivers.got) == 1
        assert await node.store.read(deliveries.totals) == (0, 0)


async def test_too_many_that_wait_are_counted_and_not_kept(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "WAITING_MAX", 3)
    made = await subscribed(node, path="/slow")
    receivers.hold = trio.Event()
    async with delivered(node, receivers):
        for number in range(5):
            await put(node, f"n{number}")
        await trio.testing.wait_all_tasks_blocked()
        found = await fare(node, made)
        assert (found.waiting_count, found.dropped_count) == (3, 2)
        assert node.post.dropped_count == 2


async def test_at_most_eight_are_on_their_way(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    for _ in range(12):
        await subscribed(node, path="/slow", events="store")
    receivers.hold = trio.Event()
    async with delivered(node, receivers):
        await put(node, "one")
        await trio.testing.wait_all_tasks_blocked()
        assert node.post.slots.borrowed_tokens == 8
        receivers.hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len(receivers.got) == 12


async def test_without_subscribers_nothing_is_written_for_events(node: Node, receivers: Receivers) -> None:
    async with delivered(node, receivers):
        await put(node, "one")
        await trio.testing.wait_all_tasks_blocked()
        assert await node.store.read(deliveries.cursor) == 0


async def test_a_peers_writes_are_told_by_the_peer(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await subscribed(node)

    def disown(transaction: Transaction) -> None:
        transaction.conn.execute("UPDATE events SET is_own = 0 WHERE event = 'store'")

    await put(node, "one")
    await node.store.write(disown)
    async with delivered(node, receivers):
        await put(node, "two")
        await trio.testing.wait_all_tasks_blocked()
    assert len(receivers.got) == 1


async def test_events_that_left_the_log_are_counted(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await subscribed(node)

    def forget(transaction: Transaction) -> None:
        transaction.conn.execute("DELETE FROM events")

    await put(node, "one")
    await node.store.write(forget)
    async with delivered(node, receivers):
        await put(node, "two")
        await trio.testing.wait_all_tasks_blocked()
    assert (len(receivers.got), node.post.lost_count) == (1, 2)


def dead_count(conn: Connection) -> int:
    return deliveries.totals(conn)[1]


async def test_dead_letters_are_forgotten_after_a_time(
    node: Node, clock: FakeClock, receivers: Receivers, autojump_clock: trio.testing.MockClock
) -> None:
    await subscribed(node)
    receivers.answers["/in"] = [500] * delivering.ATTEMPTS_MAX
    async with delivered(node, receivers):
        await put(node, "one")
        await trio.sleep(2 * 3600)
    await service.tidy(node)
    assert await node.store.read(dead_count) == 1
    clock.advance(86_400 * 8)
    await service.tidy(node)
    assert await node.store.read(dead_count) == 0


async def test_many_deliveries_are_noted_in_writes_of_a_bounded_size(
    node: Node, receivers: Receivers, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "NOTED_TOGETHER", 4)
    for number in range(3):
        await subscribed(node, path=f"/{number}", events="store")
    for number in range(10):
        await put(node, f"n{number}")
    async with delivered(node, receivers):
        before = node.store.counts.jobs
        await trio.testing.wait_all_tasks_blocked()
        assert node.store.counts.jobs - before >= 5 + 30     # notes of deliveries, and of each that was taken
        assert await node.store.read(deliveries.cursor) == 13
    for number in range(3):
        assert receivers.names(f"/{number}") == ["memory_store"] * 10
