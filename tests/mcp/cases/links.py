"""Cases of the tools on links."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def pair(world: World) -> Arguments:
    return {
        "source_id": await world.store("New"), "target_id": await world.store("Old"), "relation": "supersedes",
    }


async def linked(world: World, given: Arguments, answer: Any) -> None:
    assert answer["linked"] is True
    [link] = (await world.read(f"/links/{given['source_id']}"))["links"]
    assert {name: link[name] for name in given} == given


async def of_one(world: World) -> Arguments:
    given = await pair(world)
    await world.send("/links", **given)
    return {"id": given["target_id"]}


async def shown(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.read(f"/links/{given['id']}")
    assert answer["count"] == 1


CASES = {
    "memory_link": Case(arguments=pair, check=linked),
    "memory_get_links": Case(arguments=of_one, check=shown),
}
