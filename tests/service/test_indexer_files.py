"""The indexer: whatever happened to the process, the files or the model, the index holds what the database says."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing

from aimem import service
from aimem.errors import InvalidRequest, Unavailable
from aimem.search import Bounds
from aimem.service import Node
from aimem.store import embeddings
from aimem.wire import ArchiveRequest, RecallRequest, ReindexRequest, SearchQuery
from tests.nodes import InlineThreads, WordEmbedder, open_node, principal
from tests.service.steps import put

BOUNDS = Bounds(exact_chunks=20, wide_chunks=1_000)
ALICE = principal("alice")


class OtherEmbedder(WordEmbedder):
    """Another model: the same words, elsewhere."""

    model = "words/2"

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [np.frombuffer(vector, "<f4")[::-1].tobytes() for vector in super().embed(texts)]


@asynccontextmanager
async def opened(
    db: Path, embedder: WordEmbedder | None = None, bounds: Bounds | None = BOUNDS
) -> AsyncIterator[Node]:
    async with open_node(db, threads=InlineThreads(), embedder=embedder or WordEmbedder(), bounds=bounds) as node:
        yield node


async def settled(node: Node) -> None:
    """Wait until everything has its vectors and the index has them all, in its base if it should have one."""
    with trio.fail_after(30):
        while True:
            status = await service.index_status(node, wait_below=0)
            if status.embedded == status.indexed and not node.recaller.wants_base:
                return
            async with node.index_changed:
                await node.index_changed.wait()


async def fill_with(node: Node, count: int, first: int = 0) -> list[str]:
    ids = [(await put(node, f"number {n}", f"word{n} word{n + 1}")).id for n in range(first, first + count)]
    await settled(node)
    return ids


async def nearest(node: Node, text: str, limit: int = 100) -> list[int]:
    vector = await node.recaller.embed_query(text)
    assert vector is not None
    return [no for no, _ in await node.recaller.nearest(vector, limit)]


async def held_by_index(node: Node) -> set[int]:
    """Every row that a search finds."""
    return set(await nearest(node, "word", 10_000))


async def held_by_database(node: Node) -> set[int]:
    return {no for no, _ in await node.store.read(embeddings.hashes_between, 0, 2**62)}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows whose vectors were read from the database."""
    read: list[int] = []
    really = embeddings.vectors_of

    def noting(conn: object, model: str, numbers: Sequence[int]) -> object:
        read.extend(numbers)
        return really(conn, model, numbers)
    monkeypatch.setattr(embeddings, "vectors_of", noting)
    return read


async def test_a_memory_is_found_by_meaning_and_gone_when_it_is_deleted(db: Path) -> None:
    async with opened(db) as node:
        ids = await fill_with(node, 3)
        assert (await nearest(node, "word1 word2"))[0] == 2
        await service.delete(node, ALICE, ids[1], None)
        await trio.testing.wait_all_tasks_blocked()
        assert await held_by_index(node) == {1, 3}


async def test_a_large_index_is_reopened_and_only_what_changed_is_read(db: Path, rows_read: list[int]) -> None:
    async with opened(db) as node:
        ids = await fill_with(node, 60)
        assert node.recaller.index.base_chunk_count >= 40
        in_memory = node.recaller.index.chunk_count - node.recaller.index.base_chunk_count
    rows_read.clear()
    async with opened(db) as node:
        await settled(node)
        assert len(rows_read) == in_memory
        assert await held_by_index(node) == set(range(1, 61))
        assert node.warnings == []
    async with open_node(db) as node:       # a command without the model
        await service.delete(node, ALICE, ids[5], None)
        await put(node, "number 7", "quite different now")
        await put(node, "number 99", "new words")
    rows_read.clear()
    async with opened(db) as node:
        await settled(node)
        assert set(rows_read) >= {8, 61}
        assert len(set(rows_read)) == in_memory + 2
        assert await held_by_index(node) == await held_by_database(node) == set(range(1, 62)) - {6}
        assert (await nearest(node, "number 7 quite different now"))[0] == 8
        assert (await nearest(node, "word7 word8"))[0] != 8


async def test_many_missing_rows_go_into_a_base_at_once(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(db, bounds=None) as node:
        await fill_with(node, 60)
        assert node.recaller.index.base_chunk_count == 0
    monkeypatch.setattr("aimem.service.vectors.LOAD_COUNT", 7)
    async with opened(db) as node:
        await settled(node)
        assert node.recaller.index.base_chunk_count == node.recaller.index.chunk_count == 60
        assert (await nearest(node, "word30 word31"))[0] == 31


async def test_nobody_is_told_that_all_is_done_before_a_new_base_serves(db: Path) -> None:
    async with opened(db, bounds=None) as node:
        await fill_with(node, 60)
    async with opened(db) as node:
        with trio.fail_after(30):
            status = await service.index_status(node, wait_below=0)
        assert (status.indexed, status.index_backlog) == (60, 0)


async def test_rows_of_an_older_text_come_into_the_new_base_once(db: Path) -> None:
    async with opened(db) as node:
        await fill_with(node, 60)
    async with open_node(db) as node:
        for n in range(40):
            await put(node, f"number {n}", f"other{n}")
    async with opened(db) as node:          # embeds them, one after the other
        await settled(node)
    async with opened(db, bounds=None) as node:
        await settled(node)
        for n in range(40):
            await put(node, f"number {n}", f"third{n}")
        await settled(node)
    async with opened(db) as node:          # all have vectors, and the files are of the second text
        await settled(node)
        assert (node.recaller.index.count, node.recaller.index.chunk_count) == (60, 60)
        assert (await nearest(node, "number 3 third3"))[0] == 4


@pytest.mark.parametrize("spoil", [
    lambda place: (place / "rows.f16").write_bytes(b""), lambda place: (place / "codes.u64").unlink(),
    lambda place: (place / "manifest.json").write_text("{}"),
    lambda place: (place / "numbers.i64").write_bytes(b"x" * len((place / "numbers.i64").read_bytes())),
])
async def test_a_damaged_file_is_made_anew_and_said(db: Path, spoil: Callable[[Path], object]) -> None:
    async with opened(db) as node:
        await fill_with(node, 60)
    place = next(db.with_name("node.db.vectors").iterdir())
    spoil(place)
    async with opened(db) as node:
        await settled(node)
        assert [text for text in node.warnings if "the vector index was made anew" in text]
        assert (await service.health(node)).warnings == tuple(node.warnings)
        assert node.recaller.index.base_chunk_count == 60
        assert await held_by_index(node) == set(range(1, 61))


async def test_files_of_another_database_bring_nothing_in(db: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    async with opened(db) as node:
        await fill_with(node, 60)
    async with opened(other) as node:
        await fill_with(node, 30, first=500)
    (tmp_path / "other.db.vectors").rename(tmp_path / "gone")
    (tmp_path / "node.db.vectors").rename(tmp_path / "other.db.vectors")
    async with opened(other) as node:
        await settled(node)
        assert await held_by_index(node) == set(range(1, 31))
        assert (await nearest(node, "word510 word511"))[0] == 11


class GatedEmbedder(OtherEmbedder):
    """Makes documents only once it may; questions at once."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        if len(texts) > 1:
            self.may.wait(20)
        return super().embed(texts)


async def test_a_model_change_embeds_anew_and_answers_by_words_meanwhile(db: Path) -> None:
    async with opened(db) as node:
        await fill_with(node, 60)
    gated = GatedEmbedder()
    async with open_node(db, embedder=gated, bounds=BOUNDS) as node:
        with trio.fail_after(20):
            answer = await service.recall(node, ALICE, RecallRequest(context="word3 word4", limit=5))
        assert (answer.memories[0].title, answer.mode) == ("number 3", "keyword")
        status, health = await service.index_status(node), await service.health(node)
        assert (status.mode, status.model, status.embedding_backlog, status.embedded) == ("keyword", "words/2", 60, 0)
        assert "being made" in status.reason
        assert (health.mode, health.embedder_ready, health.embedding_backlog) == ("keyword", True, 60)
        gated.may.set()
        await settled(node)
        assert (node.recaller.mode, node.recaller.reason) == ("hybrid", "")
        assert [text for text in node.warnings if "is of the model words/1, not words/2" in text]
        assert (await nearest(node, "word30 word31"))[0] == 31
        assert await held_by_index(node) == set(range(1, 61))


class BrokenEmbedder(WordEmbedder):
    """Makes nonsense of texts with a certain word."""

    def __init__(self, nonsense: bytes) -> None:
        self.nonsense = nonsense

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [
            self.nonsense if "cursed" in text else vector
            for text, vector in zip(texts, super().embed(texts), strict=True)
        ]


@pytest.mark.parametrize("nonsense", [
    np.full(384, np.nan, "<f4").tobytes(), np.full(384, np.inf, "<f4").tobytes(), bytes(4 * 383), b"", b"abc",
], ids=["nan", "infinite", "short", "empty", "odd"])
async def test_a_text_of_which_the_model_makes_nonsense_is_found_by_words_and_not_tried_for_ever(
    db: Path, nonsense: bytes
) -> None:
    async with opened(db, BrokenEmbedder(nonsense)) as node:
        await put(node, "bad", "a cursed text")
        await put(node, "good", "a blessed text")
        status = await service.index_status(node, wait_below=0)
        assert (status.embedding_backlog, status.indexed) == (0, 1)
        answer = await service.recall(node, ALICE, RecallRequest(context="cursed", limit=5))
        assert answer.memories[0].title == "bad"


async def test_unusable_vectors_in_the_cache_are_made_again(db: Path) -> None:
    async with opened(db) as node:
        await fill_with(node, 5)
        hashes = [digest for _, digest in await node.store.read(embeddings.hashes_between, 1, 3)]
        wrong = [np.full(384, np.nan, "<f2").tobytes(), bytes(10)]
        made = [(digest, [vector]) for digest, vector in zip(hashes, wrong, strict=True)]
        await node.store.write(embeddings.put, "words/1", made)
    async with opened(db) as node:
        with trio.fail_after(20):
            while len(await held_by_index(node)) < 5:
                async with node.index_changed:
                    await node.index_changed.wait()
        assert (await nearest(node, "number 1 word1 word2"))[0] == 2


async def test_a_feed_that_was_overrun_leaves_no_deleted_row_behind(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aimem.store.changes.CHANGES_KEPT", 3)
    async with opened(db) as node:
        ids = await fill_with(node, 60)
        await service.archive(node, ALICE, ArchiveRequest(ids=ids[:10]), None)
        await trio.testing.wait_all_tasks_blocked()
        assert await held_by_index(node) == set(range(11, 61))


async def test_a_folder_that_cannot_be_written_leaves_the_index_in_memory_and_is_said(db: Path) -> None:
    db.with_name("node.db.vectors").write_text("in the way")
    async with open_node(db, threads=InlineThreads(), embedder=WordEmbedder(), bounds=BOUNDS) as node:
        for n in range(60):
            await put(node, f"number {n}", f"word{n}")
        await trio.testing.wait_all_tasks_blocked()
        assert await held_by_index(node) == set(range(1, 61))
        assert node.recaller.index.base_chunk_count == 0
        assert len([text for text in node.warnings if "cannot be kept" in text]) == 1


async def test_rows_that_go_and_change_while_a_base_is_made_stay_gone_and_changed(db: Path) -> None:
    async with opened(db) as node:
        ids = await fill_with(node, 60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.recaller.build_base)
            for n in range(0, 40, 2):
                await service.delete(node, ALICE, ids[n], None)
                await put(node, f"number {n + 1}", f"fresh{n + 1}")
        await trio.testing.wait_all_tasks_blocked()
        await settled(node)
        assert await held_by_index(node) == await held_by_database(node) == set(range(1, 61)) - set(range(1, 41, 2))
        assert (await nearest(node, "number 7 fresh7"))[0] == 8


@pytest.mark.parametrize("bounds", [BOUNDS, None], ids=["on disk", "in memory"])
@pytest.mark.parametrize("embeddings_too", [False, True])
async def test_the_index_is_made_anew_on_order(db: Path, bounds: Bounds | None, embeddings_too: bool) -> None:
    async with opened(db, bounds=bounds) as node:
        await fill_with(node, 60)
        done = node.counters.embedded
        wrong = WordEmbedder().embed(["lies"])[0]
        node.recaller.index.put(2, [wrong])     # something that comparing hashes would not find
        node.recaller.index.put(999, [wrong])
        status = await service.reindex(node, ALICE, ReindexRequest(what="vectors", embeddings=embeddings_too))
        assert status.index_backlog > 0
        await settled(node)
        assert await held_by_index(node) == set(range(1, 61))
        assert (await nearest(node, "number 1 word1 word2"))[0] == 2
        assert node.counters.embedded == done + (60 if embeddings_too else 0)


async def test_without_a_model_there_is_nothing_to_make_anew(db: Path) -> None:
    async with open_node(db) as node:
        with pytest.raises(Unavailable, match="by keyword"):
            await service.reindex(node, ALICE, ReindexRequest(what="vectors"))
        with pytest.raises(InvalidRequest, match="embeddings"):
            await service.reindex(node, ALICE, ReindexRequest(what="text", embeddings=True))


@pytest.mark.parametrize("embedder", [WordEmbedder(), None], ids=["with a model", "without"])
async def test_the_index_of_words_is_made_anew_on_order(db: Path, embedder: WordEmbedder | None) -> None:
    async with open_node(db, threads=InlineThreads(), embedder=embedder) as node:
        for n in range(450):
            await put(node, f"number {n}", f"word{n} word_{n}")
        await trio.testing.wait_all_tasks_blocked()
        ordered = await service.reindex(node, ALICE, ReindexRequest())
        assert ordered.text_backlog > 0
        with trio.fail_after(20):
            done = await service.index_status(node, wait_below=0)
        assert done.text_backlog == 0
        await trio.testing.wait_all_tasks_blocked()
        for text in ("word444", "word_444"):
            found = await service.search(node, ALICE, SearchQuery(q=text))
            assert [memory.content for memory in found.results] == ["word444 word_444"]


KILLED = """
import os, signal, sys
from pathlib import Path
import trio
from aimem import service
from tests.nodes import InlineThreads
from tests.service.test_indexer_files import fill_with, opened, put

class Mortal(InlineThreads):
    async def run(self, fn, *, limiter):
        global left
        if "keeper" in getattr(getattr(fn, "func", None), "__module__", "") or getattr(fn, "func", None) is next:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return await super().run(fn, limiter=limiter)

left = 10**9
async def main():
    global left
    async with opened(Path(sys.argv[1])) as node:
        node.recaller._keeper._threads = Mortal()
        ids = await fill_with(node, 60)
        await service.delete(node, __import__("tests.nodes").nodes.principal("alice"), ids[0], None)
        await put(node, "number 1", "rewritten")
        left = int(sys.argv[2])
        await node.recaller.build_base()
        print("lived", flush=True)
trio.run(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 9])
async def test_a_process_that_is_killed_while_it_makes_a_base_leaves_right_answers(db: Path, step: int) -> None:
    killed = await trio.run_process(
        [sys.executable, "-c", KILLED, str(db), str(step)], capture_stdout=True, capture_stderr=True, check=False,
        cwd=Path(__file__).parents[2],
    )
    assert killed.returncode == -9, killed.stderr.decode()
    left = [path.name for path in db.with_name("node.db.vectors").iterdir()]
    assert [name for name in left if name.endswith(".new")], left
    async with opened(db) as node:
        await settled(node)
        assert node.warnings == []
        assert await held_by_index(node) == await held_by_database(node) == set(range(2, 61))
        assert (await nearest(node, "number 1 rewritten"))[0] == 2
        left = [path.name for path in db.with_name("node.db.vectors").iterdir()]
        assert not [name for name in left if name.endswith(".new")], left
