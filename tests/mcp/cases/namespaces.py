"""Cases of the tools on what is set for namespaces."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.mcp.cases.case import Arguments, Case, World

POLICY = {"write": "any", "promote": "any", "delete": "owner", "policy": "any", "approver": "human"}


def path(world: World) -> str:
    return f"/namespaces/{quote(world.space, safe='')}/standard"


async def to_be_set(world: World) -> Arguments:
    memory_id = await world.store("How we work", "Small commits.")
    return {"namespace": world.space, "id": memory_id, "governance": {"write": "any", "policy": "any"}}


async def is_set(world: World, given: Arguments, answer: Any) -> None:
    assert answer["set"] and answer["governance"] == POLICY
    there = await world.read(path(world))
    assert (there["standard_id"], there["content"], there["governance"]) == (given["id"], "Small commits.", POLICY)


async def to_be_shown(world: World) -> Arguments:
    given = await to_be_set(world)
    await world.send(path(world), id=given["id"], governance=given["governance"])
    return {"namespace": world.space}


async def is_shown(world: World, _: Arguments, answer: Any) -> None:
    assert answer == await world.read(path(world))
    assert answer["title"] == "How we work"


async def is_cleared(world: World, _: Arguments, answer: Any) -> None:
    assert answer["cleared"] is True
    assert (await world.read(path(world)))["standard_id"] is None
    assert await world.memory(answer["standard_id"]) is not None


CASES = {
    "memory_namespace_set_standard": Case(arguments=to_be_set, check=is_set),
    "memory_namespace_get_standard": Case(arguments=to_be_shown, check=is_shown),
    "memory_namespace_clear_standard": Case(arguments=to_be_shown, check=is_cleared),
}
