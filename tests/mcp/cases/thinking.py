"""Cases of the tools that ask a language model, where there is none."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def question(world: World) -> Arguments:
    return {"query": "where is the database"}


async def refused(world: World, given: Arguments, answer: Any) -> None:
    assert answer["code"] == "needs_llm"


async def untagged(world: World) -> Arguments:
    return {"id": await world.store("Port", tags=["ops"])}


async def still_untagged(world: World, given: Arguments, answer: Any) -> None:
    assert (await world.memory(given["id"]))["tags"] == ["ops"]


async def pair(world: World) -> Arguments:
    one = await world.store("Port", "The port is 5432.")
    return {"id_a": one, "id_b": await world.store("Port now", "The port is 5433.")}


async def judged(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.send("/detect_contradiction", **given)
    assert (answer["contradicts"], answer["method"]) == (True, "deterministic")


CASES = {
    "memory_expand_query": Case(arguments=question, check=refused, refusal="needs_llm"),
    "memory_auto_tag": Case(arguments=untagged, check=still_untagged, refusal="needs_llm"),
    "memory_detect_contradiction": Case(arguments=pair, check=judged),
}
