"""Subscriptions to webhooks."""

from __future__ import annotations

from aimem.client.calls import Caller, segment
from aimem.wire import (
    DeliveriesOut,
    DeliveriesQuery,
    Redelivered,
    RedeliverRequest,
    Subscribed,
    SubscribeRequest,
    SubscriptionsOut,
    SubscriptionsQuery,
    Unsubscribed,
    UnsubscribeQuery,
)


class SubscriptionCalls(Caller):
    """Subscriptions to webhooks, and what became of their deliveries."""

    async def subscribe(
        self, request: SubscribeRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Subscribed:
        """Have events sent to an address."""
        return await self.write("POST", "/subscriptions", Subscribed, body=request, agent_id=agent_id, key=key)

    async def unsubscribe(
        self, query: UnsubscribeQuery, *, agent_id: str | None = None, key: str | None = None
    ) -> Unsubscribed:
        """Take a subscription back; one that is not there was not removed."""
        return await self.write("DELETE", "/subscriptions", Unsubscribed, query=query, agent_id=agent_id, key=key)

    async def list_subscriptions(
        self, query: SubscriptionsQuery | None = None, *, agent_id: str | None = None
    ) -> SubscriptionsOut:
        """The caller's subscriptions; who administers gets all."""
        return await self.read(
            "/subscriptions", SubscriptionsOut, query=query or SubscriptionsQuery(), agent_id=agent_id
        )

    async def list_deliveries(
        self, subscription_id: str, query: DeliveriesQuery | None = None, *, agent_id: str | None = None
    ) -> DeliveriesOut:
        """Deliveries of a subscription that wait or were given up."""
        path = f"/subscriptions/{segment(subscription_id)}/deliveries"
        return await self.read(path, DeliveriesOut, query=query or DeliveriesQuery(), agent_id=agent_id)

    async def redeliver(
        self, subscription_id: str, request: RedeliverRequest | None = None, *, agent_id: str | None = None,
        key: str | None = None,
    ) -> Redelivered:
        """Try deliveries that were given up anew: one, or all."""
        path = f"/subscriptions/{segment(subscription_id)}/deliveries"
        body = request or RedeliverRequest()
        return await self.write("POST", path, Redelivered, body=body, agent_id=agent_id, key=key)
