"""Vectors between nodes: paid once a memory, fetched by the others, made here where they do not come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import trio

import tests.meshes
from aimem import service
from aimem.errors import Code
from aimem.search import ModelUnavailable
from aimem.service import awaited
from aimem.wire import PROTOCOL, RecallRequest, UpdateMemory, copies
from tests.meshes import OPERATOR, World, let_embed, open_world
from tests.nodes import WordEmbedder
from tests.service.steps import ALICE, put, refused

pytestmark = pytest.mark.usefixtures("autojump_clock")

LONG = " ".join(f"word{number}" for number in range(500))


class Model(WordEmbedder):
    """A model that tells what it read, and may be away."""

    def __init__(self, name: str = "words/1") -> None:
        self.model = name       # type: ignore[misc]
        self.read: list[str] = []
        self.is_away = False

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        if self.is_away:
            raise ModelUnavailable("away")
        self.read += texts
        return super().embed(texts)


async def with_models(world: World) -> dict[str, Model]:
    """Give each node a model."""
    models = {name: Model() for name in world.nodes}
    for name, model in models.items():
        await let_embed(world, name, model)
    return models


async def all_embedded(world: World) -> float:
    """Wait until all nodes know the same and lack no vectors. Returns: how long that took."""
    began = trio.current_time()
    with trio.fail_after(300):
        for node in world.nodes.values():
            for other in world.nodes.values():
                await node.store.log.wait_change(-1)
                await service.wait_version(node, f"{other.store.stream}:{other.store.log.vector[other.store.stream]}")
        for node in world.nodes.values():
            if node.recaller.model != "none":
                while (status := await service.index_status(node, 0)).embedding_backlog or status.index_backlog:
                    pass
    return trio.current_time() - began


async def nearest(world: World, name: str, text: str) -> str:
    result = await service.recall(world.nodes[name], ALICE, RecallRequest(context=text, touch=False, limit=1))
    return result.memories[0].id


async def test_what_one_node_wrote_costs_the_others_no_run_of_the_model(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=1) as world:
        models = await with_models(world)
        ids = [(await put(world.nodes["n0"], None, f"alpha beta number{number}")).id for number in range(300)]
        long = await put(world.nodes["n0"], None, LONG)
        await all_embedded(world)
        assert len(models["n0"].read) == 303
        assert (models["n1"].read, models["n2"].read) == ([], [])
        assert [node.counters.embeddings_fetched for node in world.nodes.values()] == [0, 301, 301]
        assert world.nodes["n0"].counters.embeddings_lent == 602
        assert {name for name, _ in world.asked} == {"n0"}
        assert max(count for _, count in world.asked) <= copies.EMBEDDINGS_TEXTS
        assert await nearest(world, "n1", "number77") == ids[77]
        assert await nearest(world, "n2", "word499 word498 word497") == long.id


async def test_a_text_is_asked_of_whoever_wrote_it_last(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        models = await with_models(world)
        stored = await put(world.nodes["n0"], "t", "first text")
        await all_embedded(world)
        world.asked.clear()
        await service.update(world.nodes["n2"], ALICE, stored.id, UpdateMemory(content="second text"))
        await all_embedded(world)
        assert {name for name, _ in world.asked} == {"n2"}
        assert {name: len(model.read) for name, model in models.items()} == {"n0": 1, "n1": 0, "n2": 1}


async def test_vectors_are_made_here_at_once_if_the_writer_has_another_model_or_none(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=3) as world:
        mine, other = Model(), Model("words/2")
        await let_embed(world, "n1", mine)
        await let_embed(world, "n2", other)
        await put(world.nodes["n0"], None, "by a node of keywords")
        await put(world.nodes["n2"], None, "by a node of another model")
        assert await all_embedded(world) < 5
        assert sorted(mine.read) == ["by a node of another model", "by a node of keywords"]
        assert sorted(other.read) == sorted(mine.read)


async def test_vectors_that_do_not_come_in_time_are_made_here(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        models["n0"].is_away = True
        await put(world.nodes["n0"], None, "alpha")
        began = trio.current_time()
        node = world.nodes["n1"]
        await trio.sleep(10)
        status = await service.index_status(node)
        assert (status.embedding_backlog, status.embedding_awaited, models["n1"].read) == (1, 1, [])
        with trio.fail_after(60):
            while (await service.index_status(node, 0)).embedding_backlog:
                pass
        assert 30 <= trio.current_time() - began < 50
        assert models["n1"].read == ["alpha"]
        assert (await service.index_status(node)).embedding_awaited == 0


async def test_of_a_writer_that_went_away_nothing_is_awaited(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        models["n0"].is_away = True
        await put(world.nodes["n0"], None, "alpha")
        world.isolate("n0")
        with trio.fail_after(15):
            while (await service.index_status(world.nodes["n1"], 0)).embedding_backlog:
                pass
        assert models["n1"].read == ["alpha"]


def scaled(factor: float) -> Callable[[bytes], bytes]:
    return lambda vector: (np.frombuffer(vector, "<f2").astype(np.float32) * factor).astype("<f2").tobytes()


@pytest.mark.parametrize("spoil", [
    lambda vectors: [vectors[0][:-2]],
    lambda vectors: vectors * 2,
    lambda vectors: [scaled(2.0)(vectors[0])],
    lambda vectors: [scaled(0.0)(vectors[0])],
    lambda vectors: [b"\x00\x7e" * 384],
    lambda _: [b""],
], ids=["short", "too many", "long", "zero", "no number", "empty"])
async def test_vectors_that_cannot_be_those_of_the_text_are_refused_and_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Sequence[bytes]], Sequence[bytes]]
) -> None:
    lend = service.embeddings_for

    async def lend_spoiled(*args: object) -> copies.EmbeddingsAnswer:
        answer = await lend(*args)  # type: ignore[arg-type]
        found = tuple(copies.TextVectors(one.hash, tuple(spoil(list(one.vectors)))) for one in answer.found)
        return msgspec.structs.replace(answer, found=found)

    monkeypatch.setattr(tests.meshes, "embeddings_for", lend_spoiled)
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        stored = await put(world.nodes["n0"], None, "alpha beta")
        await all_embedded(world)
        node = world.nodes["n1"]
        assert (node.counters.embeddings_refused, node.counters.embeddings_fetched) == (1, 0)
        assert models["n1"].read == ["alpha beta"]
        assert await nearest(world, "n1", "alpha") == stored.id


async def test_vectors_that_nobody_asked_for_are_read_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lend = service.embeddings_for

    async def lend_more(*args: object) -> copies.EmbeddingsAnswer:
        answer = await lend(*args)  # type: ignore[arg-type]
        return msgspec.structs.replace(
            answer, found=(copies.TextVectors(b"x" * 32, (b"\x00\x3c" * 384,)), *answer.found), missing=(b"y", b"")
        )

    monkeypatch.setattr(tests.meshes, "embeddings_for", lend_more)
    async with open_world(tmp_path, 2, writes=2) as world:
        await with_models(world)
        await put(world.nodes["n0"], None, "alpha")
        await all_embedded(world)
        node = world.nodes["n1"]
        assert node.counters.embeddings_fetched == 1
        count = await node.store.read(lambda conn: conn.execute("SELECT count(*) FROM embeddings").fetchone())
        assert count == (1,)


async def test_a_large_answer_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "EMBEDDINGS_BYTES", 2_000)
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        for number in range(10):
            await put(world.nodes["n0"], None, f"number{number}")
        await put(world.nodes["n0"], None, LONG)
        await all_embedded(world)
        assert models["n1"].read == []
        assert len(world.asked) >= 6


async def test_more_than_can_be_awaited_comes_all_the_same_and_own_texts_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited, "AWAITED_MAX", 4)
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        models["n0"].is_away = True
        for number in range(20):
            await put(world.nodes["n0"], None, f"number{number}")
        own = await put(world.nodes["n1"], None, "own text")
        await trio.sleep(5)
        assert models["n1"].read == ["own text"]
        assert await nearest(world, "n1", "own") == own.id
        models["n0"].is_away = False
        await put(world.nodes["n0"], None, "the model is back")
        await all_embedded(world)
        assert set(models["n1"].read) == {"own text", "own"}
        assert world.nodes["n1"].counters.embeddings_fetched == 21


async def test_what_is_gone_before_its_vectors_came_is_awaited_no_more(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        models = await with_models(world)
        models["n0"].is_away = True
        stored = await put(world.nodes["n0"], None, "alpha")
        await trio.sleep(3)
        await service.delete(world.nodes["n0"], ALICE, stored.id)
        await trio.sleep(10)
        assert (await service.index_status(world.nodes["n1"])).embedding_awaited == 0
        assert models["n1"].read == []


async def test_a_node_of_the_future_or_of_the_past_is_understood(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        await with_models(world)
        node = world.nodes["n0"]
        await put(node, None, "alpha")
        await all_embedded(world)
        row = await node.store.read(lambda conn: conn.execute("SELECT text_hash FROM memory_view").fetchone())
        digest = bytes(row[0])

        def request(model: str, *hashes: bytes, protocol: int = PROTOCOL) -> copies.EmbeddingsRequest:
            return copies.EmbeddingsRequest(protocol=protocol, model=model, hashes=hashes)

        answer = await service.embeddings_for(node, OPERATOR, request("words/1", digest, b"nobody's", digest))
        assert [one.hash for one in answer.found] == [digest]
        assert (len(answer.found[0].vectors), answer.missing) == (1, (b"nobody's",))
        other = await service.embeddings_for(node, OPERATOR, request("words/2", digest))
        assert (other.model, other.found, other.missing) == ("words/1", (), (digest,))
        many = [number.to_bytes(4) for number in range(copies.EMBEDDINGS_TEXTS + 1)]
        await refused(Code.INVALID_REQUEST, service.embeddings_for(node, OPERATOR, request("words/1", *many)))
        await refused(Code.INVALID_REQUEST, service.embeddings_for(node, OPERATOR, request("words/1")))
        newer = request("words/1", digest, protocol=PROTOCOL + 1)
        await refused(Code.PROTOCOL_MISMATCH, service.embeddings_for(node, OPERATOR, newer))


async def test_a_text_of_which_no_vector_can_be_made_is_owed_by_nobody(tmp_path: Path) -> None:
    class Poor(Model):
        def embed(self, texts: Sequence[str]) -> list[bytes]:
            return [b"\x00\x00\xc0\x7f" * 384 for _ in texts]

    async with open_world(tmp_path, 2, writes=2) as world:
        await let_embed(world, "n0", Poor())
        model = Model()
        await let_embed(world, "n1", model)
        await put(world.nodes["n0"], None, "alpha")
        await all_embedded(world)
        assert model.read == []
        assert world.nodes["n1"].recaller.reason == ""
