"""Consolidate: the new memory, its sources, and what it may not do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, Instant, parse_instant
from aimem.service import Node, Once
from aimem.wire import ArchiveRequest, Consolidated, ConsolidateRequest, GetArchivedQuery, RecallRequest, RestoreQuery
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, all_quiet, another_node, ids_listed, ops_of, put, refused, shown, tell


async def consolidate(node: Node, *ids: str, once: Once | None = None, **fields: object) -> Consolidated:
    request = ConsolidateRequest(**{"ids": list(ids), "title": "whole", "summary": "All of it.", **fields})
    return await service.consolidate(node, BOB, request, once)


async def archived(node: Node) -> dict[str, str]:
    page = await service.list_archive(node, ALICE, GetArchivedQuery())
    return {item.id: item.archive_reason for item in page.archived}


async def test_the_sources_go_to_the_archive_and_the_new_memory_names_them(node: Node) -> None:
    one = await put(node, "a", "first", tags=["x"], priority=8, metadata={"k": 1})
    two = await put(node, "b", "second", tags=["w"], tier="short")
    done = await consolidate(node, one.id, two.id)
    assert (done.consolidated, done.title, done.namespace, done.tier) == (2, "whole", "global", "long")
    assert await ids_listed(node) == {done.id}
    assert await archived(node) == dict.fromkeys((one.id, two.id), f"consolidate:{done.id}")
    made = (await shown(node, done.id)).memory
    assert (made.content, made.tags, made.priority, made.confidence) == ("All of it.", ("w", "x"), 8, 1.0)
    assert made.source == "consolidation"
    assert made.metadata == {
        "agent_id": "bob", "k": 1, "derived_from": [one.id, two.id], "consolidated_from_agents": ["alice"],
    }


async def test_it_is_one_op(node: Node) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    before = len(await ops_of(node.store))
    await consolidate(node, one.id, two.id)
    after = await ops_of(node.store)
    assert [op.kind for op in after[before:]] == ["consolidate"]


async def test_a_source_that_is_restored_shows_the_link_to_it(node: Node) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    done = await consolidate(node, one.id, two.id)
    assert (await shown(node, done.id)).links == ()
    await service.restore(node, ALICE, one.id, RestoreQuery())
    [link] = (await shown(node, done.id)).links
    assert (link.source_id, link.target_id, link.relation, link.observed_by) == (done.id, one.id, "derived_from", "bob")


async def test_a_title_of_a_source_is_free_and_of_another_memory_is_not(node: Node) -> None:
    one, two = await put(node, "a", namespace="n"), await put(node, "b", namespace="n")
    other = await put(node, "c", namespace="n")
    before = await ops_of(node.store)
    error = await refused(Code.NAME_TAKEN, consolidate(node, one.id, two.id, title="c", namespace="n"))
    assert error.details["id"] == other.id
    assert await ops_of(node.store) == before
    done = await consolidate(node, one.id, two.id, title="a", namespace="n")
    assert (await shown(node, done.id)).memory.title == "a"


async def test_an_expired_holder_of_the_title_gives_it_up(node: Node, clock: FakeClock) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    await put(node, "whole", ttl_secs=10)
    clock.advance(11)
    assert (await consolidate(node, one.id, two.id)).title == "whole"


@pytest.mark.parametrize(("tier", "days"), [("short", 0.25), ("mid", 7), ("long", None)])
async def test_it_expires_as_its_tier_does(node: Node, clock: FakeClock, tier: str, days: float | None) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    done = await consolidate(node, one.id, two.id, tier=tier)
    made = (await shown(node, done.id)).memory
    assert made.tier == done.tier == tier
    if days is None:
        assert not made.expires_at
    else:
        assert made.expires_at == done.expires_at
        lifetime = parse_instant(str(made.expires_at), field="x") - parse_instant(made.created_at, field="x")
        assert lifetime == Instant(int(days * DAY_S * 1_000_000))


async def test_nothing_private_becomes_public(node: Node) -> None:
    one = await put(node, "a", scope="private", by=BOB)
    two = await put(node, "b", scope="collective")
    made = (await shown(node, (await consolidate(node, one.id, two.id)).id, by=BOB)).memory
    assert made.metadata["scope"] == "private"
    assert made.metadata["agent_id"] == "bob"


async def test_the_accesses_of_the_sources_are_kept(node: Node) -> None:
    one, two = await put(node, "a", "apples and pears"), await put(node, "b", "apples again")
    for _ in range(2):
        await service.recall(node, ALICE, RecallRequest(context="apples"))
    await all_quiet()
    made = await consolidate(node, one.id, two.id)
    assert (await shown(node, made.id)).memory.access_count == 4


async def test_an_unknown_or_archived_id_is_not_found_by_its_place(node: Node) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    await service.archive(node, ALICE, ArchiveRequest(ids=[two.id]))
    for memory_id in ("nothing-here", two.id):
        before = await ops_of(node.store)
        error = await refused(Code.NOT_FOUND, consolidate(node, one.id, memory_id))
        assert error.field == "ids[1]"
        assert await ops_of(node.store) == before


@pytest.mark.parametrize(("fields", "code", "field"), [
    ({"ids": []}, Code.INVALID_REQUEST, "ids"),
    ({"ids": ["a"]}, Code.INVALID_REQUEST, "ids"),
    ({"ids": [str(n) for n in range(101)]}, Code.INVALID_REQUEST, "ids"),
    ({"ids": ["a", "b", "a"]}, Code.INVALID_REQUEST, "ids[2]"),
    ({"ids": ["a", "b\0"]}, Code.INVALID_REQUEST, "ids[1]"),
    ({"ids": ["a", "\ud800"]}, Code.INVALID_REQUEST, "ids[1]"),
    ({"title": " "}, Code.INVALID_REQUEST, "title"),
    ({"title": "x" * 513}, Code.INVALID_REQUEST, "title"),
    ({"summary": " "}, Code.INVALID_REQUEST, "summary"),
    ({"summary": "x" * 65_537}, Code.INVALID_REQUEST, "summary"),
    ({"summary": "a\0b"}, Code.INVALID_REQUEST, "summary"),
    ({"tier": "eternal"}, Code.INVALID_REQUEST, "tier"),
    ({"source": "A b"}, Code.INVALID_REQUEST, "source"),
    ({"agent_id": "a b"}, Code.INVALID_REQUEST, "agent_id"),
    ({"namespace": "a//b"}, Code.INVALID_REQUEST, "namespace"),
    ({"namespace": "_curator"}, Code.RESERVED_NAMESPACE, "namespace"),
])
async def test_what_is_wrong_is_refused_by_its_field(
    node: Node, fields: dict[str, object], code: Code, field: str
) -> None:
    before = await ops_of(node.store)
    error = await refused(code, consolidate(node, "a", "b", **fields))
    assert error.field == field
    assert await ops_of(node.store) == before


async def test_a_retry_under_its_key_is_answered_and_not_done_again(node: Node) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    once = Once("key", b"hash")
    first = await consolidate(node, one.id, two.id, once=once)
    assert await consolidate(node, one.id, two.id, once=once) == first


async def test_a_hundred_memories_become_one(node: Node) -> None:
    ids = [(await put(node, f"t{n}", tags=[f"tag{n}"])).id for n in range(100)]
    done = await consolidate(node, *ids)
    assert done.consolidated == 100
    assert len((await shown(node, done.id)).memory.tags) == 50


async def test_another_node_that_learns_of_it_shows_the_same(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    done = await consolidate(node, one.id, two.id, title="a")
    async with another_node(tmp_path, clock) as other:
        await tell(other, node)
        assert await ids_listed(other) == {done.id}
        assert (await shown(other, done.id)).memory.content == "All of it."


# --- a summary by the language model


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("Both say the same.")


@pytest.fixture
async def thinking(
    anyio_backend: object, tmp_path: Path, clock: FakeClock, model: ScriptedModel
) -> AsyncIterator[Node]:
    async with open_node(
        tmp_path / "thinking.db", clock=clock, chance=seeded_chance(5), threads=InlineThreads(), language=model
    ) as node:
        yield node


async def test_without_a_summary_the_model_writes_one(thinking: Node, model: ScriptedModel) -> None:
    one, two = await put(thinking, "a", "first text"), await put(thinking, "b", "second text")
    done = await consolidate(thinking, one.id, two.id, summary=None)
    assert (done.auto_summary, done.summary_preview) == (True, "Both say the same.")
    assert (await shown(thinking, done.id)).memory.content == "Both say the same."
    [(_, asked)] = model.asked
    assert "first text" in asked
    assert "second text" in asked


async def test_without_a_model_it_is_needed(node: Node) -> None:
    one, two = await put(node, "a"), await put(node, "b")
    before = await ops_of(node.store)
    await refused(Code.NEEDS_LLM, consolidate(node, one.id, two.id, summary=None))
    assert await ops_of(node.store) == before


async def test_a_useless_answer_stores_nothing(thinking: Node, model: ScriptedModel) -> None:
    one, two = await put(thinking, "a"), await put(thinking, "b")
    model.script = [""]
    before = await ops_of(thinking.store)
    await refused(Code.LLM_ANSWER_UNUSABLE, consolidate(thinking, one.id, two.id, summary=None))
    assert await ops_of(thinking.store) == before


async def test_an_unknown_id_is_told_before_the_model_is_asked(thinking: Node, model: ScriptedModel) -> None:
    one = await put(thinking, "a")
    await refused(Code.NOT_FOUND, consolidate(thinking, one.id, "nothing", summary=None))
    assert model.asked == []


async def test_a_source_that_changes_meanwhile_is_a_conflict(
    thinking: Node, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def chat(system: str, user: str) -> str:
        await put(thinking, "a", "changed")
        return "A summary."

    one, two = await put(thinking, "a", "first text"), await put(thinking, "b", "second text")
    monkeypatch.setattr(model, "chat", chat)
    await refused(Code.CONFLICT, consolidate(thinking, one.id, two.id, summary=None))
    assert (await shown(thinking, two.id)).memory.content == "second text"


async def test_a_retry_is_answered_without_asking_the_model(thinking: Node, model: ScriptedModel) -> None:
    one, two = await put(thinking, "a"), await put(thinking, "b")
    once = Once("key", b"hash")
    first = await consolidate(thinking, one.id, two.id, summary=None, once=once)
    model.is_down = True
    assert await consolidate(thinking, one.id, two.id, summary=None, once=once) == first
