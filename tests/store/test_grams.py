"""Odd words: unspaced scripts and identifiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.store import Store, fulltext
from tests.nodes import InlineThreads, open_store
from tests.store.texts import bury, change, check_the_indexes, fields, hits, put, search

TEXTS = {
    "ja": "昨日の会議で来年度の予算を決めました",
    "ja2": "会議室の予約は田中さんに頼む",
    "zh": "会议安排在星期三下午三点",
    "ko": "데이터베이스 설정을 변경했습니다",
    "th": "ประชุมวันพุธตอนบ่าย",
    "mixed": "Kubernetesの設定をv1.2.3に上げた",
    "error": "The deploy failed with ERR_CONN_42 in getUserById",
    "other": "The deploy failed with ERR_DISK_7 in getUserByName",
    "plain": "The deploy went well",
}
ASKED = [
    ("会議", {"ja", "ja2"}), ("予算", {"ja"}), ("猫", set()), ("議", {"ja", "ja2"}), ("会议", {"zh"}),
    ("星期三", {"zh"}), ("데이터", {"ko"}), ("설정", {"ko"}),
    ("ประชุม", {"th"}), ("設定", {"mixed"}), ("Kubernetes", {"mixed"}),
    ("v1.2.3", {"mixed"}), ("v1.2", {"mixed"}), ("ERR_CONN_42", {"error"}), ("err_conn", {"error"}),
    ("getUserById", {"error"}), ("UserByName", {"other"}), ("会議 予算", {"ja"}), ("deploy ERR_CONN", {"error"}),
    ("明日の予算", set()), ("会議 plain", set()),
]


@pytest.fixture(params=["due", "held"])
async def store(anyio_backend: object, tmp_path: Path, request: pytest.FixtureRequest) -> object:
    """Before and after the task has come to the rows: they are found alike."""
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as opened:
        await opened.write(put, {key: fields(text, at=i) for i, (key, text) in enumerate(TEXTS.items())})
        if request.param == "held":
            assert (await opened.write(fulltext.index_grams, 100)).value == len(TEXTS) - 1
            assert (await opened.write(fulltext.index_grams, 100)).value == 0
        yield opened


@pytest.mark.parametrize(("text", "expected"), ASKED, ids=str)
async def test_a_search_finds_pieces_of_odd_words(store: Store, text: str, expected: set[str]) -> None:
    assert set(await search(store, text)) == expected


@pytest.mark.parametrize(("text", "expected"), [pair for pair in ASKED if pair[1]], ids=str)
async def test_recall_ranks_them_first(store: Store, text: str, expected: set[str]) -> None:
    found = list(await hits(store, text))
    assert set(found[: len(expected)]) == expected


async def test_a_question_finds_what_shares_most_of_it(store: Store) -> None:
    assert next(iter(await hits(store, "来年の予算はいつ決めましたか"))) == "ja"
    assert next(iter(await hits(store, "会議室は誰が予約しますか"))) == "ja2"


async def test_a_whole_word_stays_the_better_hit(store: Store) -> None:
    await store.write(put, {"longer": fields("getUserByIdOrName", at=50), "exact": fields("call getUserById", at=51)})
    found = list(await hits(store, "getUserById"))
    assert set(found[:2]) == {"exact", "error"}
    assert found[2] == "longer"


async def test_another_identifier_is_no_hit(store: Store) -> None:
    assert "other" not in await hits(store, "ERR_CONN_42")


async def test_grams_follow_what_rows_become(store: Store) -> None:
    await store.write(bury, "ja2")
    await store.write(change, "ja", content="昨日の天気")
    await store.write(change, "ko", content="nothing odd")
    await store.write(change, "th", lifecycle=("archived", "by hand", 1))
    for _ in range(2):
        assert not await hits(store, "会議")
        assert not await search(store, "데이터")
        assert not await search(store, "ประชุม")
        assert set(await hits(store, "天気")) == {"ja"}
        while (await store.write(fulltext.index_grams, 3)).value:
            pass
    await store.read(check_the_indexes)


async def test_a_namespace_limits_grams_too(store: Store) -> None:
    await store.write(put, {"there": fields("会議の準備", namespace="there", at=60)})
    assert set(await hits(store, "会議", namespaces=["there"])) == {"there"}
