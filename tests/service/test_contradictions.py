"""Contradictions: found in links and texts, and settled for one side."""

from __future__ import annotations

from importlib import import_module

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Principal
from aimem.service import Node, Once
from aimem.wire import (
    Contradictions,
    ContradictionsQuery,
    InvalidateRequest,
    LinkRequest,
    RecallRequest,
    ResolveRequest,
    Stored,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, all_quiet, as_agent, connect, ops_of, put, refused, shown

MODULE = import_module("aimem.service.contradictions")     # the room's name of it is the function
ONCE = Once("key-1", b"hash")


async def about(node: Node, topic: str | None, *, by: Principal = ALICE, **more: object) -> Contradictions:
    return await service.contradictions(node, by, ContradictionsQuery(topic=topic, **more))  # type: ignore[arg-type]


def pairs(found: Contradictions) -> list[tuple[str, str, bool]]:
    titles = {memory.id: memory.title for memory in found.memories}
    return [(titles[link.source_id], titles[link.target_id], link.synthesized) for link in found.links]


async def on(node: Node, title: str, content: str, topic: str = "port", **more: object) -> Stored:
    return await put(node, title, content, metadata={"topic": topic}, **more)


# --- finding


async def test_different_texts_on_one_topic_contradict_and_the_newer_is_named_first(node: Node) -> None:
    for title, content in (("old", "5432"), ("new", "5433"), ("same", "5433")):
        await on(node, title, content)
    await on(node, "other", "blue", topic="colour")
    await put(node, "untold", "5434")
    found = await about(node, "port")
    assert {memory.title for memory in found.memories} == {"old", "new", "same"}
    assert set(pairs(found)) == {("new", "old", True), ("same", "old", True)}
    assert {link.relation for link in found.links} == {"contradicts"}
    assert (found.count, found.truncated) == (3, False)


async def test_a_title_is_a_topic_too_and_namespaces_are_searched_together_or_alone(node: Node) -> None:
    await put(node, "port", "1", namespace="a")
    await put(node, "port", "2", namespace="b")
    await on(node, "x", "3", namespace="b")
    assert (await about(node, "port")).count == 3
    assert len((await about(node, "port")).links) == 3
    assert (await about(node, "port", namespace="b")).count == 2


async def test_without_a_topic_memories_of_a_namespace_are_told_apart_by_theirs(node: Node) -> None:
    for title, content, topic in (("a", "1", "x"), ("b", "2", "x"), ("c", "3", "y")):
        await on(node, title, content, topic=topic)
    await put(node, "y", "4")
    await put(node, "odd", "5", metadata={"topic": 7})
    assert set(pairs(await about(node, None, namespace="global"))) == {("b", "a", True), ("y", "c", True)}


async def test_the_topic_is_looked_for_before_the_limit_counts(node: Node) -> None:
    for number in range(20):
        await put(node, f"noise {number}", priority=10)
    await on(node, "a", "1", priority=1)
    await on(node, "b", "2", priority=1)
    assert pairs(await about(node, "port", limit=2)) == [("b", "a", True)]
    cut = await about(node, "port", limit=1)
    assert (cut.count, cut.truncated, cut.links) == (1, True, ())


async def test_what_is_stated_is_not_synthesized_and_only_while_it_holds(node: Node, clock: FakeClock) -> None:
    one, other = (await on(node, "a", "1")).id, (await on(node, "b", "2")).id
    await connect(node, one, other, "contradicts")
    assert pairs(await about(node, "port")) == [("a", "b", False)]
    clock.advance(1)
    await service.kg_invalidate(
        node, ALICE, InvalidateRequest(source_id=one, target_id=other, relation="contradicts"))
    assert pairs(await about(node, "port")) == [("b", "a", True)]


async def test_a_pair_of_which_one_supersedes_the_other_is_settled(node: Node) -> None:
    one, other = (await on(node, "a", "1")).id, (await on(node, "b", "2")).id
    await service.resolve(node, ALICE, ResolveRequest(winner=one, loser=other))
    found = await about(node, "port")
    assert (found.count, found.links) == (2, ())


async def test_pairs_beyond_the_bound_are_left_out_and_said(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "PAIRS_MAX", 3)
    for number in range(4):
        await on(node, f"m{number}", str(number))
    found = await about(node, "port")
    assert (len(found.links), found.truncated) == (3, True)
    monkeypatch.setattr(MODULE, "PAIRS_MAX", 6)
    assert not (await about(node, "port")).truncated


async def test_what_the_caller_may_not_see_contradicts_nothing(node: Node, clock: FakeClock) -> None:
    await on(node, "a", "1", scope="collective")
    await on(node, "b", "2", scope="private", namespace="team")
    await on(node, "c", "3", scope="collective", ttl_secs=60)
    assert (await about(node, "port", by=as_agent("x/y"))).count == 2
    clock.advance(61)
    assert {memory.title for memory in (await about(node, "port")).memories} == {"a", "b"}


@pytest.mark.parametrize(("query", "field"), [
    ({}, "topic"), ({"topic": " "}, "topic"), ({"topic": "x" * 513}, "topic"), ({"topic": "a\x00"}, "topic"),
    ({"namespace": "a//b"}, "namespace"), ({"topic": "x", "limit": 0}, "limit"),
    ({"topic": "x", "limit": 1001}, "limit"),
])
async def test_a_wrong_parameter_is_refused(node: Node, query: dict[str, object], field: str) -> None:
    attempt = service.contradictions(node, ALICE, ContradictionsQuery(**query))  # type: ignore[arg-type]
    assert (await refused(Code.INVALID_REQUEST, attempt)).field == field


# --- settling


async def test_the_winner_supersedes_and_the_loser_weighs_little_in_one_op(node: Node) -> None:
    winner, loser = (await put(node, "w", "the port is 1")).id, (await put(node, "l", "the port is 2")).id
    count = len(await ops_of(node.store))
    answer = await service.resolve(node, BOB, ResolveRequest(winner=winner, loser=loser))
    assert (answer.resolved, answer.winner, answer.loser) == (True, winner, loser)
    assert len(await ops_of(node.store)) == count + 1
    memory = await shown(node, loser)
    assert (memory.priority, memory.confidence, memory.content) == (1, 0.1, "the port is 2")
    (link,) = memory.links
    assert (link.source_id, link.relation, link.observed_by) == (winner, "supersedes", "bob")
    await all_quiet()
    assert (await shown(node, winner)).access_count == 1


async def test_settled_again_nothing_changes(node: Node) -> None:
    winner, loser = (await put(node, "w")).id, (await put(node, "l", priority=1, confidence=0.05)).id
    request = ResolveRequest(winner=winner, loser=loser)
    await service.resolve(node, ALICE, request)
    count = len(await ops_of(node.store))
    assert not isinstance((await service.resolve(node, ALICE, request)).version, str)
    assert len(await ops_of(node.store)) == count
    assert (await shown(node, loser)).confidence == 0.05


async def test_a_decision_taken_back_can_be_made_again(node: Node, clock: FakeClock) -> None:
    winner, loser = (await put(node, "w")).id, (await put(node, "l")).id
    request = ResolveRequest(winner=winner, loser=loser)
    await service.resolve(node, ALICE, request)
    clock.advance(1)
    await service.unlink(node, ALICE, LinkRequest(source_id=winner, target_id=loser, relation="supersedes"))
    assert isinstance((await service.resolve(node, ALICE, request)).version, str)
    assert len((await shown(node, loser)).links) == 1


async def test_a_repeated_resolution_with_its_key_is_answered_from_the_first(node: Node) -> None:
    request = ResolveRequest(winner=(await put(node, "w")).id, loser=(await put(node, "l")).id)
    first = await service.resolve(node, ALICE, request, ONCE)
    await all_quiet()
    assert await service.resolve(node, ALICE, request, ONCE) == first
    await all_quiet()
    assert (await shown(node, request.winner)).access_count == 1


@pytest.mark.parametrize(("change", "code", "field"), [
    ({"winner": "none"}, Code.NOT_FOUND, "winner"), ({"loser": "none"}, Code.NOT_FOUND, "loser"),
    ({"winner": ""}, Code.INVALID_REQUEST, "winner"), ({"loser": "a\x00"}, Code.INVALID_REQUEST, "loser"),
])
async def test_a_side_that_is_no_memory_is_refused_and_nothing_is_written(
    node: Node, change: dict[str, str], code: Code, field: str
) -> None:
    given = {"winner": (await put(node, "w")).id, "loser": (await put(node, "l")).id, **change}
    count = len(await ops_of(node.store))
    assert (await refused(code, service.resolve(node, ALICE, ResolveRequest(**given)))).field == field
    one = given["loser" if field == "winner" else "winner"]
    same = service.resolve(node, ALICE, ResolveRequest(winner=one, loser=one))
    assert (await refused(Code.INVALID_REQUEST, same)).field == "loser"
    assert len(await ops_of(node.store)) == count


async def test_recall_forgets_the_loser_until_the_link_ends_and_again_once_it_is_stated_anew(
    node: Node, clock: FakeClock
) -> None:
    winner = (await put(node, "w", "the database listens on port one")).id
    loser = (await put(node, "l", "the database listens on port two")).id

    async def recalled() -> set[str]:
        clock.advance(1)
        found = await service.recall(node, ALICE, RecallRequest(context="database port", touch=False))
        return {memory.id for memory in found.memories}

    await service.resolve(node, ALICE, ResolveRequest(winner=winner, loser=loser))
    assert await recalled() == {winner}
    await service.kg_invalidate(
        node, ALICE, InvalidateRequest(source_id=winner, target_id=loser, relation="supersedes"))
    assert await recalled() == {winner, loser}
    assert (await connect(node, winner, loser, "supersedes")).reasserted is True
    assert await recalled() == {winner}
