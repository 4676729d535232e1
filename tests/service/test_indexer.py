"""The indexer: every live text has its vectors, and the index holds just these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from aimem import service
from aimem.model import format_instant
from aimem.ports import DatabaseError, DatabaseFault, Embedder
from aimem.replication import Trust
from aimem.search import ModelUnavailable, Recaller
from aimem.service import Node, Policy, run_indexer
from aimem.store import changes, embeddings
from aimem.wire import (
    ArchiveRequest,
    GcQuery,
    ImportMemory,
    ImportRequest,
    PurgeQuery,
    RecallRequest,
    RestoreQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, open_store, seeded_chance
from tests.service.steps import ALICE, all_quiet, put

LONG = " ".join(f"word{number}" for number in range(500))


@pytest.fixture
async def hybrid(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """A node with vectors."""
    db, chance, threads = tmp_path / "hybrid.db", seeded_chance(2), InlineThreads()
    async with open_node(db, clock=clock, chance=chance, threads=threads, embedder=WordEmbedder()) as opened:
        yield opened


async def indexed(node: Node) -> set[str]:
    """Ids of the memories whose vectors the index holds."""
    everything = await node.recaller.nearest(WordEmbedder().embed(["word"])[0], 100_000)
    sql = "SELECT id FROM memory_view WHERE no = ?"
    found = set()
    for no, _ in everything:
        row = await node.store.read(lambda conn, no=no: conn.execute(sql, (no,)).fetchone())
        found.add("nobody" if row is None else str(row[0]))
    return found


async def nearest_to(node: Node, text: str) -> str:
    """Id of the memory that a question without any of its words is nearest to."""
    result = await service.recall(node, ALICE, RecallRequest(context=text, touch=False, limit=1))
    return result.memories[0].id


async def test_what_is_stored_is_embedded_after_the_commit(hybrid: Node) -> None:
    stored = await put(hybrid, "title", "alpha beta")
    await all_quiet()
    status = await service.index_status(hybrid)
    assert (status.mode, status.model, status.embedding_backlog, status.embedded) == ("hybrid", "words/1", 0, 1)
    assert await indexed(hybrid) == {stored.id}


async def test_the_index_follows_updates_archive_restore_expiry_and_delete(hybrid: Node, clock: FakeClock) -> None:
    one, other = await put(hybrid, None, "alpha"), await put(hybrid, None, "omega")
    await all_quiet()
    assert await nearest_to(hybrid, "alpha") == one.id
    await service.update(hybrid, ALICE, one.id, UpdateMemory(content="gamma"))
    await all_quiet()
    assert await nearest_to(hybrid, "gamma") == one.id
    await service.archive(hybrid, ALICE, ArchiveRequest(ids=[one.id]))
    await all_quiet()
    assert await indexed(hybrid) == {other.id}
    embedded = hybrid.counters.embedded
    await service.restore(hybrid, ALICE, one.id, RestoreQuery())
    await all_quiet()
    assert await indexed(hybrid) == {one.id, other.id}
    assert hybrid.counters.embedded == embedded
    await service.delete(hybrid, ALICE, one.id)
    await all_quiet()
    assert await indexed(hybrid) == {other.id}
    expiry = format_instant(clock.now())
    await service.update(hybrid, ALICE, other.id, UpdateMemory(expires_at=expiry))
    await service.collect(hybrid, ALICE, GcQuery())
    await all_quiet()
    assert await indexed(hybrid) == set()


async def test_a_text_is_embedded_once_however_many_memories_have_it(hybrid: Node) -> None:
    for _ in range(3):
        await put(hybrid, None, "the same text")
    await all_quiet()
    await put(hybrid, None, "the same text")
    await all_quiet()
    assert hybrid.counters.embedded == 1
    assert len(await indexed(hybrid)) == 4


async def test_a_long_text_is_found_by_any_of_its_chunks(hybrid: Node) -> None:
    stored = await put(hybrid, None, LONG)
    await put(hybrid, None, "something else")
    await all_quiet()
    assert hybrid.recaller.index.chunk_count == 4
    assert await nearest_to(hybrid, "word499 word498 word497") == stored.id


async def test_a_restart_fills_the_index_from_the_cache_and_embeds_what_was_stored_without_a_model(
    tmp_path: Path,
) -> None:
    db = tmp_path / "x.db"
    async with open_node(db, threads=InlineThreads(), embedder=WordEmbedder()) as node:
        cached = await put(node, None, "alpha")
        await all_quiet()
    async with open_node(db, threads=InlineThreads()) as node:
        # More of one text than a round takes, and none of them in any list of changes.
        waiting = {(await put(node, None, "the same text")).id for _ in range(40)}
    async with open_node(db, threads=InlineThreads(), embedder=WordEmbedder()) as node:
        await all_quiet()
        assert await indexed(node) == waiting | {cached.id}
        assert node.counters.embedded == 1
        assert (await service.index_status(node)).embedding_backlog == 0


async def test_another_model_embeds_everything_anew(tmp_path: Path) -> None:
    class OtherModel(WordEmbedder):
        model = "words/2"

    db = tmp_path / "x.db"
    async with open_node(db, threads=InlineThreads(), embedder=WordEmbedder()) as node:
        stored = await put(node, None, "alpha")
        await all_quiet()
    async with open_node(db, threads=InlineThreads(), embedder=OtherModel()) as node:
        await all_quiet()
        assert await indexed(node) == {stored.id}
        assert node.counters.embedded == 1
        assert await service.drop_unused_vectors(node) == 1


async def test_a_flood_of_changes_leaves_no_vector_of_what_is_gone(
    hybrid: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await put(hybrid, None, f"text number {number}")).id for number in range(10)]
    await all_quiet()
    monkeypatch.setattr(changes, "CHANGES_KEPT", 2)
    await service.archive(hybrid, ALICE, ArchiveRequest(ids=ids[:4]))
    await all_quiet()
    assert await indexed(hybrid) == set(ids[4:])
    await service.archive(hybrid, ALICE, ArchiveRequest(ids=ids[4:]))
    await service.purge_archive(hybrid, ALICE, PurgeQuery(all=True))
    await all_quiet()
    assert await indexed(hybrid) == set()


async def test_vectors_that_nothing_uses_are_dropped_and_the_others_kept(hybrid: Node) -> None:
    gone, away, kept = [await put(hybrid, None, text) for text in ("alpha", "beta", "gamma")]
    await all_quiet()
    await service.delete(hybrid, ALICE, gone.id)
    await service.archive(hybrid, ALICE, ArchiveRequest(ids=[away.id]))
    await service.update(hybrid, ALICE, kept.id, UpdateMemory(content="delta"))
    await all_quiet()
    assert await service.drop_unused_vectors(hybrid) == 2
    assert await service.drop_unused_vectors(hybrid) == 0
    await service.restore(hybrid, ALICE, away.id, RestoreQuery())
    await all_quiet()
    assert hybrid.counters.embedded == 4


async def test_the_vectors_of_one_text_are_dropped_together(hybrid: Node) -> None:
    stored = await put(hybrid, None, LONG)
    await all_quiet()
    await service.delete(hybrid, ALICE, stored.id)
    await hybrid.store.write(embeddings.drop_unused, "words/1", 1)
    again = await put(hybrid, None, LONG)
    await all_quiet()
    assert hybrid.recaller.index.chunk_count == 3
    assert await indexed(hybrid) == {again.id}


async def a_loading_node(
    tmp_path: Path, nursery: trio.Nursery, load: Callable[[], Embedder], loaded: trio.Event
) -> Node:
    class SlowLoad(InlineThreads):
        async def run(self, fn: Callable[[], object], *, limiter: trio.CapacityLimiter) -> object:  # type: ignore[override]
            if fn is load:
                await loaded.wait()
            return await super().run(fn, limiter=limiter)

    threads, clock, chance = SlowLoad(), FakeClock(), seeded_chance(3)

    async def run(*, task_status: trio.TaskStatus[Node]) -> None:
        async with open_store(tmp_path / "x.db", clock=clock, chance=chance, threads=threads) as store:
            recaller = Recaller(threads=threads, embedder=None)
            node = Node(
                store=store, clock=clock, chance=chance, threads=threads, recaller=recaller, policy=Policy(),
                trust=Trust(store, chance, clock),
            )
            async with trio.open_nursery() as inner:
                await inner.start(partial(service.run_indexer, node, load))
                task_status.started(node)
                await trio.sleep_forever()

    node: Node = await nursery.start(run)
    return node


async def test_a_recall_waits_while_the_model_is_being_loaded(tmp_path: Path, nursery: trio.Nursery) -> None:
    loaded, answers = trio.Event(), []
    node = await a_loading_node(tmp_path, nursery, WordEmbedder, loaded)
    await put(node, None, "alpha")

    async def ask() -> None:
        answers.append(await service.recall(node, ALICE, RecallRequest(context="alpha", touch=False)))

    async with trio.open_nursery() as callers:
        callers.start_soon(ask)
        await all_quiet()
        assert answers == []
        loaded.set()
    # The model is there, though not one vector of a memory: that answer came by words.
    assert (node.recaller.model, answers[0].mode, answers[0].count) == ("words/1", "keyword", 1)


async def test_without_a_model_recall_is_by_keyword_and_says_why(tmp_path: Path, nursery: trio.Nursery) -> None:
    def missing() -> Embedder:
        raise ModelUnavailable("no model in /nowhere: install one")

    loaded, answers = trio.Event(), []
    node = await a_loading_node(tmp_path, nursery, missing, loaded)
    await put(node, None, "alpha")

    async def ask() -> None:
        answers.append(await service.recall(node, ALICE, RecallRequest(context="alpha", touch=False)))

    async with trio.open_nursery() as callers:
        callers.start_soon(ask)
        await all_quiet()
        assert answers == []
        loaded.set()
    assert (answers[0].mode, answers[0].count) == ("keyword", 1)
    health, capabilities = await service.health(node), await service.capabilities(node)
    assert health.warnings == capabilities.warnings == ("recall is by keyword: no model in /nowhere: install one",)
    assert (health.mode, health.embedder_ready, capabilities.tier) == ("keyword", False, "keyword")
    assert not capabilities.features["semantic_search"]
    status = await service.index_status(node, wait_below=0)
    assert (status.mode, status.reason) == ("keyword", "no model in /nowhere: install one")
    assert await service.drop_unused_vectors(node) == 0


async def test_the_status_waits_until_the_backlog_is_small(hybrid: Node) -> None:
    await service.import_memories(
        hybrid, ALICE, ImportRequest(memories=[ImportMemory(content=f"text {number}") for number in range(100)])
    )
    status = await service.index_status(hybrid, wait_below=0)
    assert (status.embedding_backlog, status.embedded) == (0, 100)


async def test_the_status_gives_up_waiting_after_ten_seconds(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    node = await a_loading_node(tmp_path, nursery, WordEmbedder, trio.Event())
    await put(node, None, "alpha")
    begun = trio.current_time()
    status = await service.index_status(node, wait_below=0)
    assert status.embedding_backlog == 1
    assert trio.current_time() - begun == pytest.approx(10)


async def test_a_look_at_the_backlog_is_never_broken_off_by_the_end_of_the_wait(
    hybrid: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []

    async def look(node: Node, count: int) -> bool:
        deadlines.append(trio.current_effective_deadline())
        return False

    monkeypatch.setattr(service.indexer, "_is_owed_more", look)
    await service.index_status(hybrid, wait_below=0)
    assert deadlines == [float("inf")]


async def test_a_backlog_that_empties_while_the_status_is_read_is_noticed(
    hybrid: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(hybrid, None, "alpha")
    count = embeddings.count_embedded
    look = service.indexer._is_owed_more

    async def look_slowly(node: Node, count: int) -> bool:
        is_owed_more = await look(node, count)
        await all_quiet()  # the indexer embeds everything and pulses meanwhile
        return is_owed_more

    monkeypatch.setattr(service.indexer, "_is_owed_more", look_slowly)
    with trio.fail_after(5):
        status = await service.index_status(hybrid, wait_below=0)
    assert (status.embedding_backlog, await hybrid.store.read(count)) == (0, 1)


async def test_the_indexer_goes_on_after_a_batch_that_the_store_could_not_take(
    hybrid: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise DatabaseError("database or disk is full", DatabaseFault.FULL)

    await all_quiet()
    with monkeypatch.context() as patched:
        patched.setattr(embeddings, "put", full)
        first = await put(hybrid, None, "alpha")
        await all_quiet()
    assert await indexed(hybrid) == set()
    second = await put(hybrid, None, "beta")
    await all_quiet()
    assert await indexed(hybrid) == {first.id, second.id}


class Distant(WordEmbedder):
    """A model elsewhere, of another size."""

    model, dimension = "distant/1", 8
    is_away = False

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        if self.is_away:
            raise ModelUnavailable("nobody answers")
        return super().embed(texts)


async def test_a_model_that_goes_away_owes_its_vectors_and_makes_them_when_it_is_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    embedder = Distant()
    async with open_node(tmp_path / "x.db", threads=InlineThreads(), embedder=embedder) as node:
        await put(node, None, "alpha")
        await all_quiet()
        embedder.is_away = True
        await put(node, None, "beta")
        await all_quiet()
        status = await service.index_status(node)
        assert (status.mode, status.embedding_backlog, status.reason) == ("keyword", 1, "nobody answers")
        found = await service.recall(node, ALICE, RecallRequest(context="beta", touch=False))
        assert found.mode == "keyword" and found.count == 1
        embedder.is_away = False
        await trio.sleep(31)
        await all_quiet()
        status = await service.index_status(node)
        assert (status.mode, status.embedding_backlog, status.reason) == ("hybrid", 0, "")


async def test_the_second_model_serves_if_the_first_is_not_there_and_both_are_remembered(tmp_path: Path) -> None:
    db = tmp_path / "x.db"

    def absent() -> Embedder:
        raise ModelUnavailable("Ollama is not there")

    for makers, model, warnings in (
        ((Distant, WordEmbedder), "distant/1", 0), ((absent, WordEmbedder), "words/1", 1),
        ((Distant, WordEmbedder), "distant/1", 0),
    ):
        async with open_node(db, threads=InlineThreads()) as opened:
            node = replace(opened, recaller=Recaller(threads=InlineThreads(), embedder=None))
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(run_indexer, node, *makers))
                await put(node, f"on {model} {warnings}", "alpha")
                await all_quiet()
                status = await service.index_status(node, wait_below=0)
                assert (status.model, status.embedding_backlog, status.mode) == (model, 0, "hybrid")
                assert len(node.warnings) == warnings
                assert all("Ollama is not there" in warning for warning in node.warnings)
                nursery.cancel_scope.cancel()


async def test_without_any_model_the_last_reason_is_told(tmp_path: Path) -> None:
    def absent(reason: str) -> Embedder:
        raise ModelUnavailable(reason)

    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:
        await run_indexer(node, partial(absent, "first"), partial(absent, "second"))
        assert (node.recaller.reason, node.warnings) == ("second", ["recall is by keyword: second"])
