"""Queries over rows that are named by their numbers, and over the namespaces that name them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from aimem.model import Candidate, Instant, MemoryId, Namespace, Tier
from aimem.ports import Connection
from aimem.store import Filters, Store, memories, narrowing, visible_to
from tests.nodes import START, InlineThreads, open_store, principal
from tests.store.texts import NOW, fields, put

ROLES = {"user": "user", "assistant": "assistant", "none": None, "list": ["user"], "number": 1}
EVERYBODY = visible_to(principal())


@pytest.fixture
async def store(anyio_backend: object, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as opened:
        yield opened


async def numbers(store: Store) -> dict[str, int]:
    """Id -> number."""
    found = await store.read(lambda conn: conn.execute("SELECT id, no FROM memory_view").fetchall())
    return {str(key): int(str(no)) for key, no in found}


async def test_candidates_have_what_ranking_looks_at(store: Store) -> None:
    given = {key: fields(key, metadata=msgspec.json.encode({"role": role}).decode()) for key, role in ROLES.items()}
    given["bare"] = fields("bare", tier="short", priority=9, confidence=0.5, at=3)
    await store.write(put, given)
    no = await numbers(store)
    found = await store.read(memories.candidates, list(no.values()), Filters(), EVERYBODY, NOW)
    roles = {key: found[no[key]].role for key in ROLES}
    assert roles["user"] == "user"
    assert [key for key, role in roles.items() if role == "user"] == ["user"]
    assert found[no["bare"]] == Candidate(
        id=MemoryId("bare"), namespace=Namespace("ns"), tier=Tier.SHORT, priority=9, confidence=0.5,
        created_at=Instant(START + 3_000_000), updated_at=Instant(START + 3_000_000),
    )


async def test_named_rows_are_those_that_live_and_match(store: Store) -> None:
    await store.write(put, {
        "here": fields("here"), "there": fields("there", namespace="other"),
        "past": fields("past", expires_at=NOW), "later": fields("later", expires_at=NOW + 1),
    })
    no = await numbers(store)
    filters, every = Filters(namespaces=(Namespace("ns"),)), list(no.values())
    expected = {no["here"], no["later"]}
    assert (await store.read(memories.candidates, every, filters, EVERYBODY, NOW)).keys() == expected
    assert (await store.read(memories.by_numbers, every, filters, EVERYBODY, NOW)).keys() == expected
    assert await store.read(memories.numbers_among, every, filters, EVERYBODY, NOW) == expected
    by_tier = msgspec.structs.replace(filters, tier=Tier.LONG, min_priority=5)
    assert await store.read(memories.numbers_among, every, by_tier, EVERYBODY, NOW) == expected


def second(at: int) -> Instant:
    return Instant(START + at * 1_000_000)


@pytest.mark.parametrize(("filters", "expected"), [
    (Filters(namespaces=(Namespace("ns"),)), {"a", "b"}),
    (Filters(namespaces=(Namespace("ns"), Namespace("other"))), {"a", "b", "c"}),
    (Filters(namespaces=(Namespace("nowhere"),)), set()),
    (Filters(since=second(2)), {"b", "c"}), (Filters(since=second(2), until=second(2)), {"b"}),
    (Filters(tag="red"), {"a", "c"}), (Filters(tag="red", namespaces=(Namespace("ns"),)), {"a"}),
    (Filters(tag="blue"), set()), (Filters(tag="red", since=second(2), tier=Tier.LONG), {"c"}),
    (Filters(tag="!"), None), (Filters(tier=Tier.LONG), None), (Filters(), None),
])
async def test_rows_are_named_where_an_index_says_that_they_are_few(
    store: Store, filters: Filters, expected: set[str] | None
) -> None:
    await store.write(put, {
        "a": fields("a", tags=("red", "!"), at=1), "b": fields("b", tags=("red wine",), at=2),
        "c": fields("c", namespace="other", tags=("red",), at=3), "past": fields("past", tags=("red",), expires_at=NOW),
    })
    no = await numbers(store)
    found = await store.read(narrowing.named, filters, EVERYBODY, NOW)
    assert found == (None if expected is None else {no[key] for key in expected})
    if expected is not None:
        least = await store.read(lambda conn: narrowing.narrowest(conn, filters))
        assert least is not None
        assert await store.read(narrowing.named, filters, EVERYBODY, NOW, least.size - 1) is None


@pytest.mark.parametrize("sql", [memories._CANDIDATES, memories._BY_NUMBERS, memories._AMONG])
async def test_named_rows_are_looked_up_however_many_others_match(store: Store, sql: str) -> None:
    def plan(conn: Connection) -> list[str]:
        asked = f"EXPLAIN QUERY PLAN {sql} WHERE v.state = 'live' AND v.namespace IN ('ns')"
        return [str(row[3]) for row in conn.execute(asked, {"numbers": "[]"}).fetchall()]

    steps = await store.read(plan)
    assert steps[0].startswith("SCAN j")
    assert steps[1] == "SEARCH v USING INTEGER PRIMARY KEY (rowid=?)"
