"""What the language model is asked, and what is known of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from aimem.errors import Code, Unavailable
from aimem.language import needs_llm
from aimem.model import SYSTEM, AgentId, Instant, Memory, MemoryId, Namespace, Tier
from aimem.service import (
    Node,
    Policy,
    capabilities,
    expand_query,
    health,
    is_thinking,
    judge_contradiction,
    look_for_language,
    run_language,
    status,
    suggest_tags,
    summarise,
)
from tests.languages import ScriptedModel
from tests.nodes import InlineThreads, WordEmbedder, open_node, principal, seeded_chance

ALICE = principal("alice")


def memory(title: str, content: str) -> Memory:
    at = Instant(1)
    return Memory(
        id=MemoryId("m1"), namespace=Namespace("n"), title=title, content=content, tier=Tier.MID, source="api",
        author=AgentId("alice"), created_at=at, updated_at=at,
    )


PORT, OTHER = memory("DB port", "The port is 5432."), memory("DB port now", "The port is 5433.")


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("yes")


@pytest.fixture
async def thinking(anyio_backend: object, tmp_path: Path, model: ScriptedModel) -> AsyncIterator[Node]:
    async with open_node(
        tmp_path / "node.db", chance=seeded_chance(1), threads=InlineThreads(), embedder=WordEmbedder(),
        language=model, policy=Policy(tier="smart"),
    ) as node:
        yield node


async def test_each_question_reads_its_own_kind_of_answer(thinking: Node, model: ScriptedModel) -> None:
    model.script = ["One paragraph.", "engine\nstore", "db\nports", "no"]
    assert await summarise(thinking, ALICE, [PORT, OTHER]) == "One paragraph."
    assert await expand_query(thinking, ALICE, "which database") == ("engine", "store")
    assert await suggest_tags(thinking, ALICE, PORT) == ("db", "ports")
    assert await judge_contradiction(thinking, ALICE, PORT, OTHER) is False


async def test_each_call_draws_a_boundary_of_its_own(thinking: Node, model: ScriptedModel) -> None:
    for _ in range(2):
        await judge_contradiction(thinking, ALICE, PORT, OTHER)
    first, second = (user.splitlines()[0] for _, user in model.asked)
    assert first.startswith("DATA ")
    assert first != second


async def test_without_a_model_the_error_says_what_to_set(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node.db", threads=InlineThreads()) as node:
        with pytest.raises(Unavailable) as caught:
            await summarise(node, ALICE, [PORT])
        assert caught.value.code is Code.NEEDS_LLM
        assert "tier" in caught.value.message
        assert not is_thinking(node)


async def test_a_model_that_goes_and_comes_back_is_told_by_calls_and_by_looking(
    thinking: Node, model: ScriptedModel
) -> None:
    assert is_thinking(thinking)
    model.is_down = True
    with pytest.raises(Unavailable):
        await suggest_tags(thinking, ALICE, PORT)
    assert not is_thinking(thinking)
    assert (await health(thinking)).warnings[-1].startswith("the language model scripted:1 is not used")
    model.is_down = False
    await look_for_language(thinking)
    assert is_thinking(thinking)
    assert (await health(thinking)).warnings == ()
    model.is_missing = True
    await look_for_language(thinking)
    assert not is_thinking(thinking)


async def test_garbage_is_refused_and_does_not_mean_that_the_model_is_gone(
    thinking: Node, model: ScriptedModel
) -> None:
    model.script = ["perhaps"]
    with pytest.raises(Unavailable) as caught:
        await judge_contradiction(thinking, ALICE, PORT, OTHER)
    assert caught.value.code is Code.LLM_ANSWER_UNUSABLE
    assert is_thinking(thinking)


async def test_capabilities_are_what_is_there_and_not_what_was_wished(thinking: Node, model: ScriptedModel) -> None:
    answer = await capabilities(thinking)
    flags = ("query_expansion", "auto_consolidation", "auto_tagging", "contradiction_analysis")
    assert [answer.features[flag] for flag in flags] == [True] * 4
    assert (answer.tier, answer.models["llm"]) == ("smart", "scripted:1")
    assert not answer.features["cross_encoder_reranking"]
    assert not answer.features["memory_reflection"]
    model.is_down = True
    await look_for_language(thinking)
    answer = await capabilities(thinking)
    assert [answer.features[flag] for flag in flags] == [False] * 4
    assert (answer.tier, answer.models["llm"]) == ("semantic", "none")
    assert "scripted:1" in answer.warnings[-1]


async def test_asking_for_capabilities_never_asks_the_model(thinking: Node, model: ScriptedModel) -> None:
    await capabilities(thinking)
    await health(thinking)
    assert model.asked == []


async def test_calls_are_counted_by_purpose_and_result(thinking: Node, model: ScriptedModel) -> None:
    model.script = ["db", needs_llm("it is gone")]
    await suggest_tags(thinking, ALICE, PORT)
    with pytest.raises(Unavailable):
        await suggest_tags(thinking, ALICE, PORT)
    samples = (await status(thinking, SYSTEM)).samples
    calls = {sample.labels: sample.value for sample in samples if sample.name == "ai_memory_llm_calls"}
    assert calls == {
        (("purpose", "tags"), ("result", "failed")): 1.0, (("purpose", "tags"), ("result", "ok")): 1.0,
    }


async def test_the_model_is_looked_for_again_and_again_and_sooner_while_it_is_away(
    tmp_path: Path, model: ScriptedModel, autojump_clock: trio.testing.MockClock
) -> None:
    looks: list[float] = []

    async def look() -> bool:
        looks.append(trio.current_time() - begun)
        return len(looks) > 2

    async with open_node(tmp_path / "node.db", threads=InlineThreads(), language=model) as node:
        begun = trio.current_time()
        model.available = look  # type: ignore[method-assign]  # a model that comes late
        async with trio.open_nursery() as nursery:
            await nursery.start(run_language, node)
            await trio.sleep(100)
            nursery.cancel_scope.cancel()
    assert looks == pytest.approx([0, 15, 30, 90], abs=1)
