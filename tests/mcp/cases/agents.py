"""Cases of the tools on agents, their messages and their sessions."""

from __future__ import annotations

from typing import Any

from tests.mcp.cases.case import Arguments, Case, World


async def somebody(world: World) -> Arguments:
    return {"agent_id": f"agent/{world.mark}", "agent_type": "ai:claude-opus-4.7", "capabilities": ["reading"]}


async def registered(world: World, given: Arguments, answer: Any) -> None:
    assert answer["registered"] is True
    [agent] = [one for one in (await world.read("/agents"))["agents"] if one["agent_id"] == given["agent_id"]]
    assert {name: agent[name] for name in given} == given


async def one_registered(world: World) -> Arguments:
    await world.send("/agents", **await somebody(world))
    return {}


async def all_agents(world: World, _: Arguments, answer: Any) -> None:
    there = await world.read("/agents")
    assert answer["agents"] == there["agents"]
    assert f"agent/{world.mark}" in {agent["agent_id"] for agent in answer["agents"]}


async def letter(world: World) -> Arguments:
    return {"target_agent_id": f"reader/{world.mark}", "title": "News", "payload": "It works.", "priority": 9}


async def delivered(world: World, given: Arguments, answer: Any) -> None:
    inbox = await world.asked_by(given["target_agent_id"]).read("/inbox")
    [message] = inbox["messages"]
    assert (message["id"], message["from"], message["read"]) == (answer["id"], answer["from"], False)
    assert {name: message[name] for name in ("title", "payload", "priority")} == {
        "title": "News", "payload": "It works.", "priority": 9,
    }


async def one_waiting(world: World) -> Arguments:
    sent = await letter(world)
    await world.send("/notify", **sent)
    return {"agent_id": sent["target_agent_id"], "unread_only": True, "mark_read": True}


async def read(world: World, given: Arguments, answer: Any) -> None:
    assert [message["title"] for message in answer["messages"]] == ["News"]
    inbox = await world.asked_by(given["agent_id"]).read("/inbox")
    assert (inbox["unread_count"], inbox["messages"][0]["read"]) == (0, True)


async def two_memories(world: World) -> Arguments:
    await world.store("Minor", priority=2)
    await world.store("Major", "The house rule.", priority=9)
    return {"namespace": world.space}


async def begun(world: World, _: Arguments, answer: Any) -> None:
    facts, header, *rows = answer.split("\n")
    assert facts.startswith("count:2|mode:session_start")
    assert header.endswith("|content]:")
    assert [row.split("|")[1] for row in rows] == ["Major", "Minor"]
    assert rows[0].endswith("|The house rule.")


CASES = {
    "memory_agent_register": Case(arguments=somebody, check=registered),
    "memory_agent_list": Case(arguments=one_registered, check=all_agents),
    "memory_notify": Case(arguments=letter, check=delivered),
    "memory_inbox": Case(arguments=one_waiting, check=read),
    "memory_session_start": Case(arguments=two_memories, check=begun),
}
