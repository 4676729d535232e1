"""Cases of the tools that change many memories at once."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def everything(world: World) -> Arguments:
    await world.store("Old")
    await world.store("Older")
    return {"namespace": world.space}


async def forgotten(world: World, _: Arguments, answer: Any) -> None:
    assert (answer["deleted"], answer["archived"]) == (2, True)
    assert await world.titles() == set()
    undone = await world.send("/forget", undo=answer["forget_id"])
    assert undone["restored"] == 2
    assert await world.titles() == {"Old", "Older"}


async def two(world: World) -> Arguments:
    ids = [await world.store("One half"), await world.store("Other half")]
    return {"ids": ids, "title": "Whole", "summary": "Both halves.", "namespace": world.space}


async def one(world: World, given: Arguments, answer: Any) -> None:
    assert answer["consolidated"] == 2
    assert await world.titles() == {"Whole"}
    memory = await world.memory(answer["id"])
    assert (memory["content"], memory["tier"]) == ("Both halves.", "long")


CASES = {
    "memory_forget": Case(arguments=everything, check=forgotten),
    "memory_consolidate": Case(arguments=two, check=one),
}
