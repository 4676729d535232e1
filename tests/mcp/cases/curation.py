"""Cases of the tools that change many memories at once."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def forget(world: World) -> Arguments:
    await world.store("Stale")
    return {"namespace": world.space}


async def forgotten(world: World, _: Arguments, answer: Any) -> None:
    assert answer["deleted"] == 1
    assert "Stale" not in await world.titles()
    archived = await world.read("/archive", namespace=world.space)
    assert [one["title"] for one in archived["archived"]] == ["Stale"]


async def consolidate(world: World) -> Arguments:
    ids = [await world.store("Half"), await world.store("Other half")]
    return {"ids": ids, "title": "Whole", "summary": "Both halves.", "namespace": world.space}


async def consolidated(world: World, given: Arguments, answer: Any) -> None:
    assert answer["consolidated"] == 2
    assert await world.titles() == {"Whole"}
    assert (await world.memory(answer["id"]))["metadata"]["derived_from"] == given["ids"]


CASES = {
    "memory_forget": Case(arguments=forget, check=forgotten),
    "memory_consolidate": Case(arguments=consolidate, check=consolidated),
}
