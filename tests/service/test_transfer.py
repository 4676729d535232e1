"""Export and import: the same memories and links elsewhere, and never an older text over a newer one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from aimem import service
from aimem.errors import Code
from aimem.model import Instant, Principal, after, format_instant
from aimem.service import Node, Once
from aimem.wire import (
    ArchiveRequest,
    ExportDocument,
    GetArchivedQuery,
    ImportRequest,
    ImportResult,
    InvalidateRequest,
    LinkRequest,
    UpdateMemory,
    decode_body,
    encode,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, another_node, connect, ids_listed, ops_of, put, refused, shown, tell

ONCE = Once("key-1", b"hash")


async def bring(node: Node, body: object, *, by: Principal = ALICE, once: Once | None = None) -> ImportResult:
    """Import a document as it comes over the wire."""
    return await service.import_memories(node, by, decode_body(ImportRequest, encode(body)), once)


def document(exported: ExportDocument, *, trust: bool = True) -> dict[str, object]:
    return {
        "memories": exported.memories, "links": exported.links, "archived": exported.archived,
        "aliases": exported.aliases, "agents": exported.agents, "trust_source": trust,
    }


async def a_full_node(node: Node, clock: FakeClock) -> None:
    ids = [
        (await put(node, "plain", "text")).id,
        (await put(node, None, "an untitled text")).id,
        (await put(node, None, "an untitled text")).id,
        (await put(node, "full", "text", by=BOB, namespace="a/b", tier="short", tags=["x", "y"], priority=9,
                   confidence=0.25, source="hook", metadata={"k": [1, {"l": None}]}, scope="team")).id,
        (await put(node, "private", "hers", scope="private")).id,
        (await put(node, "private", "his", by=BOB, scope="private")).id,
        (await put(node, "for ever", "text", tier="long")).id,
    ]
    await service.update(node, ALICE, ids[0], UpdateMemory(expires_at=""))
    clock.advance(60)
    await put(node, "plain", "a newer text", by=BOB)
    validity = {"valid_from": "2020-01-01T00:00:00Z", "valid_until": "2021-01-01T00:00:00Z"}
    await connect(node, ids[0], ids[1], "supersedes", **validity)
    await connect(node, ids[2], ids[0])
    away = await put(node, "away")
    await service.archive(node, ALICE, ArchiveRequest(ids=[away.id]))
    await put(node, "expired", ttl_secs=1)
    clock.advance(60)


async def test_an_export_brought_into_an_empty_node_gives_the_same_memories_and_links(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    await a_full_node(node, clock)
    exported = await service.export(node, ALICE)
    assert exported.count == len(exported.memories) == 7
    async with another_node(tmp_path, clock) as other:
        result = await bring(other, document(exported))
        assert (result.imported, result.links_imported, result.errors, result.restamped) == (7, 2, (), 0)
        again = await service.export(other, ALICE)
        assert replace(again, exported_at="") == replace(exported, exported_at="")


async def test_bringing_the_same_document_again_changes_nothing(node: Node, tmp_path: Path, clock: FakeClock) -> None:
    await a_full_node(node, clock)
    exported = await service.export(node, ALICE)
    count = len(await ops_of(node.store))
    for trust in (True, False):
        result = await bring(node, document(exported, trust=trust), by=BOB)
        assert (result.imported, result.unchanged, result.links_imported, result.errors) == (0, 8, 0, ())
    assert len(await ops_of(node.store)) == count


async def test_bringing_texts_without_ids_or_times_again_changes_nothing(node: Node, clock: FakeClock) -> None:
    same = "x" * 90
    items = [{"content": f"{same} one"}, {"content": f"{same} two"}, {"content": "text", "title": "t", "tags": ["a"]}]
    first = await bring(node, {"memories": items})
    assert (first.imported, first.errors) == (3, ())
    ids, count = await ids_listed(node), len(await ops_of(node.store))
    clock.advance(60)
    again = await bring(node, {"memories": items})
    assert (again.imported, again.unchanged, again.errors) == (0, 3, ())
    assert await ids_listed(node) == ids
    assert len(await ops_of(node.store)) == count


async def test_untitled_items_with_ids_are_memories_of_their_own_even_if_their_texts_repeat(node: Node) -> None:
    items = [{"id": f"a-common-beginning-{number}", "content": "the same text"} for number in range(4)]
    for imported in (4, 0):
        result = await bring(node, {"memories": items})
        assert (result.imported, result.unchanged, result.errors) == (imported, 4 - imported, ())
        assert await ids_listed(node) == {str(item["id"]) for item in items}


async def test_a_newer_item_brings_the_memory_up_to_date_and_an_older_one_does_not(
    node: Node, clock: FakeClock
) -> None:
    stored = await put(node, "t", "here", tags=["old"], tier="short", priority=7)
    clock.advance(3600)

    def item(updated_at: float, content: str) -> dict[str, object]:
        moment = format_instant(after(Instant(clock.at), updated_at))
        return {"id": stored.id, "title": "u", "content": content, "namespace": "away", "tags": ["new"], "tier": "mid",
                "priority": 3, "updated_at": moment, "metadata": {"agent_id": "alice", "scope": "org"}}

    older = await bring(node, {"memories": [item(-7200, "older")]})
    assert (older.imported, older.unchanged) == (0, 1)
    newer = await bring(node, {"memories": [item(-60, "newer")]})
    assert (newer.imported, newer.unchanged, newer.errors) == (1, 0, ())
    memory = await shown(node, stored.id)
    assert (memory.content, memory.tags, memory.title, memory.namespace) == ("newer", ("new",), "u", "away")
    assert (memory.tier, memory.priority, memory.metadata["scope"]) == ("mid", 7, "org")
    assert memory.updated_at == format_instant(after(Instant(clock.at), -60))[:19] + memory.updated_at[19:]


async def test_a_newer_item_of_a_lower_tier_leaves_a_long_memory_its_life(node: Node, clock: FakeClock) -> None:
    """Promoted here, corrected there: it keeps the tier, so it keeps the life of that tier too."""
    stored = await put(node, "t", "old", tier="mid")
    item = (await shown(node, stored.id)).memory
    await service.promote(node, ALICE, stored.id)
    clock.advance(60)
    changed = replace(item, content="new", updated_at=format_instant(clock.now()))
    assert (await bring(node, {"memories": [changed]})).updated == 1
    now = (await shown(node, stored.id)).memory
    assert (now.content, now.tier, now.expires_at) == ("new", "long", msgspec.UNSET)


async def test_an_item_of_another_id_updates_the_memory_that_has_its_name_only_if_newer(
    node: Node, clock: FakeClock
) -> None:
    stored = await put(node, "t", "here")
    base: dict[str, object] = {"id": "elsewhere", "title": "t", "content": "there", "tier": "mid"}
    old = await bring(node, {"memories": [{**base, "updated_at": "2020-01-01T00:00:00Z"}]})
    assert (old.imported, old.unchanged) == (0, 1)
    clock.advance(60)
    new = await bring(node, {"memories": [{**base, "updated_at": format_instant(after(Instant(clock.at), -1))}]})
    assert new.imported == 1
    assert await ids_listed(node) == {stored.id}
    assert (await shown(node, stored.id)).content == "there"


async def test_a_newer_item_whose_title_another_memory_has_is_refused_with_the_reason(
    node: Node, clock: FakeClock
) -> None:
    stored, other = await put(node, "t", "text"), await put(node, "u", "text")
    clock.advance(60)
    moment = format_instant(after(Instant(clock.at), -1))
    items = [{"id": stored.id, "title": "u", "content": "newer", "updated_at": moment}]
    result = await bring(node, {"memories": items})
    assert (result.imported, result.unchanged, len(result.errors)) == (0, 0, 1)
    assert result.errors[0].startswith(f"{stored.id}: ")
    assert other.id in result.errors[0]


async def test_authors_become_the_caller_unless_the_source_is_trusted(node: Node) -> None:
    items = [
        {"title": "1", "content": "x", "metadata": {"agent_id": "carol", "k": 1}},
        {"title": "2", "content": "x", "metadata": {"agent_id": "bob"}},
        {"title": "3", "content": "x"},
    ]
    result = await bring(node, {"memories": items}, by=BOB)
    assert (result.imported, result.restamped, result.trusted_source) == (3, 1, False)
    page = {memory.title: memory.metadata for memory in (await service.export(node, ALICE)).memories}
    assert page["1"] == {"agent_id": "bob", "imported_from_agent_id": "carol", "k": 1}
    assert page["2"] == page["3"] == {"agent_id": "bob"}
    trusted = [{"title": "4", "content": "x", "metadata": {"agent_id": "carol"}},
               {"title": "5", "content": "x", "metadata": {"agent_id": "not an id"}}]
    result = await bring(node, {"memories": trusted, "trust_source": True}, by=BOB)
    assert (result.imported, result.restamped, result.trusted_source, len(result.errors)) == (1, 0, True, 1)
    page = {memory.title: memory.metadata for memory in (await service.export(node, ALICE)).memories}
    assert page["4"] == {"agent_id": "carol"}


async def test_each_bad_item_is_refused_with_its_reason_and_the_others_are_stored(node: Node, clock: FakeClock) -> None:
    ahead = format_instant(after(Instant(clock.at), 3600))
    items: list[dict[str, object]] = [
        {"title": "good", "content": "x"},
        {"id": "bad-1", "content": " "},
        {"title": "bad-2", "content": "x", "priority": 99},
        {"content": "x", "namespace": "_agents"},
        {"id": "bad-4", "content": "x", "updated_at": ahead},
        {"id": "bad-5", "content": "x", "created_at": "yesterday"},
        {"title": "bad-6", "content": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"id": "x" * 129, "content": "x"},
        {"title": "good too", "content": "x"},
    ]
    result = await bring(node, {"memories": items})
    assert (result.imported, len(result.errors)) == (2, 7)
    starts = ["bad-1: ", "bad-2: ", "item 3: ", "bad-4: ", "bad-5: ", "bad-6: ", "x" * 129]
    assert [error.startswith(start) for error, start in zip(result.errors, starts, strict=True)] == [True] * 7
    assert len(await ids_listed(node)) == 2


async def test_what_was_deleted_here_does_not_come_back_by_import(node: Node) -> None:
    dead = await put(node, "dead")
    exported = await service.export(node, ALICE)
    await service.delete(node, ALICE, dead.id)
    result = await bring(node, document(exported))
    assert (result.imported, len(result.errors)) == (0, 1)
    assert "was deleted here and stays so" in result.errors[0]
    assert [(one.section, one.position, one.item, one.code) for one in result.refused] == [
        ("memories", 0, dead.id, Code.GONE)]
    assert await ids_listed(node) == set()


async def test_what_was_archived_here_comes_back_only_by_a_row_that_was_changed_afterwards(
    node: Node, clock: FakeClock
) -> None:
    away = await put(node, "away", "old text")
    exported = await service.export(node, ALICE)
    await service.archive(node, ALICE, ArchiveRequest(ids=[away.id]))
    result = await bring(node, document(exported))
    assert (result.imported, result.unchanged, result.errors) == (0, 1, ())
    assert await ids_listed(node) == set()
    clock.advance(60)
    moment = format_instant(after(Instant(clock.at), -1))
    row = {"id": away.id, "title": "back", "content": "new text", "updated_at": moment}
    result = await bring(node, {"memories": [row], "trust_source": True})
    assert (result.imported, result.updated, result.errors) == (1, 1, ())
    memory = await shown(node, away.id)
    assert (memory.title, memory.content, memory.updated_at) == ("back", "new text", moment)
    assert (await bring(node, {"memories": [row], "trust_source": True})).unchanged == 1


async def test_an_expired_holder_gives_up_its_name_to_an_import(node: Node, clock: FakeClock) -> None:
    old = await put(node, "t", "old", ttl_secs=60)
    clock.advance(61)
    result = await bring(node, {"memories": [{"title": "t", "content": "new"}]})
    assert (result.imported, result.errors) == (1, ())
    (row,) = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert row.id == old.id


@pytest.mark.parametrize(
    ("item", "left_s"),
    [
        ({"tier": "short"}, 6 * 3600),
        ({"tier": "short", "id": "exported-1"}, None),
        ({"tier": "short", "expires_at": "2200-01-01T00:00:00Z"}, "2200-01-01T00:00:00.000000Z"),
        ({"tier": "long"}, None),
    ],
)
async def test_an_exported_memory_without_an_expiry_has_none_and_a_new_one_gets_its_tiers(
    node: Node, clock: FakeClock, item: dict[str, object], left_s: float | str | None
) -> None:
    clock.step_us = 0
    await bring(node, {"memories": [{"content": "x", **item}]})
    (memory,) = (await service.export(node, ALICE)).memories
    expected = format_instant(after(Instant(clock.at), left_s)) if isinstance(left_s, int) else left_s
    assert memory.expires_at == (msgspec.UNSET if expected is None else expected)


async def test_bad_links_are_refused_one_by_one(node: Node) -> None:
    one, other = await put(node, "one"), await put(node, "two")
    links = [
        {"source_id": one.id, "target_id": other.id},
        {"source_id": one.id, "target_id": "nobody"},
        {"source_id": one.id, "target_id": one.id},
        {"source_id": one.id, "target_id": other.id, "relation": "likes"},
        {"source_id": other.id, "target_id": one.id, "valid_from": "x"},
        {"source_id": other.id, "target_id": one.id, "created_at": "x"},
    ]
    result = await bring(node, {"memories": [], "links": links})
    assert (result.links_imported, len(result.errors)) == (1, 5)
    assert result.errors[0].startswith(f"{one.id} -> nobody: ")


async def test_a_link_that_was_taken_back_here_is_not_brought_back(node: Node) -> None:
    one, other = await put(node, "one"), await put(node, "two")
    await connect(node, one.id, other.id)
    exported = await service.export(node, ALICE)
    await service.unlink(node, ALICE, LinkRequest(source_id=one.id, target_id=other.id))
    assert (await bring(node, document(exported))).links_imported == 0
    assert (await service.export(node, ALICE)).links == ()


async def test_a_link_keeps_its_time_and_its_observer_if_the_source_is_trusted(node: Node) -> None:
    one, other = await put(node, "one"), await put(node, "two")
    links = [{"source_id": one.id, "target_id": other.id, "observed_by": "carol", "created_at": "2020-01-01T00:00:00Z"}]
    assert (await bring(node, {"memories": [], "links": links, "trust_source": True})).links_imported == 1
    (link,) = (await service.export(node, ALICE)).links
    assert (link.observed_by, link.created_at) == ("carol", "2020-01-01T00:00:00.000000Z")


async def test_a_link_of_a_shadow_is_brought_to_the_memory_that_has_the_name(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    elder, friend = await put(node, "t"), await put(node, "friend")
    clock.advance(1)
    async with another_node(tmp_path, clock) as other:
        shadow = await put(other, "t", by=BOB)
        await tell(node, other)
    links = [{"source_id": shadow.id, "target_id": friend.id}]
    assert (await bring(node, {"memories": [], "links": links})).links_imported == 1
    (link,) = (await service.export(node, ALICE)).links
    assert link.source_id == elder.id


async def test_an_import_has_a_bound(node: Node) -> None:
    items = [{"content": "x"}] * 1001
    assert (await refused(Code.INVALID_REQUEST, bring(node, {"memories": items}))).field == "memories"
    links = [{"source_id": "a", "target_id": "b"}] * 1001
    assert (await refused(Code.INVALID_REQUEST, bring(node, {"memories": [], "links": links}))).field == "links"


async def test_a_repeated_key_imports_once(node: Node) -> None:
    body = {"memories": [{"content": "one"}, {"content": "two"}]}
    first = await bring(node, body, once=ONCE)
    ids = await ids_listed(node)
    for memory_id in ids:
        await service.delete(node, ALICE, memory_id)
    assert await bring(node, body, once=ONCE) == first
    assert await ids_listed(node) == set()


async def test_an_archived_row_goes_into_the_archive_and_newer_wins_there_too(node: Node, clock: FakeClock) -> None:
    here = await put(node, "here")
    clock.advance(60)
    early, late = (format_instant(after(Instant(clock.at), seconds)) for seconds in (-3600, -1))
    base = {"content": "x", "created_at": early, "updated_at": early, "archive_reason": "tidy"}
    rows = [{**base, "id": "new-1", "title": "t", "archived_at": early}, {**base, "id": here.id, "archived_at": early}]
    result = await bring(node, {"memories": [], "archived": rows})
    assert (result.archived_imported, result.unchanged, result.errors) == (1, 1, ())
    assert await ids_listed(node) == {here.id}
    rows[1]["archived_at"] = late
    for expected in ((1, 1), (0, 2)):
        result = await bring(node, {"memories": [], "archived": rows})
        assert (result.archived_imported, result.unchanged, result.errors) == (*expected, ())
    found = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert [(row.id, row.archived_at, row.archive_reason) for row in found] == [
        (here.id, late, "tidy"), ("new-1", early, "tidy")]


@pytest.mark.parametrize("row", [
    {"content": "x"}, {"id": "a-1", "content": "x", "archived_at": "2999-01-01T00:00:00Z"},
    {"id": "a-1", "content": "x", "archived_at": "then"}, {"id": "a-1", "content": "x", "archive_reason": "a\u0000"},
    {"id": "a-1", "content": "", "archived_at": "2020-01-01T00:00:00Z"},
])
async def test_a_bad_archived_row_is_refused(node: Node, row: dict[str, object]) -> None:
    result = await bring(node, {"memories": [], "archived": [row]})
    assert (result.archived_imported, len(result.errors)) == (0, 1)
    assert (await service.list_archive(node, ALICE, GetArchivedQuery())).count == 0


async def test_what_expired_since_it_was_exported_goes_into_the_archive_once(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    stored = await put(node, "t", ttl_secs=60)
    exported = await service.export(node, ALICE)
    clock.advance(3600)
    async with another_node(tmp_path, clock) as other:
        for expected in ((0, 1, 0), (0, 0, 1)):
            result = await bring(other, document(exported))
            assert (result.imported, result.archived_imported, result.unchanged, result.errors) == (*expected, ())
        (row,) = (await service.list_archive(other, ALICE, GetArchivedQuery())).archived
        assert (row.id, row.archive_reason, row.archived_at) == (stored.id, "ttl_expired", stored.expires_at)


async def test_a_life_that_was_prolonged_here_is_not_ended_by_an_old_export(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", ttl_secs=60)
    exported = await service.export(node, ALICE)
    await service.update(node, ALICE, stored.id, UpdateMemory(expires_at="2200-01-01T00:00:00Z"))
    clock.advance(3600)
    assert (await bring(node, document(exported))).unchanged == 1
    assert await ids_listed(node) == {stored.id}


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(node: Node, clock: FakeClock) -> None:
    here = await put(node, "here", "old")
    clock.advance(60)
    count = len(await ops_of(node.store))
    moment = format_instant(after(Instant(clock.at), -1))
    rows = [{"title": "new", "content": "x"}, {"id": here.id, "title": "here", "content": "new", "updated_at": moment},
            {"content": ""}]
    body = {"memories": rows, "dry_run": True}
    for _ in range(2):
        result = await bring(node, body, once=ONCE)
        assert (result.imported, result.updated, len(result.errors), result.dry_run) == (2, 1, 1, True)
    assert len(await ops_of(node.store)) == count
    assert await ids_listed(node) == {here.id}
    assert (await bring(node, {**body, "dry_run": False}, once=ONCE)).imported == 2


async def test_names_that_pass_from_one_memory_to_another_within_an_import_are_taken(
    node: Node, clock: FakeClock
) -> None:
    one, other = await put(node, "a", "one"), await put(node, "b", "other")
    clock.advance(60)
    moment = format_instant(after(Instant(clock.at), -1))
    rows = [{"id": one.id, "title": "b", "content": "one", "updated_at": moment},
            {"id": other.id, "title": "c", "content": "other", "updated_at": moment}]
    result = await bring(node, {"memories": rows})
    assert (result.imported, result.errors) == (2, ())
    assert ((await shown(node, one.id)).title, (await shown(node, other.id)).title) == ("b", "c")


async def test_private_memories_of_two_authors_are_not_mixed_by_restamping(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    for author in (ALICE, BOB):
        await put(node, "secret", f"of {author.agent_id}", by=author, scope="private")
    exported = await service.export(node, ALICE)
    async with another_node(tmp_path, clock) as other:
        result = await bring(other, document(exported, trust=False))
        assert (result.imported, len(result.errors)) == (1, 1)
        assert "another author's private memory has this title here" in result.errors[0]
        assert (await bring(other, document(exported, trust=False))).unchanged == 1


async def test_what_refers_to_a_row_that_is_taken_for_another_memory_goes_to_that(node: Node) -> None:
    here = await put(node, "Maria")
    rows = [{"id": "theirs", "title": "Maria", "content": "x", "updated_at": "2020-01-01T00:00:00Z"},
            {"id": "friend", "title": "friend", "content": "x"}]
    links = [{"source_id": "friend", "target_id": "theirs"}]
    aliases = [{"entity_id": "theirs", "alias": "M."}]
    result = await bring(node, {"memories": rows, "links": links, "aliases": aliases})
    assert (result.links_imported, result.aliases_imported, result.errors) == (1, 1, ())
    assert result.merged == {"theirs": here.id}
    exported = await service.export(node, ALICE)
    assert [(link.source_id, link.target_id) for link in exported.links] == [("friend", here.id)]
    assert [alias.entity_id for alias in exported.aliases] == [here.id]


async def test_rows_of_the_system_are_taken_from_a_trusted_source_only(node: Node) -> None:
    row = {"id": "report-1", "content": "x", "title": "t", "namespace": "_curator/reports"}
    assert (await bring(node, {"memories": [row]})).refused[0].code == Code.RESERVED_NAMESPACE
    assert (await bring(node, {"memories": [row], "trust_source": True})).imported == 1
    stolen = {"id": "report-1", "content": "y", "title": "t", "namespace": "global"}
    assert (await bring(node, {"memories": [stolen]})).refused[0].code == Code.RESERVED_NAMESPACE
    inbox = {"content": "x", "namespace": "_messages/bob"}
    assert (await bring(node, {"memories": [inbox], "trust_source": True})).refused[0].code == Code.RESERVED_NAMESPACE


async def test_aliases_and_agents_are_taken_once_and_agents_from_a_trusted_source_only(node: Node) -> None:
    entity = await put(node, "Maria")
    aliases = [{"entity_id": entity.id, "alias": " M. ", "ordinal": 1}, {"entity_id": entity.id, "alias": " "},
               {"entity_id": "nobody", "alias": "x"}, {"entity_id": entity.id, "alias": "y", "ordinal": -1}]
    agents = [{"agent_id": "bob", "agent_type": "human", "capabilities": ["a", "b"]},
              {"agent_id": "no id!", "agent_type": "human"}, {"agent_id": "eve", "agent_type": "\u0000"}]
    body = {"memories": [], "aliases": aliases, "agents": agents}
    plain = await bring(node, body)
    assert (plain.aliases_imported, plain.agents_imported, plain.skipped, len(plain.errors)) == (1, 0, 3, 3)
    trusted = await bring(node, {**body, "trust_source": True})
    assert (trusted.aliases_imported, trusted.agents_imported, trusted.skipped, len(trusted.errors)) == (0, 1, 0, 5)
    exported = await service.export(node, ALICE)
    assert [(alias.entity_id, alias.alias, alias.ordinal) for alias in exported.aliases] == [(entity.id, "M.", 1)]
    assert [(agent.agent_id, agent.agent_type, agent.capabilities) for agent in exported.agents] == [
        ("bob", "human", ("a", "b"))]
    later = {**agents[0], "agent_type": "system", "last_seen_at": "2026-12-31T00:00:00Z"}
    again = await bring(node, {"memories": [], "agents": [later, later], "trust_source": True})
    assert (again.agents_imported, again.errors) == (0, ())


async def test_an_ending_comes_with_its_link_and_a_later_statement_wins(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    one, other = await put(node, "one"), await put(node, "two")
    await connect(node, one.id, other.id)
    clock.advance(3600)
    ended = format_instant(after(Instant(clock.at), -60))
    link = {"source_id": one.id, "target_id": other.id, "valid_from": "2020-01-01T00:00:00Z", "valid_until": ended,
            "ended_by": "carol", "reason": "it was wrong", "ended_at": ended, "observed_by": "bob", "past": [
                {"valid_from": "2019-01-01T00:00:00Z", "valid_until": "2019-06-01T00:00:00Z", "observed_by": "bob"}]}
    for imported in (1, 0):
        result = await bring(node, {"memories": [], "links": [link], "trust_source": True})
        assert (result.links_imported, result.errors) == (imported, ())
    (found,) = (await service.export(node, ALICE)).links
    assert (found.ended_by, found.reason, found.ended_at, found.valid_until) == ("carol", "it was wrong", ended, ended)
    assert isinstance(found.past, tuple)
    assert [(past.valid_from, past.observed_by) for past in found.past] == [("2019-01-01T00:00:00.000000Z", "bob")]
    async with another_node(tmp_path, clock) as third:
        exported = await service.export(node, ALICE)
        assert (await bring(third, document(exported))).links_imported == 1
        assert (await service.export(third, ALICE)).digest == exported.digest


async def test_a_link_that_was_stated_anew_is_newer_than_its_ending_in_both_directions(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    one, other = await put(node, "one"), await put(node, "two")
    await connect(node, one.id, other.id)
    async with another_node(tmp_path, clock) as third:
        await bring(third, document(await service.export(node, ALICE)))
        clock.advance(60)
        triple = {"source_id": one.id, "target_id": other.id, "relation": "related_to"}
        await service.kg_invalidate(node, ALICE, msgspec.convert({**triple, "reason": "no"}, InvalidateRequest))
        ended = await service.export(node, ALICE)
        assert (await bring(third, document(ended))).links_imported == 1
        clock.advance(60)
        await connect(node, one.id, other.id, valid_from="2020-01-01T00:00:00Z")
        anew = await service.export(node, ALICE)
        assert (await bring(node, document(ended))).links_imported == 0
        for imported in (1, 0):
            assert (await bring(third, document(anew))).links_imported == imported
        assert (await service.export(third, ALICE)).links == anew.links


@pytest.mark.parametrize("section", ["memories", "archived", "links", "aliases", "agents"])
async def test_every_section_has_its_bound(node: Node, section: str) -> None:
    rows: dict[str, dict[str, object]] = {
        "memories": {"content": "x"}, "archived": {"content": "x"}, "links": {"source_id": "a", "target_id": "b"},
        "aliases": {"entity_id": "a", "alias": "b"}, "agents": {"agent_id": "a", "agent_type": "b"}}
    body = {"memories": [], section: [rows[section]] * 1001}
    assert (await refused(Code.INVALID_REQUEST, bring(node, body))).field == section
