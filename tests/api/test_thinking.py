"""The routes of the language model: what each answers, and that bad input asks nobody and changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from aimem.api import Transport, make_app
from aimem.config import ApiConfig
from aimem.service import Node
from tests.api.conftest import arriving_by
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, open_node


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("db\nports")


@pytest.fixture
async def node(tmp_path: Path, model: ScriptedModel) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "memory.db", clock=FakeClock(), language=model) as node:
        yield node


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    app = arriving_by(make_app(node, ApiConfig()), Transport.TCP_LOOPBACK)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:9077/api/v1", headers={"X-Agent-Id": "alice"}
    ) as http:
        yield http


async def store(http: httpx.AsyncClient, title: str, content: str) -> str:
    answer = await http.post("/memories", json={"title": title, "content": content})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_each_route_answers_in_its_shape(http: httpx.AsyncClient, model: ScriptedModel) -> None:
    one, other = await store(http, "Port", "It is 1."), await store(http, "Port now", "It is 2.")
    expanded = await http.post("/expand_query", json={"query": "storage"})
    assert (expanded.status_code, expanded.json()) == (
        200, {"original": "storage", "expanded_terms": ["db", "ports"]})
    tagged = (await http.post(f"/memories/{one}/auto_tag")).json()
    assert tagged.pop("version")
    assert tagged == {"id": one, "new_tags": ["db", "ports"], "all_tags": ["db", "ports"]}
    model.script = ["no"]
    verdict = await http.post("/detect_contradiction", json={"id_a": one, "id_b": other})
    assert verdict.json() == {
        "contradicts": False, "memory_a": {"id": one, "title": "Port"}, "memory_b": {"id": other, "title": "Port now"},
        "method": "model",
    }


async def test_a_key_tags_once(http: httpx.AsyncClient, model: ScriptedModel) -> None:
    one = await store(http, "Port", "It is 1.")
    answers = [await http.post(f"/memories/{one}/auto_tag", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(model.asked) == 1


async def test_a_model_that_is_away_or_says_nonsense_is_told_by_code(
    http: httpx.AsyncClient, model: ScriptedModel
) -> None:
    one = await store(http, "Port", "It is 1.")
    model.script = ["..."]
    nonsense = await http.post(f"/memories/{one}/auto_tag")
    assert (nonsense.status_code, nonsense.json()["code"]) == (502, "llm_answer_unusable")
    model.is_down = True
    for answer in (await http.post(f"/memories/{one}/auto_tag"), await http.post("/expand_query", json={"query": "x"})):
        assert (answer.status_code, answer.json()["code"]) == (503, "needs_llm")
    assert (await http.get(f"/memories/{one}")).json()["tags"] == []


BAD = [
    ("/expand_query", b"{}", 422, "query"), ("/expand_query", b'{"query":7}', 422, "query"),
    ("/expand_query", b'{"query":" "}', 400, "query"), ("/expand_query", b'{"', 400, None),
    ("/expand_query", b'{"query":"\\ud800"}', 400, None), ("/expand_query", b'{"query":NaN}', 400, None),
    ("/expand_query", json.dumps({"query": "x" * 4_097}).encode(), 400, "query"),
    ("/expand_query", json.dumps({"query": "x" * 3_000_000}).encode(), 413, None),
    ("/memories/nowhere/auto_tag", b"", 404, "id"), ("/memories/%00/auto_tag", b"", 400, "id"),
    ("/memories/%ff/auto_tag", b"", 400, "memory_id"),
    ("/detect_contradiction", b'{"id_a":"x"}', 422, "id_b"), ("/detect_contradiction", b"null", 422, None),
    ("/detect_contradiction", b'{"id_a":"x","id_b":"y"}', 404, "id_a"),
    ("/detect_contradiction", b'{"id_a":"\\u0000","id_b":"y"}', 400, "id_a"),
    ("/detect_contradiction", json.dumps({"id_a": "x" * 129, "id_b": "y"}).encode(), 400, "id_a"),
]


@pytest.mark.parametrize(("path", "body", "status", "field"), BAD, ids=range(len(BAD)))
async def test_bad_input_is_refused_and_asks_nobody(
    http: httpx.AsyncClient, node: Node, model: ScriptedModel, path: str, body: bytes, status: int, field: str | None
) -> None:
    before = node.store.counts.groups
    answer = await http.post(path, content=body, headers={"Content-Type": "application/json"} if body else {})
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    assert answer.json()["error"] and answer.json()["code"]
    assert (model.asked, node.store.counts.groups) == ([], before)
