"""Finding without ranking: by id and prefix, in lists, by words."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Instant, after, format_instant
from aimem.service import Node
from aimem.wire import ImportMemory, ImportRequest, LinkRequest, ListQuery, SearchQuery, UpdateMemory
from tests.nodes import START, FakeClock
from tests.service.steps import ALICE, BOB, another_node, connect, put, refused, shown, tell


async def with_ids(node: Node, *ids: str) -> None:
    """Memories whose ids the test chooses, as an import brings them."""
    items = [ImportMemory(id=each, title=f"title of {each}", content="text") for each in ids]
    result = await service.import_memories(node, ALICE, ImportRequest(memories=items))
    assert result.errors == ()


async def test_a_memory_is_shown_flat_and_under_its_name_with_links_of_both_directions(node: Node) -> None:
    one, two, three = [(await put(node, title)).id for title in ("one", "two", "three")]
    await connect(node, one, two)
    await connect(node, three, one, "supersedes")
    found = await shown(node, one)
    assert (found.title, found.memory.title) == ("one", "one")
    assert [(link.source_id, link.target_id, link.relation) for link in found.links] == [
        (one, two, "related_to"), (three, one, "supersedes"),
    ]


async def test_a_prefix_of_four_characters_finds_the_only_one(node: Node) -> None:
    await with_ids(node, "abcd-1", "abce-2")
    assert (await shown(node, "abcd")).id == "abcd-1"
    await refused(Code.NOT_FOUND, shown(node, "abc"))
    await refused(Code.NOT_FOUND, shown(node, "abcf"))


async def test_a_prefix_of_several_is_refused_with_the_ids(node: Node) -> None:
    await with_ids(node, "abcd-1", "abcd-2", "abcd-3", "zzzz")
    error = await refused(Code.AMBIGUOUS_ID, shown(node, "abcd"))
    assert error.details["ids"] == ["abcd-1", "abcd-2", "abcd-3"]
    assert error.message.startswith("ambiguous ID prefix")


async def test_a_whole_id_wins_over_the_ids_that_it_begins(node: Node) -> None:
    await with_ids(node, "abcd", "abcd-2")
    assert (await shown(node, "abcd")).id == "abcd"


@pytest.mark.parametrize("prefix", ["%%%%", "____", "abc_", "ab%d", "abc\U0010ffff", "abc\ud7ff", "ABCD"])
async def test_a_prefix_is_plain_text_whatever_its_characters(node: Node, prefix: str) -> None:
    await with_ids(node, "abcd-1")
    await refused(Code.NOT_FOUND, shown(node, prefix))


async def test_a_prefix_sees_neither_expired_nor_archived_nor_deleted_memories(node: Node, clock: FakeClock) -> None:
    await with_ids(node, "abcd-1", "abcd-2", "abcd-3")
    await service.update(node, ALICE, "abcd-1", UpdateMemory(expires_at=format_instant(after(Instant(clock.at), 60))))
    await service.delete(node, ALICE, "abcd-2")
    clock.advance(61)
    assert (await shown(node, "abcd")).id == "abcd-3"


@pytest.mark.parametrize("unknown", ["no-such-id", "00000000-0000-4000-8000-000000000000"])
async def test_an_unknown_id_is_not_found(node: Node, unknown: str) -> None:
    error = await refused(Code.NOT_FOUND, shown(node, unknown))
    assert error.message.startswith("not found")


async def test_the_id_of_a_shadow_stands_for_the_memory_that_has_the_name(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    first = await put(node, "t", "the elder")
    friend = await put(node, "friend")
    await connect(node, first.id, friend.id)
    clock.advance(1)
    async with another_node(tmp_path, clock) as other:
        shadow = await put(other, "t", "the younger", by=BOB)
        await tell(node, other)
    assert (await shown(node, shadow.id)).content == "the elder"
    assert (await service.links_of(node, ALICE, shadow.id)).count == 1
    again = await connect(node, shadow.id, friend.id)
    assert (again.source_id, again.created) == (first.id, False)
    request = LinkRequest(source_id=shadow.id, target_id=friend.id)
    assert (await service.unlink(node, ALICE, request)).deleted
    await refused(Code.INVALID_REQUEST, connect(node, shadow.id, first.id))
    page = await service.list_memories(node, ALICE, ListQuery())
    assert {memory.id for memory in page.memories} == {first.id, friend.id}


async def some_memories(node: Node, clock: FakeClock) -> None:
    for number in range(6):
        await put(
            node, f"m{number}", f"word{number % 2} common", by=ALICE if number % 2 else BOB, namespace=f"n{number % 3}",
            tier=["short", "mid", "long"][number % 3], priority=number + 1, tags=["o%d" if number % 2 else "even"],
        )
        clock.advance(10)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, "m5 m4 m3 m2 m1 m0"),
        ({"namespace": "n1"}, "m4 m1"),
        ({"namespace": "n"}, ""),
        ({"tier": "long"}, "m5 m2"),
        ({"min_priority": 5}, "m5 m4"),
        ({"min_priority": 0}, "m5 m4 m3 m2 m1 m0"),
        ({"tags": "even"}, "m4 m2 m0"),
        ({"tags": "o%d"}, "m5 m3 m1"),
        ({"tags": "eve"}, ""),
        ({"tags": " even "}, "m4 m2 m0"),
        ({"agent_id": "bob"}, "m4 m2 m0"),
        ({"since": format_instant(after(START, 19))}, "m5 m4 m3 m2"),
        ({"until": format_instant(after(START, 19))}, "m1 m0"),
        ({"since": format_instant(after(START, 19)), "until": format_instant(after(START, 39))}, "m3 m2"),
        ({"agent_id": "bob", "tier": "long", "namespace": "n2"}, "m2"),
        ({"limit": 2}, "m5 m4"),
        ({"limit": 2, "offset": 3}, "m2 m1"),
        ({"offset": 9}, ""),
        ({"limit": 0}, ""),
    ],
)
async def test_the_list_narrows_orders_and_pages(
    node: Node, clock: FakeClock, query: dict[str, object], titles: str
) -> None:
    await some_memories(node, clock)
    page = await service.list_memories(node, ALICE, ListQuery(**query))  # type: ignore[arg-type]  # a table of fields
    assert " ".join(memory.title for memory in page.memories) == titles
    assert page.count == len(page.memories)


async def test_equal_priorities_are_listed_by_the_last_change(node: Node) -> None:
    first = await put(node, "a")
    await put(node, "b")
    await service.update(node, ALICE, first.id, UpdateMemory(content="changed"))
    page = await service.list_memories(node, ALICE, ListQuery())
    assert [memory.title for memory in page.memories] == ["a", "b"]


@pytest.mark.parametrize("seed", range(3))
async def test_a_walk_by_cursor_meets_each_row_once_while_others_are_inserted(
    node: Node, clock: FakeClock, seed: int
) -> None:
    rng = random.Random(seed)
    there = {(await put(node, f"m{number}", priority=rng.randint(1, 10))).id for number in range(40)}
    met: list[str] = []
    cursor = None
    while True:
        page = await service.list_memories(node, ALICE, ListQuery(limit=rng.randint(1, 7), cursor=cursor))
        met += [memory.id for memory in page.memories]
        await put(node, f"late {len(met)}", priority=rng.randint(1, 10))
        clock.advance(rng.random())
        if not isinstance(page.next_cursor, str):
            break
        cursor = page.next_cursor
    assert len(met) == len(set(met))
    assert there <= set(met)


async def test_the_last_page_has_no_cursor(node: Node) -> None:
    await put(node, "a")
    await put(node, "b")
    first = await service.list_memories(node, ALICE, ListQuery(limit=1))
    assert isinstance(first.next_cursor, str)
    last = await service.list_memories(node, ALICE, ListQuery(limit=1, cursor=first.next_cursor))
    assert ([memory.title for memory in last.memories], isinstance(last.next_cursor, str)) == (["a"], False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": -1}, "limit"), ({"limit": 1001}, "limit"), ({"limit": 2**70}, "limit"), ({"offset": -1}, "offset"),
        ({"offset": 2**63}, "offset"), ({"cursor": "!"}, "cursor"), ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "\ud800"}, "cursor"), ({"cursor": "gaZw"}, "cursor"), ({"tier": "x"}, "tier"),
        ({"since": "yesterday"}, "since"), ({"until": "2026"}, "until"), ({"min_priority": 11}, "min_priority"),
        ({"min_priority": -1}, "min_priority"), ({"agent_id": "a b"}, "agent_id"), ({"namespace": "a//b"}, "namespace"),
        ({"as_agent": "/a"}, "as_agent"), ({"tags": "t" * 129}, "tags"), ({"tags": "\ud800"}, "tags"),
    ],
)
async def test_a_bad_parameter_of_a_list_is_named(node: Node, query: dict[str, object], field: str) -> None:
    asked = ListQuery(**query)  # type: ignore[arg-type]  # a table of fields
    error = await refused(Code.INVALID_REQUEST, service.list_memories(node, ALICE, asked))
    assert error.field == field


async def test_cursor_and_offset_exclude_each_other(node: Node) -> None:
    await put(node, "a")
    await put(node, "b")
    page = await service.list_memories(node, ALICE, ListQuery(limit=1))
    assert isinstance(page.next_cursor, str)
    query = ListQuery(cursor=page.next_cursor, offset=1)
    assert (await refused(Code.INVALID_REQUEST, service.list_memories(node, ALICE, query))).field == "offset"


@pytest.mark.parametrize(
    ("q", "titles"),
    [
        ("common", {"m0", "m1", "m2", "m3", "m4", "m5"}),
        ("word1 common", {"m1", "m3", "m5"}),
        ("word1 word0", set()),
        ("m3", {"m3"}),
        ("even", {"m0", "m2", "m4"}),
        ("commons", {"m0", "m1", "m2", "m3", "m4", "m5"}),
        ("COMMON", {"m0", "m1", "m2", "m3", "m4", "m5"}),
        ('common" OR "word1', {"m1", "m3", "m5"}),
        ("word1 NOT common", set()),
        ("content : word1", set()),
        ("title:m3", set()),
        ("word*", set()),
        ("nothing", set()),
        ("😀", set()),
        ("...", set()),
        ("_", set()),
        ("_ common", {"m0", "m1", "m2", "m3", "m4", "m5"}),
    ],
)
async def test_search_finds_what_holds_all_words(node: Node, clock: FakeClock, q: str, titles: set[str]) -> None:
    await some_memories(node, clock)
    found = await service.search(node, ALICE, SearchQuery(q=q))
    assert {memory.title for memory in found.results} == titles
    assert (found.count, found.query, found.memories) == (len(titles), q, found.results)


async def test_search_narrows_as_the_list_does(node: Node, clock: FakeClock) -> None:
    await some_memories(node, clock)
    query = SearchQuery(q="common", tier="long", agent_id="bob", tags="even", min_priority=2, namespace="n2", limit=5)
    assert [memory.title for memory in (await service.search(node, ALICE, query)).results] == ["m2"]
    assert (await service.search(node, ALICE, SearchQuery(q="common", limit=2))).count == 2
    assert (await service.search(node, ALICE, SearchQuery(q="common", limit=0))).count == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [({"q": ""}, "q"), ({"q": " "}, "q"), ({"q": "q" * 65_537}, "q"), ({"q": "a", "limit": 1001}, "limit")],
)
async def test_a_bad_parameter_of_a_search_is_named(node: Node, query: dict[str, object], field: str) -> None:
    asked = SearchQuery(**query)  # type: ignore[arg-type]  # a table of fields
    error = await refused(Code.INVALID_REQUEST, service.search(node, ALICE, asked))
    assert error.field == field


async def test_search_follows_every_change_of_the_text(node: Node) -> None:
    stored = await put(node, "harbour", "lighthouse", tags=["sea"])

    async def finds(word: str) -> bool:
        return (await service.search(node, ALICE, SearchQuery(q=word))).count == 1

    await service.update(node, ALICE, stored.id, UpdateMemory(title="port", content="beacon", tags=["coast"]))
    assert [await finds(word) for word in ("harbour", "lighthouse", "sea")] == [False, False, False]
    assert [await finds(word) for word in ("port", "beacon", "coast")] == [True, True, True]
    await service.delete(node, ALICE, stored.id)
    assert not await finds("port")


async def test_the_links_of_an_unknown_id_are_none(node: Node) -> None:
    assert (await service.links_of(node, ALICE, "no-such-id")).count == 0
