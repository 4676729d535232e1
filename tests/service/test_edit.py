"""Changing one memory: update, delete, promote."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, Instant, after, chain_hash, derived_memory_id, format_instant
from aimem.service import Node, Once
from aimem.store import oplog
from aimem.wire import ArchiveRequest, GcQuery, ImportMemory, ImportRequest, RestoreQuery, SearchQuery, UpdateMemory
from tests.nodes import FakeClock
from tests.service.steps import (
    ALICE,
    BOB,
    another_node,
    connect,
    history_of,
    ids_listed,
    ops_of,
    put,
    refused,
    shown,
    tell,
)

ONCE = Once("key-1", b"hash")


def in_s(clock: FakeClock, seconds: float) -> str:
    return format_instant(after(Instant(clock.at), seconds))


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        ({"title": " new "}, {"title": "new"}),
        ({"content": "new\n"}, {"content": "new\n"}),
        ({"namespace": "other/place"}, {"namespace": "other/place"}),
        ({"tags": [" x", "x", "y"]}, {"tags": ("x", "y")}),
        ({"tags": []}, {"tags": ()}),
        ({"priority": 1}, {"priority": 1}),
        ({"confidence": 0.25}, {"confidence": 0.25}),
        ({"tier": "long"}, {"tier": "long", "expires_at": msgspec.UNSET}),
        ({"tier": "short"}, {"tier": "mid"}),
        ({"expires_at": "2200-01-01T00:00:00Z"}, {"expires_at": "2200-01-01T00:00:00.000000Z"}),
        ({"expires_at": ""}, {"expires_at": msgspec.UNSET}),
        ({"metadata": {"l": 2}}, {"metadata": {"l": 2, "agent_id": "alice", "scope": "team"}}),
        ({"metadata": {"agent_id": "mallory", "scope": "org"}}, {"metadata": {"agent_id": "alice", "scope": "org"}}),
        ({"scope": "org"}, {"metadata": {"k": 1, "agent_id": "alice", "scope": "org"}}),
        ({}, {"metadata": {"k": 1, "agent_id": "alice", "scope": "team"}}),
    ],
)
async def test_an_update_changes_what_it_names_and_answers_what_is_stored(
    node: Node, clock: FakeClock, change: dict[str, object], shows: dict[str, object]
) -> None:
    stored = await put(node, "t", "old", tags=["a"], priority=7, confidence=0.9, metadata={"k": 1}, scope="team")
    before = msgspec.structs.asdict((await shown(node, stored.id)).memory)
    clock.advance(60)
    answer = await service.update(node, ALICE, stored.id, msgspec.convert(change, UpdateMemory))
    now = msgspec.structs.asdict((await shown(node, stored.id)).memory)
    assert now.pop("updated_at") > before.pop("updated_at")
    assert now == {**before, **shows}
    assert {name: getattr(answer, name) for name in now} == now
    assert answer.version == str((await ops_of(node.store))[-1].dot)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": " "}, "title"), ({"content": " "}, "content"), ({"tier": "x"}, "tier"),
        ({"priority": 0}, "priority"), ({"confidence": 2.0}, "confidence"), ({"expires_at": "soon"}, "expires_at"),
        ({"scope": "x"}, "scope"), ({"metadata": {"scope": "x"}}, "metadata.scope"), ({"tags": [""]}, "tags[0]"),
        ({"namespace": "/"}, "namespace"),
    ],
)
async def test_a_bad_change_is_refused_by_its_field_and_nothing_is_written(
    node: Node, change: dict[str, object], field: str
) -> None:
    stored = await put(node, "t")
    count = len(await ops_of(node.store))
    request = msgspec.convert({"content": "new", **change}, UpdateMemory)
    code = Code.UNKNOWN_SCOPE if field.endswith("scope") else Code.INVALID_REQUEST
    assert (await refused(code, service.update(node, ALICE, stored.id, request))).field == field
    assert len(await ops_of(node.store)) == count


@pytest.mark.parametrize(
    ("tier", "change", "left_s"),
    [
        ("short", {"tier": "mid"}, 7 * DAY_S),
        ("short", {"tier": "long"}, None),
        ("short", {"tier": "mid", "expires_at": "CLOCK+60"}, 60),
        ("long", {"tier": "short"}, None),
    ],
)
async def test_a_raised_tier_brings_its_life_with_it(
    node: Node, clock: FakeClock, tier: str, change: dict[str, object], left_s: float | None
) -> None:
    clock.step_us = 0
    stored = await put(node, "t", tier=tier)
    if change.get("expires_at") == "CLOCK+60":
        change = {**change, "expires_at": in_s(clock, 60)}
    answer = await service.update(node, ALICE, stored.id, msgspec.convert(change, UpdateMemory))
    assert answer.expires_at == (msgspec.UNSET if left_s is None else in_s(clock, left_s))


async def test_an_expiry_that_was_cleared_stays_cleared_when_the_tier_rises(node: Node) -> None:
    stored = await put(node, "t", tier="short")
    await service.update(node, ALICE, stored.id, UpdateMemory(expires_at=""))
    answer = await service.update(node, ALICE, stored.id, UpdateMemory(tier="mid"))
    assert (answer.tier, answer.expires_at) == ("mid", msgspec.UNSET)


async def test_an_update_into_the_past_hides_the_memory_and_answers_it_as_stored(node: Node) -> None:
    stored = await put(node, "t", "old")
    change = UpdateMemory(content="new", expires_at="2020-01-01T00:00:00Z")
    answer = await service.update(node, ALICE, stored.id, change)
    assert (answer.content, answer.expires_at) == ("new", "2020-01-01T00:00:00.000000Z")
    await refused(Code.NOT_FOUND, shown(node, stored.id))


async def test_an_edit_by_another_names_the_editor_and_keeps_author_and_metadata(node: Node) -> None:
    stored = await put(node, "t", "old", metadata={"k": 1})
    await service.update(node, BOB, stored.id, UpdateMemory(content="new"))
    assert (await shown(node, stored.id)).metadata == {"k": 1, "agent_id": "alice", "edited_by": "bob"}
    await service.update(node, BOB, stored.id, UpdateMemory(metadata={"agent_id": "bob"}))
    assert (await shown(node, stored.id)).metadata == {"agent_id": "alice", "edited_by": "bob"}


async def test_replaced_texts_go_to_the_history_and_at_most_eight_stay(node: Node) -> None:
    stored = await put(node, "t", "text 0")
    for number in range(1, 12):
        await service.update(node, ALICE, stored.id, UpdateMemory(content=f"text {number}"))
        await service.update(node, ALICE, stored.id, UpdateMemory(priority=number % 10 + 1))
    assert [content for _, content in await history_of(node, stored.id)] == [f"text {n}" for n in range(3, 11)]
    await service.update(node, ALICE, stored.id, UpdateMemory(title="u"))
    assert (await history_of(node, stored.id))[-1] == ("t", "text 11")


async def test_a_unique_prefix_names_the_memory_to_update(node: Node) -> None:
    stored = await put(node, "t")
    assert (await service.update(node, ALICE, stored.id[:8], UpdateMemory(content="new"))).id == stored.id


async def test_a_name_that_a_live_memory_has_cannot_be_taken(node: Node) -> None:
    one, other = await put(node, "one"), await put(node, "one", namespace="away")
    third = await put(node, "three")
    for memory_id, change in [(third.id, UpdateMemory(title="one")), (other.id, UpdateMemory(namespace="global"))]:
        error = await refused(Code.NAME_TAKEN, service.update(node, ALICE, memory_id, change))
        assert (error.field, error.details["id"]) == ("title", one.id)


async def test_a_memory_may_be_renamed_to_its_own_name(node: Node) -> None:
    stored = await put(node, None, "words")
    answer = await service.update(node, ALICE, stored.id, UpdateMemory(title="words"))
    assert (answer.title, answer.title_generated) == ("words", msgspec.UNSET)


async def test_a_rename_takes_the_name_of_an_expired_memory(node: Node, clock: FakeClock) -> None:
    old = await put(node, "old", ttl_secs=60)
    stored = await put(node, "t")
    clock.advance(61)
    assert (await service.update(node, ALICE, stored.id, UpdateMemory(title="old"))).title == "old"
    assert (await service.stats(node, ALICE)).archived == 1
    await service.update(node, ALICE, stored.id, UpdateMemory(title="t"))
    assert (await service.restore(node, ALICE, old.id, RestoreQuery())).restored


async def test_a_memory_made_private_leaves_its_shared_name(node: Node) -> None:
    stored = await put(node, "t")
    await service.update(node, ALICE, stored.id, UpdateMemory(scope="private"))
    shared = await put(node, "t", by=BOB)
    assert shared.id != stored.id
    change = UpdateMemory(scope="team")
    await refused(Code.NAME_TAKEN, service.update(node, ALICE, stored.id, change))


async def test_a_rename_takes_its_shadows_along(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    elder = await put(node, "t", "the elder")
    clock.advance(1)
    async with another_node(tmp_path, clock) as other:
        await put(other, "t", "the younger", by=BOB)
        await tell(node, other)
        await service.update(node, ALICE, elder.id, UpdateMemory(title="u", namespace="away"))
        assert await ids_listed(node) == {elder.id}
        await tell(other, node)
        assert await ids_listed(other) == {elder.id}


@pytest.mark.parametrize("namespace", ["_agents", "*"])
async def test_a_memory_does_not_move_into_the_systems_namespaces(node: Node, namespace: str) -> None:
    stored = await put(node, "t")
    await refused(Code.RESERVED_NAMESPACE, service.update(node, ALICE, stored.id, UpdateMemory(namespace=namespace)))


async def test_a_repeated_key_updates_once(node: Node) -> None:
    stored = await put(node, "t")
    first = await service.update(node, ALICE, stored.id, UpdateMemory(content="new"), ONCE)
    await service.update(node, ALICE, stored.id, UpdateMemory(content="newer"))
    assert await service.update(node, ALICE, stored.id, UpdateMemory(content="new"), ONCE) == first
    assert (await shown(node, stored.id)).content == "newer"


async def test_a_delete_wants_the_whole_id(node: Node) -> None:
    stored = await put(node, "t")
    await refused(Code.NOT_FOUND, service.delete(node, ALICE, stored.id[:8]))
    answer = await service.delete(node, ALICE, stored.id)
    assert (answer.deleted, answer.id) == (True, stored.id)
    await refused(Code.NOT_FOUND, shown(node, stored.id))
    await refused(Code.NOT_FOUND, service.delete(node, ALICE, stored.id))


async def test_a_repeated_key_deletes_once_and_answers_alike(node: Node) -> None:
    stored = await put(node, "t")
    first = await service.delete(node, ALICE, stored.id, ONCE)
    assert await service.delete(node, ALICE, stored.id, ONCE) == first


async def test_a_delete_takes_links_history_and_words_with_it(node: Node) -> None:
    one, other = await put(node, "one", "zebra"), await put(node, "two")
    await service.update(node, ALICE, one.id, UpdateMemory(content="lion"))
    await connect(node, one.id, other.id)
    await service.delete(node, ALICE, one.id)
    assert (await service.links_of(node, ALICE, other.id)).links == ()
    assert (await service.stats(node, ALICE)).links_count == 0
    assert await history_of(node, one.id) == []
    assert (await service.search(node, ALICE, SearchQuery(q="lion"))).count == 0


async def test_a_delete_blanks_the_log_and_the_chain_still_holds(node: Node) -> None:
    stored = await put(node, "the title", "the secret content", tags=["a-tag"], metadata={"k": "a-value"})
    await service.update(node, ALICE, stored.id, UpdateMemory(content="another secret content"))
    await service.delete(node, ALICE, stored.id)
    ops = await ops_of(node.store)
    everything = b"".join(entry for op in ops for entry in op.entries)
    for word in (b"secret", b"the title", b"a-tag", b"a-value"):
        assert word not in everything
    previous = oplog.GENESIS
    for op in ops:
        assert op.previous == previous
        previous = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)


async def test_a_deleted_id_never_comes_back(node: Node) -> None:
    stored = await put(node, "t", once=ONCE)
    items = [ImportMemory(id=stored.id, title="t", content="again", updated_at="2026-01-01T00:00:00Z")]
    await service.delete(node, ALICE, stored.id)
    result = await service.import_memories(node, ALICE, ImportRequest(memories=items))
    assert (result.imported, len(result.errors)) == (0, 1)
    again = await put(node, "t", "anew")
    assert (again.action, again.id != stored.id) == ("created", True)
    await refused(Code.NOT_FOUND, shown(node, stored.id))


async def test_ops_that_arrive_after_a_delete_change_nothing(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    stored = await put(node, "t", "old")
    clock.advance(1)
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        await service.update(other, BOB, stored.id, UpdateMemory(content="an edit that did not know"))
        await service.delete(node, ALICE, stored.id)
        await tell(node, other)
        await tell(other, node)
        assert await ids_listed(node) == await ids_listed(other) == set()


async def test_a_delete_takes_the_shadows_of_the_name_with_it(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    await put(node, "t", "the elder")
    clock.advance(1)
    async with another_node(tmp_path, clock) as other:
        shadow = await put(other, "t", "the younger", by=BOB)
        await tell(node, other)
        await service.delete(node, ALICE, shadow.id)
        assert await ids_listed(node) == set()
        await tell(other, node)
        assert await ids_listed(other) == set()


async def test_a_promoted_memory_is_long_and_never_expires(node: Node) -> None:
    stored = await put(node, "t", tier="short")
    answer = await service.promote(node, ALICE, stored.id)
    assert (answer.promoted, answer.mode, answer.id, answer.tier) == (True, "tier", stored.id, "long")
    memory = await shown(node, stored.id)
    assert (memory.tier, memory.expires_at) == ("long", msgspec.UNSET)
    await refused(Code.NOT_FOUND, service.promote(node, ALICE, stored.id[:8]))


async def test_a_memory_is_copied_up_and_linked_to_what_it_was_copied_from(node: Node) -> None:
    stored = await put(
        node, "t", "text", by=BOB, namespace="a/b/c", tags=["x"], priority=8, metadata={"k": 1}, scope="team"
    )
    answer = await service.promote(node, ALICE, stored.id, "a")
    assert (answer.mode, answer.source_id, answer.to_namespace) == ("vertical", stored.id, "a")
    assert isinstance(answer.clone_id, str)
    clone, origin = await shown(node, answer.clone_id), await shown(node, stored.id)
    for field in ("title", "content", "tags", "priority", "tier", "metadata", "expires_at", "source", "confidence"):
        assert getattr(clone, field) == getattr(origin, field)
    assert clone.namespace == "a"
    assert [(link.source_id, link.target_id, link.relation) for link in clone.links] == [
        (clone.id, stored.id, "derived_from")
    ]


@pytest.mark.parametrize("target", ["a/b/c", "a/b/c/d", "b", "a/", "", "A", "a/b/"])
async def test_only_an_ancestor_takes_a_copy(node: Node, target: str) -> None:
    stored = await put(node, "t", namespace="a/b/c")
    error = await refused(Code.INVALID_REQUEST, service.promote(node, ALICE, stored.id, target))
    assert error.field == "to_namespace"


async def test_a_copy_does_not_overwrite_what_has_the_name_above(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", "below", namespace="a/b")
    above = await put(node, "t", "above", namespace="a", ttl_secs=3600)
    error = await refused(Code.NAME_TAKEN, service.promote(node, ALICE, stored.id, "a"))
    assert error.details["id"] == above.id
    clock.advance(3601)
    assert (await service.promote(node, ALICE, stored.id, "a")).promoted


async def test_a_repeated_key_makes_one_copy(node: Node) -> None:
    stored = await put(node, "t", namespace="a/b")
    first = await service.promote(node, ALICE, stored.id, "a", ONCE)
    assert await service.promote(node, ALICE, stored.id, "a", ONCE) == first
    assert first.clone_id == derived_memory_id("open", "key-1", 0)


async def test_a_copy_whose_derived_id_is_known_without_its_key_is_a_conflict(node: Node) -> None:
    stored = await put(node, "t", namespace="a/b")
    first = await service.promote(node, ALICE, stored.id, "a", ONCE)
    assert isinstance(first.clone_id, str)
    await service.delete(node, ALICE, first.clone_id)
    await node.store.write(lambda tx: tx.conn.execute("DELETE FROM idempotency").rowcount)
    await refused(Code.ID_TAKEN, service.promote(node, ALICE, stored.id, "a", ONCE))


async def test_an_archived_memory_can_be_neither_changed_nor_deleted(node: Node) -> None:
    stored = await put(node, "t")
    await service.archive(node, ALICE, ArchiveRequest(ids=[stored.id]))
    await refused(Code.NOT_FOUND, service.update(node, ALICE, stored.id, UpdateMemory(content="new")))
    await refused(Code.NOT_FOUND, service.delete(node, ALICE, stored.id))
    await refused(Code.NOT_FOUND, service.promote(node, ALICE, stored.id))
    await service.collect(node, ALICE, GcQuery())
    assert (await service.archive_stats(node, ALICE)).archived_total == 1


async def test_a_prefix_where_the_whole_id_is_needed_is_refused_with_the_id_it_fits(node: Node) -> None:
    memory_id = (await put(node, "one")).id
    error = await refused(Code.NOT_FOUND, service.delete(node, ALICE, memory_id[:8]))
    assert error.message.endswith(f"give the whole id: the one that begins so is {memory_id}")
    unknown = await refused(Code.NOT_FOUND, service.promote(node, ALICE, "zzzz-1"))
    assert "whole id" not in unknown.message
    assert await ids_listed(node) == {memory_id}
