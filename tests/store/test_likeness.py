"""Memories like a title: as recall would find them while the store is small, and for next to nothing when it is not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimem.model import Instant, MemoryId, Namespace, Principal
from aimem.ports import Connection, Mode, system_files
from aimem.ports.sqlite import sqlite
from aimem.search import parse_query
from aimem.store import Filters, Store, fulltext, likeness, schema, visible_to
from tests.nodes import START, InlineThreads, open_store, principal
from tests.store.texts import NOW, bury, fields, put

WORDS = ["harbour", "deploy", "service", "address", "meeting", "notes", "königin", "cafe", "größe", "tea", "3rd"]
TITLES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)


def like(
    conn: Connection, title: str, *, who: Principal | None = None, now: Instant = NOW, limit: int = 6, space: str = "ns"
) -> tuple[MemoryId, ...]:
    visible = visible_to(who or principal())
    return likeness.like(conn, parse_query(title), Namespace(space), visible, now, limit)


def ranked(conn: Connection, title: str, limit: int = 6) -> list[str]:
    """What recall's own look-up finds."""
    filters = Filters(namespaces=(Namespace("ns"),))
    found = fulltext.hits(conn, parse_query(title), filters, visible_to(principal()), NOW, limit)
    ids = dict(conn.execute("SELECT no, id FROM memory_view").fetchall())
    return [str(ids[no]) for no in found]


async def fill(store: Store) -> None:
    rng = random.Random(5)
    rows = {}
    for i in range(20):
        title, content = (" ".join(rng.choices(WORDS, k=rng.randint(1, 4))) for _ in range(2))
        rows[f"m{i:02}"] = fields(f"{content} {i}", title=f"{title} {i}", at=i, talk=f"t{i // 4}")
    await store.write(put, rows)
    await store.write(put, {f"a{i}": fields("harbour", title=f"harbour {i}", namespace="away") for i in range(3)})


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A reader of twenty titled memories, and three of another namespace."""
    db = tmp_path_factory.mktemp("likeness") / "x.db"

    async def build() -> None:
        async with open_store(db, threads=InlineThreads()) as store:
            await fill(store)

    trio.run(build)
    reader = system_files().connect(db, Mode.READ_ONLY)
    schema.prepare_reader(reader)
    yield reader
    reader.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=TITLES, limit=st.integers(1, 10))
def test_in_a_small_store_it_names_what_recall_would_rank_in_the_same_order(
    conn: Connection, title: str, limit: int
) -> None:
    conn.execute("BEGIN")
    try:
        assert list(like(conn, title, limit=limit)) == ranked(conn, title, limit)
    finally:
        conn.execute("ROLLBACK")


@pytest.mark.parametrize(
    "title",
    ["", "…—!?", "🙂🙂", '"', '"" OR "', "AND OR NOT", "NEAR(a b)", "title:harbour", "harbour*", "^x", "the of and",
     "\u200bhar\u200bbour", "עברית مرحبا", "a" * 512, "会" * 512, "x-1/" * 128],
)
def test_no_title_breaks_it(conn: Connection, title: str) -> None:
    assert len(like(conn, title)) <= 6


async def test_what_is_gone_expired_elsewhere_or_hidden_is_not_named(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db") as store:
        await store.write(put, {
            "seen": fields("a", title="harbour one"),
            "gone": fields("b", title="harbour two"),
            "late": fields("c", title="harbour three", expires_at=START + 60_000_000),
            "away": fields("d", title="harbour four", namespace="away"),
            "secret": fields("e", title="harbour five", scope="private", namespace="ns"),
        })
        await store.write(bury, "gone")
        bob = msgspec.structs.replace(principal("bob"), as_agent=Namespace("x/y"))

        def read(connection: Connection) -> None:
            assert set(like(connection, "harbour")) == {"seen", "secret"}
            assert set(like(connection, "harbour", now=START)) == {"seen", "late", "secret"}
            assert like(connection, "harbour", who=bob) == ()

        await store.read(read)


async def test_titles_in_a_script_without_spaces_are_like_by_pairs_of_characters(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db") as store:
        await store.write(put, {"port": fields("a", title="部署港口服务"), "far": fields("b", title="天气预报")})
        await store.write(fulltext.index_grams, 100)
        assert await store.read(like, "港口服务地址") == ("port",)


async def test_frequent_words_are_passed_over_and_the_rare_one_counts(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db") as store:
        many = likeness.POSTINGS_MAX_COUNT + 1
        rows = {f"m{i}": fields(f"text {i}", title=f"meeting {i}", at=i) for i in range(many)}
        await store.write(put, rows | {"rare": fields("x", title="zebra meeting", at=many)})
        assert await store.read(like, "meeting") == ()
        assert await store.read(like, "meeting about a zebra") == ("rare",)


async def test_a_look_up_costs_no_more_in_a_store_ten_times_as_large(tmp_path: Path) -> None:
    steps = []
    for count in (400, 4_000):
        db = tmp_path / f"{count}.db"
        async with open_store(db, threads=InlineThreads()) as store:
            for begin in range(0, count, 400):
                numbers = range(begin, begin + 400)
                texts = {f"m{i}": fields(f"meeting notes of {i}", title=f"weekly {i}", at=i) for i in numbers}
                await store.write(put, texts)
        steps.append(_steps(db))
    assert steps[1] <= 1.5 * steps[0]


def _steps(db: Path) -> int:
    """Instructions of SQLite's machine for one look-up, in tens: time, without the noise of a busy machine."""
    raw = sqlite.connect(f"file:{db}?mode=ro", uri=True)
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    raw.set_progress_handler(step, 10)
    like(raw, "weekly meeting notes of 17")
    raw.close()
    return count
