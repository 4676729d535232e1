"""Capabilities: each flag says what the node does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.search import Recaller
from aimem.service import Node, Policy
from aimem.wire import CurateRequest, SubscribeRequest, to_builtins
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, principal
from tests.service.steps import put

OF_MEANING = ("semantic_search", "hybrid_recall", "embedder_loaded")
OF_LANGUAGE = ("query_expansion", "auto_consolidation", "auto_tagging", "contradiction_analysis")
NEVER = ("cross_encoder_reranking", "memory_reflection")


async def capabilities(node: Node) -> dict[str, Any]:
    answer: dict[str, Any] = to_builtins(await service.capabilities(node))
    return answer


def true_of(answer: dict[str, Any]) -> set[str]:
    """The features that an answer says are there."""
    return {name for name, is_there in answer["features"].items() if is_there}


async def test_by_words_alone_a_node_claims_nothing_else(node: Node) -> None:
    answer = await capabilities(node)
    assert (answer["schema_version"], answer["tier"]) == ("2", "keyword")
    assert set(answer["features"]) == {"keyword_search", *OF_MEANING, *OF_LANGUAGE, *NEVER}
    assert true_of(answer) == {"keyword_search"}
    assert answer["models"] == {"embedding": "none", "embedding_dim": 0, "llm": "none", "cross_encoder": "none"}
    assert answer["limits"]["content_bytes"] == 65_536
    assert "agent_memories" not in answer["limits"]


async def test_a_model_in_this_process_brings_meaning_and_its_name(tmp_path: Path) -> None:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), embedder=WordEmbedder()) as node:
        answer = await capabilities(node)
    assert answer["tier"] == "semantic"
    assert true_of(answer) == {"keyword_search", *OF_MEANING}
    assert (answer["models"]["embedding"], answer["models"]["embedding_dim"]) == ("words/1", 384)


async def test_a_language_model_counts_while_it_answers_and_its_hooks_with_it(tmp_path: Path) -> None:
    model, policy = ScriptedModel("yes"), Policy(tier="smart", autonomous_hooks=True)
    async with open_node(
        tmp_path / "memory.db", clock=FakeClock(), embedder=WordEmbedder(), language=model, policy=policy
    ) as node:
        there = await capabilities(node)
        model.is_down = True
        await service.look_for_language(node)
        away = await capabilities(node)
    assert (there["tier"], there["models"]["llm"], there["hooks"]["autonomous"]) == ("smart", "scripted:1", True)
    assert true_of(there) == {"keyword_search", *OF_MEANING, *OF_LANGUAGE}
    assert (away["tier"], away["models"]["llm"], away["hooks"]["autonomous"]) == ("semantic", "none", False)
    assert true_of(away) == {"keyword_search", *OF_MEANING}
    assert any("scripted:1 is not used" in warning for warning in away["warnings"])


async def test_a_model_that_is_being_loaded_is_waited_for(tmp_path: Path) -> None:
    tiers: list[str] = []

    async def ask(node: Node) -> None:
        tiers.append((await capabilities(node))["tier"])

    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        unsettled = Recaller(threads=InlineThreads(), embedder=None)
        waiting = dataclasses.replace(node, recaller=unsettled)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, waiting)
            await trio.testing.wait_all_tasks_blocked()
            assert tiers == []
            unsettled.adopt(WordEmbedder())
            unsettled.settle()
    assert tiers == ["semantic"]


async def test_hooks_that_are_off_and_parts_that_are_not_there_are_said_so(tmp_path: Path) -> None:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), language=ScriptedModel("yes")) as node:
        answer = await capabilities(node)
    assert answer["hooks"] == {"registered_count": 0, "by_event": {}, "autonomous": False}
    assert answer["permissions"] == {"mode": "open", "active_rules": 0, "rule_summary": []}
    assert answer["approval"] == {"subscribers": 0, "pending_requests": 0, "default_timeout_seconds": 7 * 24 * 3600}
    assert answer["transcripts"] == {"enabled": False, "total_count": 0, "total_size_mb": 0}


async def test_a_key_is_told_as_the_mode_of_permission(tmp_path: Path) -> None:
    async with open_node(tmp_path / "memory.db", policy=Policy(open_access=False)) as node:
        assert (await capabilities(node))["permissions"]["mode"] == "api_key"


@pytest.mark.parametrize(("interval_s", "minutes"), [(None, None), (3600.0, 60), (60.0, 1)])
async def test_compaction_is_the_curator_with_its_interval_and_last_cycle(
    tmp_path: Path, interval_s: float | None, minutes: int | None
) -> None:
    policy = replace(Policy(), curator_interval_s=interval_s)
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), policy=policy) as node:
        await put(node, "one")
        before = (await capabilities(node))["compaction"]
        await service.curate(node, CurateRequest(dry_run=True))
        assert (await capabilities(node))["compaction"] == before
        report = await service.curate(node, CurateRequest())
        after = (await capabilities(node))["compaction"]
    assert before == {
        "enabled": interval_s is not None, "interval_minutes": minutes, "last_run_at": None, "last_run_stats": None,
    }
    assert after["last_run_at"] == report.completed_at
    assert after["last_run_stats"]["memories_scanned"] == 1
    assert after["last_run_stats"]["autonomy"]["memories_consolidated"] == 0


async def test_subscriptions_are_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path / "memory.db", clock=FakeClock()) as node:
        for events in ("store,link", "store", "*"):
            request = SubscribeRequest(url="https://hooks.example/", events=events)
            await service.subscribe(node, principal(), request)
        answer = await capabilities(node)
    assert (answer["hooks"]["registered_count"], answer["hooks"]["by_event"]) == (3, {"*": 1, "link": 1, "store": 2})
