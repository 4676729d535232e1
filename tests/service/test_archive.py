"""The archive: out of sight with all that a memory has, and back."""

from __future__ import annotations

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, Instant, after, format_instant
from aimem.service import Node, Once
from aimem.store import embeddings
from aimem.wire import (
    ArchiveRequest,
    GcQuery,
    GetArchivedQuery,
    PurgeQuery,
    RecallRequest,
    RestoreQuery,
    SearchQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, all_quiet, connect, ids_listed, ops_of, put, refused, shown

ONCE = Once("key-1", b"hash")


def in_s(clock: FakeClock, seconds: float) -> str:
    return format_instant(after(Instant(clock.at), seconds))


async def put_away(node: Node, *ids: str) -> None:
    assert (await service.archive(node, ALICE, ArchiveRequest(ids=list(ids)))).count == len(ids)


async def test_an_archived_memory_is_out_of_sight_and_in_the_archive_with_the_reason(
    node: Node, clock: FakeClock
) -> None:
    stored = await put(node, "t", "word", namespace="n")
    clock.step_us = 0
    answer = await service.archive(node, ALICE, ArchiveRequest(ids=[stored.id], reason=" no longer so "))
    assert (answer.archived, answer.missing, answer.count, answer.reason) == ((stored.id,), (), 1, "no longer so")
    await refused(Code.NOT_FOUND, shown(node, stored.id))
    assert await ids_listed(node) == set()
    assert (await service.search(node, ALICE, SearchQuery(q="word"))).count == 0
    (row,) = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert (row.id, row.content, row.archive_reason, row.archived_at) == (
        stored.id, "word", "no longer so", in_s(clock, 0),
    )
    stats = await service.archive_stats(node, ALICE)
    assert (stats.archived_total, [(each.namespace, each.count) for each in stats.by_namespace]) == (1, [("n", 1)])


async def test_a_memory_comes_back_with_all_that_it_had(node: Node, clock: FakeClock) -> None:
    stored = await put(
        node, "t", "word", by=BOB, tier="mid", tags=["x"], priority=8, confidence=0.5, metadata={"k": 1}, scope="team"
    )
    friend = await put(node, "friend")
    await connect(node, stored.id, friend.id)
    await service.recall(node, ALICE, RecallRequest(context="word"))
    await all_quiet()
    await node.store.write(embeddings.use_model, "m")
    waiting = await node.store.read(embeddings.owed, 0, 10, node.store.stream, ())
    await node.store.write(embeddings.put, "m", [(item.text_hash, [b"\0\0"]) for item in waiting])
    before = await shown(node, stored.id)
    assert before.access_count == 1
    await put_away(node, stored.id)
    clock.advance(DAY_S)
    answer = await service.restore(node, ALICE, stored.id, RestoreQuery())
    assert (answer.restored, answer.tier, answer.expires_at) == (True, "mid", before.expires_at)
    now = await shown(node, stored.id)
    assert now.updated_at > before.updated_at
    assert msgspec.structs.replace(now, updated_at="", memory=before.memory) == msgspec.structs.replace(
        before, updated_at=""
    )
    assert await node.store.read(embeddings.owed, 0, 10, node.store.stream, ()) == ()
    assert (await service.search(node, ALICE, SearchQuery(q="word"))).count == 1


@pytest.mark.parametrize(
    ("tier", "mode", "away_s", "tier_back", "left_s"),
    [
        ("mid", "keep", DAY_S, "mid", 6 * DAY_S),
        ("mid", "keep", 8 * DAY_S, "mid", 7 * DAY_S),
        ("short", "keep", DAY_S, "short", 6 * 3600),
        ("long", "keep", DAY_S, "long", None),
        ("short", "long", 60, "long", None),
        ("mid", "long", 8 * DAY_S, "long", None),
    ],
)
async def test_life_goes_on_where_it_was_and_anew_if_it_was_over(
    node: Node, clock: FakeClock, tier: str, mode: str, away_s: float, tier_back: str, left_s: float | None
) -> None:
    clock.step_us = 0
    stored = await put(node, "t", tier=tier)
    await put_away(node, stored.id)
    clock.advance(away_s)
    answer = await service.restore(node, ALICE, stored.id, msgspec.convert({"mode": mode}, RestoreQuery))
    assert (answer.tier, answer.expires_at) == (tier_back, msgspec.UNSET if left_s is None else in_s(clock, left_s))
    memory = await shown(node, stored.id)
    assert (memory.tier, memory.expires_at) == (answer.tier, answer.expires_at)


@pytest.mark.parametrize("mode", ["keep", "long"])
async def test_a_collected_memory_comes_back_and_stays(node: Node, clock: FakeClock, mode: str) -> None:
    stored = await put(node, "t", tier="short")
    clock.advance(7 * 3600)
    assert (await service.collect(node, ALICE, GcQuery())).collected == 1
    await service.restore(node, ALICE, stored.id, msgspec.convert({"mode": mode}, RestoreQuery))
    assert (await service.collect(node, ALICE, GcQuery())).collected == 0
    assert (await shown(node, stored.id)).id == stored.id


async def test_a_restored_memory_expires_and_is_collected_again(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", tier="short")
    for _ in range(3):
        clock.advance(7 * 3600)
        assert (await service.collect(node, ALICE, GcQuery())).collected == 1
        await service.restore(node, ALICE, stored.id, RestoreQuery())
    assert await ids_listed(node) == {stored.id}


async def test_a_memory_does_not_come_back_onto_a_name_that_was_taken_meanwhile(node: Node, clock: FakeClock) -> None:
    stored = await put(node, "t", "old")
    await put_away(node, stored.id)
    new = await put(node, "t", "new", ttl_secs=60)
    assert new.id != stored.id
    error = await refused(Code.NAME_TAKEN, service.restore(node, ALICE, stored.id, RestoreQuery()))
    assert error.details["id"] == new.id
    clock.advance(61)
    assert (await service.restore(node, ALICE, stored.id, RestoreQuery())).restored
    assert (await shown(node, stored.id)).content == "old"


async def test_private_names_come_back_beside_each_other(node: Node) -> None:
    hers = await put(node, "t", scope="private")
    await put_away(node, hers.id)
    await put(node, "t", by=BOB, scope="private")
    await put(node, "t", by=BOB)
    assert (await service.restore(node, ALICE, hers.id, RestoreQuery())).restored


async def test_what_is_not_archived_is_not_restored(node: Node) -> None:
    stored = await put(node, "t")
    error = await refused(Code.ID_TAKEN, service.restore(node, ALICE, stored.id, RestoreQuery()))
    assert "not archived" in error.message
    error = await refused(Code.NOT_FOUND, service.restore(node, ALICE, "no-such-id", RestoreQuery()))
    assert error.message.startswith("not found in archive")
    await service.delete(node, ALICE, stored.id)
    await refused(Code.NOT_FOUND, service.restore(node, ALICE, stored.id, RestoreQuery()))


async def test_an_archive_of_many_takes_the_known_and_names_the_missing_in_one_transaction(node: Node) -> None:
    ids = [(await put(node, f"t{number}")).id for number in range(450)]
    groups = node.store.counts.groups
    answer = await service.archive(node, ALICE, ArchiveRequest(ids=["missing", *ids, ids[0], "gone"]))
    assert (set(answer.archived), answer.missing, answer.count) == (set(ids), ("missing", "gone"), 450)
    # One of it; the pieces of the last stored words may be indexed meanwhile.
    assert groups + 1 <= node.store.counts.groups <= groups + 2
    page = await service.list_archive(node, ALICE, GetArchivedQuery(limit=1000))
    assert page.count == 450


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        (ArchiveRequest(ids=[]), "ids"),
        (ArchiveRequest(ids=["x"] * 1001), "ids"),
        (ArchiveRequest(ids=["ok", ""]), "ids[1]"),
        (ArchiveRequest(ids=["ok"], reason="a\x00b"), "reason"),
        (ArchiveRequest(ids=["ok"], reason="r" * 513), "reason"),
    ],
)
async def test_a_bad_request_to_archive_is_named(node: Node, request_body: ArchiveRequest, field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, service.archive(node, ALICE, request_body))).field == field


async def test_a_long_reason_is_cut_and_the_answer_says_to_what(node: Node) -> None:
    stored = await put(node, "t")
    answer = await service.archive(node, ALICE, ArchiveRequest(ids=[stored.id], reason="r" * 200))
    (row,) = (await service.list_archive(node, ALICE, GetArchivedQuery())).archived
    assert answer.reason == row.archive_reason == "r" * 128


async def test_the_archive_is_listed_newest_first_by_namespace_and_page(node: Node, clock: FakeClock) -> None:
    ids = []
    for number in range(5):
        ids.append((await put(node, f"t{number}", namespace=f"n{number % 2}", ttl_secs=60 * (number + 1))).id)
    for number in (3, 1):
        await put_away(node, ids[number])
        clock.advance(1)
    clock.advance(3600)
    await service.collect(node, ALICE, GcQuery())
    page = await service.list_archive(node, ALICE, GetArchivedQuery())
    assert [memory.id for memory in page.archived][3:] == [ids[1], ids[3]]
    assert {memory.id for memory in page.archived[:3]} == {ids[0], ids[2], ids[4]}
    parts = [
        memory.id
        for offset in range(0, 6, 2)
        for memory in (await service.list_archive(node, ALICE, GetArchivedQuery(limit=2, offset=offset))).archived
    ]
    assert parts == [memory.id for memory in page.archived]
    narrowed = await service.list_archive(node, ALICE, GetArchivedQuery(namespace="n1"))
    assert [memory.id for memory in narrowed.archived] == [ids[1], ids[3]]
    for query, field in [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"offset": -1}, "offset")]:
        asked = msgspec.convert(query, GetArchivedQuery)
        assert (await refused(Code.INVALID_REQUEST, service.list_archive(node, ALICE, asked))).field == field


async def test_a_purge_wants_an_age_or_the_express_wish_for_all(node: Node) -> None:
    stored = await put(node, "t", "secret")
    await put_away(node, stored.id)
    await refused(Code.INVALID_REQUEST, service.purge_archive(node, ALICE, PurgeQuery()))
    for days in (-1, 36_501):
        error = await refused(
            Code.INVALID_REQUEST, service.purge_archive(node, ALICE, PurgeQuery(older_than_days=days))
        )
        assert error.field == "older_than_days"
    both = PurgeQuery(older_than_days=0, all=True)
    assert (await refused(Code.INVALID_REQUEST, service.purge_archive(node, ALICE, both))).field == "all"
    assert (await service.archive_stats(node, ALICE)).archived_total == 1
    assert (await service.purge_archive(node, ALICE, PurgeQuery(all=True))).purged == 1
    await refused(Code.NOT_FOUND, service.restore(node, ALICE, stored.id, RestoreQuery()))
    assert b"secret" not in b"".join(entry for op in await ops_of(node.store) for entry in op.entries)


async def test_a_purge_by_age_counts_from_the_archiving_by_hand_or_by_the_clock(node: Node, clock: FakeClock) -> None:
    by_hand = await put(node, "by hand")
    collected = await put(node, "collected", ttl_secs=60)
    await put_away(node, by_hand.id)
    clock.advance(DAY_S)
    await service.collect(node, ALICE, GcQuery())
    clock.advance(DAY_S + 60)
    late = await put(node, "late")
    await put_away(node, late.id)
    assert (await service.purge_archive(node, ALICE, PurgeQuery(older_than_days=3))).purged == 0
    assert (await service.purge_archive(node, ALICE, PurgeQuery(older_than_days=2))).purged == 1
    page = await service.list_archive(node, ALICE, GetArchivedQuery())
    assert [memory.id for memory in page.archived] == [late.id, collected.id]
    assert (await service.purge_archive(node, ALICE, PurgeQuery(older_than_days=0))).purged == 2


async def test_a_purge_takes_more_than_a_batch(node: Node) -> None:
    ids = [(await put(node, f"t{number}")).id for number in range(405)]
    await put_away(node, *ids)
    assert (await service.purge_archive(node, ALICE, PurgeQuery(all=True))).purged == 405
    assert (await service.archive_stats(node, ALICE)).archived_total == 0


async def test_a_repeated_key_archives_and_restores_once(node: Node) -> None:
    stored = await put(node, "t")
    request = ArchiveRequest(ids=[stored.id])
    first = await service.archive(node, ALICE, request, ONCE)
    back = await service.restore(node, ALICE, stored.id, RestoreQuery(), Once("key-2", b"hash"))
    assert await service.archive(node, ALICE, request, ONCE) == first
    assert await service.restore(node, ALICE, stored.id, RestoreQuery(), Once("key-2", b"hash")) == back
    assert await ids_listed(node) == {stored.id}


async def test_a_change_of_the_text_that_was_archived_is_not_lost(node: Node) -> None:
    stored = await put(node, "t", "old")
    await service.update(node, ALICE, stored.id, UpdateMemory(content="new"))
    await put_away(node, stored.id)
    await service.restore(node, ALICE, stored.id, RestoreQuery())
    assert (await shown(node, stored.id)).content == "new"
