"""Being a node for a while, with the real rooms: what the command line and MCP stand on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from msgspec import UNSET
from msgspec.structs import replace
from trio.testing import MockClock

from aimem.cli import Attached, Purpose
from aimem.config import Config, EmbeddingModel, FeatureTier, LanguageConfig, SearchConfig, StoreConfig
from aimem.errors import Code, NotFound, Unavailable
from aimem.ports import Embedder, system_files
from aimem.search import ModelUnavailable
from aimem.supervisor import open_client, system_ports
from aimem.supervisor.node import _take_patiently
from aimem.supervisor.outside import Ports
from aimem.supervisor.place import Role, locate, take
from aimem.wire import CreateMemory, ExpandRequest, RecallRequest
from tests.ollama import FakeOllama


class TinyEmbedder:
    """Every text has the same meaning."""

    model, dimension = "tiny", 384

    def chunk(self, text: str) -> list[str]:
        return [text]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        one = b"\0\0\x80\x3f"
        return [one + bytes(4 * 383) for _ in texts]


class Heard:
    """Ports whose sentences are kept."""

    def __init__(self, embedder: TinyEmbedder | ModelUnavailable | None = None) -> None:
        self.lines: list[str] = []
        self._embedder = embedder
        self.ports: Ports = replace(system_ports(), open_embedder=self._open, say=self.lines.append)

    def _open(self, model_dir: Path | None) -> Embedder:
        if isinstance(self._embedder, TinyEmbedder):
            return self._embedder
        raise self._embedder or AssertionError("this purpose needs no model")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(store=StoreConfig(db=tmp_path / "m.db"))


@contextlib.asynccontextmanager
async def opened(config: Config, purpose: Purpose, heard: Heard | None = None) -> AsyncIterator[Attached]:
    async with open_client(config, purpose, ports=(heard or Heard()).ports, environ={}) as attached:
        yield attached


async def test_first_is_the_node_and_second_its_client(config: Config) -> None:
    async with opened(config, Purpose.COMMAND) as first, opened(config, Purpose.COMMAND) as second:
        assert first.holder and not second.holder
        assert first.hint == "" and "ai-memory command" in second.hint
        stored = await second.client.remember(CreateMemory(title="Harbour", content="Ships sleep here."))
        assert (await first.client.get(stored.id)).memory.title == "Harbour"


async def test_error_of_the_block_comes_out_as_itself(config: Config) -> None:
    with pytest.raises(NotFound):
        async with opened(config, Purpose.COMMAND) as attached:
            await attached.client.get("00000000-0000-4000-8000-000000000000")
    async with opened(config, Purpose.COMMAND) as attached:
        assert attached.holder      # the lock was free again


async def test_recall_loads_the_model_and_embeds_what_waits(config: Config) -> None:
    async with opened(config, Purpose.COMMAND) as attached:
        await attached.client.remember(CreateMemory(title="Harbour", content="Ships sleep here."))
        assert (await attached.client.index_status()).embedding_backlog == 1
    async with opened(config, Purpose.RECALL, Heard(TinyEmbedder())) as attached:
        assert (await attached.client.index_status(wait_below=0)).embedding_backlog == 0
        found = await attached.client.recall(RecallRequest(context="where vessels rest"))
        assert [memory.title for memory in found.memories] == ["Harbour"]


async def test_missing_model_is_said_once_and_recall_goes_by_keyword(config: Config) -> None:
    heard = Heard(ModelUnavailable("the folder is empty"))
    async with opened(config, Purpose.RECALL, heard) as attached:
        await attached.client.remember(CreateMemory(title="Harbour", content="Ships sleep here."))
        status = await attached.client.index_status(wait_below=0)
        assert status.mode == "keyword" and "the folder is empty" in status.reason
    assert heard.lines == ["ai-memory: recall is by keyword: the folder is empty"]


async def test_daemon_waits_for_a_command_and_not_for_another_daemon(config: Config, autojump_clock: MockClock) -> None:
    place, ports = locate(config.store.db, {}), Heard().ports
    command = take(system_files(), place, Role.COMMAND)
    async with trio.open_nursery() as nursery:
        async def end() -> None:
            await trio.sleep(3)
            command.release()
        nursery.start_soon(end)
        (await _take_patiently(ports, place)).release()
    daemon, began = take(system_files(), place, Role.DAEMON), trio.current_time()
    with pytest.raises(Unavailable, match="ai-memory serve"):
        await _take_patiently(ports, place)
    assert trio.current_time() == began
    daemon.release()


@pytest.fixture
def smart(tmp_path: Path) -> Config:
    return Config(
        store=StoreConfig(db=tmp_path / "m.db"),
        search=SearchConfig(tier=FeatureTier.SMART, embedding=EmbeddingModel.NOMIC),
        language=LanguageConfig(url="http://ollama", model="gemma4:e2b", hooks=True),
    )


class WithOllama(Heard):
    """Ports behind which there is an Ollama, or none of its vectors."""

    def __init__(self, fake: FakeOllama, remote: TinyEmbedder | None = None) -> None:
        super().__init__(TinyEmbedder())
        self.ports = replace(
            self.ports, open_network=lambda: httpx.ASGITransport(fake, raise_app_exceptions=False),
            open_remote_embedder=self._find,
        )
        self._remote = remote

    def _find(self, url: str) -> Embedder:
        assert url == "http://localhost:11434"
        if self._remote is None:
            raise ModelUnavailable("Ollama is not there")
        return self._remote


async def test_an_upper_tier_has_its_models_and_tags_what_is_stored(smart: Config) -> None:
    remote = TinyEmbedder()
    remote.model = "distant"
    fake = FakeOllama("database")
    async with opened(smart, Purpose.SESSION, WithOllama(fake, remote)) as attached:
        client = attached.client
        assert (await client.expand_query(ExpandRequest(query="storage"))).expanded_terms == ("database",)
        stored = await client.remember(CreateMemory(title="Harbour", content="Ships sleep here. " * 3))
        assert stored.autonomy_hook_skipped is UNSET
        assert (await client.index_status(wait_below=0)).model == "distant"
        capabilities = await client.capabilities()
        assert (capabilities.tier, capabilities.models["llm"]) == ("smart", "gemma4:e2b")
        assert capabilities.features["auto_tagging"]
        for _ in range(100):
            await trio.testing.wait_all_tasks_blocked(0.02)
            metadata = (await client.get(stored.id)).metadata
            if "auto_tags" in metadata:
                break
        assert metadata["auto_tags"] == ["database"]


async def test_without_ollama_an_upper_tier_is_the_semantic_one_and_says_so(smart: Config) -> None:
    fake = FakeOllama()
    fake.misbehaves = 500
    async with opened(smart, Purpose.SESSION, WithOllama(fake)) as attached:
        client = attached.client
        with pytest.raises(Unavailable) as caught:
            await client.expand_query(ExpandRequest(query="storage"))
        assert caught.value.code is Code.NEEDS_LLM
        stored = await client.remember(CreateMemory(title="Harbour", content="Ships sleep here. " * 3))
        assert stored.autonomy_hook_skipped == "no_llm"
        assert (await client.index_status(wait_below=0)).mode == "hybrid"
        capabilities = await client.capabilities()
        assert (capabilities.tier, capabilities.models["llm"]) == ("semantic", "none")
        warnings = "\n".join(capabilities.warnings)
        assert "Ollama is not there" in warnings and "gemma4:e2b is not used" in warnings
        assert (await client.health()).llm_ready is False


async def test_a_command_neither_looks_for_the_model_nor_runs_hooks(smart: Config) -> None:
    fake = FakeOllama()
    async with opened(smart, Purpose.COMMAND, WithOllama(fake)) as attached:
        stored = await attached.client.remember(CreateMemory(title="Harbour", content="Ships sleep here. " * 3))
        assert stored.autonomy_hook_skipped is UNSET
        health = await attached.client.health()
        assert (health.llm, health.llm_ready, health.warnings) == ("gemma4:e2b", False, ())
    assert fake.requests == []
