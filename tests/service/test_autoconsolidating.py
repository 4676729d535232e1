"""Consolidation by tags: which memories come together, in which order, and what is left alone."""

from __future__ import annotations

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import AgentId, MemoryId, Scope, rules
from aimem.service import Node, autoconsolidate
from aimem.service.grouping import UNTAGGED, decide_groups, digest_of, title_of
from aimem.store import curation
from aimem.wire import AutoConsolidated, AutoConsolidateRequest
from tests.service.steps import ALICE, BOB, ids_listed, ops_of, put, refused, shown
from tests.service.test_merging import memory


def sketch(memory_id: str, *tags: str, scope: Scope | None = None, owner: str = "") -> curation.Sketch:
    return curation.Sketch(
        id=MemoryId(memory_id), title=memory_id, tags=tags, scope=scope, author=AgentId("alice"), owner=owner
    )


def members(sketches: list[curation.Sketch], least: int = 2) -> list[tuple[str, str]]:
    return [(group.tag, "".join(one.id for one in group.members)) for group in decide_groups(sketches, least)]


@pytest.mark.parametrize(("sketches", "expected"), [
    ([sketch("1", "a"), sketch("2", "a"), sketch("3")], [("a", "12")]),
    ([sketch("1"), sketch("2")], [(UNTAGGED, "12")]),
    ([sketch("1", "b", "a"), sketch("2", "a", "b"), sketch("3", "b")], [("b", "123")]),
    ([sketch("1", "b", "a"), sketch("2", "a", "b")], [("a", "12")]),
    ([sketch("1", "a"), sketch("2", "a", "b"), sketch("3", "b"), sketch("4", "b")], [("b", "234")]),
    ([sketch("1", "a", scope=Scope.TEAM), sketch("2", "a")], []),
    ([sketch("1", "a", scope=Scope.PRIVATE, owner="x"), sketch("2", "a", scope=Scope.PRIVATE, owner="y")], []),
    ([], []),
])
def test_groups_are_disjoint_the_largest_first_and_of_one_audience(
    sketches: list[curation.Sketch], expected: list[tuple[str, str]]
) -> None:
    assert members(sketches) == expected


def test_the_order_of_tags_or_of_rows_without_a_tie_does_not_matter() -> None:
    rows = [sketch(f"{n:02}", *tags) for n, tags in enumerate(["ab", "ba", "bc", "c", "ca", "cd"])]
    assert {tag for tag, _ in members(rows)} == {tag for tag, _ in members(rows[::-1])}


def test_a_group_has_at_most_a_hundred_and_the_rest_forms_another() -> None:
    assert [len(group.members) for group in decide_groups([sketch(str(n), "a") for n in range(150)], 3)] == [100, 50]


def test_a_line_is_cut_between_characters_and_a_hundred_lines_fit() -> None:
    long = memory("x", title="é" * 500, content="日本語" * 100 + "\n\nmore")
    line = digest_of([long])
    assert "\ufffd" not in line
    assert line.endswith(("本 ...", "日 ...", "語 ..."))
    assert "\n" not in line
    assert len(digest_of([long] * 100).encode()) <= rules.CONTENT_MAX_BYTES
    assert digest_of([memory("t", content="short  text"), memory("g", title_generated=True)]) == "- t: short text\n- c"


def test_a_title_fits_whatever_the_namespace() -> None:
    assert title_of("ops", "n", 3) == "Consolidated: ops (3 memories)"
    assert len(title_of(UNTAGGED, "n" * 512, 100)) + len(" ~12345678") <= rules.TITLE_MAX_CHARS


async def auto(node: Node, **fields: object) -> AutoConsolidated:
    return await service.auto_consolidate(node, BOB, AutoConsolidateRequest(**fields))


async def three(node: Node, tag: str, **fields: object) -> list[str]:
    tags = [tag] if tag else []
    return [(await put(node, f"{tag or 'plain'} {n}", f"text {n}", tags=tags, **fields)).id for n in range(3)]


async def test_each_group_becomes_one_long_memory(node: Node) -> None:
    ops, plain = await three(node, "ops", namespace="a"), await three(node, "", namespace="b")
    alone = await put(node, "alone", tags=["x"], namespace="a")
    done = await auto(node)
    assert (done.consolidated, done.dry_run, done.more) == (6, False, False)
    assert [(group.namespace, group.tag, group.count) for group in done.groups] == [("a", "ops", 3), ("b", UNTAGGED, 3)]
    assert [group.ids for group in done.groups] == [tuple(ops), tuple(plain)]
    made = [str(group.id) for group in done.groups]
    assert await ids_listed(node) == {alone.id, *made}
    first = (await shown(node, made[0])).memory
    assert (first.title, first.tier, first.source) == ("Consolidated: ops (3 memories)", "long", "auto-consolidate")
    assert first.content == "- ops 0: text 0\n- ops 1: text 1\n- ops 2: text 2"
    assert (await shown(node, made[1])).memory.title == "Consolidated: b (3 memories)"


async def test_again_changes_nothing(node: Node) -> None:
    for tag in ("a", "b", "c"):
        await three(node, tag)
    await auto(node)
    before = await ops_of(node.store)
    assert (await auto(node, min_count=2)).groups == ()
    assert await ops_of(node.store) == before


async def test_a_dry_run_shows_the_same_groups_and_changes_nothing(node: Node) -> None:
    await three(node, "ops")
    before = await ops_of(node.store)
    seen = await auto(node, dry_run=True)
    assert (seen.consolidated, seen.dry_run) == (0, True)
    [group] = seen.groups
    assert (group.count, group.titles) == (3, ("ops 0", "ops 1", "ops 2"))
    assert await ops_of(node.store) == before
    assert (await auto(node)).groups[0].ids == group.ids


async def test_a_title_that_is_taken_gets_a_suffix(node: Node) -> None:
    await put(node, "Consolidated: ops (3 memories)", tier="long")
    await three(node, "ops")
    [group] = (await auto(node)).groups
    assert str(group.title).startswith("Consolidated: ops (3 memories) ~")


async def test_filters_narrow(node: Node) -> None:
    await three(node, "a", namespace="x", tier="long")
    short = await three(node, "b", namespace="x", tier="short")
    await three(node, "c", namespace="y", tier="short")
    [group] = (await auto(node, namespace="x", short_only=True)).groups
    assert group.ids == tuple(short)


async def test_the_private_stays_with_whom_it_belongs_to(node: Node) -> None:
    await three(node, "ops", scope="private")
    [group] = (await auto(node)).groups
    made = (await shown(node, str(group.id))).memory
    assert (made.metadata["agent_id"], made.metadata["scope"]) == ("alice", "private")


async def test_entities_and_the_systems_namespaces_are_left_alone(node: Node) -> None:
    await three(node, "ops", metadata={"kind": "entity"})
    assert (await auto(node, min_count=2)).groups == ()
    await refused(Code.RESERVED_NAMESPACE, auto(node, namespace="_curator/reports"))


@pytest.mark.parametrize(("fields", "field"), [
    ({"min_count": 1}, "min_count"), ({"min_count": 101}, "min_count"), ({"namespace": "a//b"}, "namespace"),
    ({"namespace": ""}, "namespace"),
])
async def test_what_is_wrong_is_refused_by_its_field(node: Node, fields: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, auto(node, **fields))).field == field


async def test_more_groups_than_one_request_does_are_said(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoconsolidate, "GROUPS_MAX", 2)
    for name in "abc":
        await three(node, name, namespace=name)
    first, second = await auto(node), await auto(node)
    assert [len(first.groups), len(second.groups)] == [2, 1]
    assert (first.more, second.more) == (True, False)


async def test_what_changed_since_it_was_looked_at_is_not_taken(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await three(node, "ops")
    found = await node.store.read(autoconsolidate._find, node, ALICE, None, None, 3)
    await service.delete(node, ALICE, ids[0])
    wrote = await node.store.write(autoconsolidate._consolidate_group, node, ALICE, found[0], None, 3)
    assert wrote.value is None
    assert await ids_listed(node) == set(ids[1:])
