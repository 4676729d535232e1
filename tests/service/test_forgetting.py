"""Forget: what goes, what never does, and that undo brings exactly that back."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S
from aimem.service import Node, Once, forgetting
from aimem.wire import (
    ArchiveRequest,
    ForgetRequest,
    Forgotten,
    GetArchivedQuery,
    ListQuery,
    MemoryOut,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, all_quiet, another_node, connect, ids_listed, ops_of, put, refused, tell


async def forget(node: Node, *, once: Once | None = None, **filters: object) -> Forgotten:
    return await service.forget(node, ALICE, ForgetRequest(**filters), once)


async def listing(node: Node) -> tuple[MemoryOut, ...]:
    return (await service.list_memories(node, ALICE, ListQuery(limit=1000))).memories


async def test_all_filters_hold_and_the_rest_stays(node: Node) -> None:
    gone = await put(node, "a", "old plans", namespace="x", tier="short")
    kept = [
        await put(node, "b", "old plans", namespace="x", tier="long"),
        await put(node, "c", "old plans", namespace="y", tier="short"),
        await put(node, "d", "new things", namespace="x", tier="short"),
    ]
    done = await forget(node, namespace="x", tier="short", pattern="plans")
    assert (done.deleted, done.archived, done.dry_run, done.more) == (1, True, False, False)
    assert await ids_listed(node) == {one.id for one in kept}
    [item] = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert (item.id, item.archive_reason) == (gone.id, f"forget:{done.forget_id}")


async def test_one_of_the_words_is_enough_in_any_form_in_title_text_or_tags(node: Node) -> None:
    for title, text, tags in (("Deploying", "x", []), ("b", "the lighthouse keeper", []), ("c", "x", ["figs"])):
        await put(node, title, text, tags=tags)
    await put(node, "d", "something else")
    done = await forget(node, pattern="deploy lighthouses figs")
    assert done.deleted == 3


async def test_an_identifier_has_to_stand_there_as_it_is(node: Node) -> None:
    probe = await put(node, "p", "the memory _ns_probe of a hook")
    await put(node, "q", "an ns and a probe, and ns probe")
    await put(node, "r", "version 2 of 1 and 3")
    version = await put(node, "s", "released v1.2.3 today")
    await all_quiet()
    assert [one.id for one in (await forget(node, pattern="_ns_probe", dry_run=True)).memories] == [probe.id]
    assert [one.id for one in (await forget(node, pattern="v1.2.3", dry_run=True)).memories] == [version.id]


async def test_words_of_unspaced_scripts_are_found_within_a_run(node: Node) -> None:
    found = await put(node, "p", "我们使用数据库保存记忆")
    await put(node, "q", "没有关系")
    await all_quiet()
    assert [one.id for one in (await forget(node, pattern="数据库", dry_run=True)).memories] == [found.id]


async def test_what_only_a_neighbour_in_the_conversation_says_is_no_reason(node: Node) -> None:
    said = await put(node, "a", "we sail to Norway", metadata={"conversation_id": "c"})
    await put(node, "b", "yes, let us", metadata={"conversation_id": "c"})
    assert [one.id for one in (await forget(node, pattern="norway", dry_run=True)).memories] == [said.id]


async def test_a_dry_run_names_what_would_go_and_changes_nothing(node: Node) -> None:
    one = await put(node, "a", "old plans", namespace="x")
    before = await ops_of(node.store)
    seen = await forget(node, namespace="x", dry_run=True)
    assert (seen.deleted, seen.would_delete, seen.dry_run) == (0, 1, True)
    assert [(item.id, item.title, item.namespace, item.tier) for item in seen.memories] == [(one.id, "a", "x", "mid")]
    assert await ops_of(node.store) == before


async def test_nothing_to_forget_writes_nothing(node: Node) -> None:
    await put(node, "a")
    before = await ops_of(node.store)
    done = await forget(node, namespace="elsewhere")
    assert (done.deleted, done.archived) == (0, True)
    assert await ops_of(node.store) == before


@pytest.mark.parametrize(("filters", "code", "field"), [
    ({}, Code.INVALID_REQUEST, "pattern"),
    ({"dry_run": True}, Code.INVALID_REQUEST, "pattern"),
    ({"tier": "shrot", "namespace": "x"}, Code.INVALID_REQUEST, "tier"),
    ({"namespace": ""}, Code.INVALID_REQUEST, "namespace"),
    ({"namespace": "_agents"}, Code.RESERVED_NAMESPACE, "namespace"),
    ({"namespace": "*"}, Code.RESERVED_NAMESPACE, "namespace"),
    ({"pattern": " "}, Code.INVALID_REQUEST, "pattern"),
    ({"pattern": "?!"}, Code.INVALID_REQUEST, "pattern"),
    ({"pattern": "x" * 70_000}, Code.INVALID_REQUEST, "pattern"),
    ({"undo": "f", "tier": "short"}, Code.INVALID_REQUEST, "undo"),
    ({"undo": "f", "dry_run": True}, Code.INVALID_REQUEST, "undo"),
    ({"undo": ""}, Code.INVALID_REQUEST, "undo"),
    ({"undo": "unknown"}, Code.NOT_FOUND, "undo"),
])
async def test_what_is_wrong_is_refused_and_nothing_goes(
    node: Node, filters: dict[str, object], code: Code, field: str
) -> None:
    await put(node, "a", namespace="x", tier="short")
    before = await ops_of(node.store)
    error = await refused(code, forget(node, **filters))
    assert error.field == field
    assert await ops_of(node.store) == before


async def test_undo_brings_back_exactly_what_went_as_it_was(node: Node, clock: FakeClock) -> None:
    first = await put(node, "a", namespace="x", scope="team", metadata={"k": 1}, tags=["t"], by=BOB)
    second = await put(node, "b", namespace="x", tier="long", priority=9)
    await connect(node, first.id, second.id, "supersedes")
    earlier = await put(node, "c", namespace="x")
    await service.archive(node, ALICE, ArchiveRequest(ids=[earlier.id]))
    before = await listing(node)
    links = (await service.links_of(node, ALICE, first.id)).links
    done = await forget(node, namespace="x")
    assert await ids_listed(node) == set()
    clock.advance(60)
    undone = await forget(node, undo=done.forget_id)
    assert (undone.restored, undone.not_restored, undone.forget_id) == (2, (), done.forget_id)
    assert await listing(node) == before
    assert (await service.links_of(node, ALICE, first.id)).links == links
    await refused(Code.NOT_FOUND, forget(node, undo=done.forget_id))


async def test_undo_leaves_what_has_lost_its_name_and_says_so(node: Node) -> None:
    lost, free = await put(node, "a", namespace="x"), await put(node, "b", namespace="x")
    done = await forget(node, namespace="x")
    usurper = await put(node, "a", "another text", namespace="x")
    undone = await forget(node, undo=done.forget_id)
    assert undone.restored == 1
    [item] = undone.not_restored
    assert (item.id, item.code) == (lost.id, Code.NAME_TAKEN)
    assert await ids_listed(node) == {free.id, usurper.id}
    await service.delete(node, ALICE, usurper.id)
    assert (await forget(node, undo=done.forget_id)).restored == 1


async def test_an_expiry_that_passed_in_the_archive_begins_anew(node: Node, clock: FakeClock) -> None:
    one = await put(node, "a", namespace="x")
    done = await forget(node, namespace="x")
    clock.advance(30 * DAY_S)
    assert (await forget(node, undo=done.forget_id)).restored == 1
    assert await ids_listed(node) == {one.id}


async def test_what_has_expired_is_left_alone(node: Node, clock: FakeClock) -> None:
    await put(node, "brief", "plans", ttl_secs=10)
    kept = await put(node, "kept", "plans", tier="long")
    clock.advance(11)
    done = await forget(node, pattern="plans", dry_run=True)
    assert [one.id for one in done.memories] == [kept.id]


async def test_a_retry_under_its_key_is_answered_and_not_done_again(node: Node) -> None:
    await put(node, "a", namespace="x")
    once = Once("key", b"hash")
    first = await forget(node, namespace="x", once=once)
    await put(node, "b", namespace="x")
    assert await forget(node, namespace="x", once=once) == first
    assert len(await ids_listed(node)) == 1


async def test_more_than_one_request_takes_is_said(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "FORGET_MAX", 2)
    monkeypatch.setattr(forgetting, "SHOWN_MAX", 1)
    for title in "abc":
        await put(node, title, namespace="x")
    seen = await forget(node, namespace="x", dry_run=True)
    assert (seen.would_delete, len(seen.memories), seen.more) == (3, 1, True)
    assert [(done.deleted, done.more) for done in [await forget(node, namespace="x") for _ in range(2)]] == [
        (2, True), (1, False),
    ]


async def test_another_node_that_learns_of_it_shows_the_same(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    for title in "abc":
        await put(node, title, namespace="x")
    kept = await put(node, "d", namespace="y")
    done = await forget(node, namespace="x")
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        assert await ids_listed(other) == {kept.id}
        await service.forget(other, BOB, ForgetRequest(undo=done.forget_id))
        await tell(node, other)
        assert await ids_listed(node) == await ids_listed(other)
        assert len(await ids_listed(node)) == 4
