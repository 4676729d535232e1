"""What callers ask a language model for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import UNSET

from aimem import service
from aimem.errors import AimemError, Code
from aimem.service import Node, Once, look_for_language
from aimem.wire import ContradictionRequest, ExpandRequest, UpdateMemory
from tests.languages import ScriptedModel
from tests.nodes import InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, put, refused, shown


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("db\nports")


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path, model: ScriptedModel) -> AsyncIterator[Node]:
    async with open_node(
        tmp_path / "node.db", chance=seeded_chance(1), threads=InlineThreads(), language=model
    ) as opened:
        yield opened


@pytest.fixture
async def plain(anyio_backend: object, tmp_path: Path) -> AsyncIterator[Node]:
    """Without a language model."""
    async with open_node(tmp_path / "plain.db", chance=seeded_chance(2), threads=InlineThreads()) as opened:
        yield opened


async def test_a_query_is_expanded_without_itself(node: Node, model: ScriptedModel) -> None:
    model.script = ["database\nEngine\nstorage"]
    answer = await service.expand(node, ALICE, ExpandRequest(query=" Database "))
    assert (answer.original, answer.expanded_terms) == (" Database ", ("Engine", "storage"))


@pytest.mark.parametrize("query", ["", " ", "x" * 4_097, "\ud800"])
async def test_a_query_that_is_none_is_refused_before_the_model_is_asked(
    node: Node, model: ScriptedModel, query: str
) -> None:
    error = await refused(Code.INVALID_REQUEST, service.expand(node, ALICE, ExpandRequest(query=query)))
    assert (error.field, model.asked) == ("query", [])


async def test_tags_are_added_and_none_is_taken_away(node: Node) -> None:
    stored = await put(node, "Port", "text", tags=["ops", "db"])
    answer = await service.auto_tag(node, ALICE, stored.id)
    assert (answer.new_tags, answer.all_tags) == (("ports",), ("ops", "db", "ports"))
    assert (await shown(node, stored.id)).tags == ("ops", "db", "ports")
    again = await service.auto_tag(node, ALICE, stored.id)
    assert (again.new_tags, again.all_tags, again.version) == ((), ("ops", "db", "ports"), UNSET)


async def test_tags_never_pass_the_limit_of_a_memory(node: Node) -> None:
    stored = await put(node, "Port", "text", tags=[f"t{i}" for i in range(49)])
    answer = await service.auto_tag(node, ALICE, stored.id)
    assert (len(answer.all_tags), answer.new_tags) == (50, ("db",))


async def test_tags_that_came_while_the_model_thought_are_kept(node: Node, model: ScriptedModel) -> None:
    stored = await put(node, "Port", "text", tags=["ops"])

    async def write_meanwhile(system: str, user: str) -> str:
        await service.update(node, BOB, stored.id, UpdateMemory(tags=["late"]))
        return "db"

    model.chat = write_meanwhile  # type: ignore[method-assign]  # a model that somebody writes under
    assert (await service.auto_tag(node, ALICE, stored.id)).all_tags == ("late", "db")


async def test_a_retry_has_the_first_answer_and_asks_nobody(node: Node, model: ScriptedModel) -> None:
    stored, once = await put(node, "Port", "text"), Once(key="k", request_hash=b"h")
    first = await service.auto_tag(node, ALICE, stored.id, once)
    model.asked, model.is_down = [], True
    assert await service.auto_tag(node, ALICE, stored.id, once) == first
    assert model.asked == []
    other = Once(key="k", request_hash=b"other")
    await refused(Code.IDEMPOTENCY_MISMATCH, service.auto_tag(node, ALICE, stored.id, other))


@pytest.mark.parametrize(("script", "code"), [
    ("", Code.LLM_ANSWER_UNUSABLE), ("This answer has many words and no tag in it.", Code.LLM_ANSWER_UNUSABLE),
])
async def test_an_answer_that_is_no_tags_changes_nothing(
    node: Node, model: ScriptedModel, script: str, code: Code
) -> None:
    stored = await put(node, "Port", "text", tags=["ops"])
    model.script = [script]
    before = await shown(node, stored.id)
    await refused(code, service.auto_tag(node, ALICE, stored.id))
    assert await shown(node, stored.id) == before


@pytest.mark.parametrize(("memory_id", "code"), [
    ("0" * 36, Code.NOT_FOUND), ("", Code.INVALID_REQUEST), ("a\0b", Code.INVALID_REQUEST),
    ("x" * 129, Code.INVALID_REQUEST), ("\ud800", Code.INVALID_REQUEST),
])
async def test_what_is_not_there_is_not_tagged(node: Node, model: ScriptedModel, memory_id: str, code: Code) -> None:
    await refused(code, service.auto_tag(node, ALICE, memory_id))
    assert model.asked == []


async def test_without_a_model_tags_and_words_are_refused_with_one_code(plain: Node) -> None:
    stored = await put(plain, "Port", "text")
    await refused(Code.NEEDS_LLM, service.auto_tag(plain, ALICE, stored.id))
    await refused(Code.NEEDS_LLM, service.expand(plain, ALICE, ExpandRequest(query="db")))


async def test_the_model_judges_if_it_answers(node: Node, model: ScriptedModel) -> None:
    one, other = await put(node, "Port", "The port is 1."), await put(node, "Port now", "The port is 1.")
    model.script = ["yes"]
    answer = await service.detect_contradiction(node, ALICE, ContradictionRequest(id_a=one.id, id_b=other.id))
    assert (answer.contradicts, answer.method, answer.reason) == (True, "model", UNSET)
    assert (answer.memory_a.id, answer.memory_a.title, answer.memory_b.id) == (one.id, "Port", other.id)


@pytest.mark.parametrize("trouble", ["down", "garbage", "known to be down"])
async def test_a_comparison_judges_if_the_model_does_not(node: Node, model: ScriptedModel, trouble: str) -> None:
    one, other = await put(node, "Port", "The port is 1."), await put(node, "Port now", "The port is 2.")
    model.script, model.is_down = ["perhaps"], trouble != "garbage"
    if trouble == "known to be down":
        await look_for_language(node)
    answer = await service.detect_contradiction(node, ALICE, ContradictionRequest(id_a=one.id, id_b=other.id))
    assert (answer.contradicts, answer.method) == (True, "deterministic")
    assert answer.reason == "different values: 1 / 2"
    assert len(model.asked) == (0 if trouble == "known to be down" else 1)


async def test_a_comparison_judges_without_a_model(plain: Node) -> None:
    one, other = await put(plain, "Port", "The port is 1."), await put(plain, "Coffee", "Black.")
    answer = await service.detect_contradiction(plain, ALICE, ContradictionRequest(id_a=one.id, id_b=other.id))
    assert (answer.contradicts, answer.method) == (False, "deterministic")


async def test_a_verdict_changes_nothing(node: Node, model: ScriptedModel) -> None:
    one, other = await put(node, "Port", "The port is 1."), await put(node, "Port now", "The port is 2.")
    model.script = ["yes"]
    before = (await service.stats(node, ALICE)).op_log_count
    await service.detect_contradiction(node, ALICE, ContradictionRequest(id_a=one.id, id_b=other.id))
    assert (await service.stats(node, ALICE)).op_log_count == before


@pytest.mark.parametrize(("fields", "field", "code"), [
    ({"id_a": "nowhere"}, "id_a", Code.NOT_FOUND), ({"id_b": "nowhere"}, "id_b", Code.NOT_FOUND),
    ({"id_a": ""}, "id_a", Code.INVALID_REQUEST), ({"id_b": "\0"}, "id_b", Code.INVALID_REQUEST),
    ({"id_b": None}, "id_b", Code.INVALID_REQUEST),
])
async def test_two_memories_have_to_be_named(
    node: Node, fields: dict[str, str | None], field: str, code: Code
) -> None:
    one, other = await put(node, "Port", "text"), await put(node, "Port now", "text")
    given = {"id_a": one.id, "id_b": other.id} | {name: value or "" for name, value in fields.items()}
    if fields.get("id_b", "") is None:
        given["id_b"] = one.id
    error: AimemError = await refused(
        code, service.detect_contradiction(node, ALICE, ContradictionRequest(**given))
    )
    assert error.field == field
