"""Tools on subscriptions to webhooks.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import NoParams
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.wire import SubscribeRequest, UnsubscribeQuery


class SubscribeParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_subscribe."""

    url: Annotated[str, Meta(description="Where events are sent: an https address.")]
    events: Annotated[
        str, Meta(description="Which: names between commas, like memory_store,memory_delete, or * for all.")
    ] = "*"
    secret: Annotated[
        str | None, Meta(description="What deliveries are signed with, so that the receiver knows them for real.")
    ] = None
    namespace_filter: Annotated[str | None, Meta(description="Only what happens in exactly this namespace.")] = None
    agent_filter: Annotated[str | None, Meta(description="Only what this agent does.")] = None


class UnsubscribeParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_unsubscribe."""

    id: Annotated[str, Meta(description="Id of the subscription.")]


async def subscribe(call: Call, given: SubscribeParams) -> str:
    """memory_subscribe."""
    request = SubscribeRequest(
        url=given.url, events=given.events, secret=given.secret, namespace_filter=given.namespace_filter,
        agent_filter=given.agent_filter,
    )
    return as_json(await call.client.subscribe(request, agent_id=call.agent_id))


async def unsubscribe(call: Call, given: UnsubscribeParams) -> str:
    """memory_unsubscribe."""
    return as_json(await call.client.unsubscribe(UnsubscribeQuery(id=given.id), agent_id=call.agent_id))


async def list_subscriptions(call: Call, _: NoParams) -> str:
    """memory_list_subscriptions."""
    return as_json(await call.client.list_subscriptions(agent_id=call.agent_id))


TOOLS: Final = (
    Tool(
        name="memory_subscribe", params=SubscribeParams, handle=subscribe, effect=Effect.ADDS,
        description="Have events (what happens to memories you may see, never their texts) sent to a web address.",
    ),
    Tool(
        name="memory_unsubscribe", params=UnsubscribeParams, handle=unsubscribe, effect=Effect.OVERWRITES,
        description="Take a subscription back: nothing more is sent.",
    ),
    Tool(
        name="memory_list_subscriptions", params=NoParams, handle=list_subscriptions, effect=Effect.READS,
        description="Your subscriptions, and how their deliveries fare.",
    ),
)
