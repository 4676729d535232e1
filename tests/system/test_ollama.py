"""A daemon of an upper tier beside a server that speaks as Ollama does. No real model is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.ollama import FakeOllama
from tests.supervisor.serving import serving
from tests.system.processes import START_S, ask, daemon

pytestmark = pytest.mark.slow

MODELS = ("gemma4:e4b", "nomic-embed-text:latest")
TEXT = "The production database listens on port 5432 and has done so since March."


def verdict_or_tags(request: Any) -> str:
    """What the model says: two notes are judged, anything else is tagged."""
    return "yes" if "contradict" in request["messages"][0]["content"] else "database\nports"


@asynccontextmanager
async def smart(db: Path, fake: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP surface of a daemon that uses the fake."""
    async with serving(fake) as ollama:
        environ = {
            "AI_MEMORY_TIER": "autonomous", "AI_MEMORY_OLLAMA_URL": f"http://127.0.0.1:{ollama.port}",
            "AI_MEMORY_AUTONOMOUS_HOOKS": "1",
        }
        async with daemon(db, **environ) as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
            yield http


async def until(http: httpx.AsyncClient, path: str, is_so: Callable[[Any], bool]) -> Any:
    """What a GET answers once it is so. Another process tells nobody when, so it is asked again."""
    with trio.fail_after(START_S):
        while not is_so(found := (await http.get(f"/api/v1{path}")).json()):
            await http.get("/api/v1/index", params={"wait_below": 0})
    return found


async def test_a_daemon_makes_vectors_and_tags_with_ollama(tmp_path: Path) -> None:
    fake = FakeOllama(verdict_or_tags, models=MODELS)
    async with smart(tmp_path / "m.db", fake) as http:
        await until(http, "/capabilities", lambda found: found["models"]["llm"] == "gemma4:e4b")
        old = (await http.post("/api/v1/memories", json={"title": "Production port", "content": TEXT})).json()
        tagged = await until(
            http, f"/memories/{old['id']}", lambda found: "auto_tags" in found["metadata"])
        assert tagged["metadata"]["auto_tags"] == ["database", "ports"]
        body = {"title": "Production port today", "content": TEXT.replace("5432", "5433")}
        new = (await http.post("/api/v1/memories", json=body)).json()
        judged = await until(
            http, f"/memories/{new['id']}", lambda found: "confirmed_contradictions" in found["metadata"])
        assert judged["metadata"]["confirmed_contradictions"] == [old["id"]]
        found = (await http.get("/api/v1/recall", params={"context": "which port"})).json()
        assert (found["mode"], found["count"]) == ("hybrid", 2)
        capabilities = (await http.get("/api/v1/capabilities")).json()
        assert (capabilities["tier"], capabilities["models"]["embedding_dim"]) == ("autonomous", 768)
        assert capabilities["warnings"] == []
        metrics = (await http.get("/metrics")).text
        assert 'ai_memory_autonomy_hook_total{kind="auto_tag",result="ok"} 2.0' in metrics
        assert "ai_memory_contradiction_detected_total 1.0" in metrics
        shown = await ask(tmp_path / "m.db", "status")
        assert "language:   gemma4:e4b, answers" in shown.stdout.decode()
    assert {path for path, _ in fake.requests} == {"/api/tags", "/api/chat", "/api/embed"}


async def test_ollama_that_fails_later_costs_neither_store_nor_recall(tmp_path: Path) -> None:
    fake = FakeOllama(verdict_or_tags, models=MODELS)
    async with smart(tmp_path / "m.db", fake) as http:
        await until(http, "/capabilities", lambda found: found["models"]["llm"] == "gemma4:e4b")
        await http.post("/api/v1/memories", json={"title": "Production port", "content": TEXT})
        await until(http, "/index", lambda found: found["embedding_backlog"] == 0)
        fake.misbehaves = 500
        stored = await http.post("/api/v1/memories", json={"title": "Coffee", "content": "Tablets against lime."})
        assert stored.status_code == 201
        found = (await http.get("/api/v1/recall", params={"context": "production port"})).json()
        assert (found["mode"], found["count"]) == ("keyword", 1)
        refused = await http.post("/api/v1/expand_query", json={"query": "port"})
        assert (refused.status_code, refused.json()["code"]) == (503, "needs_llm")
        health = (await http.get("/api/v1/health")).json()
        assert (health["status"], health["llm"], health["llm_ready"]) == ("ok", "gemma4:e4b", False)
        assert any("gemma4:e4b is not used" in warning for warning in health["warnings"])
