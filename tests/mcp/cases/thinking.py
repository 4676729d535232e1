"""Cases of the tools that ask a language model; the daemon of these tests has none."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def words(_: World) -> Arguments:
    return {"query": "lighthouse"}


async def tagless(world: World) -> Arguments:
    return {"id": await world.store("Tagless")}


async def unchanged(world: World, given: Arguments, _: Any) -> None:
    if "id" in given:
        assert (await world.memory(given["id"]))["tags"] == []


async def disagreeing(world: World) -> Arguments:
    return {
        "id_a": await world.store("Port", "The database listens on port 5432."),
        "id_b": await world.store("Port now", "The database listens on port 5433."),
    }


async def judged(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.send("/detect_contradiction", **given)
    assert (answer["contradicts"], answer["method"]) == (True, "deterministic")


CASES = {
    "memory_expand_query": Case(arguments=words, check=unchanged, refusal="needs_llm"),
    "memory_auto_tag": Case(arguments=tagless, check=unchanged, refusal="needs_llm"),
    "memory_detect_contradiction": Case(arguments=disagreeing, check=judged),
}
