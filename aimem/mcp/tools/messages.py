"""Tools on messages between agents.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.identity import is_generated
from aimem.mcp.tools.common import COUNT_MAX, Priority, documented
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.model import Tier
from aimem.wire import InboxQuery, NotifyRequest, ReadRequest, to_builtins


class NotifyParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_notify."""

    target_agent_id: Annotated[str, Meta(description="Id of the agent that it is for.")]
    title: Annotated[str, Meta(description="What it is about.")]
    payload: Annotated[str, Meta(description="The text.")]
    priority: Annotated[
        Annotated[Priority, documented(5)] | None, Meta(description="10 is the most urgent; it comes first.")
    ] = None
    tier: Annotated[
        Annotated[Tier, documented("mid")] | None,
        Meta(description="How long it is kept once it was read: short (hours), mid (days) or long (for ever)."),
    ] = None


class InboxParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_inbox."""

    agent_id: Annotated[
        str | None,
        Meta(description="Whose inbox, where this connection was given no identity; else it is its own."),
    ] = None
    unread_only: Annotated[bool, Meta(description="Leave out what was marked as read.")] = False
    limit: Annotated[int, Meta(ge=0, le=500, description="How many at most.")] = 50
    offset: Annotated[int, Meta(ge=0, le=COUNT_MAX, description="How many of the first to skip.")] = 0
    mark_read: Annotated[
        bool, Meta(description="Mark the returned messages as read: they expire then, as their tier says.")
    ] = False


async def notify(call: Call, given: NotifyParams) -> str:
    """memory_notify."""
    request = NotifyRequest(
        target_agent_id=given.target_agent_id, title=given.title, payload=given.payload, priority=given.priority,
        tier=given.tier,
    )
    return as_json(await call.client.notify(request, agent_id=call.agent_id))


async def inbox(call: Call, given: InboxParams) -> str:
    """memory_inbox. The messages are shown as they were before they are marked."""
    named = given.agent_id or None
    # A process's name is nobody's: such a connection may say for whom it reads. To a given identity the node says no.
    reader = named if named and call.agent_id and is_generated(call.agent_id) else call.agent_id
    query = InboxQuery(agent_id=named, unread_only=given.unread_only, limit=given.limit, offset=given.offset)
    found = await call.client.inbox(query, agent_id=reader)
    answer: dict[str, object] = to_builtins(found)
    unread = [message.id for message in found.messages if not message.read]
    if given.mark_read:
        marked = await call.client.mark_read(ReadRequest(ids=unread), agent_id=reader) if unread else None
        answer["marked_read"] = 0 if marked is None else marked.count
    return as_json(answer)


TOOLS: Final = (
    Tool(
        name="memory_notify", params=NotifyParams, handle=notify, effect=Effect.ADDS,
        description="Send a message to another agent. Only that agent sees it, in its inbox, and it stays until read.",
    ),
    Tool(
        name="memory_inbox", params=InboxParams, handle=inbox, effect=Effect.ENSURES,
        description="The messages that other agents sent you, the most urgent first, then the newest.",
    ),
)
