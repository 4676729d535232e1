"""Bulk: each item as if it came alone, all in one transaction, a refused one without a trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import derived_memory_id
from aimem.service import Node, Once, Policy, bulk
from aimem.store.transaction import SHARED_OP_COUNT
from aimem.wire import BulkAnswer, BulkMemories, BulkRequest, decode_body
from tests.languages import ScriptedModel
from tests.nodes import InlineThreads, open_node
from tests.service.steps import ALICE, BOB, ids_listed, ops_of, put, refused, shown


def request(*items: object) -> BulkRequest:
    return decode_body(BulkMemories, json.dumps({"memories": items}).encode())


async def store(node: Node, *items: object, once: Once | None = None) -> BulkAnswer:
    return await service.remember_many(node, ALICE, request(*items), once)


def kinds(answer: BulkAnswer) -> Sequence[object]:
    return [result.action if result.error is msgspec.UNSET else result.code for result in answer.results]


async def test_items_are_stored_as_single_stores_are(node: Node) -> None:
    answer = await store(
        node,
        {"title": " a ", "content": "x", "namespace": "n", "tags": ["t"], "priority": 9, "tier": "long",
         "scope": "team", "source": "hook", "metadata": {"k": 1, "agent_id": "eve"}, "confidence": 0.5},
        {"title": "b", "content": "y", "agent_id": "carol"}, {"content": "no title"},
    )
    assert (answer.created, answer.updated, answer.errors, kinds(answer)) == (3, 0, (), ["created"] * 3)
    assert answer.ids == tuple(result.id for result in answer.results)
    first, second, third = [await shown(node, memory_id) for memory_id in answer.ids]
    assert (first.title, first.namespace, first.tags, first.priority, first.tier, first.source, first.confidence) == (
        "a", "n", ("t",), 9, "long", "hook", 0.5,
    )
    assert first.metadata == {"k": 1, "agent_id": "alice", "scope": "team"}
    assert second.metadata == {"agent_id": "carol"}
    assert third.title_generated is True


async def test_the_array_alone_will_do(node: Node) -> None:
    bare = decode_body(BulkRequest, b'[{"content": "x"}]')
    answer = await service.remember_many(node, ALICE, bare)  # type: ignore[arg-type]
    assert answer.created == 1


async def test_an_empty_bulk_stores_nothing(node: Node) -> None:
    before = len(await ops_of(node.store))
    assert await store(node) == BulkAnswer(created=0, errors=(), updated=0, ids=(), results=())
    assert len(await ops_of(node.store)) == before


async def test_a_title_that_comes_twice_is_one_memory(node: Node) -> None:
    await put(node, "known", "old")
    answer = await store(
        node, {"title": "t", "content": "one"}, {"title": "t", "content": "two"}, {"title": "known", "content": "new"}
    )
    assert (answer.created, answer.updated, kinds(answer)) == (1, 2, ["created", "updated", "updated"])
    assert len(answer.ids) == 2
    assert (await shown(node, answer.ids[0])).content == "two"
    assert len(await ids_listed(node)) == 2


async def test_a_refused_item_leaves_nothing_and_does_not_hinder_the_others(node: Node) -> None:
    before = len(await ops_of(node.store))
    answer = await store(
        node, {"title": "good", "content": "x"}, {"title": "blank", "content": " "}, {"title": "type", "content": 5},
        7, None, [], {}, {"title": "reserved", "content": "x", "namespace": "_agents"},
        {"title": "high", "content": "x", "priority": 11},
        {"title": "past", "content": "x", "expires_at": "2001-01-01T00:00:00Z"},
        {"content": "\x00"}, {"title": "last", "content": "y"},
    )
    assert (answer.created, len(answer.ids), len(answer.errors)) == (2, 2, 10)
    assert kinds(answer) == [
        "created", "invalid_request", "schema_mismatch", "schema_mismatch", "schema_mismatch", "schema_mismatch",
        "schema_mismatch", "reserved_namespace", "invalid_request", "invalid_request", "invalid_request", "created",
    ]
    assert [result.field for result in answer.results[7:10]] == ["namespace", "priority", "expires_at"]
    assert answer.errors[0].startswith("blank: content is blank")
    assert answer.errors[2] == "item 3: the body must be an object, not an integer"
    assert [result.index for result in answer.results] == list(range(12))
    assert len(await ids_listed(node)) == 2
    assert [len(op.entries) for op in (await ops_of(node.store))[before:]] == [2]


async def test_all_items_share_one_transaction(node: Node) -> None:
    groups = node.store.counts.groups
    await store(node, *({"title": f"t{n}", "content": "x"} for n in range(100)))
    assert node.store.counts.groups == groups + 1


async def test_new_memories_share_ops_of_bounded_size(node: Node) -> None:
    before = len(await ops_of(node.store))
    answer = await store(node, *({"title": f"t{n}", "content": "x"} for n in range(2 * SHARED_OP_COUNT + 1)))
    ops = (await ops_of(node.store))[before:]
    assert [len(op.entries) for op in ops] == [SHARED_OP_COUNT, SHARED_OP_COUNT, 1]
    assert list(dict.fromkeys(result.version for result in answer.results)) == [str(op.dot) for op in ops]
    large = await store(node, *({"title": f"l{n}", "content": "x" * 60_000} for n in range(6)))
    ops = (await ops_of(node.store))[before + 3 :]
    assert (large.created, [len(op.entries) for op in ops]) == (6, [4, 2])


async def test_what_meets_another_item_is_an_op_of_its_own(node: Node) -> None:
    before = len(await ops_of(node.store))
    titles = ("a", "b", "a", "c")
    answer = await store(node, *({"title": title, "content": f"text {n}"} for n, title in enumerate(titles)))
    assert kinds(answer) == ["created", "created", "updated", "created"]
    assert answer.results[2].id == answer.results[0].id
    ops = (await ops_of(node.store))[before:]
    assert [len(op.entries) for op in ops] == [2, 1, 1]


async def test_a_repeated_bulk_is_answered_from_the_first(node: Node) -> None:
    once = Once("key", b"hash")
    items = [{"title": "a", "content": "x"}, {"content": " "}, {"title": "b", "content": "y"}]
    first = await store(node, *items, once=once)
    assert first.ids == tuple(derived_memory_id("open", "key", index) for index in (0, 2))
    assert await store(node, *items, once=once) == first
    assert len(await ids_listed(node)) == 2


async def test_a_derived_id_that_is_taken_refuses_its_item_alone(node: Node) -> None:
    first = await store(node, {"title": "a", "content": "x"}, once=Once("key", b"hash"))
    await node.store.write(lambda transaction: transaction.conn.execute("DELETE FROM idempotency").rowcount)
    items = [{"title": "other", "content": "x"}, {"title": "b", "content": "y"}]
    again = await store(node, *items, once=Once("key", b"hash"))
    assert kinds(again) == ["id_taken", "created"]
    assert (await shown(node, first.ids[0])).title == "a"


async def test_too_many_items_are_refused_as_a_whole(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BULK_MAX", 2)
    assert (await refused(Code.INVALID_REQUEST, store(node, *({"content": "x"} for _ in range(3))))).field == "memories"
    assert await ids_listed(node) == set()


async def test_a_thousand_items_fit(node: Node) -> None:
    answer = await store(node, *({"title": f"t{n}", "content": f"text {n}"} for n in range(1000)))
    assert answer.created == len(set(answer.ids)) == 1000
    assert (await service.stats(node, BOB)).total == 1000


@pytest.mark.parametrize(("model", "reason"), [(ScriptedModel("tag"), msgspec.UNSET), (None, "no_llm")])
async def test_new_memories_are_offered_to_the_hooks_as_single_stores_are(
    tmp_path: Path, model: ScriptedModel | None, reason: object
) -> None:
    policy = Policy(autonomous_hooks=True, tier="autonomous")
    async with open_node(tmp_path / "m.db", threads=InlineThreads(), language=model, policy=policy) as node:
        long = "The port of the production database is 5432, and it moved there in March."
        once = Once("key", b"hash")
        items = [{"title": "a", "content": long}, {"title": "b", "content": "x"}, {"title": "a", "content": long}, {}]
        answer = await store(node, *items, once=once)
        assert answer.results[0].autonomy_hook_skipped == reason
        assert answer.results[1].autonomy_hook_skipped == (reason if model is None else "content_too_short")
        assert [result.autonomy_hook_skipped for result in answer.results[2:]] == [msgspec.UNSET] * 2
        await store(node, *items, once=once)
        assert node.hooks[0].statistics().current_buffer_used == (0 if model is None else 1)
