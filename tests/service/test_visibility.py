"""What `as_agent` shows (the table of design §8), and what expiry hides: on every reading service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Principal
from aimem.service import Node, Once
from aimem.wire import (
    ArchiveRequest,
    GetArchivedQuery,
    ListQuery,
    RecallRequest,
    RestoreQuery,
    SearchQuery,
    UpdateMemory,
)
from tests.governance.knocking import agent
from tests.nodes import FakeClock
from tests.service.steps import ALICE, as_agent, connect, ids_listed, put, refused

NAMESPACES = ["a", "a/b", "a/b/c", "a/b/c/d", "a/bx", "a0", "A/b", "z", "a/b/c/d/e", "b", "a_b/c"]
SCOPES = [None, "private", "team", "unit", "org", "collective"]
PATHS = ["a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e", "z", "a_b/c", "none"]


def is_visible(scope: str | None, namespace: str, path: str) -> bool:
    """The table, word by word; `path` is the home of whoever reads, who wrote none of the rows."""
    if scope == "collective":
        return True
    if scope == "private":
        return namespace == path
    segments = path.split("/")
    parent = segments[:-1] or segments
    above = "/".join({"org": segments[:1], "unit": segments[:2], "team": parent, None: parent}[scope])
    return namespace == above or namespace.startswith(above + "/")


async def listed(node: Node, who: Principal) -> set[str]:
    return await ids_listed(node, by=who)


async def listed_by_query(node: Node, who: Principal) -> set[str]:
    page = await service.list_memories(node, ALICE, ListQuery(limit=1000, as_agent=who.as_agent))
    return {memory.id for memory in page.memories}


async def searched(node: Node, who: Principal) -> set[str]:
    found = await service.search(node, ALICE, SearchQuery(q="word", limit=1000, as_agent=who.as_agent))
    return {memory.id for memory in found.results}


async def exported(node: Node, who: Principal) -> set[str]:
    return {memory.id for memory in (await service.export(node, who)).memories}


READERS = [listed, listed_by_query, searched, exported]


async def a_memory_of_each_kind(node: Node) -> dict[str, tuple[str | None, str]]:
    kinds = {}
    for namespace in NAMESPACES:
        for scope in SCOPES:
            stored = await put(node, f"title {scope}", "word", namespace=namespace, scope=scope)
            kinds[stored.id] = (scope, namespace)
    return kinds


@pytest.mark.parametrize("read", READERS)
async def test_a_reader_as_an_agent_sees_just_its_rows_of_the_table(
    node: Node, read: Callable[[Node, Principal], Awaitable[set[str]]]
) -> None:
    kinds = await a_memory_of_each_kind(node)
    assert await read(node, as_agent(None)) == kinds.keys()
    for path in PATHS:
        expected = {memory_id for memory_id, (scope, namespace) in kinds.items() if is_visible(scope, namespace, path)}
        assert await read(node, as_agent(path)) == expected, path


async def test_what_an_agent_cannot_see_is_not_found_counted_or_linked(node: Node) -> None:
    kinds = await a_memory_of_each_kind(node)
    hub = (await put(node, "hub", "word", namespace="z", scope="collective")).id
    for memory_id in kinds:
        await connect(node, hub, memory_id)
    for path in PATHS:
        who = as_agent(path)
        seen = {i for i, (scope, namespace) in kinds.items() if is_visible(scope, namespace, path)}
        for memory_id in kinds:
            try:
                found = await service.get(node, who, memory_id)
            except AimemError:
                assert memory_id not in seen
            else:
                assert found.id in seen
        assert {link.target_id for link in (await service.links_of(node, who, hub)).links} == seen
        assert {link.target_id for link in (await service.export(node, who)).links} == seen
        stats = await service.stats(node, who)
        assert (stats.total, stats.links_count) == (len(seen) + 1, len(seen))
        named = {entry.namespace: entry.count for entry in (await service.namespaces(node, who)).namespaces}
        assert sum(named.values()) == len(seen) + 1


async def test_recall_as_an_agent_finds_the_visible_alone(node: Node) -> None:
    for scope in SCOPES:
        await put(node, f"title {scope}", "word", namespace="a/b", scope=scope)
    found = await service.recall(node, ALICE, RecallRequest(context="word", as_agent="a/b"))
    assert {memory.title for memory in found.memories} == {f"title {scope}" for scope in SCOPES}
    neighbour = await service.recall(node, ALICE, RecallRequest(context="word", as_agent="a/c/d"))
    assert {memory.title for memory in neighbour.memories} == {"title org", "title collective"}
    other = await service.recall(node, ALICE, RecallRequest(context="word", as_agent="z"))
    assert {memory.title for memory in other.memories} == {"title collective"}


async def test_the_archive_of_an_agent_holds_what_it_may_see(node: Node) -> None:
    ids = {scope: (await put(node, f"title {scope}", namespace="a/b", scope=scope)).id for scope in SCOPES}
    await service.archive(node, ALICE, ArchiveRequest(ids=list(ids.values())))
    page = await service.list_archive(node, as_agent("z"), GetArchivedQuery())
    assert [memory.id for memory in page.archived] == [ids["collective"]]
    assert (await service.archive_stats(node, as_agent("z"))).archived_total == 1
    assert (await service.stats(node, as_agent("z"))).archived == 1


async def test_an_expired_memory_is_invisible_everywhere_before_anything_collects_it(
    node: Node, clock: FakeClock
) -> None:
    kept = (await put(node, "kept", "word")).id
    brief = (await put(node, "brief", "word", ttl_secs=60, namespace="brief")).id
    await connect(node, kept, brief)
    assert (await service.stats(node, ALICE)).expiring_soon == 1
    clock.advance(60)
    assert await ids_listed(node) == {kept}
    for read in READERS:
        assert await read(node, ALICE) == {kept}
    recalled = await service.recall(node, ALICE, RecallRequest(context="word"))
    assert [memory.id for memory in recalled.memories] == [kept]
    for text in (brief, brief[:8]):
        with pytest.raises(AimemError, match="not found"):
            await service.get(node, ALICE, text)
    assert (await service.links_of(node, ALICE, kept)).links == ()
    assert (await service.links_of(node, ALICE, brief)).links == ()
    assert (await service.get(node, ALICE, kept)).links == ()
    assert (await service.export(node, ALICE)).links == ()
    stats = await service.stats(node, ALICE)
    assert (stats.total, stats.links_count, stats.expiring_soon, stats.archived) == (1, 0, 0, 0)
    assert [entry.namespace for entry in stats.by_namespace] == ["global"]
    assert [entry.namespace for entry in (await service.namespaces(node, ALICE)).namespaces] == ["global"]
    assert (await service.list_archive(node, ALICE, GetArchivedQuery())).archived == ()


@pytest.mark.parametrize("act", ["delete", "promote", "update", "archive", "link", "restore"])
async def test_nothing_can_be_done_to_an_expired_memory(node: Node, clock: FakeClock, act: str) -> None:
    kept, brief = (await put(node, "kept")).id, (await put(node, "brief", ttl_secs=60)).id
    clock.advance(61)
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "delete": lambda: service.delete(node, ALICE, brief),
        "promote": lambda: service.promote(node, ALICE, brief),
        "update": lambda: service.update(node, ALICE, brief, UpdateMemory(expires_at="")),
        "link": lambda: connect(node, kept, brief),
        "restore": lambda: service.restore(node, ALICE, brief, RestoreQuery()),
    }
    if act == "archive":
        assert (await service.archive(node, ALICE, ArchiveRequest(ids=[brief]))).missing == (brief,)
        return
    with pytest.raises(AimemError, match="not found"):
        await acts[act]()


async def test_who_moves_a_memory_out_of_its_own_sight_is_told_what_it_is_now(node: Node) -> None:
    memory_id = (await put(node, "plan", namespace="a/b", scope="team")).id
    mover = agent("ai:mover", "a/b/desk")
    moved = await service.update(node, mover, memory_id, UpdateMemory(namespace="z/y", content="moved"))
    assert (moved.namespace, moved.content) == ("z/y", "moved")
    await refused(Code.NOT_FOUND, service.get(node, mover, memory_id))


async def test_a_key_for_retries_is_its_agents_own(node: Node) -> None:
    once = Once("the same", bytes(32))
    mine, theirs = [
        await put(node, "plan", namespace="a/b", by=agent(name, "a/b"), once=once, scope="private")
        for name in ("ai:one", "ai:other")
    ]
    assert mine.id != theirs.id and theirs.agent_id == "ai:other"
