"""What a daemon makes of bad questions, vectors and index files: right answers or a clear error, never a crash."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import trio

from tests.system.index_daemon import CURSED
from tests.system.processes import START_S, Process, ask_json, started

pytestmark = pytest.mark.slow

COUNT = 60
"""Memories: three times what stays in memory, so that there is a base on the disk."""

KIB_64 = 65_536
QUESTIONS = {
    "blank": " \t\n", "64 KiB of one letter": "a" * KIB_64, "64 KiB of words": ("word7 " * KIB_64)[:KIB_64],
    "64 KiB of other words": " ".join(f"w{n}" for n in range(10_000)), "64 KiB of Han": "会" * (KIB_64 // 3),
    "64 KiB of emoji": "🙂" * (KIB_64 // 4), "64 KiB of signs": "(\"" * (KIB_64 // 2), "too long": "a" * (KIB_64 + 1),
    "stop words": "the of and to what is", "signs": "?!… — \"' () {} []", "underscores": "___ __",
    "emoji": "🙂🎉👩‍👩‍👧‍👦", "right to left": "שלום مرحبا بالعالم", "overrides": "\u202eabc\u2066 word7 \u200bdef",
    "mixed scripts": "word7 東京 Straße ünïcödé Ελλάδα नमस्ते", "marks alone": "\u0301\u0301",
    "zero byte": "word7\x00word8",
    "operators": "word7 AND OR NOT NEAR(word8 word9, 3) ^word1* title:word2 {content} : x -word3 + \"unclosed",
    "quotes": '"" OR "word7', "another table": "'; DROP TABLE memories; --",
    "no characters": "\ufffd\ufffe\uffff",
    "a number": "0", "a month": "may", "a far time": "99999999 years ago, in the year 0000-00-00",
}


@contextlib.asynccontextmanager
async def daemon(db: Path, *options: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """The daemon of index_daemon, and a client of it."""
    words = [sys.executable, "-m", "tests.system.index_daemon", str(db), *options]
    async with started(words) as process:
        url = (await process.stderr_line("listening on")).split("listening on ")[1].split()[0].rstrip(",")
        async with httpx.AsyncClient(base_url=url, timeout=START_S) as http:
            yield process, http


async def store(http: httpx.AsyncClient, count: int = COUNT) -> list[str]:
    """Memories `number N`, found by `wordN`; their ids, by number. Returns once they have all their vectors."""
    items = [{"id": f"row-{n}", "title": f"number {n}", "content": f"word{n} word{n + 1}"} for n in range(count)]
    (await http.post("/api/v1/import", json={"memories": items})).raise_for_status()
    await settled(http)
    return [item["id"] for item in items]


async def settled(http: httpx.AsyncClient) -> dict[str, Any]:
    """Wait until the index has every memory; its status."""
    with trio.fail_after(START_S):
        while True:
            status = (await http.get("/api/v1/index", params={"wait_below": 0})).json()
            if not status["embedding_backlog"] and not status["index_backlog"]:
                return dict(status)


async def based(db: Path, http: httpx.AsyncClient) -> None:
    """Wait until there is a base on the disk, and nothing of another one."""
    with trio.fail_after(START_S):
        while [path.suffix for path in vectors(db).glob("segment-*")] != [""]:
            await http.get("/api/v1/index")


async def recall(http: httpx.AsyncClient, context: str, **given: Any) -> Any:
    answer = await http.post("/api/v1/recall", json={"context": context, "touch": False, **given})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def get(http: httpx.AsyncClient, path: str, **parameters: str) -> tuple[int, Any]:
    """Status and JSON of a request of any length: httpx refuses URLs of more than 64 KiB."""
    target = f"{path}?{urlencode(parameters)}"
    async with await trio.open_tcp_stream(http.base_url.host, http.base_url.port or 80) as stream:
        await stream.send_all(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with trio.fail_after(START_S):
            head, _, body = b"".join([data async for data in stream]).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def check(http: httpx.AsyncClient, numbers: Sequence[int], mode: str = "hybrid") -> None:
    """Each of these memories is found first by its own words, no other is found, and the index has just these."""
    assert (await settled(http))["indexed"] == len(numbers)
    for n in (numbers[0], numbers[len(numbers) // 2], numbers[-1]):
        answer = await recall(http, f"number {n} word{n} word{n + 1}")
        assert (answer["memories"][0]["id"], answer["mode"]) == (f"row-{n}", mode)
    found = await recall(http, "number", limit=50, floor=False)
    assert {memory["id"] for memory in found["memories"]} <= {f"row-{n}" for n in numbers}


async def warnings(http: httpx.AsyncClient) -> str:
    """What health warns of."""
    health = (await http.get("/api/v1/health")).json()
    assert health["status"] == "ok"
    return " ".join(health["warnings"])


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


def segment(db: Path) -> Path:
    """The folder of the base that counts."""
    [found] = [path for path in vectors(db).iterdir() if path.suffix != ".new"]
    return found


def vectors(db: Path) -> Path:
    return db.with_name(db.name + ".vectors")


# Questions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["words", "minilm"])
async def test_no_question_breaks_a_daemon_or_costs_it_its_right_answers(db: Path, model: str) -> None:
    async with daemon(db, "--model", model) as (_, http):
        for is_filled in (False, True):
            if is_filled:
                await store(http)
            for name, text in QUESTIONS.items():
                allowed = (400,) if name in ("blank", "too long") else (200,)
                posted = await http.post("/api/v1/recall", json={"context": text, "explain": True, "limit": 50})
                for status, answer in (
                    (posted.status_code, posted.json()),
                    await get(http, "/api/v1/recall", context=text, limit="50"),
                    await get(http, "/api/v1/search", q=text),
                ):
                    assert status in allowed, (name, answer)
                    assert answer["error"] if status == 400 else answer["count"] <= COUNT, name
        assert (await recall(http, QUESTIONS["operators"]))["memories"][0]["id"] == "row-7"
        await check(http, range(COUNT))


async def test_ten_thousand_identical_rows_answer_alike_and_can_go(db: Path) -> None:
    async with daemon(db) as (_, http):
        for start in range(0, 10_000, 1_000):
            numbers = range(start, start + 1_000)
            items = [{"id": f"same-{n:05}", "content": "the very same text"} for n in numbers]
            (await http.post("/api/v1/import", json={"memories": items})).raise_for_status()
        assert (await settled(http))["indexed"] == 10_000
        ids: list[str] = []
        with trio.fail_after(START_S):
            # Which of equals are looked at may change while the words are counted and the base is made; then no more.
            while ids != (ids := [memory["id"] for memory in (await recall(http, "same text", limit=50))["memories"]]):
                assert len(set(ids)) == 50
        for gone in ids[:3]:
            (await http.delete(f"/api/v1/memories/{gone}")).raise_for_status()
        left = await recall(http, "same text", limit=50)
        assert not set(ids[:3]) & {memory["id"] for memory in left["memories"]}


# Vectors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["nan", "infinite", "zero"])
async def test_a_model_that_makes_nonsense_costs_only_the_meaning_of_that_text(db: Path, model: str) -> None:
    async with daemon(db, "--model", model) as (_, http):
        ids = await store(http)
        bad = {"title": "bad", "content": f"a {CURSED} text"}
        (await http.post("/api/v1/memories", json=bad)).raise_for_status()
        await settled(http)
        for question in (CURSED, f"{CURSED} text of number 7", "text"):
            answer = await recall(http, question, floor=False, explain=True)
            assert answer["memories"], question
        assert (await recall(http, f"a {CURSED} text"))["memories"][0]["title"] == "bad"
        with_context = await recall(http, "number 7 word7 word8", context_tokens=[CURSED])
        assert with_context["memories"][0]["id"] == ids[7]
        assert json.dumps(with_context, allow_nan=False)


@pytest.mark.parametrize("model", ["other", "small"])
async def test_vectors_of_another_model_or_dimension_are_made_anew(db: Path, model: str) -> None:
    async with daemon(db) as (process, http):
        await store(http)
        await based(db, http)
        await process.stop()
    async with daemon(db, "--model", model) as (_, http):
        status = await settled(http)
        assert status["embedded"] == COUNT
        assert "is of the model words/1" in await warnings(http)
        await check(http, range(COUNT))


# Files ----------------------------------------------------------------------------------------------------------------


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda place: (place / "rows.f16").write_bytes((place / "rows.f16").read_bytes()[:-100]),
    "zero bytes": lambda place: (place / "codes.u64").write_bytes(b""),
    "flipped": lambda place: (place / "hashes.b16").write_bytes(bytes((place / "hashes.b16").stat().st_size)),
    "unreadable": lambda place: replace_by_folder(place / "rows.f16"),
    "unreadable manifest": lambda place: replace_by_folder(place / "manifest.json"),
    "garbage for a manifest": lambda place: (place / "manifest.json").write_bytes(b"\x00\xff" * 100),
    "another format": lambda place: (place / "manifest.json").write_text(
        (place / "manifest.json").read_text().replace('"format": 1', '"format": 99')
    ),
    "a file for a folder": lambda place: (shutil.rmtree(place), place.write_text("in the way")),
    "an empty folder": lambda place: (shutil.rmtree(place), place.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_files_are_made_anew_and_that_is_said(db: Path, damage: str) -> None:
    async with daemon(db) as (process, http):
        await store(http)
        await based(db, http)
        await process.stop()
    DAMAGE[damage](segment(db))
    async with daemon(db) as (process, http):
        await process.stderr_said("index.rebuilding")
        await check(http, range(COUNT))
        assert "the vector index was made anew" in await warnings(http)
        await based(db, http)
        await process.stop()
    async with daemon(db) as (_, http):      # what was made anew is sound
        await check(http, range(COUNT))
        assert await warnings(http) == ""


async def test_stale_and_foreign_files_bring_nothing_in(db: Path, tmp_path: Path) -> None:
    other, stale = tmp_path / "other.db", tmp_path / "stale"
    async with daemon(other) as (process, http):
        (await http.post("/api/v1/import", json={"memories": [
            {"id": f"foreign-{n}", "title": f"number {n}", "content": f"foreign{n}"} for n in range(COUNT)
        ]})).raise_for_status()
        await settled(http)
        await based(other, http)
        await process.stop()
    async with daemon(db) as (process, http):
        await store(http)
        await based(db, http)
        await process.stop()
    shutil.copytree(vectors(db), stale)
    async with daemon(db) as (process, http):
        for n in range(10):
            (await http.delete(f"/api/v1/memories/row-{n}")).raise_for_status()
        (await http.put("/api/v1/memories/row-20", json={"content": "rewritten since"})).raise_for_status()
        await settled(http)
        await process.stop()
    left = [n for n in range(10, COUNT) if n != 20]
    for put_back in (stale, vectors(other)):
        shutil.rmtree(vectors(db))
        shutil.copytree(put_back, vectors(db))
        async with daemon(db) as (process, http):
            assert (await settled(http))["indexed"] == len(left) + 1
            for n in (left[0], left[-1]):
                assert (await recall(http, f"number {n} word{n} word{n + 1}"))["memories"][0]["id"] == f"row-{n}"
            assert (await recall(http, "rewritten since"))["memories"][0]["id"] == "row-20"
            found = await recall(http, "number", limit=50, floor=False)
            assert {memory["id"] for memory in found["memories"]} <= {f"row-{n}" for n in (20, *left)}
            await process.stop()


# Troubles meanwhile ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 4, 8])
async def test_a_daemon_that_is_killed_while_it_makes_a_base_comes_back_with_right_answers(db: Path, step: int) -> None:
    items = [{"id": f"row-{n}", "title": f"number {n}", "content": f"word{n} word{n + 1}"} for n in range(COUNT)]
    async with daemon(db, "--die-at", str(step + 1)) as (process, http):     # the first step looks for an old base
        with contextlib.suppress(httpx.TransportError):
            (await http.post("/api/v1/import", json={"memories": items})).raise_for_status()
            await settled(http)
        assert await process.wait() == -signal.SIGKILL
    async with daemon(db) as (process, http):
        count = (await http.get("/api/v1/stats")).json()["total"]
        assert count == COUNT
        await check(http, range(COUNT))
        assert await warnings(http) == ""
        await based(db, http)


@pytest.mark.parametrize("order", [{"what": "all"}, {"what": "vectors", "embeddings": True}, {"what": "text"}])
async def test_a_daemon_that_is_killed_during_a_reindex_finishes_it_when_it_comes_back(
    db: Path, order: dict[str, object]
) -> None:
    count = 600
    async with daemon(db) as (process, http):
        await store(http, count)
        ordered = await http.post("/api/v1/index", json=order)
        assert ordered.status_code == 200, ordered.text
        left = ordered.json()
        assert left["index_backlog"] + left["text_backlog"] + left["embedding_backlog"] > 0
        assert await process.kill() == -signal.SIGKILL
    async with daemon(db) as (process, http):
        with trio.fail_after(START_S):
            while True:
                status = (await http.get("/api/v1/index", params={"wait_below": 0})).json()
                if not status["text_backlog"]:
                    break
        await check(http, range(count))
        found = (await http.get("/api/v1/search", params={"q": "word300"})).json()
        assert {memory["id"] for memory in found["memories"]} == {"row-299", "row-300"}
        await based(db, http)


async def test_what_is_deleted_while_the_index_is_made_anew_is_never_found_again(db: Path) -> None:
    async with daemon(db) as (process, http):
        await store(http, 300)
        (await http.post("/api/v1/index", json={"what": "all", "embeddings": True})).raise_for_status()
        for n in range(0, 120, 2):
            (await http.delete(f"/api/v1/memories/row-{n}")).raise_for_status()
            found = await recall(http, f"number {n} word{n}", floor=False)
            assert f"row-{n}" not in {memory["id"] for memory in found["memories"]}
        left = [n for n in range(300) if n >= 120 or n % 2]
        await check(http, left)
        await process.stop()
    async with daemon(db) as (_, http):
        await check(http, left)


@pytest.mark.parametrize("size_bytes", [0, 20_000, 48_000])
async def test_a_full_disk_under_the_index_leaves_it_in_memory_and_is_said(db: Path, size_bytes: int) -> None:
    async with daemon(db, "--disk-bytes", str(size_bytes)) as (process, http):
        await store(http)
        await process.stderr_line("index.not_kept")
        await check(http, range(COUNT))
        assert "the vector index cannot be kept" in await warnings(http)
        status = await ask_json(db, "status")
        assert "the vector index cannot be kept" in json.dumps(status)
        await process.stop()
    async with daemon(db) as (_, http):      # there is room again
        await check(http, range(COUNT))
        assert await warnings(http) == ""
        await based(db, http)
