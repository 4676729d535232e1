"""Finding by words: exact where it can be, bounded where it cannot."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimem.model import AgentId, Credential, Instant, Namespace, Principal, Role, Words
from aimem.ports import Connection, Mode, system_files
from aimem.search import parse_query
from aimem.store import Filters, Store, bm25, fulltext, ranking, schema, visible_to
from aimem.store.expressions import any_of
from tests.nodes import START, InlineThreads, open_store, principal
from tests.store.texts import NOW, fields, hits, put, search

VOCABULARY = [f"{a}o{b}ak" for a in "bdfgklmnpr" for b in "dfgkln"]
HOSTILE = [
    '"', '"" OR "', "AND OR NOT", "NEAR(a b)", "title:bodak", "{title} : x", "^bodak", "bodak*", "(((", "-bodak +bofak",
    "🙂🙂", "the of and", "___", "…—!?", "\u200bbo\u200bdak", "עברית مرحبا", "a" * 65_536, "bodak " * 10_000,
    " ".join(f"w{i}" for i in range(10_000)),
    " ".join(VOCABULARY), "会" * 5_000, "a_b." * 10_000, "x-1/" * 5_000, "'; DROP TABLE memories; --",
]


def corpus(count: int, seed: int = 3) -> Iterator[tuple[str, str]]:
    """Texts whose words are common and rare as in a language."""
    rng = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(len(VOCABULARY))]
    for i in range(count):
        yield f"m{i:05}", " ".join(rng.choices(VOCABULARY, weights, k=rng.randint(3, 30)))


async def fill(store: Store, count: int) -> None:
    texts = list(corpus(count))
    for begin in range(0, count, 500):
        part = texts[begin : begin + 500]
        await store.write(
            put, {key: fields(text, talk=f"t{i // 10}", at=begin + i) for i, (key, text) in enumerate(part)}
        )


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A reader of 2,000 turns, and five rows of another namespace."""
    db = tmp_path_factory.mktemp("fts") / "x.db"

    async def build() -> None:
        async with open_store(db, threads=InlineThreads()) as store:
            await fill(store, 2_000)
            others = {f"o{i}": fields(f"bodak bofak {'dokak' * (i % 2)}", namespace="other", at=i) for i in range(5)}
            await store.write(put, others)
            await store.write(put, {"red": fields("bodak bokak", tags=("red ink",)), "old": fields("bodak", at=-9)})

    trio.run(build)
    reader = system_files().connect(db, Mode.READ_ONLY)
    schema.prepare_reader(reader)
    yield reader
    reader.close()


@pytest.fixture(autouse=True)
def one_read(conn: Connection) -> Iterator[None]:
    """What the scratch table holds ends with a read."""
    conn.execute("BEGIN")
    yield
    conn.execute("ROLLBACK")


def found(conn: Connection, text: str, filters: Filters | None = None, limit: int = 20) -> dict[int, float]:
    return fulltext.hits(conn, parse_query(text), filters or Filters(), visible_to(principal()), NOW, limit)


def exact(conn: Connection, text: str, where: str = "1", limit: int = 20) -> dict[int, float]:
    """What FTS5 says by itself."""
    weights = ", ".join(map(str, bm25.WEIGHTS.values()))
    sql = (
        f"SELECT f.rowid >> 6, -bm25(memory_fts, {weights}) AS score FROM memory_fts f JOIN memory_view v ON "
        f"v.no = f.rowid >> 6 JOIN memories m ON m.id = v.id WHERE memory_fts MATCH :match AND {where} "
        "ORDER BY score DESC, f.rowid LIMIT :limit"
    )
    rows = conn.execute(sql, {"match": any_of(parse_query(text).terms), "limit": limit}).fetchall()
    return {int(str(no)): float(str(score)) for no, score in rows}


asked = st.sampled_from([*VOCABULARY, "bofak bogak", "the", "unknown"])
many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
questions = st.lists(asked, min_size=1, max_size=9).map(" ".join)


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that every question fits into."""
    monkeypatch.setattr(fulltext, "RANKED_MAX_COUNT", 10**9)


@pytest.mark.usefixtures("unbounded")
@many
@given(questions)
def test_within_the_budget_the_answer_is_what_fts5_says(conn: Connection, text: str) -> None:
    assert found(conn, text) == pytest.approx(exact(conn, text))


@many
@given(questions)
def test_both_roads_give_the_same_scores(conn: Connection, text: str) -> None:
    """Ranked by their texts, rows have the scores that FTS5 gives them, whatever else it ranks."""
    field = ranking.field_of(conn, Filters(), visible_to(principal()), NOW)
    best = exact(conn, text, limit=50)
    terms = bm25.weigh(conn, parse_query(text).terms)
    assert ranking.scored(conn, best, terms, field) == pytest.approx(best)


@pytest.mark.parametrize("term", ["bofak bogak", "foo_bar", "bokak-bolak", "x̂y", "naïve", "RUN"])
def test_a_term_of_several_tokens_is_a_phrase_in_both(tmp_path: Path, term: str) -> None:
    texts = ["bofak bogak bofak bogak", "bogak bofak", "foo bar foo bar foo", "bar foo", "bokak bolak", "naive xy x̂y"]

    async def check() -> None:
        async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
            await store.write(put, {f"m{i}": fields(text, at=i) for i, text in enumerate(texts)})
            await store.read(compare)

    def compare(conn: Connection) -> None:
        words = Words(terms=(term, "bofak"), even=(term, "bofak"))
        field = ranking.field_of(conn, Filters(), visible_to(principal()), NOW)
        ranked = ranking.ranked(conn, any_of(words.terms), field, 10)
        assert ranking.scored(conn, range(20), bm25.weigh(conn, words.terms), field) == pytest.approx(ranked)

    trio.run(check)


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that no question of common words fits into."""
    monkeypatch.setattr(fulltext, "RANKED_MAX_COUNT", 400)


@pytest.mark.usefixtures("bounded")
@many
@given(questions)
def test_beyond_the_budget_scores_stay_exact(conn: Connection, text: str) -> None:
    whole = exact(conn, text, limit=5_000)
    for no, score in found(conn, text).items():
        assert score == pytest.approx(whole[no])


@pytest.mark.usefixtures("bounded")
def test_beyond_the_budget_the_best_answers_stay(conn: Connection) -> None:
    rng, same, first = random.Random(1), 0, 0
    asked = [" ".join(rng.sample(VOCABULARY, 5)) for _ in range(60)]
    for text in asked:
        best, whole = list(found(conn, text, limit=10)), list(exact(conn, text, limit=10))
        same += len({*best} & {*whole})
        first += best[0] == whole[0]
    assert same >= 0.9 * 10 * len(asked)
    assert first >= 0.95 * len(asked)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("filters", "where"),
    [
        (Filters(namespaces=(Namespace("other"),)), "v.namespace = 'other'"),
        (Filters(tag="red ink"), "m.tags LIKE '%red ink%'"),
        (Filters(until=Instant(START - 1)), f"m.created_at < {START}"),
        (Filters(tag="red ink", namespaces=(Namespace("ns"),)), "m.tags LIKE '%red ink%'"),
    ],
    ids=["namespace", "tag", "time", "both"],
)
def test_few_rows_among_many_are_ranked_exactly(conn: Connection, filters: Filters, where: str) -> None:
    text = "bodak bofak bogak dokak"
    assert found(conn, text, filters) == pytest.approx(exact(conn, text, where)) != {}


@pytest.mark.usefixtures("bounded")
def test_filters_that_no_index_serves_apply_before_the_cut(conn: Connection) -> None:
    nobody = Filters(author=AgentId("bob"))
    assert found(conn, "bodak bofak bogak", nobody) == {}
    assert len(found(conn, "bodak bofak bogak", Filters(author=AgentId("alice")), limit=20)) == 20


def test_a_tag_without_a_letter_is_a_tag(tmp_path: Path) -> None:
    async def check() -> None:
        async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
            await store.write(put, {"a": fields("word", tags=("🙂",)), "b": fields("word", at=1)})
            assert list(await hits(store, "word", tag="🙂")) == ["a"]

    trio.run(check)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("is_bounded", [False, True], ids=["plain", "bounded"])
def test_no_query_breaks_or_stalls(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, text: str, is_bounded: bool
) -> None:
    if is_bounded:
        monkeypatch.setattr(fulltext, "RANKED_MAX_COUNT", 10)
    steps = 0

    def is_late() -> bool:
        nonlocal steps
        steps += 1
        return steps > 2_000      # each of 1,000 steps of SQLite's machine: some 0.1 s

    conn.stop_when(is_late)
    try:
        found(conn, text)
        fulltext.search(conn, parse_query(text), Filters(), visible_to(principal()), NOW, 20)
    finally:
        conn.stop_when(None)


def test_no_words_find_nothing(conn: Connection) -> None:
    assert found(conn, "…") == {}
    assert found(conn, "bofak", limit=0) == {}
    assert fulltext.search(conn, parse_query("!?"), Filters(), visible_to(principal()), NOW, 20) == ()


async def test_long_texts_are_as_good_as_their_best_part(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        filler = "filler text of no import. " * 200
        await store.write(put, {"late": fields(filler + "the zebra crossing. " + filler, title="Cases")})
        await store.write(put, {"short": fields("a zebra in the zoo", at=1)})
        assert set(await hits(store, "zebra crossing")) == {"late", "short"}
        assert next(iter(await hits(store, "zebra crossing"))) == "late"
        assert set(await hits(store, "cases")) == {"late"}


async def test_a_search_finds_words_in_different_parts(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        filler = "filler text of no import. " * 200
        await store.write(put, {"both": fields(f"alpha {filler} omega", title="Cases")})
        await store.write(put, {"one": fields(f"alpha {filler} other", at=1), "short": fields("omega, alpha", at=2)})
        assert await search(store, "alpha omega") == ["short", "both"]
        assert await search(store, "cases omega") == ["both"]
        assert await search(store, "alpha omega nowhere") == []
        assert await search(store, "alpha ? omega") == ["short", "both"]


async def test_what_has_expired_takes_no_place(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        gone = {f"gone{i}": fields("word word", at=i, expires_at=NOW - 1) for i in range(60)}
        await store.write(put, gone | {"here": fields("word and more of other things", at=99)})
        assert list(await hits(store, "word", limit=10)) == ["here"]
        assert await search(store, "word", limit=1) == ["here"]


async def test_ten_thousand_identical_rows_are_ordered_and_quick(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        for begin in range(0, 10_000, 1_000):
            rows = range(begin, begin + 1_000)
            await store.write(put, {f"m{i:05}": fields("the very same text", at=i) for i in rows})
        await store.write(put, {"dear": fields("the very same text", at=10_000, priority=9)})
        began = time.perf_counter()
        found, listed = await hits(store, "very same text", limit=50), await search(store, "same text", limit=50)
        assert time.perf_counter() - began < 2
        assert len(found) == len(listed) == 50
        assert len(set(found.values())) == 1
        assert listed[:2] == ["dear", "m09999"]


@pytest.mark.parametrize("ranked_max", [8_000, 300])
@pytest.mark.parametrize("home", ["ns/desk", "other/desk", "nowhere/desk"])
def test_a_caller_who_sees_a_part_finds_the_best_of_that_part(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, home: str, ranked_max: int
) -> None:
    monkeypatch.setattr(fulltext, "RANKED_MAX_COUNT", ranked_max)
    who = Principal(
        agent_id=AgentId("ann"), credential=Credential.AGENT_KEY, role=Role.AGENT, home=Namespace(home)
    )
    space = home.partition("/")[0]
    for text in ("bodak", "bodak bofak", "ropak dokak", "rofak", "unknown"):
        hits = fulltext.hits(conn, parse_query(text), Filters(), visible_to(who), NOW, 20)
        if ranked_max == 8_000:
            assert hits == pytest.approx(exact(conn, text, f"v.namespace = '{space}'")), text
        else:
            assert hits.keys() <= exact(conn, text, f"v.namespace = '{space}'", 3_000).keys(), text
            assert bool(hits) == bool(exact(conn, text, f"v.namespace = '{space}'")), text
