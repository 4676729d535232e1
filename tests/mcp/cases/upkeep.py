"""Cases of the tools that look after the whole."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def nothing(_: World) -> Arguments:
    return {}


async def same_stats(world: World, _: Arguments, answer: Any) -> None:
    there = await world.read("/stats")
    assert answer["total"] == there["total"]
    assert answer["by_tier"] == there["by_tier"]


async def collect(world: World) -> Arguments:
    memory_id = await world.store("Gone")
    past = await world.http.put(f"/api/v1/memories/{memory_id}", json={"expires_at": "2020-01-01T00:00:00Z"})
    assert past.is_success, past.text
    return {"dry_run": False}


async def collected(world: World, _: Arguments, answer: Any) -> None:
    assert answer["collected"] >= 1
    assert "Gone" not in await world.titles()
    archived = await world.read("/archive", namespace=world.space)
    assert [one["title"] for one in archived["archived"]] == ["Gone"]


async def archive(world: World) -> str:
    memory_id = await world.store("Shelved")
    await world.send("/archive", ids=[memory_id])
    return memory_id


async def one_archived(world: World) -> Arguments:
    await archive(world)
    return {"namespace": world.space}


async def in_archive(world: World, _: Arguments, answer: Any) -> None:
    assert answer == await world.read("/archive", namespace=world.space)
    assert answer["count"] == 1


async def restore(world: World) -> Arguments:
    return {"id": await archive(world)}


async def restored(world: World, given: Arguments, answer: Any) -> None:
    assert answer["restored"] is True
    assert (await world.memory(given["id"]))["title"] == "Shelved"


async def purge(world: World) -> Arguments:
    await archive(world)
    return {"all": True}


async def purged(world: World, _: Arguments, answer: Any) -> None:
    assert answer["purged"] >= 1
    assert (await world.read("/archive", namespace=world.space))["archived"] == []


async def counted(world: World, _: Arguments, answer: Any) -> None:
    assert answer == await world.read("/archive/stats")


async def able(world: World, _: Arguments, answer: Any) -> None:
    there = await world.read("/capabilities")
    assert answer["compatible_with"] == there["compatible_with"] == "0.6.3"
    assert answer["mcp"]["profile"] in ("core", "full")


CASES = {
    "memory_stats": Case(arguments=nothing, check=same_stats),
    "memory_gc": Case(arguments=collect, check=collected),
    "memory_archive_list": Case(arguments=one_archived, check=in_archive),
    "memory_archive_restore": Case(arguments=restore, check=restored),
    "memory_archive_purge": Case(arguments=purge, check=purged),
    "memory_archive_stats": Case(arguments=nothing, check=counted),
    "memory_capabilities": Case(arguments=nothing, check=able),
}
