"""Cases of the tools that find memories."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def recall(world: World) -> Arguments:
    await world.store("Lighthouse", "The lamp of the lighthouse turns twice a minute.", tags=["sea", "a,b"])
    return {"context": "how fast does the lamp of the lighthouse turn", "namespace": world.space}


async def recalled(world: World, given: Arguments, answer: Any) -> None:
    facts, header, row = answer.split("\n")
    assert facts.startswith("count:1|mode:")
    assert header == "memories[id|title|tier|namespace|priority|score|tags|agent_id|content]:"
    assert r"|sea,a\,b|" in row
    assert row.endswith("|The lamp of the lighthouse turns twice a minute.")


async def search(world: World) -> Arguments:
    await world.store("Harbour", "Ships rest in the harbour.")
    return {"query": "ships harbour", "namespace": world.space, "format": "json"}


async def found(world: World, given: Arguments, answer: Any) -> None:
    there = await world.read("/search", q=given["query"], namespace=world.space)
    assert [one["id"] for one in answer["results"]] == [one["id"] for one in there["results"]]
    assert answer["count"] == 1


async def list_all(world: World) -> Arguments:
    for title in ("A", "B", "C"):
        await world.store(title)
    return {"namespace": world.space, "limit": 2, "format": "toon"}


async def listed(world: World, given: Arguments, answer: Any) -> None:
    facts, _, *rows = answer.split("\n")
    assert facts.startswith("count:2|next_cursor:")
    assert {row.split("|")[1] for row in rows} < await world.titles() == {"A", "B", "C"}


CASES = {
    "memory_recall": Case(arguments=recall, check=recalled),
    "memory_search": Case(arguments=search, check=found),
    "memory_list": Case(arguments=list_all, check=listed),
}
