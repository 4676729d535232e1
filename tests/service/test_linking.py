"""Links: one statement per triple, that holds for a time and shows while both its ends do."""

from __future__ import annotations

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Instant, after, format_instant
from aimem.service import Node, Once
from aimem.wire import ArchiveRequest, LinkOut, LinkRequest, RestoreQuery
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, connect, ops_of, put, refused

ONCE = Once("key-1", b"hash")


async def two(node: Node) -> tuple[str, str]:
    return (await put(node, "one")).id, (await put(node, "two")).id


async def links_at(node: Node, memory_id: str) -> list[LinkOut]:
    return list((await service.links_of(node, ALICE, memory_id)).links)


def moment(clock: FakeClock, seconds: float) -> str:
    return format_instant(after(Instant(clock.at), seconds))


async def test_a_new_link_holds_from_now_on(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    clock.step_us = 0
    answer = await connect(node, one, other, "supersedes")
    assert (answer.created, answer.relation) == (True, "supersedes")
    (link,) = await links_at(node, other)
    assert (link.source_id, link.target_id, link.observed_by) == (one, other, "alice")
    assert link.created_at == link.valid_from == moment(clock, 0)
    assert not isinstance(link.valid_until, str)


async def test_stating_it_again_changes_nothing(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    before, count = await links_at(node, one), len(await ops_of(node.store))
    clock.advance(60)
    again = await connect(node, one, other)
    assert (again.linked, again.created, isinstance(again.version, str)) == (True, False, False)
    assert await links_at(node, one) == before
    assert len(await ops_of(node.store)) == count


async def test_stating_again_what_still_holds_does_not_take_its_end_away(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_until=moment(clock, 3600))
    before = await links_at(node, one)
    clock.advance(60)
    await connect(node, one, other)
    assert await links_at(node, one) == before


async def test_a_relation_or_a_direction_more_is_another_link(node: Node) -> None:
    one, other = await two(node)
    for source, target, relation in [
        (one, other, "related_to"), (one, other, "contradicts"), (other, one, "related_to")
    ]:
        assert (await connect(node, source, target, relation)).created
    assert len(await links_at(node, one)) == 3


async def test_a_link_that_was_taken_back_can_be_stated_again(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    taken = await service.unlink(node, ALICE, LinkRequest(source_id=one, target_id=other))
    assert (taken.deleted, isinstance(taken.version, str)) == (True, True)
    assert await links_at(node, one) == []
    clock.advance(60)
    clock.step_us = 0
    assert (await connect(node, one, other)).created
    (link,) = await links_at(node, one)
    assert link.valid_from == moment(clock, 0)


async def test_taking_back_names_one_relation_and_what_does_not_stand_is_no_error(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other, "related_to")
    await connect(node, one, other, "supersedes")
    await service.unlink(node, ALICE, LinkRequest(source_id=one, target_id=other, relation="supersedes"))
    assert [link.relation for link in await links_at(node, one)] == ["related_to"]
    for source, target in [(one, other), (other, one), (one, "no-such-id")]:
        request = LinkRequest(source_id=source, target_id=target, relation="supersedes")
        assert not (await service.unlink(node, ALICE, request)).deleted


async def test_a_link_that_ended_can_be_stated_again(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    end = moment(clock, 60)
    await connect(node, one, other, valid_until=end)
    clock.advance(61)
    clock.step_us = 0
    again = await connect(node, one, other)
    assert (again.created, again.reasserted) == (True, True)
    (link,) = await links_at(node, one)
    assert (link.valid_from, isinstance(link.valid_until, str)) == (moment(clock, 0), False)
    assert [(past.valid_until, past.observed_by) for past in link.past] == [(end, "alice")]


async def test_an_end_alone_leaves_the_beginning_of_a_link_that_holds(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_from="2020-01-01T00:00:00Z")
    await connect(node, one, other, valid_until="2021-01-01T00:00:00Z")
    (link,) = await links_at(node, one)
    assert (link.valid_from, link.valid_until) == ("2020-01-01T00:00:00.000000Z", "2021-01-01T00:00:00.000000Z")


async def test_a_new_link_whose_end_is_past_began_no_later(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other, valid_until="2020-01-01T00:00:00Z")
    (link,) = await links_at(node, one)
    assert link.valid_from == link.valid_until == "2020-01-01T00:00:00.000000Z"


async def test_links_are_shown_in_the_order_of_their_validity(node: Node) -> None:
    one = (await put(node, "one")).id
    others = [(await put(node, f"other {year}")).id for year in (2022, 2020, 2021)]
    for year, other in zip((2022, 2020, 2021), others, strict=True):
        await connect(node, one, other, valid_from=f"{year}-01-01T00:00:00Z")
    assert [link.valid_from[:4] for link in await links_at(node, one)] == ["2020", "2021", "2022"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"relation": "likes"}, "relation"),
        ({"source_id": ""}, "source_id"),
        ({"target_id": "x" * 129}, "target_id"),
        ({"valid_from": "2021-01-01T00:00:00Z", "valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"valid_until": "soon"}, "valid_until"),
    ],
)
async def test_a_bad_link_is_refused_by_its_field(node: Node, change: dict[str, str], field: str) -> None:
    one, other = await two(node)
    request = LinkRequest(**{"source_id": one, "target_id": other, **change})
    assert (await refused(Code.INVALID_REQUEST, service.link(node, ALICE, request))).field == field


async def test_a_memory_is_not_linked_to_itself(node: Node) -> None:
    one, _ = await two(node)
    assert (await refused(Code.INVALID_REQUEST, connect(node, one, one))).field == "target_id"


async def test_a_missing_end_is_named(node: Node) -> None:
    one, _ = await two(node)
    assert (await refused(Code.NOT_FOUND, connect(node, one, "no-such-id"))).field == "target_id"
    assert (await refused(Code.NOT_FOUND, connect(node, "no-such-id", one))).field == "source_id"
    assert (await refused(Code.NOT_FOUND, connect(node, one[:8], one))).field == "source_id"


async def test_a_link_shows_while_both_its_ends_do(node: Node, clock: FakeClock) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    for end, mate in ((one, other), (other, one)):
        await service.archive(node, ALICE, ArchiveRequest(ids=[end]))
        assert await links_at(node, mate) == []
        assert (await service.stats(node, ALICE)).links_count == 0
        await service.restore(node, ALICE, end, RestoreQuery())
        assert len(await links_at(node, mate)) == 1
        assert (await service.stats(node, ALICE)).links_count == 1
    brief = (await put(node, "brief", ttl_secs=60)).id
    await connect(node, one, brief)
    clock.advance(61)
    assert [link.target_id for link in await links_at(node, one)] == [other]
    assert (await service.stats(node, ALICE)).links_count == 1


async def test_a_repeated_key_states_a_link_once(node: Node) -> None:
    one, other = await two(node)
    request = LinkRequest(source_id=one, target_id=other)
    first = await service.link(node, ALICE, request, ONCE)
    await service.unlink(node, ALICE, request)
    assert await service.link(node, ALICE, request, ONCE) == first
    assert await links_at(node, one) == []


async def test_a_key_is_noted_also_for_a_request_that_wrote_nothing(node: Node) -> None:
    one, other = await two(node)
    await connect(node, one, other)
    request = LinkRequest(source_id=one, target_id=other)
    first = await service.link(node, BOB, request, ONCE)
    assert not first.created
    await service.unlink(node, ALICE, request)
    assert await service.link(node, BOB, request, ONCE) == first
    error = await refused(Code.IDEMPOTENCY_MISMATCH, service.link(node, BOB, request, Once("key-1", b"other")))
    assert error.details["version"] is None
