"""Each door's explanation of a recall adds up to the score that it shows, by the arithmetic of ai-memory-api(7)."""

from __future__ import annotations

import contextlib
import math
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.abuse.test_bad_input import daemon, settled
from tests.system.processes import Process, ask, ask_json, session

pytestmark = pytest.mark.slow

QUESTIONS_COUNT = 50
COMMANDS_COUNT = 20      # each is a process
WORDS = [
    "harbour", "lights", "dawn", "engine", "deploy", "staging", "tea", "garden", "invoice", "königin", "東京", "v1.2.3",
    "schedule", "lamp", "river", "meeting", "notes", "coffee", "printer", "ladder",
]
TIMES = ("yesterday", "two weeks ago", "last Friday", "in March", "2025-11-03", "")
SPACES = ("a", "a/b", "a/b/c", "other")
_SCORE = re.compile(r"score (\S+) = \(relevance (\S+) \+ time (\S+) \+ role (\S+)\) x (.+)")
_RELEVANCE = re.compile(r"relevance = (\S+) x words (\S+)(?: \(none\))? \+ (\S+) x meaning (\S+)")


def memories(rng: random.Random) -> list[dict[str, Any]]:
    """Rows of every kind that ranking tells apart."""
    return [
        {
            "id": f"row-{n}", "title": f"number {n}", "content": " ".join(rng.choices(WORDS, k=rng.randint(1, 12))),
            "namespace": rng.choice(SPACES), "priority": rng.randint(1, 10), "confidence": round(rng.random(), 2),
            "tier": rng.choice(("short", "mid", "long")),
            "created_at": f"2025-{rng.randint(1, 11):02}-{rng.randint(1, 28):02}T12:00:00Z",
            "metadata": {"role": rng.choice(("user", "assistant"))} if rng.random() < 0.5 else {},
        }
        for n in range(80)
    ]


def questions(count: int) -> list[dict[str, Any]]:
    """Random recalls: words, a time now and then, sometimes to the assistant, in all namespaces or in one."""
    rng = random.Random(7)
    found = []
    for _ in range(count):
        words = [*rng.sample(WORDS, rng.randint(1, 6)), rng.choice(TIMES), rng.choice(("", "did you say"))]
        asked: dict[str, Any] = {"context": " ".join(words), "limit": rng.randint(1, 50)}
        if rng.random() < 0.3:
            asked["namespace"] = rng.choice(SPACES)
        found.append(asked)
    return found


def check(answer: dict[str, Any]) -> int:
    """Recompute each score from what the answer says alone. Returns: how many memories it has."""
    ranking = answer["ranking"]
    weight = ranking["dense_weight"]
    for memory in answer["memories"]:
        why = memory["explanation"]
        words, meaning = (why.get(arm, {"scaled": 0.0})["scaled"] for arm in ("bm25", "cosine"))
        assert why["fused"] == min(1.0, (1 - weight) * words + weight * meaning)
        assert why["time"] == ranking["nearness_share"] * why["nearness"]
        assert why["role"] in (0.0, ranking["user_turn_share"])
        factor = (
            why["priority"] * why["confidence"] * why["tier"] * why["access"] * why["recency"] * why["proximity"]
        )
        assert why["final"] == (why["fused"] + why["time"] + why["role"]) * factor
        assert memory["score"] == round(why["final"], 3)
    by_score = [m for m in answer["memories"] if not m["explanation"]["moved_by"]]
    finals = [m["explanation"]["final"] for m in by_score]
    assert finals == sorted(finals, reverse=True)
    return len(answer["memories"])


@contextlib.asynccontextmanager
async def filled(db: Path) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    async with daemon(db) as (process, http):
        imported = await http.post("/api/v1/import", json={"memories": memories(random.Random(3))})
        assert imported.json()["imported"] == 80, imported.text
        await settled(http)
        yield process, http


async def test_over_http_and_mcp_each_score_is_the_sum_that_it_says(tmp_path: Path) -> None:
    db = tmp_path / "node.db"
    async with filled(db) as (_, http), session(db) as mcp:
        count = 0
        for asked in questions(QUESTIONS_COUNT):
            posted = await http.post("/api/v1/recall", json={**asked, "explain": True})
            got = await http.get("/api/v1/recall", params={**asked, "explain": "true"})
            told = await mcp.tool("memory_recall", **asked, explain=True, format="json")
            count += check(posted.json()) + check(got.json()) + check(told)
        assert count > 10 * QUESTIONS_COUNT


async def test_on_the_command_line_too_in_json_and_in_words(tmp_path: Path) -> None:
    db, count = tmp_path / "node.db", 0
    async with filled(db):
        for number, asked in enumerate(questions(COMMANDS_COUNT)):
            words = ["recall", asked["context"], "--limit", str(asked["limit"]), "--explain"]
            words += ["--namespace", asked["namespace"]] if "namespace" in asked else []
            if number % 5:
                count += check(await ask_json(db, *words))
                continue
            done = await ask(db, *words)
            assert done.returncode == 0, done.stderr.decode()
            count += check_words(done.stdout.decode())
        assert count > 5 * COMMANDS_COUNT


def check_words(shown: str) -> int:
    """The lines for people: each sum is right within the four decimals that they show."""
    scores, relevances = _SCORE.findall(shown), _RELEVANCE.findall(shown)
    assert len(scores) == len(relevances)
    for (final, fused, time, role, factors), (words_share, words, meaning_share, meaning) in zip(
        scores, relevances, strict=True
    ):
        factor = math.prod(float(part.rpartition(" ")[2]) for part in factors.split(" x "))
        summed = (float(fused) + float(time) + float(role)) * factor
        assert float(final) == pytest.approx(summed, abs=1e-3)
        assert float(fused) == pytest.approx(
            min(1.0, float(words_share) * float(words) + float(meaning_share) * float(meaning)), abs=1e-3
        )
    return len(scores)
