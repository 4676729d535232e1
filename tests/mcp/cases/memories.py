"""Cases of the tools on one memory."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def store(world: World) -> Arguments:
    return {
        "title": "Kept", "content": "By a client.", "namespace": world.space, "tags": ["a,b", "c"], "tier": "long",
        "priority": 8, "metadata": {"k": [1]},
    }


async def stored(world: World, given: Arguments, answer: Any) -> None:
    memory = await world.memory(answer["id"])
    assert {name: memory[name] for name in ("title", "content", "namespace", "tags", "tier", "priority")} == {
        name: given[name] for name in ("title", "content", "namespace", "tags", "tier", "priority")
    }
    assert memory["metadata"]["k"] == [1]
    assert memory["metadata"]["agent_id"] == answer["agent_id"]


async def one(world: World) -> Arguments:
    return {"id": await world.store("One")}


async def got(world: World, given: Arguments, answer: Any) -> None:
    memory = await world.memory(given["id"])
    assert answer == {name: value for name, value in memory.items() if name != "memory"}


async def update(world: World) -> Arguments:
    return {"id": await world.store("Before"), "title": "After", "expires_at": None}


async def updated(world: World, given: Arguments, answer: Any) -> None:
    memory = await world.memory(given["id"])
    assert memory["title"] == answer["memory"]["title"] == "After"
    assert "expires_at" not in memory


async def deleted(world: World, given: Arguments, answer: Any) -> None:
    assert answer["deleted"] is True
    assert await world.memory(given["id"]) is None


async def promoted(world: World, given: Arguments, answer: Any) -> None:
    assert answer["tier"] == (await world.memory(given["id"]))["tier"] == "long"


CASES = {
    "memory_store": Case(arguments=store, check=stored),
    "memory_get": Case(arguments=one, check=got),
    "memory_update": Case(arguments=update, check=updated),
    "memory_delete": Case(arguments=one, check=deleted),
    "memory_promote": Case(arguments=one, check=promoted),
}
