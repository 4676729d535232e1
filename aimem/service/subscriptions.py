"""Subscriptions: who is told of what at which address, and how that fares."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from aimem.errors import Code, InvalidRequest, NotFound, QuotaExceeded
from aimem.model import (
    EVENT_PREFIX,
    EVERY_EVENT,
    NOWHERE,
    AgentId,
    EventName,
    Principal,
    Role,
    Subscription,
    format_instant,
    rules,
)
from aimem.ports import Connection
from aimem.service.callers import speaker
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.refusals import note_refusal
from aimem.service.writing import write_as
from aimem.store import SUBSCRIPTION, Transaction, deliveries, subscriptions
from aimem.webhooks import Reach, parse_target, signing_key
from aimem.wire import (
    DeliveriesOut,
    DeliveriesQuery,
    DeliveryOut,
    Redelivered,
    RedeliverRequest,
    Subscribed,
    SubscribeRequest,
    SubscriptionOut,
    SubscriptionsOut,
    SubscriptionsQuery,
    Unsubscribed,
    UnsubscribeQuery,
    WebhookBody,
    event_id,
    events_text,
    subscribed,
)

OWN_MAX: Final = 100
ALL_MAX: Final = 1000
PAGE_MAX: Final = 1000
SECRET_MAX_CHARS: Final = 1024
EVENTS_MAX: Final = 64


async def subscribe(node: Node, who: Principal, request: SubscribeRequest, once: Once | None = None) -> Subscribed:
    """Have events sent to an address, as far as the caller may see them then.

    Raises: InvalidRequest naming the field (webhook_url for an address that nothing may be sent to), Denied for another
      agent's name, QuotaExceeded, Unavailable.
    """
    try:
        wish = _wish(node, who, request)
    except InvalidRequest as error:
        if error.code is Code.WEBHOOK_URL:
            note_refusal(node, who, action="subscribe", rule=error.code.value)
        raise
    answer: Subscribed = (await write_as(node, who, _subscribe, node, who, wish, once)).value
    return answer


def _wish(node: Node, who: Principal, request: SubscribeRequest) -> Subscription:
    maker = speaker(who, request.agent_id)
    namespace = None if not request.namespace else rules.namespace(request.namespace)
    only = None if not request.namespace_filter else rules.namespace(request.namespace_filter, field="namespace_filter")
    if namespace and only and namespace != only:
        raise InvalidRequest("namespace and namespace_filter say different things; give one", field="namespace_filter")
    return Subscription(
        id="", url=_url(node, maker, request.url, namespace), events=_events(request.events),
        signing_key=_key(request.secret), namespace=namespace, namespace_filter=only or namespace,
        agent_filter=None if not request.agent_filter else rules.agent_id(request.agent_filter, field="agent_filter"),
        created_by=maker, by_operator=who.role is Role.OPERATOR, created_at=node.clock.now(),
    )


def _url(node: Node, maker: AgentId, url: str | None, namespace: str | None) -> str:
    if not url:
        if namespace is None:
            raise InvalidRequest("url is missing; without one, a namespace is needed", field="url")
        return f"{NOWHERE}{maker}/{namespace}"
    # Nothing is ever sent to an address like those that are made above.
    is_far = node.policy.webhooks_private or url.startswith(NOWHERE)
    parse_target(url, Reach.PRIVATE if is_far else Reach.PUBLIC)
    return url


def _events(given: str | list[str] | None) -> tuple[str, ...]:
    names = given if isinstance(given, list) else (given or EVERY_EVENT).split(",")
    known = [name.value for name in EventName]
    rules.bounded(len(names), 1, EVENTS_MAX, field="events")
    for name in names:
        if name.strip() != EVERY_EVENT and name.strip().removeprefix(EVENT_PREFIX) not in known:
            raise InvalidRequest(
                f"events: {name[:64]!r} is unknown; known are {EVERY_EVENT} and {', '.join(known)}", field="events"
            )
    return tuple(dict.fromkeys(name.strip() for name in names))


def _key(secret: str | None) -> str | None:
    if secret is None:
        return None
    if not 0 < len(secret) <= SECRET_MAX_CHARS:
        raise InvalidRequest(
            f"secret has {len(secret)} characters; 1 to {SECRET_MAX_CHARS} are allowed", field="secret"
        )
    return signing_key(secret)


def _subscribe(transaction: Transaction, node: Node, who: Principal, wish: Subscription, once: Once | None) -> object:
    def run() -> Subscribed:
        total, own = subscriptions.count(transaction.conn, wish.created_by)
        if own >= OWN_MAX or total >= ALL_MAX:
            raise QuotaExceeded(
                f"{own} subscriptions are of {wish.created_by} and {total} in all; {OWN_MAX} and {ALL_MAX} are "
                "allowed: take some back first", limit=OWN_MAX if own >= OWN_MAX else ALL_MAX,
            )
        subscription_id = fresh_id(node, who, once)
        # Else it would begin anew, later, or come back after it was taken back.
        refuse_taken(transaction, subscription_id, SUBSCRIPTION)
        made = msgspec.structs.replace(wish, id=subscription_id, created_at=transaction.now)
        entry = transaction.create(SUBSCRIPTION, made.id, made.created_by, {
            "present": True, "url": made.url, "events": made.events, "signing_key": made.signing_key,
            "namespace": made.namespace, "namespace_filter": made.namespace_filter, "agent_filter": made.agent_filter,
            "by_operator": made.by_operator, "created_at": made.created_at,
        })
        return subscribed(made, str(transaction.emit("subscribe", [entry])))

    return answer_once(transaction, node, who, once, Subscribed, run)


async def unsubscribe(node: Node, who: Principal, query: UnsubscribeQuery, once: Once | None = None) -> Unsubscribed:
    """Take a subscription back, or all that an agent made for a namespace. What is not there was not taken back.

    Raises: InvalidRequest, Denied for another agent's name, Unavailable.
    """
    subscription_id = rules.memory_id(query.id) if query.id else None
    namespace = rules.namespace(query.namespace) if query.namespace else None
    maker = _whose(who, query.agent_id) or who.agent_id
    if subscription_id is None and namespace is None:
        raise InvalidRequest("id is missing; or give namespace, and agent_id if it is not yours", field="id")
    wrote = await write_as(node, who, _unsubscribe, node, who, subscription_id, (maker, namespace or ""), once)
    answer: Unsubscribed = wrote.value
    return answer


def _unsubscribe(
    transaction: Transaction, node: Node, who: Principal, subscription_id: str | None, of: tuple[AgentId, str],
    once: Once | None,
) -> object:
    def run() -> Unsubscribed:
        if subscription_id is None:
            found = subscriptions.of_namespace(transaction.conn, *of)
        else:
            one = _visible(transaction.conn, who, subscription_id)
            found = [] if one is None else [one]
        if not found:
            return Unsubscribed(id=subscription_id, removed=False, count=0)
        entries = [transaction.change(SUBSCRIPTION, one.id, {"present": False}) for one in found]
        dot = transaction.emit("unsubscribe", entries)
        return Unsubscribed(id=found[0].id, removed=True, count=len(found), version=str(dot))

    return answer_once(transaction, node, who, once, Unsubscribed, run)


def _whose(who: Principal, named: str | None) -> AgentId | None:
    """Of whom subscriptions are asked for: the caller's own, for who administers anybody's. None: of all."""
    if who.may_administer:
        return rules.agent_id(named) if named else None
    return speaker(who, named)


def _visible(conn: Connection, who: Principal, subscription_id: str) -> Subscription | None:
    """A subscription that the caller may know of: its own, or any for who administers."""
    found = subscriptions.find(conn, subscription_id)
    return found if found is not None and (who.may_administer or found.created_by == who.agent_id) else None


async def list_subscriptions(node: Node, who: Principal, query: SubscriptionsQuery) -> SubscriptionsOut:
    """The caller's subscriptions, the oldest first; who administers sees all. Raises: InvalidRequest, Denied."""
    maker = _whose(who, query.agent_id)
    limit = rules.bounded(query.limit, 0, PAGE_MAX, field="limit")
    offset = rules.bounded(query.offset, 0, 2**31, field="offset")

    def read(conn: Connection) -> SubscriptionsOut:
        page = subscriptions.page(conn, maker, limit, offset)
        fares = subscriptions.fares(conn, [one.id for one in page])
        return SubscriptionsOut(
            count=len(page), total=subscriptions.count(conn, maker)[1],
            subscriptions=tuple(_shown(conn, one, fares.get(one.id, subscriptions.Fare())) for one in page),
        )

    return await node.store.read(read)


def _shown(conn: Connection, one: Subscription, fare: subscriptions.Fare) -> SubscriptionOut:
    sent_at = fare.last_dispatched_at
    return SubscriptionOut(
        id=one.id, url=one.url, events=events_text(one), namespace=one.namespace,
        namespace_filter=one.namespace_filter, agent_filter=one.agent_filter, agent_id=one.created_by,
        created_by=one.created_by, created_at=format_instant(one.created_at), dispatch_count=fare.dispatch_count,
        failure_count=fare.failure_count, dropped_count=fare.dropped_count,
        waiting_count=deliveries.count(conn, one.id, deliveries.DeliveryState.WAITING),
        dead_count=deliveries.count(conn, one.id, deliveries.DeliveryState.DEAD),
        last_dispatched_at=None if sent_at is None else format_instant(sent_at), last_error=fare.last_error,
        signed=one.signing_key is not None, sent=one.is_sent,
    )


async def list_deliveries(
    node: Node, who: Principal, subscription_id: str, query: DeliveriesQuery
) -> DeliveriesOut:
    """Deliveries of a subscription that wait or were given up. Raises: InvalidRequest, NotFound, Unavailable."""
    state = rules.choice(deliveries.DeliveryState, query.state, field="state")
    limit = rules.bounded(query.limit, 0, PAGE_MAX, field="limit")
    offset = rules.bounded(query.offset, 0, 2**31, field="offset")
    whole = rules.memory_id(subscription_id)

    def read(conn: Connection) -> DeliveriesOut:
        if _visible(conn, who, whole) is None:
            raise _unknown(whole)
        page = deliveries.page(conn, whole, state, limit, offset)
        shown = tuple(_delivery(node, one) for one in page)
        return DeliveriesOut(count=len(page), total=deliveries.count(conn, whole, state), deliveries=shown)

    return await node.store.read(read)


def _delivery(node: Node, one: deliveries.Delivery) -> DeliveryOut:
    body = msgspec.json.decode(one.body, type=WebhookBody)
    state = deliveries.DeliveryState.DEAD if one.next_at is None else deliveries.DeliveryState.WAITING
    return DeliveryOut(
        id=one.id, event_id=event_id(node.store.stream, one.event_no), event=body.event, memory_id=body.memory_id,
        namespace=body.namespace, state=state.value,
        attempts=one.attempt_count, next_attempt_at=UNSET if one.next_at is None else format_instant(one.next_at),
        last_error=one.last_error or UNSET, made_at=format_instant(one.made_at),
    )


async def redeliver(node: Node, who: Principal, subscription_id: str, request: RedeliverRequest) -> Redelivered:
    """Try what was given up anew, one delivery or all of a subscription.

    Raises: InvalidRequest, NotFound for a subscription or a delivery that is not there, Unavailable.
    """
    whole = rules.memory_id(subscription_id)
    delivery_id = rules.memory_id(request.delivery_id, field="delivery_id") if request.delivery_id else None
    count: int = (await write_as(node, who, _redeliver, who, whole, delivery_id)).value
    if count:
        node.post.owe_nowait([whole])
    return Redelivered(id=whole, redelivered=count)


def _redeliver(transaction: Transaction, who: Principal, subscription_id: str, delivery_id: str | None) -> int:
    if _visible(transaction.conn, who, subscription_id) is None:
        raise _unknown(subscription_id)
    count = deliveries.again(transaction, subscription_id, delivery_id)
    if delivery_id is not None and not count:
        raise NotFound(f"not found: no delivery {delivery_id!r} was given up", field="delivery_id")
    return count


def _unknown(subscription_id: str) -> NotFound:
    return NotFound(f"not found: no subscription {subscription_id!r}", field="id")
