"""Subscriptions: who may make, see and take back which, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.ports import Connection
from aimem.service import Node, Once, Policy
from aimem.wire import (
    DeliveriesQuery,
    RedeliverRequest,
    Subscribed,
    SubscribeRequest,
    SubscriptionsQuery,
    UnsubscribeQuery,
    to_builtins,
)
from tests.nodes import FakeClock, InlineThreads, open_node
from tests.service.steps import ALICE, BOB, ops_of, refused

URL = "https://hooks.example/in"
CAROL = Principal(agent_id=AgentId("carol"), credential=Credential.AGENT_KEY, role=Role.AGENT, home=Namespace("acme/a"))
DAVE = Principal(agent_id=AgentId("dave"), credential=Credential.AGENT_KEY, role=Role.AGENT, home=Namespace("acme/a"))
OPERATOR = Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=Role.OPERATOR)


async def subscribed(node: Node, who: Principal = ALICE, once: Once | None = None, **fields: object) -> Subscribed:
    request = msgspec.convert({"url": URL, **fields}, SubscribeRequest)
    return await service.subscribe(node, who, request, once)


async def ids_of(node: Node, who: Principal, agent_id: str | None = None) -> list[str]:
    found = await service.list_subscriptions(node, who, SubscriptionsQuery(agent_id=agent_id))
    assert found.count == found.total == len(found.subscriptions)
    return [one.id for one in found.subscriptions]


async def test_a_subscription_answers_what_v063_answers_and_never_its_secret(node: Node) -> None:
    made = await subscribed(
        node, events="memory_store, delete", secret="s3cret", namespace_filter="acme/x", agent_filter="bob"
    )
    (one,) = (await service.list_subscriptions(node, ALICE, SubscriptionsQuery())).subscriptions
    wanted = {
        "id": made.id, "url": URL, "events": "memory_store,delete", "namespace": None, "namespace_filter": "acme/x",
        "agent_filter": "bob", "agent_id": "alice", "created_by": "alice", "dispatch_count": 0, "failure_count": 0,
        "signed": True, "sent": True,
    }
    shown = to_builtins(one)
    assert {name: shown[name] for name in wanted} == wanted
    state = await node.store.read(signing_key_of, made.id)
    assert state == hashlib.sha256(b"s3cret").hexdigest()
    assert "s3cret" not in str(shown) + str(to_builtins(made)) + str(await ops_of(node.store))
    assert state not in str(shown) + str(to_builtins(made))


def signing_key_of(conn: Connection, subscription_id: str) -> str:
    (row,) = conn.execute("SELECT signing_key FROM subscriptions WHERE subscription_id = ?", (subscription_id,))
    return str(row[0])


async def test_events_are_a_text_or_a_list(node: Node) -> None:
    assert (await subscribed(node, events=["store", "memory_link", "store"])).events == "store,memory_link"
    assert (await subscribed(node)).events == "*"
    for wrong in ("store,,link", "nothing", [], ["store", "memory_"], "x" * 5000, "\x00"):
        assert (await refused(Code.INVALID_REQUEST, subscribed(node, events=wrong))).field == "events"


async def test_without_an_address_a_namespace_is_needed_and_nothing_is_sent(node: Node) -> None:
    request = SubscribeRequest(namespace="acme/x")
    made = await service.subscribe(node, ALICE, request)
    assert (made.url, made.namespace, made.namespace_filter, made.sent) == (
        "http://localhost/_ns/alice/acme/x", "acme/x", "acme/x", False,
    )
    assert (await refused(Code.INVALID_REQUEST, service.subscribe(node, ALICE, SubscribeRequest()))).field == "url"
    again = await subscribed(node, url=made.url)
    assert not again.sent
    both = subscribed(node, namespace="a", namespace_filter="b")
    assert (await refused(Code.INVALID_REQUEST, both)).field == "namespace_filter"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9077/x", "https://localhost:x@169.254.169.254/", "http://hooks.example/", "ftp://x/", "nonsense",
     "https://[::ffff:10.0.0.1]/", "http://localhost/_ns/\r\nHost: x", "http://localhost/_ns/@x\\"],
)
async def test_an_address_that_is_a_trick_is_refused_changes_nothing_and_is_in_the_audit(node: Node, url: str) -> None:
    before = len(await ops_of(node.store))
    error = await refused(Code.WEBHOOK_URL, subscribed(node, url=url))
    assert (error.field, url in error.message) == ("url", False)
    assert len(await ops_of(node.store)) == before
    await service.refusals.write_refusals(node)
    rows = await node.store.read(lambda conn: conn.execute("SELECT action, rule, detail FROM audit").fetchall())
    assert ("subscribe", "webhook_url", None) in [tuple(row) for row in rows]


async def test_private_addresses_are_a_setting(tmp_path: Path) -> None:
    policy = Policy(webhooks_private=True)
    async with open_node(
        tmp_path / "memory.db", clock=FakeClock(), threads=InlineThreads(), policy=policy
    ) as node:
        assert (await subscribed(node, url="http://127.0.0.1:9/x")).sent


@pytest.mark.parametrize(
    ("field", "value"),
    [("secret", ""), ("secret", "x" * 1025), ("namespace_filter", "a b"), ("agent_filter", "no one"),
     ("namespace", "../x"), ("agent_id", "no one"), ("namespace_filter", "a\x00"), ("agent_filter", "a\x00")],
)
async def test_what_is_wrong_is_named(node: Node, field: str, value: str) -> None:
    before = len(await ops_of(node.store))
    assert (await refused(Code.INVALID_REQUEST, subscribed(node, **{field: value}))).field == field
    assert len(await ops_of(node.store)) == before


async def test_with_keys_only_the_maker_and_operators_see_and_end_a_subscription(node: Node) -> None:
    made = await subscribed(node, CAROL)
    assert await ids_of(node, DAVE) == []
    for who, named in ((CAROL, None), (CAROL, "carol"), (OPERATOR, None), (OPERATOR, "carol")):
        assert await ids_of(node, who, named) == [made.id]
    ended = await service.unsubscribe(node, DAVE, UnsubscribeQuery(id=made.id))
    assert (ended.id, ended.removed, ended.count) == (made.id, False, 0)
    await refused(Code.IDENTITY_MISMATCH, service.list_subscriptions(node, DAVE, SubscriptionsQuery(agent_id="carol")))
    await refused(
        Code.IDENTITY_MISMATCH, service.unsubscribe(node, DAVE, UnsubscribeQuery(agent_id="carol", namespace="acme/a"))
    )
    await refused(Code.IDENTITY_MISMATCH, subscribed(node, DAVE, agent_id="carol"))
    for attempt in (
        service.list_deliveries(node, DAVE, made.id, DeliveriesQuery()),
        service.redeliver(node, DAVE, made.id, RedeliverRequest()),
    ):
        assert (await refused(Code.NOT_FOUND, attempt)).field == "id"
    assert (await service.unsubscribe(node, OPERATOR, UnsubscribeQuery(id=made.id))).removed
    assert await ids_of(node, CAROL) == []
    assert not (await service.unsubscribe(node, CAROL, UnsubscribeQuery(id=made.id))).removed


async def test_an_agents_subscriptions_to_a_namespace_end_together(node: Node) -> None:
    first = await service.subscribe(node, CAROL, SubscribeRequest(namespace="acme/a"))
    await service.subscribe(node, CAROL, SubscribeRequest(namespace="acme/a", events="store"))
    other = await service.subscribe(node, DAVE, SubscribeRequest(namespace="acme/a"))
    ended = await service.unsubscribe(node, CAROL, UnsubscribeQuery(agent_id="carol", namespace="acme/a"))
    assert (ended.id, ended.removed, ended.count) == (first.id, True, 2)
    assert await ids_of(node, OPERATOR) == [other.id]
    assert (await refused(Code.INVALID_REQUEST, service.unsubscribe(node, CAROL, UnsubscribeQuery()))).field == "id"


async def test_nobody_is_registered_by_subscribing(node: Node) -> None:
    await subscribed(node, BOB)
    rows = await node.store.read(lambda conn: conn.execute("SELECT count(*) FROM agents").fetchone())
    assert rows is not None and rows[0] == 0


async def test_a_repeated_request_makes_one_subscription(node: Node) -> None:
    once = Once(key="k", request_hash=b"h")
    assert (await subscribed(node, once=once)).id == (await subscribed(node, once=once)).id
    assert len(await ids_of(node, ALICE)) == 1


async def test_a_request_that_came_elsewhere_first_does_not_make_its_subscription_anew(node: Node) -> None:
    """A late copy of it may come here when the subscription did so by the mesh, and may have been taken back."""
    once = Once(key="k", request_hash=b"h")
    made = await subscribed(node, once=once)
    await service.unsubscribe(node, ALICE, UnsubscribeQuery(id=made.id))
    await node.store.write(lambda transaction: transaction.conn.execute("DELETE FROM idempotency"))
    await refused(Code.ID_TAKEN, subscribed(node, once=once))
    assert await ids_of(node, ALICE) == []


async def test_subscriptions_are_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.subscriptions, "OWN_MAX", 2)
    monkeypatch.setattr(service.subscriptions, "ALL_MAX", 3)
    for _ in range(2):
        await subscribed(node)
    await refused(Code.QUOTA_EXCEEDED, subscribed(node))
    await subscribed(node, BOB)
    await refused(Code.QUOTA_EXCEEDED, subscribed(node, CAROL))
