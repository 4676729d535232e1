"""Subscriptions, what is sent to them, and how that fares."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.model import Subscription, format_instant


class SubscribeRequest(Struct, kw_only=True):
    """Body of POST /subscriptions.

    Attributes:
      url: where to send; without it `namespace` is needed, and nothing is sent.
      events: `*`, names between commas, or a list of names.
      secret: what deliveries are signed with.
      namespace_filter: exactly this namespace; `namespace` says the same.
      agent_filter: exactly this agent's doings.
      agent_id: the caller.
    """

    url: str | None = None
    events: str | list[str] | None = None
    secret: str | None = None
    namespace_filter: str | None = None
    agent_filter: str | None = None
    namespace: str | None = None
    agent_id: str | None = None


class Subscribed(Struct, kw_only=True):
    """Answer to a subscription; the secret is never in an answer."""

    id: str
    url: str
    events: str
    namespace: str | None
    namespace_filter: str | None
    agent_filter: str | None
    created_by: str
    agent_id: str
    created_at: str
    signed: bool
    sent: bool
    version: str


class UnsubscribeQuery(Struct, kw_only=True):
    """Query of DELETE /subscriptions: an id, or an agent and the namespace that it subscribed to."""

    id: str | None = None
    agent_id: str | None = None
    namespace: str | None = None


class OneSubscriptionQuery(Struct, kw_only=True):
    """Query of DELETE /subscriptions/{id}: `agent_id` is the caller."""

    agent_id: str | None = None


class Unsubscribed(Struct, kw_only=True):
    """Answer to it; `count` subscriptions were taken back, `id` is the first of them, or what was asked for."""

    id: str | None
    removed: bool
    count: int
    version: str | UnsetType = UNSET


class SubscriptionsQuery(Struct, kw_only=True):
    """Query of GET /subscriptions; `agent_id` is whose."""

    agent_id: str | None = None
    limit: int = 1000
    offset: int = 0


class SubscriptionOut(Struct, kw_only=True):
    """A subscription.

    Attributes:
      signed: whether it has a secret.
      sent: whether it has an address.
      dispatch_count, failure_count: attempts of this node that the receiver took, and those that failed.
      dropped_count: events that were not tried, because too many waited or its maker may not be told any more.
      waiting_count, dead_count: deliveries that wait, and that were given up.
    """

    id: str
    url: str
    events: str
    namespace: str | None
    namespace_filter: str | None
    agent_filter: str | None
    agent_id: str
    created_by: str
    created_at: str
    dispatch_count: int
    failure_count: int
    dropped_count: int
    waiting_count: int
    dead_count: int
    last_dispatched_at: str | None
    last_error: str | None
    signed: bool
    sent: bool


class SubscriptionsOut(Struct, kw_only=True):
    """A page of subscriptions, the oldest first; `total` without limit and offset."""

    count: int
    total: int
    subscriptions: tuple[SubscriptionOut, ...]


class DeliveriesQuery(Struct, kw_only=True):
    """Query of GET /subscriptions/{id}/deliveries; `state` is waiting, dead or all."""

    state: str = "all"
    limit: int = 100
    offset: int = 0


class DeliveryOut(Struct, kw_only=True):
    """A delivery that waits or was given up.

    Attributes:
      event_id: the event's place in this node's log.
      attempts: how many failed so far.
      next_attempt_at: absent for what was given up.
    """

    id: str
    event_id: str
    event: str
    memory_id: str | None
    namespace: str | None
    state: str
    attempts: int
    next_attempt_at: str | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    made_at: str


class DeliveriesOut(Struct, kw_only=True):
    """A page of deliveries in the order of their events; `total` without limit and offset."""

    count: int
    total: int
    deliveries: tuple[DeliveryOut, ...]


class RedeliverRequest(Struct, kw_only=True):
    """Body of POST /subscriptions/{id}/deliveries: which of those that were given up; all, without an id."""

    delivery_id: str | None = None


class Redelivered(Struct, kw_only=True):
    """Answer to it: how many are tried anew."""

    id: str
    redelivered: int


class WebhookBody(Struct, kw_only=True):
    """What a receiver gets.

    Attributes:
      event: with `memory_` before its name, as v0.6.3 calls it.
      memory_id: the memory that it is about (of a link: its source); null if it is about none.
      agent_id: who did it, if that is known.
      delivered_at, attempt: of this attempt; the first is 1.
      event_id, delivery_id: the same at each attempt.
    """

    event: str
    memory_id: str | None
    namespace: str | None
    agent_id: str | None
    delivered_at: str
    event_id: str
    delivery_id: str
    subscription_id: str
    attempt: int
    at: str
    kind: str
    key: str
    author: str | None
    version: str


def events_text(subscription: Subscription) -> str:
    """Its events as v0.6.3 shows them."""
    return ",".join(subscription.events)


def subscribed(subscription: Subscription, version: str) -> Subscribed:
    """The answer to a subscription that was made."""
    return Subscribed(
        id=subscription.id, url=subscription.url, events=events_text(subscription), namespace=subscription.namespace,
        namespace_filter=subscription.namespace_filter, agent_filter=subscription.agent_filter,
        created_by=subscription.created_by, agent_id=subscription.created_by,
        created_at=format_instant(subscription.created_at), signed=subscription.signing_key is not None,
        sent=subscription.is_sent, version=version,
    )
