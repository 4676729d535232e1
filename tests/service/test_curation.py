"""The curator: what a cycle does and leaves alone, that each act comes with its record, and that each can be undone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, MemoryId
from aimem.service import Node, Once, survey
from aimem.service.lifetimes import apply_touch
from aimem.service.node import Touch
from aimem.wire import (
    ArchiveRequest,
    AutoConsolidateRequest,
    CurateRequest,
    CurationReport,
    ForgetRequest,
    GetArchivedQuery,
    LinkRequest,
    ListQuery,
    MemoryOut,
    ReportsQuery,
    RestoreQuery,
    Reversal,
    RollbackRequest,
    UpdateMemory,
)
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, another_node, connect, ids_listed, ops_of, put, refused, shown, tell

PLAN = "We deploy the release on Friday evening, after the freeze of the week."
OTHER = "The espresso machine on the third floor wants descaling tablets every month."


async def curate(node: Node, **bounds: object) -> CurationReport:
    return await service.curate(node, CurateRequest(**bounds))


async def roll_back(node: Node, record_id: object = None, last: int | None = None) -> tuple[Reversal, ...]:
    wanted = None if record_id is None else str(record_id)
    return (await service.roll_back(node, BOB, RollbackRequest(id=wanted, last=last))).records


async def visible(node: Node) -> list[tuple[MemoryOut, object]]:
    """All that a reader sees of everybody's memories."""
    page = await service.list_memories(node, ALICE, ListQuery(limit=1000))
    found = [memory for memory in page.memories if not memory.namespace.startswith("_")]
    return [(memory, (await service.links_of(node, ALICE, memory.id)).links) for memory in found]


async def archived(node: Node) -> dict[str, str]:
    page = await service.list_archive(node, ALICE, GetArchivedQuery(limit=1000))
    return {item.id: item.archive_reason for item in page.archived}


async def use(node: Node, clock: FakeClock, memory_id: str, times: int) -> None:
    for _ in range(times):
        await node.store.write(apply_touch, node, Touch((MemoryId(memory_id),), clock.now()))


async def records(node: Node) -> list[MemoryOut]:
    page = await service.list_memories(node, ALICE, ListQuery(namespace="_curator/rollback", limit=1000))
    return list(page.memories)


# --- each act, and its way back


async def near_duplicates(node: Node, clock: FakeClock) -> None:
    first = await put(node, "deploy", PLAN, tier="long", priority=9, tags=["ops"])
    clock.advance(60)
    second = await put(node, "deploy (again)", PLAN + " At nine.", tier="mid")
    await connect(node, first.id, second.id)


async def contradiction(node: Node, clock: FakeClock) -> None:
    older = await put(node, "deploy", PLAN, tier="long", confidence=0.5)
    clock.advance(60)
    newer = await put(node, "coffee", OTHER, confidence=0.5)
    await connect(node, newer.id, older.id, "contradicts")


async def much_used(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "deploy", PLAN, tier="long", priority=7)
    await use(node, clock, stored.id, 11)


async def never_used(node: Node, clock: FakeClock) -> None:
    await put(node, "deploy", PLAN, tier="long", priority=7)
    clock.advance(31 * DAY_S)


SCENES: dict[str, tuple[Callable[[Node, FakeClock], Awaitable[None]], str]] = {
    "duplicates": (near_duplicates, "consolidate"), "contradiction": (contradiction, "forget"),
    "much used": (much_used, "priority_adjust"), "never used": (never_used, "priority_adjust"),
}
each_scene = pytest.mark.parametrize(("scene", "action"), SCENES.values(), ids=SCENES)


@each_scene
async def test_rollback_gives_back_exactly_what_was_visible(
    node: Node, clock: FakeClock, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    before = await visible(node)
    report = await curate(node)
    assert [act.action for act in report.acts] == [action]
    assert await visible(node) != before
    [reversal] = await roll_back(node, report.acts[0].rollback_id)
    assert (reversal.reversed, reversal.already, reversal.action) == (True, False, action)
    assert (reversal.missing, reversal.kept) == ((), ())
    assert await visible(node) == before


@each_scene
async def test_act_and_record_are_one_op_and_the_record_holds_no_text(
    node: Node, clock: FakeClock, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    count = len(await ops_of(node.store))
    report = await curate(node)
    kinds = [op.kind for op in (await ops_of(node.store))[count:]]
    assert kinds == ["curate", "curate"]    # the act, and the report
    [record] = await records(node)
    assert (record.id, record.tier, record.priority) == (report.acts[0].rollback_id, "long", 3)
    assert record.tags == ("_rollback", action)
    assert json.loads(record.content)["action"] == action
    [kept] = (await service.list_memories(node, ALICE, ListQuery(namespace="_curator/reports"))).memories
    assert "deploy" in report.acts[0].titles    # the answer alone has them
    for word in ("deploy", "Friday", "espresso", "ops", "coffee"):
        assert word not in record.content + record.title + kept.content + kept.title


@each_scene
async def test_a_second_cycle_over_an_unchanged_store_does_nothing(
    node: Node, clock: FakeClock, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    await curate(node)
    before = await visible(node)
    clock.advance(3600)
    report = await curate(node)
    assert (report.acts, report.operations_attempted) == ((), 0)
    assert await visible(node) == before


@each_scene
async def test_what_a_person_took_back_is_not_done_again_unless_it_changes(
    node: Node, clock: FakeClock, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    await roll_back(node, (await curate(node)).acts[0].rollback_id)
    before = await visible(node)
    assert (await curate(node)).acts == ()
    assert await visible(node) == before


@each_scene
async def test_a_dry_run_tells_the_act_and_touches_nothing(
    node: Node, clock: FakeClock, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    before = await ops_of(node.store)
    told = await curate(node, dry_run=True)
    assert ([act.action for act in told.acts], told.dry_run, told.operations_attempted) == ([action], True, 1)
    assert not told.id
    assert told.autonomy.rollback_entries_written == 0
    assert await ops_of(node.store) == before
    done = await curate(node)
    assert [set(act.ids) for act in done.acts] == [set(act.ids) for act in told.acts]


@each_scene
async def test_another_node_that_learns_of_act_and_rollback_shows_the_same(
    node: Node, clock: FakeClock, tmp_path: Path, scene: Callable[[Node, FakeClock], Awaitable[None]], action: str
) -> None:
    await scene(node, clock)
    await curate(node)
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        assert await ids_listed(other) == await ids_listed(node)
        await roll_back(other, last=1)
        await tell(node, other)
        assert await ids_listed(other) == await ids_listed(node)


# --- duplicates


async def test_of_duplicates_the_newest_stays_and_lives_as_long_as_any(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    [(kept, _)] = await visible(node)
    assert (kept.title, kept.tier, kept.priority) == ("deploy (again)", "long", 9)
    assert not kept.expires_at
    assert report.autonomy.memories_consolidated == 1
    assert set((await archived(node)).values()) == {f"curator:{report.acts[0].rollback_id}"}


async def test_what_says_more_or_is_another_authors_stays(node: Node) -> None:
    await put(node, "a", PLAN, by=BOB)
    await put(node, "a (2)", PLAN + " Not at all.")
    await put(node, "b", PLAN + " Bob does it.", namespace="x")
    await put(node, "b (2)", PLAN + " Alice does it.", namespace="x")
    report = await curate(node)
    assert report.acts == ()
    assert report.autonomy.clusters_formed == 2


async def test_rollback_leaves_what_was_changed_since(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    [(kept, _)] = await visible(node)
    await service.update(node, ALICE, kept.id, UpdateMemory(priority=2))
    [reversal] = await roll_back(node, report.acts[0].rollback_id)
    assert reversal.kept == (kept.id,)
    now = (await shown(node, kept.id)).memory
    assert (now.priority, now.tier) == (2, "mid")
    assert len(await visible(node)) == 2


async def test_rollback_tells_what_was_restored_or_purged_since(node: Node, clock: FakeClock) -> None:
    await put(node, "deploy", PLAN)
    for number in (2, 3):
        clock.advance(60)
        await put(node, f"deploy {number}", PLAN + " deploy 2 3")
    report = await curate(node)
    gone, restored = [memory_id for memory_id in report.acts[0].ids if memory_id in await archived(node)]
    await service.restore(node, ALICE, restored, RestoreQuery())
    await service.delete(node, ALICE, restored)
    [reversal] = await roll_back(node, report.acts[0].rollback_id)
    assert (reversal.restored, reversal.missing) == ((gone,), (restored,))


async def test_rollback_onto_a_taken_name_is_refused_whole(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    await put(node, "deploy", "another text")
    before = await ops_of(node.store)
    await refused(Code.NAME_TAKEN, roll_back(node, report.acts[0].rollback_id))
    assert await ops_of(node.store) == before
    [reversal] = await roll_back(node, last=5)
    assert (reversal.reversed, reversal.code) == (False, Code.NAME_TAKEN)
    assert await ops_of(node.store) == before


# --- contradictions


async def test_a_contradicted_memory_is_archived_and_never_deleted(node: Node, clock: FakeClock) -> None:
    await contradiction(node, clock)
    report = await curate(node)
    assert (report.contradictions_found, report.autonomy.memories_forgotten) == (1, 1)
    assert [one.title for one, _ in await visible(node)] == ["coffee"]
    assert len(await archived(node)) == 1
    assert (await service.stats(node, ALICE)).tombstones == 0


@pytest.mark.parametrize(("older", "newer"), [
    ({"confidence": 0.9}, {"confidence": 0.5}), ({}, {"namespace": "elsewhere"}), ({}, {"scope": "private"}),
    ({"scope": "collective"}, {"scope": "team"}),
])
async def test_a_less_certain_or_less_visible_word_takes_nothing_away(
    node: Node, clock: FakeClock, older: dict[str, object], newer: dict[str, object]
) -> None:
    first = await put(node, "deploy", PLAN, **older)
    clock.advance(60)
    second = await put(node, "coffee", OTHER, **newer)
    await connect(node, second.id, first.id, "contradicts")
    report = await curate(node)
    assert (report.contradictions_found, report.acts) == (1, ())


async def test_a_word_of_the_model_alone_takes_nothing_away(node: Node, clock: FakeClock) -> None:
    first = await put(node, "deploy", PLAN)
    clock.advance(60)
    await put(node, "coffee", OTHER, metadata={"confirmed_contradictions": [first.id]})
    assert (await curate(node)).acts == ()


async def test_a_statement_that_was_taken_back_counts_no_longer(node: Node, clock: FakeClock) -> None:
    await contradiction(node, clock)
    [(_, (link,)), _] = await visible(node)
    await service.unlink(node, ALICE, LinkRequest(
        source_id=link.source_id, target_id=link.target_id, relation="contradicts"))
    assert (await curate(node)).acts == ()


# --- priorities


async def test_priority_goes_up_by_one_a_week_and_down_by_one_a_month(node: Node, clock: FakeClock) -> None:
    used = await put(node, "deploy", PLAN, tier="long", priority=5)
    unused = await put(node, "coffee", OTHER, tier="long", priority=2)
    await use(node, clock, used.id, 11)
    clock.advance(31 * DAY_S)
    seen = []
    for _ in range(9):
        await use(node, clock, used.id, 1)
        await curate(node)
        seen.append(((await shown(node, used.id)).memory.priority, (await shown(node, unused.id)).memory.priority))
        clock.advance(4 * DAY_S)
    raised = [one for one, _ in seen]
    assert raised == sorted(raised)
    assert 3 <= raised[-1] - raised[0] <= 7
    assert {lowered for _, lowered in seen} == {1}


async def test_priority_stays_within_its_range(node: Node, clock: FakeClock) -> None:
    top = await put(node, "deploy", PLAN, tier="long", priority=10)
    await put(node, "coffee", OTHER, tier="long", priority=1)
    await use(node, clock, top.id, 11)
    clock.advance(31 * DAY_S)
    await use(node, clock, top.id, 1)
    assert (await curate(node)).acts == ()


async def test_rollback_leaves_a_priority_that_somebody_set_since(node: Node, clock: FakeClock) -> None:
    await never_used(node, clock)
    report = await curate(node)
    [(memory, _)] = await visible(node)
    await service.update(node, ALICE, memory.id, UpdateMemory(priority=10))
    [reversal] = await roll_back(node, report.acts[0].rollback_id)
    assert reversal.kept == (memory.id,)
    assert (await shown(node, memory.id)).memory.priority == 10


# --- bounds


@pytest.mark.parametrize("fields", [
    {"tier": "short"}, {"content": "too short to matter"}, {"metadata": {"kind": "entity"}},
    {"metadata": {"governance": {"write": "any"}}}, {"namespace": "out"},
])
async def test_what_is_not_eligible_is_left_alone(node: Node, clock: FakeClock, fields: dict[str, object]) -> None:
    for title in ("same", "same again"):
        await put(node, title, **{"content": PLAN, **fields})
        clock.advance(60)
    assert (await curate(node, exclude_namespaces=["out"])).acts == ()


async def test_only_the_namespaces_asked_for_are_curated(node: Node, clock: FakeClock) -> None:
    for namespace in ("x", "y"):
        for title in ("same", "same again"):
            await put(node, title, PLAN, namespace=namespace)
            clock.advance(60)
    await curate(node, include_namespaces=["x"])
    assert sorted(memory.namespace for memory, _ in await visible(node)) == ["x", "y", "y"]


async def test_what_has_expired_is_not_looked_at(node: Node, clock: FakeClock) -> None:
    await put(node, "same", PLAN, ttl_secs=10)
    await put(node, "same again", PLAN)
    clock.advance(11)
    assert (await curate(node)).memories_scanned == 1


async def test_acts_are_bounded_and_the_rest_is_done_in_the_next_cycles(node: Node, clock: FakeClock) -> None:
    for number in range(5):
        await put(node, f"t{number}", f"{number} {OTHER} {number}", tier="long", namespace=f"n{number}")
    clock.advance(31 * DAY_S)
    reports = [await curate(node, max_ops=2) for _ in range(4)]
    assert [len(report.acts) for report in reports] == [2, 2, 1, 0]
    assert [report.operations_skipped_cap for report in reports] == [3, 1, 0, 0]
    assert [report.more for report in reports] == [True, True, False, False]


async def test_each_stretch_has_its_turn(node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "SCANNED_MAX", 2)
    for number in range(5):
        await put(node, f"t{number}", f"{number} {OTHER}", tier="long")
    clock.advance(31 * DAY_S)
    reports = [await curate(node) for _ in range(4)]
    assert [report.memories_scanned for report in reports] == [2, 2, 1, 2]
    assert [len(report.acts) for report in reports] == [2, 2, 1, 0]
    assert [report.more for report in reports] == [True, True, False, True]


async def test_the_place_is_kept_though_its_memory_went(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "SCANNED_MAX", 2)
    ids = [(await put(node, f"t{number}", f"{number} {OTHER}", tier="long")).id for number in range(4)]
    await curate(node)
    await service.archive(node, ALICE, ArchiveRequest(ids=[ids[1]]))
    assert (await curate(node)).memories_scanned == 2
    assert (await curate(node)).memories_scanned == 2


@pytest.mark.parametrize(("bounds", "field"), [
    ({"max_ops": -1}, "max_ops"), ({"max_ops": 1001}, "max_ops"),
    ({"include_namespaces": ["a//b"]}, "include_namespaces[0]"),
    ({"exclude_namespaces": ["x", ""]}, "exclude_namespaces[1]"),
    ({"include_namespaces": ["x"] * 101}, "include_namespaces"),
])
async def test_bounds_that_cannot_be_meant_are_refused(node: Node, bounds: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, curate(node, **bounds))).field == field


# --- reports


async def test_a_report_is_kept_with_the_fields_of_old_and_an_expiry(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    [kept] = (await service.list_memories(node, ALICE, ListQuery(namespace="_curator/reports"))).memories
    assert (kept.id, kept.tier) == (report.id, "mid")
    assert kept.expires_at
    saved = json.loads(kept.content)
    assert {name: saved[name] for name in ("clusters_formed", "memories_consolidated", "errors_total")} == {
        "clusters_formed": 1, "memories_consolidated": 1, "errors_total": 0,
    }
    assert saved["cycle_ts"] == report.started_at
    page = await service.curation_reports(node, BOB, ReportsQuery())
    assert page.count == 1
    assert page.reports[0] == msgspec.structs.replace(report, acts=())


async def test_reports_come_the_latest_first(node: Node, clock: FakeClock) -> None:
    made = []
    for _ in range(3):
        clock.advance(60)
        made.append((await curate(node)).id)
    page = await service.curation_reports(node, ALICE, ReportsQuery(limit=2))
    assert [report.id for report in page.reports] == [made[2], made[1]]
    for limit in (0, 1001):
        await refused(Code.INVALID_REQUEST, service.curation_reports(node, ALICE, ReportsQuery(limit=limit)))


async def test_the_curators_own_memories_are_closed_to_others(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    own = str(report.acts[0].rollback_id)
    await refused(Code.RESERVED_NAMESPACE, service.update(node, ALICE, own, UpdateMemory(content="x")))
    await refused(Code.RESERVED_NAMESPACE, service.delete(node, ALICE, own))
    done = await service.forget(node, ALICE, ForgetRequest(pattern="consolidate report rollback deploy"))
    assert done.deleted == 1
    assert (await service.auto_consolidate(node, ALICE, AutoConsolidateRequest(min_count=2))).groups == ()
    assert [record.id for record in await records(node)] == [own]


# --- rollback


async def test_rollback_twice_is_answered_and_not_done_again(node: Node, clock: FakeClock) -> None:
    await near_duplicates(node, clock)
    report = await curate(node)
    await roll_back(node, report.acts[0].rollback_id)
    before = await ops_of(node.store)
    [again] = await roll_back(node, report.acts[0].rollback_id)
    assert (again.reversed, again.already) == (True, True)
    assert await roll_back(node, last=3) == ()
    assert await ops_of(node.store) == before
    [record] = await records(node)
    assert record.tags[-1] == "_reversed"


async def test_the_last_ones_are_those_not_reversed_yet_the_latest_first(node: Node, clock: FakeClock) -> None:
    for number in range(4):
        await put(node, f"t{number}", f"{number} {OTHER}", tier="long")
    clock.advance(31 * DAY_S)
    acts = [str(act.rollback_id) for act in (await curate(node)).acts]
    assert [one.id for one in await roll_back(node, last=1)] == acts[3:]
    assert [one.id for one in await roll_back(node, last=2)] == [acts[2], acts[1]]
    assert [one.id for one in await roll_back(node, last=100)] == acts[:1]


async def test_all_acts_of_a_cycle_are_undone_together(node: Node, clock: FakeClock) -> None:
    for title in ("deploy", "deploy again"):
        await put(node, title, f"{PLAN} again", tier="long")
    old = await put(node, "old", OTHER, tier="long")
    clock.advance(31 * DAY_S)
    new = await put(node, "new", OTHER.replace("every", "each"), tier="long")
    await connect(node, new.id, old.id, "contradicts")
    before = await visible(node)
    report = await curate(node)
    assert {act.action for act in report.acts} == {"consolidate", "forget", "priority_adjust"}
    assert all(one.reversed for one in await roll_back(node, last=100))
    assert await visible(node) == before


async def test_a_retried_rollback_takes_back_nothing_more(node: Node, clock: FakeClock) -> None:
    for number in range(3):
        await put(node, f"t{number}", f"{number} {OTHER}", tier="long")
    clock.advance(31 * DAY_S)
    await curate(node)
    once = Once("key", b"hash")
    first = await service.roll_back(node, ALICE, RollbackRequest(last=1), once)
    assert await service.roll_back(node, ALICE, RollbackRequest(last=1), once) == first
    assert sum("_reversed" in record.tags for record in await records(node)) == 1


@pytest.mark.parametrize(("request_fields", "code", "field"), [
    ({}, Code.INVALID_REQUEST, "id"), ({"id": "a", "last": 1}, Code.INVALID_REQUEST, "id"),
    ({"last": 0}, Code.INVALID_REQUEST, "last"), ({"last": 101}, Code.INVALID_REQUEST, "last"),
    ({"id": ""}, Code.INVALID_REQUEST, "id"), ({"id": "nothing-here"}, Code.NOT_FOUND, "id"),
])
async def test_a_rollback_that_cannot_be_meant_is_refused(
    node: Node, request_fields: dict[str, object], code: Code, field: str
) -> None:
    request = RollbackRequest(**request_fields)
    assert (await refused(code, service.roll_back(node, ALICE, request))).field == field


async def test_an_ordinary_memory_is_no_record(node: Node) -> None:
    stored = await put(node, "a", '{"action": "priority_adjust", "memory_id": "x", "before": 1, "after": 2}')
    await refused(Code.NOT_FOUND, roll_back(node, stored.id))


# --- with a language model


def thinking_node(tmp_path: Path, clock: FakeClock, model: ScriptedModel) -> AbstractAsyncContextManager[Node]:
    return open_node(
        tmp_path / "thinking.db", clock=clock, chance=seeded_chance(3), threads=InlineThreads(), language=model
    )


async def alike(node: Node, clock: FakeClock) -> list[str]:
    stored = []
    for who in ("Alice", "Bob", "Carol"):
        stored.append((await put(node, f"deploy by {who}", f"{PLAN} {who} does it.", tags=[who])).id)
        clock.advance(60)
    return stored


async def test_a_model_sums_up_a_cluster_and_tags_the_rest(tmp_path: Path, clock: FakeClock) -> None:
    def say(system: str, user: str) -> str:
        return "release\ndeploys" if "tag" in system.lower() else "Deploys are on Friday evening; three people do them."

    async with thinking_node(tmp_path, clock, ScriptedModel(say)) as node:
        sources = await alike(node, clock)
        alone = await put(node, "coffee", OTHER)
        before = await visible(node)
        report = await curate(node)
        assert sorted(act.action for act in report.acts) == ["auto_tag", "consolidate"]
        assert (report.auto_tagged, report.autonomy.memories_consolidated) == (1, 3)
        made = next(one for one, _ in await visible(node) if one.source == "curator")
        [told] = [act for act in report.acts if act.action == "consolidate"]
        assert (told.kept, dict(zip(told.ids, told.titles, strict=True))[made.id]) == (made.id, made.title)
        assert made.content == "Deploys are on Friday evening; three people do them."
        assert made.title.startswith("[consolidated] deploy by Carol ~")
        assert made.tags == ("Alice", "Bob", "Carol")
        assert set(await archived(node)) == set(sources)
        tagged = (await shown(node, alone.id)).memory
        assert tagged.metadata["auto_tags"] == ["release", "deploys"]
        assert tagged.metadata["curated_at"]
        assert (await curate(node)).acts == ()
        await roll_back(node, last=10)
        assert await visible(node) == before
        # Neither act is repeated; that the sources are tagged now is another one.
        assert sorted((act.action, *act.ids) for act in (await curate(node)).acts) == sorted(
            ("auto_tag", source) for source in sources
        )


async def test_the_cycle_goes_on_without_a_model_that_fails(tmp_path: Path, clock: FakeClock) -> None:
    model = ScriptedModel("")
    async with thinking_node(tmp_path, clock, model) as node:
        await alike(node, clock)
        clock.advance(1)
        before = len(await visible(node))
        report = await curate(node)
        assert report.errors == ("language model: llm_answer_unusable",)
        assert len(await visible(node)) == before
        assert len(model.asked) == 1


async def test_a_dry_run_does_not_ask_the_model(tmp_path: Path, clock: FakeClock) -> None:
    model = ScriptedModel("text")
    async with thinking_node(tmp_path, clock, model) as node:
        await alike(node, clock)
        report = await curate(node, dry_run=True)
        assert (report.autonomy.clusters_formed, report.acts, model.asked) == (1, (), [])


async def test_nothing_is_put_away_for_a_summary_of_its_beginning(tmp_path: Path, clock: FakeClock) -> None:
    """Of each of eight texts the model reads 1,500 characters; what stands behind them would be in the archive only."""
    long = " ".join(f"word{n:03}" for n in range(250))
    async with thinking_node(tmp_path, clock, ScriptedModel("nothing of note; delete it all")) as node:
        for number in range(8):
            await put(node, f"t{number}", f"{long} and fact {'abcdefgh'[number] * 3}")
        report = await curate(node)
        assert (report.autonomy.clusters_formed, await archived(node)) == (0, {})
