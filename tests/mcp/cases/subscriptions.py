"""Cases of the tools on subscriptions."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


def _url(world: World) -> str:
    return f"https://hooks.example/{world.mark}"


async def somewhere(world: World) -> Arguments:
    return {"url": _url(world), "events": "memory_link_delete", "secret": "s3cret", "namespace_filter": world.space}


async def _there(world: World) -> list[Any]:
    found = (await world.read("/subscriptions"))["subscriptions"]
    return [one for one in found if one["url"] == _url(world)]


async def made(world: World, given: Arguments, answer: Any) -> None:
    [one] = await _there(world)
    assert (one["id"], one["created_by"], one["signed"]) == (answer["id"], answer["created_by"], True)
    assert (one["events"], one["namespace_filter"]) == (given["events"], given["namespace_filter"])


async def one_made(world: World) -> Arguments:
    body = await somewhere(world)
    return {"id": (await world.send("/subscriptions", **body))["id"]}


async def gone(world: World, _: Arguments, answer: Any) -> None:
    assert answer["removed"] is True
    assert await _there(world) == []


async def something(world: World) -> Arguments:
    await one_made(world)
    return {}


async def all_there(world: World, _: Arguments, answer: Any) -> None:
    assert answer["count"] == len(answer["subscriptions"])
    assert [one for one in answer["subscriptions"] if one["url"] == _url(world)] == await _there(world)


CASES = {
    "memory_subscribe": Case(arguments=somewhere, check=made),
    "memory_unsubscribe": Case(arguments=one_made, check=gone),
    "memory_list_subscriptions": Case(arguments=something, check=all_there),
}
