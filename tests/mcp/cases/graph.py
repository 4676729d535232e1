"""Cases of the tools on the knowledge graph, entities, namespaces and duplicates."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def chain(world: World) -> dict[str, str]:
    """Three memories, each linked to the next; their ids."""
    ids = {name: await world.store(name) for name in ("first", "second", "third")}
    for source, target in (("first", "second"), ("second", "third")):
        await world.send("/links", source_id=ids[source], target_id=ids[target], relation="derived_from")
    return ids


async def from_first(world: World) -> Arguments:
    return {"source_id": (await chain(world))["first"]}


async def in_time(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.read("/kg/timeline", source_id=given["source_id"])
    assert [event["title"] for event in answer["events"]] == ["second"]


async def one_link(world: World) -> Arguments:
    ids = await chain(world)
    return {"source_id": ids["first"], "target_id": ids["second"], "relation": "derived_from"}


async def ended(world: World, given: Arguments, answer: Any) -> None:
    assert answer["found"] is True
    [event] = (await world.read("/kg/timeline", source_id=given["source_id"]))["events"]
    assert event["valid_until"] == answer["valid_until"]


async def far_from_first(world: World) -> Arguments:
    return {"source_id": (await chain(world))["first"], "max_depth": 2}


async def paths(world: World, given: Arguments, answer: Any) -> None:
    there = await world.send("/kg/query", **given)
    assert answer["paths"] == there["paths"]
    assert [row["title"] for row in answer["memories"]] == ["second", "third"]


async def entity(world: World) -> Arguments:
    return {"canonical_name": f"Ada {world.mark}", "namespace": world.space, "aliases": [f"AL {world.mark}"]}


async def known(world: World, given: Arguments, answer: Any) -> None:
    found = await world.read("/entities/by_alias", alias=given["aliases"][0])
    assert answer["created"] is True
    assert (found["entity_id"], found["canonical_name"]) == (answer["entity_id"], given["canonical_name"])


async def alias(world: World) -> Arguments:
    given = await entity(world)
    await world.send("/entities", **given)
    return {"alias": given["aliases"][0], "namespace": world.space}


async def resolved(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.read("/entities/by_alias", **given)
    assert answer["canonical_name"] == f"Ada {world.mark}"


async def tree(world: World) -> Arguments:
    await world.store("Here")
    await world.store("Below", namespace=f"{world.space}/deeper")
    return {"namespace_prefix": world.space}


async def counted(world: World, _: Arguments, answer: Any) -> None:
    assert answer == await world.read("/taxonomy", prefix=world.space)
    assert (answer["tree"]["count"], answer["tree"]["subtree_count"]) == (1, 2)


async def said_before(world: World) -> Arguments:
    await world.store("Rule", "Tests come first.")
    return {"title": "Rule", "content": "Tests come first.", "namespace": world.space}


async def duplicate(world: World, given: Arguments, answer: Any) -> None:
    assert answer == await world.send("/check_duplicate", **given)
    assert (answer["is_duplicate"], answer["nearest"]["title"]) == (True, "Rule")


CASES = {
    "memory_kg_timeline": Case(arguments=from_first, check=in_time),
    "memory_kg_invalidate": Case(arguments=one_link, check=ended),
    "memory_kg_query": Case(arguments=far_from_first, check=paths),
    "memory_entity_register": Case(arguments=entity, check=known),
    "memory_entity_get_by_alias": Case(arguments=alias, check=resolved),
    "memory_get_taxonomy": Case(arguments=tree, check=counted),
    "memory_check_duplicate": Case(arguments=said_before, check=duplicate),
}
