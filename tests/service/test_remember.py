"""Storing: a new memory, or the one of that name brought up to date; and each request once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from aimem import service
from aimem.errors import Code
from aimem.model import DAY_S, Credential, Instant, after, derived_memory_id, format_instant
from aimem.ports import delayed_threads
from aimem.service import Node, Once, Policy
from aimem.store import embeddings
from aimem.wire import GetArchivedQuery, SearchQuery, Stored
from tests.nodes import FakeClock, InlineThreads, open_node
from tests.service.steps import ALICE, BOB, history_of, ids_listed, ops_of, put, refused, shown

HOUR_S = 3600


def in_s(clock: FakeClock, seconds: float) -> str:
    return format_instant(after(Instant(clock.at), seconds))


async def test_a_new_memory_has_the_defaults_of_v063(node: Node, clock: FakeClock) -> None:
    stored = await put(node, " t ", "text ")
    assert (stored.action, stored.tier, stored.namespace, stored.title, stored.agent_id) == (
        "created", "mid", "global", "t", "alice",
    )
    memory = await shown(node, stored.id)
    assert (memory.content, memory.priority, memory.confidence, memory.source) == ("text ", 5, 1.0, "api")
    assert memory.metadata == {"agent_id": "alice"}
    assert memory.expires_at == stored.expires_at
    assert memory.created_at < stored.expires_at < in_s(clock, 7 * DAY_S + 1)
    assert str((await ops_of(node.store))[-1].dot) == stored.version


@pytest.mark.parametrize(
    ("tier", "given", "left_s"),
    [
        ("short", {}, 6 * HOUR_S),
        ("mid", {}, 7 * DAY_S),
        ("long", {}, None),
        ("long", {"ttl_secs": 60}, 60),
        ("short", {"ttl_secs": 31_536_000}, 31_536_000),
        ("mid", {"expires_at": "2200-01-01T00:00:00+01:00", "ttl_secs": 60}, "2199-12-31T23:00:00.000000Z"),
    ],
)
async def test_life_is_what_was_given_else_the_tiers(
    node: Node, clock: FakeClock, tier: str, given: dict[str, object], left_s: float | str | None
) -> None:
    clock.step_us = 0
    stored = await put(node, "t", tier=tier, **given)
    expected = left_s if isinstance(left_s, str) else msgspec.UNSET if left_s is None else in_s(clock, left_s)
    assert stored.expires_at == expected


async def test_the_same_author_updates_what_has_the_name(node: Node, clock: FakeClock) -> None:
    first = await put(node, "t", "old", tags=["a"], source="hook", metadata={"k": 1})
    clock.advance(60)
    again = await put(node, "t", "new", tags=["b"], metadata={"l": 2})
    assert (again.id, again.action) == (first.id, "updated")
    memory = await shown(node, first.id)
    assert (memory.content, memory.tags, memory.source) == ("new", ("b",), "api")
    assert memory.metadata == {"l": 2, "agent_id": "alice"}
    assert memory.updated_at > memory.created_at
    assert await history_of(node, first.id) == [("t", "old")]
    assert await ids_listed(node) == {first.id}


async def test_another_author_edits_under_its_own_name_and_the_author_stays(node: Node) -> None:
    first = await put(node, "t", "alice's words")
    again = await put(node, "t", "bob's words", by=BOB)
    assert (again.id, again.action, again.agent_id) == (first.id, "updated", "alice")
    assert (await shown(node, first.id)).metadata == {"agent_id": "alice", "edited_by": "bob"}
    assert await history_of(node, first.id) == [("t", "alice's words")]


@pytest.mark.parametrize(
    ("stored", "given", "kept"),
    [
        ({"priority": 7}, {"priority": 3}, {"priority": 7}),
        ({"priority": 3}, {"priority": 7}, {"priority": 7}),
        ({"priority": 3}, {}, {"priority": 5}),
        ({"confidence": 0.9}, {"confidence": 0.2}, {"confidence": 0.9}),
        ({"confidence": 0.2}, {"confidence": 0.9}, {"confidence": 0.9}),
        ({"tier": "long"}, {"tier": "short"}, {"tier": "long"}),
        ({"tier": "long"}, {}, {"tier": "long"}),
        ({"tier": "mid"}, {"tier": "short"}, {"tier": "mid"}),
        ({"tier": "short"}, {"tier": "mid"}, {"tier": "mid"}),
        ({"tier": "mid"}, {"tier": "long"}, {"tier": "long"}),
    ],
)
async def test_an_upsert_never_lowers_priority_confidence_or_tier_and_says_so(
    node: Node, stored: dict[str, object], given: dict[str, object], kept: dict[str, object]
) -> None:
    first = await put(node, "t", "old", **stored)
    answer = await put(node, "t", "new", **given)
    memory = await shown(node, first.id)
    assert {name: getattr(memory, name) for name in kept} == kept
    assert answer.tier == memory.tier


@pytest.mark.parametrize(
    ("stored", "given", "left_s"),
    [
        ({"tier": "mid"}, {"tier": "short"}, 7 * DAY_S),
        ({"tier": "short", "ttl_secs": 30 * DAY_S}, {"tier": "short"}, 30 * DAY_S),
        ({"tier": "short"}, {"tier": "mid"}, 7 * DAY_S),
        ({"tier": "mid"}, {"tier": "long"}, None),
        ({"tier": "long"}, {"tier": "short"}, None),
        ({"tier": "mid"}, {"ttl_secs": 60}, 60),
        ({"tier": "long"}, {"tier": "long", "ttl_secs": 60}, 60),
    ],
)
async def test_an_upsert_shortens_a_life_only_if_the_caller_says_so(
    node: Node, clock: FakeClock, stored: dict[str, object], given: dict[str, object], left_s: float | None
) -> None:
    clock.step_us = 0
    await put(node, "t", "old", **stored)
    answer = await put(node, "t", "new", **given)
    assert answer.expires_at == (msgspec.UNSET if left_s is None else in_s(clock, left_s))
    assert (await shown(node, answer.id)).expires_at == answer.expires_at


@pytest.mark.parametrize(
    ("given", "kept"), [({}, "unit"), ({"scope": "org"}, "org"), ({"metadata": {"scope": "org"}}, "org")]
)
async def test_an_upsert_keeps_the_scope_unless_one_is_given(node: Node, given: dict[str, object], kept: str) -> None:
    first = await put(node, "t", scope="unit")
    assert (await put(node, "t", "new", **given)).id == first.id
    assert (await shown(node, first.id)).metadata["scope"] == kept


async def test_an_upsert_writes_only_the_fields_that_change(node: Node) -> None:
    await put(node, "t", "text", tags=["a"], tier="long")
    await put(node, "t", "text", tags=["b"], tier="long")
    entry = msgspec.json.decode((await ops_of(node.store))[-1].entries[0])
    assert entry["fields"].keys() == {"tags", "updated_at"}


async def test_private_names_are_each_authors_own(node: Node) -> None:
    shared = await put(node, "t", "shared")
    hers = await put(node, "t", "hers", scope="private")
    his = await put(node, "t", "his", by=BOB, scope="private")
    assert len({shared.id, hers.id, his.id}) == 3
    assert (await put(node, "t", "hers again", scope="private")).id == hers.id
    assert (await shown(node, his.id)).content == "his"


async def test_a_private_memory_that_its_author_stores_again_without_a_scope_stays_private(node: Node) -> None:
    hers = await put(node, "t", "secret", scope="private")
    again = await put(node, "t", "another secret")
    assert (again.id, again.action) == (hers.id, "updated")
    assert (await shown(node, hers.id)).metadata["scope"] == "private"
    his = await put(node, "t", "bob's", by=BOB)
    assert his.id != hers.id


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("short text", "short text"),
        ("x" * 100, "x" * 80),
        ("  first line\n\nsecond\tline ", "first line second line"),
        ("\u200b\u2028 \u202e", "untitled"),
    ],
)
async def test_a_blank_title_is_made_of_the_content_and_flagged(node: Node, content: str, title: str) -> None:
    stored = await put(node, "  ", content)
    assert (stored.title, stored.title_generated) == (title, True)
    assert (await shown(node, stored.id)).title_generated is True


async def test_untitled_memories_never_upsert_each_other(node: Node) -> None:
    first = await put(node, None, "same words")
    second = await put(node, None, "same words")
    assert len({first.id, second.id}) == 2
    assert first.title != second.title
    assert second.title.startswith("same words ~")


async def test_a_generated_title_is_neither_indexed_nor_part_of_the_embedded_text(node: Node) -> None:
    stored = await put(node, None, "\u200bzebra crossing")
    sql = "SELECT count(*) FROM memory_fts WHERE memory_fts MATCH 'title : zebra'"
    assert (await node.store.read(lambda conn: conn.execute(sql).fetchone())) == (0,)
    [owed] = await node.store.read(embeddings.owed, 0, 10, node.store.stream, ())
    texts = await node.store.read(embeddings.texts_owed, [owed.text_hash])
    assert texts == {owed.text_hash: "\u200bzebra crossing"}
    found = await service.search(node, ALICE, SearchQuery(q="zebra"))
    assert [memory.id for memory in found.results] == [stored.id]


async def test_a_title_that_is_given_is_no_longer_a_generated_one(node: Node) -> None:
    untitled = await put(node, None, "harbour lights")
    titled = await put(node, "harbour lights", "something else")
    assert (titled.id, titled.title_generated) == (untitled.id, msgspec.UNSET)
    found = await service.search(node, ALICE, SearchQuery(q="harbour"))
    assert [memory.id for memory in found.results] == [untitled.id]


async def test_an_expired_memory_gives_its_name_to_a_new_one_in_the_same_op(node: Node, clock: FakeClock) -> None:
    old = await put(node, "t", "old", ttl_secs=60, priority=9)
    clock.advance(61)
    before = len(await ops_of(node.store))
    new = await put(node, "t", "new", by=BOB)
    assert (new.action, new.agent_id, new.title) == ("created", "bob", "t")
    assert new.id != old.id
    assert len(await ops_of(node.store)) == before + 1
    assert (await shown(node, new.id)).priority == 5
    archived = await service.list_archive(node, ALICE, GetArchivedQuery())
    assert [(memory.id, memory.archive_reason) for memory in archived.archived] == [(old.id, "ttl_expired")]


async def test_without_an_archive_an_expired_memory_that_gives_up_its_name_is_deleted(
    tmp_path: Path, clock: FakeClock
) -> None:
    policy = Policy(archive_on_gc=False)
    async with open_node(tmp_path / "x.db", clock=clock, threads=InlineThreads(), policy=policy) as node:
        await put(node, "t", "old", ttl_secs=60)
        clock.advance(61)
        await put(node, "t", "new")
        stats = await service.stats(node, ALICE)
        assert (stats.total, stats.archived, stats.tombstones) == (1, 0, 1)


async def test_similar_titles_of_the_namespace_are_named(node: Node) -> None:
    other = await put(node, "deploy the harbour service", "a")
    await put(node, "deploy elsewhere", "b", namespace="away")
    await put(node, "nothing alike", "c")
    stored = await put(node, "harbour service address", "d")
    assert stored.potential_contradictions == (other.id,)
    assert (await put(node, "quite alone", "e")).potential_contradictions is msgspec.UNSET


@pytest.mark.parametrize("namespace", ["_agents", "_messages/bob", "*"])
async def test_the_systems_namespaces_take_no_generic_store(node: Node, namespace: str) -> None:
    await refused(Code.RESERVED_NAMESPACE, put(node, "t", namespace=namespace))
    assert len(await ops_of(node.store)) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"tier": "forever"}, "tier"),
        ({"scope": "public"}, "scope"),
        ({"metadata": {"scope": "public"}}, "metadata.scope"),
        ({"metadata": {"scope": 7}}, "metadata.scope"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"ttl_secs": 0}, "ttl_secs"),
        ({"agent_id": "a b"}, "agent_id"),
        ({"priority": 11}, "priority"),
        ({"tags": [""]}, "tags[0]"),
        ({"source": "Über"}, "source"),
        ({"namespace": "a//b"}, "namespace"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_written(node: Node, given: dict[str, object], field: str) -> None:
    code = Code.UNKNOWN_SCOPE if field.endswith("scope") else Code.INVALID_REQUEST
    assert (await refused(code, put(node, "t", **given))).field == field
    assert len(await ops_of(node.store)) == 1


async def test_the_body_names_the_author_before_the_caller_does(node: Node) -> None:
    assert (await put(node, "t", agent_id="carol")).agent_id == "carol"
    assert (await put(node, "u", agent_id="")).agent_id == "alice"


ONCE = Once("key-1", b"hash of the request")


async def test_a_repeated_key_is_answered_alike_and_written_once(node: Node) -> None:
    await put(node, "similar harbour title")
    first = await put(node, "harbour", once=ONCE)
    count = len(await ops_of(node.store))
    await put(node, "harbour too")
    assert first.potential_contradictions is not msgspec.UNSET
    assert await put(node, "harbour", once=ONCE) == first
    assert len(await ops_of(node.store)) == count + 1
    assert first.id == derived_memory_id("open", "key-1", 0)


async def test_a_repeated_key_is_answered_after_a_restart(tmp_path: Path) -> None:
    async with open_node(tmp_path / "x.db") as node:
        first = await put(node, "t", once=ONCE)
    async with open_node(tmp_path / "x.db") as node:
        assert await put(node, "t", once=ONCE) == first
        assert await ids_listed(node) == {first.id}


async def test_a_repeated_key_is_answered_even_if_the_request_would_be_refused_by_now(
    node: Node, clock: FakeClock
) -> None:
    first = await put(node, "t", once=ONCE, expires_at=in_s(clock, 60))
    clock.advance(61)
    assert await put(node, "t", once=ONCE, expires_at=first.expires_at) == first


async def test_two_concurrent_requests_of_one_key_make_one_memory_and_one_answer(tmp_path: Path) -> None:
    answers: list[Stored] = []
    async with open_node(tmp_path / "x.db", threads=delayed_threads(0.005)) as node:

        async def attempt() -> None:
            answers.append(await put(node, None, "the same text", once=ONCE))

        async with trio.open_nursery() as callers:
            for _ in range(8):
                callers.start_soon(attempt)
        assert len(answers) == 8
        assert all(answer == answers[0] for answer in answers)
        assert await ids_listed(node) == {answers[0].id}
        assert len(await ops_of(node.store)) == 2


async def test_a_key_for_another_body_is_refused(node: Node) -> None:
    first = await put(node, "t", once=ONCE)
    error = await refused(Code.IDEMPOTENCY_MISMATCH, put(node, "u", once=Once("key-1", b"another hash")))
    assert error.details["version"] == first.version
    assert await ids_listed(node) == {first.id}


async def test_a_refused_request_leaves_its_key_free(node: Node) -> None:
    await refused(Code.INVALID_REQUEST, put(node, "t", priority=99, once=ONCE))
    assert (await put(node, "t", once=ONCE)).action == "created"


async def test_a_derived_id_that_is_known_without_its_key_is_a_conflict(node: Node) -> None:
    first = await put(node, "t", once=ONCE)
    await service.delete(node, ALICE, first.id)
    await node.store.write(lambda tx: tx.conn.execute("DELETE FROM idempotency").rowcount)
    await refused(Code.ID_TAKEN, put(node, "t", once=ONCE))


async def test_keys_of_different_credentials_do_not_meet(node: Node) -> None:
    first = await put(node, "t", once=ONCE)
    keyed = msgspec.structs.replace(ALICE, credential=Credential.API_KEY)
    assert (await put(node, "u", by=keyed, once=ONCE)).id != first.id


async def test_an_upsert_keeps_at_most_eight_replaced_texts(node: Node) -> None:
    for number in range(12):
        stored = await put(node, "t", f"text {number}")
    assert await history_of(node, stored.id) == [("t", f"text {number}") for number in range(3, 11)]
