"""The knowledge graph: links as facts that hold for a time, followed from memory to memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Instant, after, format_instant
from aimem.service import Node, Once
from aimem.service import graph as graph_service
from aimem.store import LINK, Transaction
from aimem.wire import (
    ArchiveRequest,
    GraphQuery,
    GraphResult,
    Invalidated,
    InvalidateRequest,
    LinkOut,
    LinkRequest,
    TimelineEvent,
    TimelineQuery,
)
from tests.nodes import FakeClock, principal
from tests.service.steps import ALICE, BOB, another_node, as_agent, connect, ops_of, put, refused, tell

ONCE = Once("key-1", b"hash")


def moment(clock: FakeClock, seconds: float = 0) -> str:
    return format_instant(after(Instant(clock.at), seconds))


async def two(node: Node) -> tuple[str, str]:
    return (await put(node, "one")).id, (await put(node, "two")).id


async def invalidate(node: Node, source: str, target: str, **more: object) -> Invalidated:
    request = msgspec.convert({"source_id": source, "target_id": target, "relation": "related_to", **more},
                              InvalidateRequest)
    return await service.kg_invalidate(node, BOB, request)


async def follow(node: Node, source: str, **more: object) -> GraphResult:
    return await service.kg_query(node, ALICE, msgspec.convert({"source_id": source, **more}, GraphQuery))


async def timeline(node: Node, source: str, **more: object) -> tuple[TimelineEvent, ...]:
    return (await service.kg_timeline(node, ALICE, TimelineQuery(source_id=source, **more))).events  # type: ignore[arg-type]


async def link_of(node: Node, memory_id: str) -> LinkOut:
    (found,) = (await service.links_of(node, ALICE, memory_id)).links
    return found


async def web(node: Node, *pairs: str) -> Mapping[str, str]:
    """Memories named by letters, linked as each pair of letters says."""
    ids = {name: (await put(node, name)).id for name in sorted(set("".join(pairs)))}
    for source, target in pairs:
        await connect(node, ids[source], ids[target])
    return ids


def spelled(result: GraphResult, ids: Mapping[str, str]) -> list[str]:
    """The paths in letters."""
    names = {memory_id: name for name, memory_id in ids.items()}
    return ["".join(names[step] for step in path.split("->")) for path in result.paths]


# --- invalidating, and stating anew


async def test_a_link_is_given_its_end_with_who_and_why(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    clock.advance(60)
    clock.step_us = 0
    answer = await invalidate(node, one, other, reason=" it moved ")
    assert (answer.found, answer.valid_until, answer.previous_valid_until) == (True, moment(clock), None)
    assert (answer.ended_by, answer.reason, isinstance(answer.version, str)) == ("bob", "it moved", True)
    link = await link_of(node, one)
    assert (link.valid_until, link.ended_by, link.reason, link.ended_at) == (
        moment(clock), "bob", "it moved", moment(clock))


async def test_one_that_ended_changes_only_if_another_end_is_named(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z")
    first = await invalidate(node, one, other, valid_until="2021-01-01T00:00:00Z", reason="first")
    count = len(await ops_of(node.store))
    for again in ({}, {"valid_until": "2021-01-01T01:00:00+01:00"}):
        same = await invalidate(node, one, other, **again)
        assert (same.valid_until, same.previous_valid_until) == (first.valid_until, first.valid_until)
        assert (same.reason, isinstance(same.version, str)) == ("first", False)
    assert len(await ops_of(node.store)) == count
    moved = await invalidate(node, one, other, valid_until="2022-01-01T00:00:00Z", reason="second")
    assert (moved.valid_until[:4], (moved.previous_valid_until or "")[:4], moved.reason) == ("2022", "2021", "second")


async def test_an_end_to_come_can_be_drawn_nearer(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_until=moment(clock, 3600))
    clock.step_us = 0
    assert (await invalidate(node, one, other)).valid_until == moment(clock)


@pytest.mark.parametrize(("change", "field"), [
    ({"valid_until": "2019-12-31T00:00:00Z"}, "valid_until"), ({"valid_until": "soon"}, "valid_until"),
    ({"relation": "likes"}, "relation"), ({"source_id": ""}, "source_id"), ({"target_id": "x" * 129}, "target_id"),
    ({"source_id": "a\x00b"}, "source_id"), ({"reason": "x" * 513}, "reason"), ({"reason": "a\x07"}, "reason"),
    ({"reason": "\ud800"}, "reason"),
])
async def test_what_makes_no_end_is_refused_and_nothing_is_written(
    node: Node, change: dict[str, str], field: str
) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z")
    count = len(await ops_of(node.store))
    given = {"source_id": one, "target_id": other, "relation": "related_to", **change}
    error = await refused(
        Code.INVALID_REQUEST, service.kg_invalidate(node, ALICE, InvalidateRequest(**given)))  # type: ignore[arg-type]
    assert error.field == field
    assert len(await ops_of(node.store)) == count


async def test_a_link_that_is_not_there_is_not_found_and_named(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    absent = [(other, one, "related_to"), (one, other, "supersedes"), (one, "none", "related_to")]
    for source, target, relation in absent:
        request = InvalidateRequest(source_id=source, target_id=target, relation=relation)
        error = await refused(Code.NOT_FOUND, service.kg_invalidate(node, ALICE, request))
        assert error.details == {"found": False, "source_id": source, "target_id": target, "relation": relation}


async def test_a_repeated_invalidation_with_its_key_is_answered_from_the_first(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    request = InvalidateRequest(source_id=one, target_id=other, relation="related_to")
    first = await service.kg_invalidate(node, ALICE, request, ONCE)
    clock.advance(60)
    await connect(node, one, other)
    assert await service.kg_invalidate(node, ALICE, request, ONCE) == first
    assert not isinstance((await link_of(node, one)).valid_until, str)


async def test_stated_anew_it_holds_from_now_and_keeps_when_it_held_before(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z")
    await invalidate(node, one, other, valid_until="2021-01-01T00:00:00Z", reason="moved")
    clock.step_us = 0
    answer = await connect(node, one, other)
    assert (answer.linked, answer.created, answer.reasserted) == (True, True, True)
    link = await link_of(node, one)
    assert (link.valid_from, link.valid_until, link.ended_by) == (moment(clock), msgspec.UNSET, msgspec.UNSET)
    (past,) = link.past  # type: ignore[union-attr]
    assert (past.valid_from[:4], past.valid_until[:4], past.observed_by) == ("2020", "2021", "alice")
    assert (past.ended_by, past.reason) == ("bob", "moved")
    assert isinstance((await connect(node, one, other)).reasserted, msgspec.UnsetType)


async def test_stated_anew_with_bounds_of_its_own_it_holds_within_them(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z", valid_until="2021-01-01T00:00:00Z")
    again = await connect(node, one, other, valid_from="2022-01-01T00:00:00Z", valid_until="2023-01-01T00:00:00Z")
    assert again.reasserted is True
    link = await link_of(node, one)
    assert (link.valid_from[:4], link.valid_until[:4]) == ("2022", "2023")  # type: ignore[index]
    assert [past.valid_from[:4] for past in link.past] == ["2020"]  # type: ignore[union-attr]


async def test_what_was_taken_back_and_is_stated_anew_held_until_then(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    clock.advance(60)
    await service.unlink(node, BOB, LinkRequest(source_id=one, target_id=other))
    clock.advance(60)
    assert (await connect(node, one, other)).reasserted is True
    (past,) = (await link_of(node, one)).past  # type: ignore[union-attr]
    assert (past.observed_by, past.ended_by, past.reason) == ("alice", "bob", "taken back")
    assert moment(clock, -61) < past.valid_until < moment(clock, -59)


async def test_a_link_keeps_at_most_sixteen_earlier_validities(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    for _ in range(20):
        await connect(node, one, other)
        clock.advance(60)
        await invalidate(node, one, other)
        clock.advance(60)
    await connect(node, one, other)
    past = (await link_of(node, one)).past
    assert len(past) == 16  # type: ignore[arg-type]
    assert past[-1].valid_until > past[0].valid_until  # type: ignore[index]
    assert len(await timeline(node, one)) == 17


async def test_ends_and_new_beginnings_reach_another_node(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    clock.advance(60)
    await invalidate(node, one, other, reason="why")
    clock.advance(60)
    await connect(node, one, other)
    async with another_node(tmp_path, clock) as second:
        await tell(second, node)
        assert await link_of(second, one) == await link_of(node, one)
        assert await timeline(second, one) == await timeline(node, one)


# --- the timeline


async def test_the_timeline_is_in_the_order_of_beginnings_with_earlier_validities(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    third = (await put(node, "three", namespace="team/app")).id
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z")
    await invalidate(node, one, other, valid_until="2021-01-01T00:00:00Z", reason="why")
    await connect(node, one, third, "supersedes", valid_from="2020-06-01T00:00:00Z")
    await connect(node, other, one)
    await connect(node, one, other)
    events = await timeline(node, one)
    assert [(event.valid_from[:7], event.title, event.current) for event in events] == [
        ("2020-01", "two", False), ("2020-06", "three", True), (moment(clock)[:7], "two", True)]
    assert [event.valid_until and event.valid_until[:4] for event in events] == ["2021", None, None]
    assert (events[0].ended_by, events[0].reason, events[0].observed_by) == ("bob", "why", "alice")
    assert (events[1].relation, events[1].target_namespace) == ("supersedes", "team/app")


async def test_the_timelines_bounds_are_inclusive_and_more_is_said(node: Node) -> None:
    one = (await put(node, "one")).id
    for year in (2020, 2021, 2022):
        await connect(node, one, (await put(node, str(year))).id, valid_from=f"{year}-01-01T00:00:00Z")
    bounded = await timeline(node, one, since="2021-01-01T00:00:00Z", until="2022-01-01T01:00:00+01:00")
    assert [event.title for event in bounded] == ["2021", "2022"]
    page = await service.kg_timeline(node, ALICE, TimelineQuery(source_id=one, limit=2))
    assert ([event.title for event in page.events], page.count, page.truncated) == (["2020", "2021"], 2, True)
    whole = await service.kg_timeline(node, ALICE, TimelineQuery(source_id=one, limit=3))
    assert (whole.count, whole.truncated) == (3, False)


@pytest.mark.parametrize(("query", "field"), [
    ({"source_id": " "}, "source_id"), ({"source_id": "a", "limit": 0}, "limit"),
    ({"source_id": "a", "limit": 1001}, "limit"), ({"source_id": "a", "since": "x"}, "since"),
    ({"source_id": "a", "until": "x"}, "until"),
])
async def test_a_wrong_parameter_of_the_timeline_is_refused(node: Node, query: dict[str, object], field: str) -> None:
    attempt = service.kg_timeline(node, ALICE, msgspec.convert(query, TimelineQuery))
    assert (await refused(Code.INVALID_REQUEST, attempt)).field == field


async def test_what_the_caller_may_not_see_is_on_no_timeline(node: Node, clock: FakeClock) -> None:
    one = (await put(node, "one", scope="collective")).id
    secret = (await put(node, "secret", scope="private", namespace="team")).id
    brief = (await put(node, "brief", ttl_secs=60)).id
    for target in (secret, brief):
        await connect(node, one, target)
    reader = as_agent("other/bot")
    assert (await service.kg_timeline(node, reader, TimelineQuery(source_id=one))).events == ()
    assert (await service.kg_timeline(node, reader, TimelineQuery(source_id=secret))).count == 0
    assert len(await timeline(node, one)) == 2
    clock.advance(61)
    assert [event.title for event in await timeline(node, one)] == ["secret"]
    assert await timeline(node, "no-such-id") == ()


@pytest.mark.parametrize("past", ["", "no json", "7", '"x"', '[1,"x",[1],["a",2],[1,2.5],{"a":1}]', '[[1,2],"[1,2]"]'])
async def test_earlier_validities_that_cannot_be_read_hide_nothing_else(node: Node, past: str) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    key = msgspec.json.encode([one, other, "related_to"]).decode()

    def spoil(transaction: Transaction) -> None:
        transaction.emit("link", [transaction.change(LINK, key, {"past": past})])

    await node.store.write(spoil)
    assert [event.current for event in await timeline(node, one) if event.current] == [True]
    assert (await link_of(node, one)).target_id == other


# --- following


async def test_paths_come_nearest_first_without_cycles_one_row_each(node: Node) -> None:
    ids = await web(node, "ab", "ac", "bd", "cd", "da", "de")
    result = await follow(node, ids["a"], max_depth=3)
    assert spelled(result, ids) == ["ab", "ac", "abd", "acd", "abde", "acde"]
    assert [row.depth for row in result.memories] == [1, 1, 2, 2, 3, 3]
    assert (result.count, result.truncated, result.max_depth) == (6, False, 3)
    row = result.memories[2]
    assert (row.target_id, row.relation, row.title, row.target_namespace, row.observed_by) == (
        ids["d"], "related_to", "d", "global", "alice")
    assert spelled(await follow(node, ids["a"]), ids) == ["ab", "ac"]


async def test_two_relations_of_a_pair_are_two_rows(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    await connect(node, one, other, "contradicts")
    assert [row.relation for row in (await follow(node, one)).memories] == ["related_to", "contradicts"]


async def test_only_links_that_hold_are_followed_at_now_at_a_moment_or_ever(node: Node, clock: FakeClock) -> None:
    ids = await web(node, "ab", "bc")
    await invalidate(node, ids["a"], ids["b"])
    ended = moment(clock)
    clock.advance(60)
    assert (await follow(node, ids["a"], max_depth=2)).count == 0
    assert spelled(await follow(node, ids["a"], max_depth=2, valid_at=moment(clock, -60)), ids) == []
    await connect(node, ids["b"], ids["c"], "derived_from", valid_from="2020-01-01T00:00:00Z")
    ever = await follow(node, ids["a"], max_depth=2, valid_at="all")
    assert (spelled(ever, ids), ever.valid_at) == (["ab", "abc", "abc"], "all")
    before = await follow(node, ids["b"], valid_at="2021-01-01T00:00:00Z")
    assert [row.relation for row in before.memories] == ["derived_from"]
    assert before.valid_at == "2021-01-01T00:00:00.000000Z"
    assert ended < (await follow(node, ids["a"])).valid_at


async def test_a_moment_in_an_earlier_validity_finds_the_link_as_it_was(node: Node) -> None:
    ids = await web(node, "ab")
    await connect(node, ids["a"], ids["b"], "supersedes", valid_from="2020-01-01T00:00:00Z",
                  valid_until="2021-01-01T00:00:00Z")
    await connect(node, ids["a"], ids["b"], "supersedes")
    (row,) = (await follow(node, ids["a"], valid_at="2020-07-01T00:00:00Z")).memories
    assert (row.valid_from[:4], (row.valid_until or "")[:4]) == ("2020", "2021")
    assert (await follow(node, ids["a"], valid_at="2021-07-01T00:00:00Z")).count == 0


async def test_only_links_of_the_allowed_agents_are_followed(node: Node) -> None:
    ids = await web(node, "ab")
    request = LinkRequest(source_id=ids["a"], target_id=(await put(node, "c")).id)
    await service.link(node, principal("carol"), request)
    assert spelled(await follow(node, ids["a"], allowed_agents=["alice"]), ids) == ["ab"]
    assert [row.title for row in (await follow(node, ids["a"], allowed_agents=["carol", "x"])).memories] == ["c"]
    assert (await follow(node, ids["a"], allowed_agents=[])).count == 0
    assert (await follow(node, ids["a"], allowed_agents=None)).count == 2


async def test_a_path_ends_at_what_is_expired_archived_or_hidden(node: Node, clock: FakeClock) -> None:
    ids = {name: (await put(node, name, **more)).id for name, more in {
        "a": {"scope": "collective"}, "b": {"ttl_secs": 60, "scope": "collective"}, "c": {"scope": "collective"},
        "d": {"scope": "private", "namespace": "team"}, "e": {"scope": "collective"},
    }.items()}
    for pair in ("ab", "bc", "ad", "de"):
        await connect(node, ids[pair[0]], ids[pair[1]])
    assert spelled(await follow(node, ids["a"], max_depth=2), ids) == ["ab", "ad", "abc", "ade"]
    narrow = await service.kg_query(node, as_agent("x/y"), GraphQuery(source_id=ids["a"], max_depth=2))
    assert spelled(narrow, ids) == ["ab", "abc"]
    clock.advance(61)
    assert spelled(await follow(node, ids["a"], max_depth=2), ids) == ["ad", "ade"]
    await service.archive(node, ALICE, ArchiveRequest(ids=[ids["d"]]))
    assert (await follow(node, ids["a"], max_depth=5)).count == 0
    assert (await follow(node, "no-such-id", max_depth=5)).count == 0


async def test_more_rows_than_the_limit_are_said(node: Node) -> None:
    ids = await web(node, "ab", "ac", "bd")
    first = await follow(node, ids["a"], max_depth=5, limit=2)
    assert (spelled(first, ids), first.truncated) == (["ab", "ac"], True)
    assert not (await follow(node, ids["a"], max_depth=5, limit=3)).truncated


async def test_a_dense_graph_is_walked_no_further_than_the_bound(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_service, "PATHS_MAX", 20)
    names = "abcdef"
    ids = await web(node, *(one + other for one in names for other in names if one != other))
    result = await follow(node, ids["a"], max_depth=5, limit=1000)
    assert result.truncated
    assert 5 <= result.count <= 20


@pytest.mark.parametrize(("change", "code", "field"), [
    ({"max_depth": 0}, Code.SCHEMA_MISMATCH, "max_depth"), ({"max_depth": 6}, Code.SCHEMA_MISMATCH, "max_depth"),
    ({"limit": 0}, Code.INVALID_REQUEST, "limit"), ({"limit": 1001}, Code.INVALID_REQUEST, "limit"),
    ({"valid_at": "ever"}, Code.INVALID_REQUEST, "valid_at"),
    ({"source_id": "\x00"}, Code.INVALID_REQUEST, "source_id"),
    ({"allowed_agents": ["a b"]}, Code.INVALID_REQUEST, "allowed_agents[0]"),
    ({"allowed_agents": ["a"] * 101}, Code.INVALID_REQUEST, "allowed_agents"),
])
async def test_a_wrong_field_of_a_query_is_refused(
    node: Node, change: dict[str, object], code: Code, field: str
) -> None:
    attempt = service.kg_query(node, ALICE, msgspec.convert({"source_id": "x", **change}, GraphQuery))
    error = await refused(code, attempt)
    assert error.field == field
    assert field.partition("[")[0] in error.message
