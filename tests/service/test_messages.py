"""Messages: append-only, from whom they say, seen by their recipient alone, kept until they are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, Principal
from aimem.service import Node, Once, messages
from aimem.store import MEMORY, Transaction, embeddings, fulltext
from aimem.wire import (
    ArchiveRequest,
    ForgetRequest,
    GcQuery,
    GetArchivedQuery,
    InboxMessage,
    InboxQuery,
    ListQuery,
    Notified,
    NotifyRequest,
    PurgeQuery,
    ReadRequest,
    RecallRequest,
    SearchQuery,
    SessionRequest,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, principal
from tests.service.steps import (
    ALICE,
    BOB,
    all_quiet,
    another_node,
    as_agent,
    connect,
    ids_listed,
    ops_of,
    put,
    refused,
    tell,
)

NOBODY = msgspec.structs.replace(principal("anonymous:req-1"), is_anonymous=True)
HOUR_S = 3600


async def send(
    node: Node, title: str = "hello", payload: str = "some words", *, by: Principal = ALICE, to: str = "bob",
    once: Once | None = None, **fields: object,
) -> Notified:
    request = NotifyRequest(target_agent_id=to, title=title, payload=payload, **fields)  # type: ignore[arg-type]
    return await service.notify(node, by, request, once)


async def inbox(node: Node, by: Principal = BOB, **query: object) -> tuple[InboxMessage, ...]:
    return (await service.inbox(node, by, InboxQuery(**query))).messages  # type: ignore[arg-type]


async def read(node: Node, *ids: str, by: Principal = BOB) -> tuple[str, ...]:
    return (await service.mark_read(node, by, ReadRequest(ids=list(ids)))).read


async def test_a_message_arrives_as_it_was_sent(node: Node) -> None:
    sent = await send(node, " Plan: ready? ", "Begin | with\nthe store. ", priority=8, tier="short")
    assert (sent.sender, sent.recipient, sent.namespace, sent.tier) == ("alice", "bob", "_messages/bob", "short")
    [message] = await inbox(node)
    assert (message.id, message.sender, message.title, message.payload) == (
        sent.id, "alice", "Plan: ready?", "Begin | with\nthe store. ",
    )
    assert (message.priority, message.tier, message.created_at) == (8, "short", sent.delivered_at)
    assert (message.read, message.access_count, message.expires_at) == (False, 0, msgspec.UNSET)


async def test_an_inbox_says_whose_it_is_and_how_much_is_unread(node: Node) -> None:
    ids = [(await send(node, f"t{n}")).id for n in range(3)]
    await read(node, ids[0])
    found = await service.inbox(node, BOB, InboxQuery(limit=1))
    assert (found.agent_id, found.namespace, found.count, found.unread_count) == ("bob", "_messages/bob", 1, 2)
    empty = await service.inbox(node, ALICE, InboxQuery(unread_only=True))
    assert (empty.agent_id, empty.count, empty.unread_only, empty.unread_count) == ("alice", 0, True, 0)


async def test_messages_of_one_title_are_messages_of_their_own(node: Node) -> None:
    for sender in (ALICE, ALICE, principal("eve")):
        await send(node, "same", f"from {sender.agent_id}", by=sender)
    found = await inbox(node)
    assert [message.title for message in found] == ["same"] * 3
    assert sorted(message.sender for message in found) == ["alice", "alice", "eve"]
    assert len({message.id for message in found}) == 3


async def test_the_urgent_come_first_then_the_newest(node: Node, clock: FakeClock) -> None:
    for title, priority in (("old", 5), ("urgent", 9), ("new", 5)):
        await send(node, title, priority=priority)
        clock.advance(1)
    assert [message.title for message in await inbox(node)] == ["urgent", "new", "old"]
    assert [message.title for message in await inbox(node, limit=1, offset=1)] == ["new"]


async def test_what_is_unread_is_picked_before_the_limit(node: Node) -> None:
    ids = [(await send(node, f"t{n}", priority=10 - n)).id for n in range(4)]
    await read(node, ids[0], ids[1])
    assert [message.title for message in await inbox(node, unread_only=True, limit=1)] == ["t2"]


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "bob", "subject": "t", "body": "p"}, {"target_agent_id": "bob", "title": "t", "content": "p"},
        {"target_agent_id": "bob", "to": "bob", "title": "t", "payload": "p", "content": "p"},
    ],
)
async def test_the_shapes_of_other_clients_are_taken(node: Node, fields: dict[str, str]) -> None:
    await service.notify(node, ALICE, NotifyRequest(**fields))  # type: ignore[arg-type]
    [message] = await inbox(node)
    assert (message.title, message.payload) == ("t", "p")


# --- who sees a message


async def generic_reads(node: Node, who: Principal) -> list[object]:
    """Everything that the generic reads say to one caller."""
    everything = ListQuery(limit=1000)
    return [
        (await service.list_memories(node, who, everything)).memories,
        (await service.list_memories(node, who, ListQuery(namespace="_messages/bob"))).memories,
        (await service.search(node, who, SearchQuery(q="words"))).results,
        (await service.recall(node, who, RecallRequest(context="words", floor=False))).memories,
        (await service.start_session(node, who, SessionRequest())).memories,
        (await service.export(node, who)).memories,
        (await service.namespaces(node, who)).namespaces,
        (await service.list_archive(node, who, GetArchivedQuery())).archived,
        (await service.stats(node, who)).total or (),
    ]


@pytest.mark.parametrize("who", [ALICE, BOB, principal("eve"), as_agent("_messages/bob"), as_agent("bob")])
async def test_no_generic_read_shows_a_message_to_anybody(node: Node, who: Principal) -> None:
    sent = await send(node, "words", "words")
    assert await generic_reads(node, who) == [()] * 9
    for prefix in (sent.id, sent.id[:8]):
        await refused(Code.NOT_FOUND, service.get(node, who, prefix))
    assert (await service.links_of(node, who, sent.id)).links == ()


async def test_a_message_is_neither_embedded_nor_indexed(tmp_path: Path) -> None:
    async with open_node(
        tmp_path / "m.db", clock=FakeClock(), threads=InlineThreads(), embedder=WordEmbedder()
    ) as node:
        await send(node, "words", "words")
        await all_quiet()
        assert await node.store.read(embeddings.count_embedded) == 0
        assert await node.store.read(embeddings.count_backlog) == 0
        assert await node.store.read(fulltext.count_unindexed, 10) == 0
        assert await generic_reads(node, BOB) == [()] * 9


async def test_no_generic_write_reaches_a_message(node: Node) -> None:
    sent, memory = await send(node, "words", "words"), (await put(node, "m")).id
    before = await inbox(node)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: service.update(node, BOB, sent.id, UpdateMemory(content="x")),
        lambda: service.delete(node, BOB, sent.id),
        lambda: service.promote(node, BOB, sent.id),
        lambda: connect(node, memory, sent.id),
    ]
    for attempt in attempts:
        await refused(Code.NOT_FOUND, attempt())
    assert (await service.archive(node, BOB, ArchiveRequest(ids=[sent.id]))).missing == (sent.id,)
    await service.purge_archive(node, BOB, PurgeQuery(all=True))
    assert (await service.forget(node, BOB, ForgetRequest(pattern="words"))).deleted == 0
    assert await inbox(node) == before
    await refused(Code.RESERVED_NAMESPACE, put(node, "words", namespace="_messages/bob"))


async def test_only_the_recipient_reads_marks_and_deletes(node: Node) -> None:
    sent = await send(node)
    for other in (ALICE, principal("eve")):
        assert await inbox(node, other) == ()
        marked = await service.mark_read(node, other, ReadRequest(ids=[sent.id]))
        assert (marked.read, marked.missing) == ((), (sent.id,))
        await refused(Code.NOT_FOUND, service.delete_message(node, other, sent.id, None))
        for attempt in (
            service.inbox(node, other, InboxQuery(agent_id="bob")),
            service.mark_read(node, other, ReadRequest(ids=[sent.id], agent_id="bob")),
            service.delete_message(node, other, sent.id, "bob"),
        ):
            assert (await refused(Code.DENIED, attempt)).field == "agent_id"
    [message] = await inbox(node)
    assert not message.read


async def test_who_did_not_say_who_it_is_may_say_it_in_the_request(node: Node) -> None:
    sent = await send(node, by=NOBODY, agent_id="carol")
    assert sent.sender == "carol"
    assert [message.sender for message in await inbox(node, NOBODY, agent_id="bob")] == ["carol"]
    assert await inbox(node, NOBODY) == ()
    assert (await send(node, by=NOBODY)).sender == NOBODY.agent_id


async def test_nobody_sends_in_another_ones_name(node: Node) -> None:
    assert (await send(node, agent_id="alice")).sender == "alice"
    assert (await refused(Code.DENIED, send(node, agent_id="carol"))).field == "agent_id"
    assert len(await inbox(node)) == 1


@pytest.mark.parametrize("name", ["a/b/c/d/e/f/g/h/i", "..", "/x/", "a//b", "*", "_", "bob/x"])
async def test_any_agent_id_has_an_inbox(node: Node, name: str) -> None:
    if name == "*":
        await refused(Code.INVALID_REQUEST, send(node, to=name))
        return
    await send(node, to=name)
    assert len(await inbox(node, principal(name))) == 1
    assert await inbox(node) == ()


# --- how long a message lives


@pytest.mark.parametrize("tier", ["short", "mid", "long"])
async def test_an_unread_message_is_kept(node: Node, clock: FakeClock, tier: str) -> None:
    await send(node, tier=tier)
    clock.advance(400 * DAY_S)
    await service.collect(node, BOB, GcQuery())
    assert len(await inbox(node)) == 1


@pytest.mark.parametrize(("tier", "life_s"), [("short", 6 * HOUR_S), ("mid", 7 * DAY_S), ("long", None)])
async def test_from_its_reading_a_message_lives_as_its_tier_says(
    node: Node, clock: FakeClock, tier: str, life_s: int | None
) -> None:
    sent = await send(node, tier=tier)
    clock.advance(30 * DAY_S)
    assert await read(node, sent.id) == (sent.id,)
    [message] = await inbox(node)
    assert (message.read, message.access_count) == (True, 1)
    assert isinstance(message.read_at, str)
    clock.advance((life_s or 30 * DAY_S) - 60)
    assert len(await inbox(node)) == 1
    clock.advance(120)
    assert len(await inbox(node)) == (0 if life_s else 1)


async def test_an_expired_message_is_collected_for_ever(node: Node, clock: FakeClock) -> None:
    sent, kept = await send(node, tier="short"), await send(node, tier="short")
    await put(node, "brief", ttl_secs=60)
    await read(node, sent.id)
    clock.advance(DAY_S)
    assert (await service.collect(node, ALICE, GcQuery(dry_run=True))).collected == 2
    assert (await service.collect(node, ALICE, GcQuery())).expired_deleted == 2
    assert (await service.stats(node, ALICE)).tombstones == 1
    assert [message.id for message in await inbox(node)] == [kept.id]
    assert (await service.collect(node, ALICE, GcQuery())).collected == 0


async def test_reading_marks_nothing_and_marking_twice_changes_nothing(node: Node, clock: FakeClock) -> None:
    sent = await send(node)
    await inbox(node)
    assert not (await inbox(node))[0].read
    await read(node, sent.id)
    [first], count = await inbox(node), len(await ops_of(node.store))
    clock.advance(60)
    answer = await service.mark_read(node, BOB, ReadRequest(ids=[sent.id, sent.id, "other"]))
    assert (answer.read, answer.missing, answer.count) == ((sent.id,), ("other",), 1)
    assert answer.version is msgspec.UNSET
    assert (await inbox(node))[0] == first
    assert len(await ops_of(node.store)) == count


async def test_the_recipient_may_delete_a_message(node: Node) -> None:
    sent = await send(node)
    assert (await service.delete_message(node, BOB, sent.id, None)).deleted
    assert await inbox(node) == ()
    await refused(Code.NOT_FOUND, service.delete_message(node, BOB, sent.id, "bob"))
    assert await ids_listed(node) == set()


async def test_a_full_inbox_takes_no_more_until_something_is_read(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "UNREAD_MAX", 3)
    ids = [(await send(node)).id for _ in range(3)]
    error = await refused(Code.QUOTA_EXCEEDED, send(node))
    assert error.details["limit"] == 3
    await send(node, to="carol")
    await read(node, ids[0])
    await send(node)
    await refused(Code.QUOTA_EXCEEDED, send(node))


# --- what is refused


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"title": "t", "payload": "p"}, Code.SCHEMA_MISMATCH, "target_agent_id"),
        ({"to": "bob", "payload": "p"}, Code.SCHEMA_MISMATCH, "title"),
        ({"to": "bob", "title": "t"}, Code.SCHEMA_MISMATCH, "payload"),
        ({"to": "bob", "target_agent_id": "eve", "title": "t", "body": "p"}, Code.INVALID_REQUEST, "target_agent_id"),
        ({"to": "bob", "title": "t", "payload": "p", "body": "q"}, Code.INVALID_REQUEST, "payload"),
        ({"to": "a b", "title": "t", "payload": "p"}, Code.INVALID_REQUEST, "to"),
        ({"to": "", "title": "t", "payload": "p"}, Code.INVALID_REQUEST, "to"),
        ({"to": "b\x00", "title": "t", "payload": "p"}, Code.INVALID_REQUEST, "to"),
        ({"to": "bob", "title": " ", "payload": "p"}, Code.INVALID_REQUEST, "title"),
        ({"to": "bob", "title": "x" * 513, "payload": "p"}, Code.INVALID_REQUEST, "title"),
        ({"to": "bob", "subject": "\x00", "payload": "p"}, Code.INVALID_REQUEST, "subject"),
        ({"to": "bob", "title": "\ud800", "payload": "p"}, Code.INVALID_REQUEST, "title"),
        ({"to": "bob", "title": "t", "payload": " "}, Code.INVALID_REQUEST, "payload"),
        ({"to": "bob", "title": "t", "content": "\ud800"}, Code.INVALID_REQUEST, "content"),
        ({"to": "bob", "title": "t", "body": "x" * 65_537}, Code.INVALID_REQUEST, "body"),
        ({"to": "bob", "title": "t", "payload": "p", "priority": 11}, Code.INVALID_REQUEST, "priority"),
        ({"to": "bob", "title": "t", "payload": "p", "priority": 0}, Code.INVALID_REQUEST, "priority"),
        ({"to": "bob", "title": "t", "payload": "p", "priority": 2**40}, Code.INVALID_REQUEST, "priority"),
        ({"to": "bob", "title": "t", "payload": "p", "tier": "eternal"}, Code.INVALID_REQUEST, "tier"),
        ({"to": "bob", "title": "t", "payload": "p", "agent_id": "a b"}, Code.INVALID_REQUEST, "agent_id"),
    ],
)
async def test_a_bad_message_is_refused_and_nothing_is_written(
    node: Node, fields: dict[str, object], code: Code, field: str
) -> None:
    before = len(await ops_of(node.store))
    attempt = service.notify(node, ALICE, NotifyRequest(**fields))  # type: ignore[arg-type]
    assert (await refused(code, attempt)).field == field
    assert len(await ops_of(node.store)) == before


@pytest.mark.parametrize(
    ("query", "field"),
    [({"limit": 501}, "limit"), ({"limit": -1}, "limit"), ({"offset": -1}, "offset"),
     ({"agent_id": "a b"}, "agent_id")],
)
async def test_a_bad_question_to_an_inbox_is_refused(node: Node, query: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, inbox(node, **query))).field == field


@pytest.mark.parametrize(("ids", "field"), [([], "ids"), (["x"] * 1001, "ids"), (["ok", ""], "ids[1]"),
                                            (["a\x00"], "ids[0]"), (["\ud800"], "ids[0]")])
async def test_bad_ids_to_mark_are_refused(node: Node, ids: list[str], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, read(node, *ids))).field == field


# --- once, and on every node


async def test_a_repeated_request_sends_one_message(node: Node) -> None:
    once = Once("key", b"hash")
    first = await send(node, once=once)
    assert await send(node, once=once) == first
    assert len(await inbox(node)) == 1
    await refused(Code.IDEMPOTENCY_MISMATCH, send(node, once=Once("key", b"other")))


async def test_messages_and_their_reading_reach_another_node(node: Node, clock: FakeClock, tmp_path: Path) -> None:
    ids = [(await send(node, "same")).id for _ in range(2)]
    async with another_node(tmp_path, clock) as other:
        third = (await send(other, "same")).id
        await tell(other, node)
        assert {message.id for message in await inbox(other)} == {*ids, third}
        await read(other, ids[0])
        await service.delete_message(other, BOB, ids[1], None)
        await tell(node, other)
        assert await inbox(node) == await inbox(other)
        assert await generic_reads(other, BOB) == [()] * 9
        assert {message.id: message.read for message in await inbox(node)} == {ids[0]: True, third: False}


async def test_a_message_whose_metadata_nobody_can_read_is_shown_as_unread(node: Node) -> None:
    sent = await send(node)

    def spoil(transaction: Transaction) -> None:
        transaction.emit("x", [transaction.change(MEMORY, sent.id, {"metadata": "no json", "tier": "short"})])

    await node.store.write(spoil)
    assert [message.read for message in await inbox(node)] == [False]
    assert await read(node, sent.id) == (sent.id,)
    assert [message.read for message in await inbox(node)] == [True]


async def test_a_memory_that_became_a_message_leaves_the_memories(node: Node) -> None:
    """No service does that; an op of another version might, and every node has to show the same then."""
    stored = await put(node, "words", "words")

    def move(transaction: Transaction) -> None:
        transaction.emit("x", [transaction.change(MEMORY, stored.id, {"name": ("_messages/bob", "words")})])

    await node.store.write(move)
    assert await generic_reads(node, BOB) == [()] * 9
    assert [message.id for message in await inbox(node)] == [stored.id]
    assert (await put(node, "words")).action == "created"
