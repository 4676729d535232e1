"""Cases of the tools on actions that wait for approval; where nothing waits, deciding is refused."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def everything(_: World) -> Arguments:
    return {}


async def listed(world: World, _: Arguments, answer: Any) -> None:
    assert answer["count"] == (await world.read("/pending"))["count"]


async def one(world: World) -> Arguments:
    waiting = (await world.read("/pending", status="pending"))["pending"]
    return {"id": waiting[0]["id"] if waiting else "no-such-action"}


async def nothing(world: World, _: Arguments, __: Any) -> None:
    assert (await world.read("/pending"))["count"] == 0


CASES = {
    "memory_pending_list": Case(arguments=everything, check=listed),
    "memory_pending_approve": Case(arguments=one, check=nothing, refusal="not_found"),
    "memory_pending_reject": Case(arguments=one, check=nothing, refusal="not_found"),
}
