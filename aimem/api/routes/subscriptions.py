"""Subscriptions to webhooks, and what became of their deliveries.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import (
    DeliveriesOut,
    DeliveriesQuery,
    OneSubscriptionQuery,
    Redelivered,
    RedeliverRequest,
    Subscribed,
    SubscribeRequest,
    SubscriptionsOut,
    SubscriptionsQuery,
    Unsubscribed,
    UnsubscribeQuery,
)


async def subscribe(call: Call[None, SubscribeRequest]) -> Subscribed:
    """Subscribe."""
    return await service.subscribe(call.node, call.who, call.body, call.once)


async def unsubscribe(call: Call[UnsubscribeQuery, None]) -> Unsubscribed:
    """Take a subscription back."""
    return await service.unsubscribe(call.node, call.who, call.query, call.once)


async def unsubscribe_one(call: Call[OneSubscriptionQuery, None]) -> Unsubscribed:
    """The same, the id in the path."""
    query = UnsubscribeQuery(id=call.path["subscription_id"], agent_id=call.query.agent_id)
    return await service.unsubscribe(call.node, call.who, query, call.once)


async def list_subscriptions(call: Call[SubscriptionsQuery, None]) -> SubscriptionsOut:
    """The caller's subscriptions."""
    return await service.list_subscriptions(call.node, call.who, call.query)


async def list_deliveries(call: Call[DeliveriesQuery, None]) -> DeliveriesOut:
    """What waits and what was given up."""
    return await service.list_deliveries(call.node, call.who, call.path["subscription_id"], call.query)


async def redeliver(call: Call[None, RedeliverRequest | None]) -> Redelivered:
    """Try anew."""
    request = call.body or RedeliverRequest()
    return await service.redeliver(call.node, call.who, call.path["subscription_id"], request)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/subscriptions", name="subscribe", handler=subscribe, body=SubscribeRequest,
        answer=Subscribed, status=201, summary="Have events sent to an address.", effect=Effect.WRITE_ONCE,
        errors=(Code.WEBHOOK_URL, Code.DENIED, Code.ID_TAKEN, Code.QUOTA_EXCEEDED),
    ),
    Route(
        method="DELETE", path="/api/v1/subscriptions", name="unsubscribe", handler=unsubscribe,
        query=UnsubscribeQuery, answer=Unsubscribed, summary="Take a subscription back.", effect=Effect.WRITE_ONCE,
        errors=(Code.DENIED,),
    ),
    Route(
        method="GET", path="/api/v1/subscriptions", name="list_subscriptions", handler=list_subscriptions,
        query=SubscriptionsQuery, answer=SubscriptionsOut, summary="Subscriptions, the oldest first.",
        errors=(Code.DENIED,),
    ),
    Route(
        method="DELETE", path="/api/v1/subscriptions/{subscription_id}", name="unsubscribe_one",
        handler=unsubscribe_one, query=OneSubscriptionQuery, answer=Unsubscribed,
        summary="Take a subscription back; the id is in the path.", effect=Effect.WRITE_ONCE, errors=(Code.DENIED,),
    ),
    Route(
        method="GET", path="/api/v1/subscriptions/{subscription_id}/deliveries", name="list_deliveries",
        handler=list_deliveries, query=DeliveriesQuery, answer=DeliveriesOut,
        summary="Deliveries of a subscription that wait or were given up.", errors=(Code.NOT_FOUND,),
    ),
    Route(
        method="POST", path="/api/v1/subscriptions/{subscription_id}/deliveries", name="redeliver",
        handler=redeliver, body=RedeliverRequest, body_required=False, answer=Redelivered,
        summary="Try deliveries that were given up anew.", effect=Effect.WRITE, errors=(Code.NOT_FOUND,),
    ),
)
