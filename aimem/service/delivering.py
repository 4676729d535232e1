"""Delivering webhooks: what happens here is noted for each subscriber that may know it, and sent until it is taken.

One task follows the log of events; for each subscription for which something waits another sends, in the order of the
events. A delivery that was sent and not yet noted as taken when the process ends is sent again: at least once.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import trio

from aimem.errors import Unavailable
from aimem.model import EVENT_PREFIX, SECOND_US, Event, EventName, Instant, after, format_instant, new_memory_id
from aimem.ports import Connection
from aimem.service.following import memory_of
from aimem.service.node import Node
from aimem.store import KEY, SUBSCRIPTION, deliveries, events, subscriptions
from aimem.webhooks import Letter, Sender
from aimem.wire import WebhookBody, encode, event_id, event_out

log = logging.getLogger(__name__)

PAGE: Final = 256
NOTED_TOGETHER: Final = 256
"""A write that notes deliveries has so many, and up to one more for each subscription."""

CURSOR_EVERY: Final = 5000
"""So many events without a delivery are read anew after a start, at most."""

ATTEMPTS_MAX: Final = 12
AGE_MAX_S: Final = 86_400.0
"""After so many attempts, or an attempt that fails so long after the first, a delivery is given up."""

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 900.0
STORE_PAUSE_S: Final = 5.0
_SHAPE_RIGHTS: Final = (SUBSCRIPTION, KEY)


def pause_s(failures: int, rng: random.Random) -> float:
    """Seconds after attempt 1, 2, …: they double up to a quarter of an hour, with jitter in the upper half."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (failures - 1)) * rng.uniform(0.5, 1.0)


async def run_webhooks(
    node: Node, sender: Sender, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Deliver events to their subscribers, until cancelled."""
    async with trio.open_nursery() as nursery:
        node.post.owe_nowait(await node.store.read(deliveries.waiting_subscriptions))
        await nursery.start(_spread, node)
        task_status.started()
        while True:
            for subscription_id in await node.post.take():
                nursery.start_soon(_serve, node, sender, subscription_id)


async def _spread(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Note a delivery of each event for each subscriber that it concerns."""
    rights = _rights(node)
    kept, audience = await node.store.read(_where_it_was_left)
    node.happenings.has_audience = bool(audience)
    no = kept
    task_status.started()
    while True:
        page = await _page(node, no)
        end = page[-1].no if page else max(no, node.happenings.position)
        was_alone = not audience
        if rights != (latest := _rights(node)):
            rights, audience = latest, await node.store.read(subscriptions.subscribers)
            await _forget_gone(node)
        if audience:
            node.post.lost_count += (page[0].no if page else end + 1) - no - 1
        noted = await _note_page(node, page, audience) or kept
        if end - noted >= CURSOR_EVERY or (was_alone and audience and noted < end):
            await _note(node, (), end)
            noted = end
        kept = noted
        if end == no:
            await _wait_beyond(node, no)
        no = end


def _rights(node: Node) -> tuple[int, ...]:
    """What rises when there are other subscribers, or other rights. Not by events: a snapshot brings some without."""
    return tuple(map(node.store.revision, _SHAPE_RIGHTS))


async def _note_page(node: Node, page: Sequence[Event], audience: Sequence[subscriptions.Subscriber]) -> int:
    """Note the deliveries of some events. Returns: up to which of them that is on the disk; 0 if there were none."""
    found: list[deliveries.Delivery] = []
    noted = 0
    for event in page if audience else ():
        if event.is_own:
            found += _deliveries_of(node, event, audience)
        if found and (len(found) >= NOTED_TOGETHER or event is page[-1]):
            await _note(node, found, event.no)
            found, noted = [], event.no
        await trio.lowlevel.checkpoint()
    return noted


def _where_it_was_left(conn: Connection) -> tuple[int, list[subscriptions.Subscriber]]:
    audience = subscriptions.subscribers(conn)
    # What happened before anybody subscribed concerns nobody.
    return deliveries.cursor(conn) if audience else events.bounds(conn).last, audience


async def _page(node: Node, no: int) -> Sequence[Event]:
    page = node.happenings.after(no, PAGE)
    return await node.store.read(events.after, no, PAGE) if page is None else page


async def _wait_beyond(node: Node, no: int) -> None:
    if node.happenings.is_closed:
        await trio.sleep_forever()      # the node ends: what still happens is delivered after the next start
    await node.happenings.wait_beyond(no)


async def _note(node: Node, found: Sequence[deliveries.Delivery], end: int) -> None:
    while True:
        try:
            dropped = (await node.store.write(deliveries.add, found, end)).value
        except Unavailable as error:
            log.warning("webhooks.wait", extra={"reason": error.code.value})
            await trio.sleep(STORE_PAUSE_S)
        else:
            node.post.dropped_count += dropped
            node.post.owe_nowait({one.subscription_id for one in found})
            return


async def _forget_gone(node: Node) -> None:
    if await node.store.read(deliveries.has_gone):
        try:
            await node.store.write(deliveries.forget_gone)
        except Unavailable as error:
            # They are forgotten with the next change of a subscription; nothing is sent to them meanwhile.
            log.warning("webhooks.wait", extra={"reason": error.code.value})


def _deliveries_of(
    node: Node, event: Event, audience: Sequence[subscriptions.Subscriber]
) -> Iterator[deliveries.Delivery]:
    now = node.clock.now()
    for subscriber in audience:
        name = _told(subscriber, event, now)
        if name is not None:
            delivery_id = new_memory_id(node.chance.rng)
            body = _body(node, event, name, subscriber.subscription.id, delivery_id)
            yield deliveries.Delivery(
                id=delivery_id, subscription_id=subscriber.subscription.id, event_no=event.no, body=encode(body),
                next_at=now, made_at=now,
            )


def _told(subscriber: subscriptions.Subscriber, event: Event, now: Instant) -> EventName | None:
    names = (subscriber.subscription.told_of(event, who) for who in subscriber.principals(now))
    return next((name for name in names if name is not None), None)


def _body(node: Node, event: Event, name: EventName, subscription_id: str, delivery_id: str) -> WebhookBody:
    memory_id = memory_of(event)
    out = event_out(event, name, node.store.stream, memory_id)
    return WebhookBody(
        event=EVENT_PREFIX + out.event, memory_id=memory_id, namespace=out.namespace or None,
        agent_id=out.agent_id or None, delivered_at="", event_id=out.id, delivery_id=delivery_id,
        subscription_id=subscription_id, attempt=0, at=out.at, kind=out.kind, key=out.key, author=out.author or None,
        version=out.version,
    )


async def _serve(node: Node, sender: Sender, subscription_id: str) -> None:
    """Send what waits for one subscription, one after the other, until nothing does."""
    try:
        while True:
            node.post.look_again(subscription_id)
            delivery = await node.store.read(deliveries.next_of, subscription_id)
            if delivery is None:
                if node.post.is_done(subscription_id):
                    return
            elif await _is_due(node, delivery):
                async with node.post.slots:
                    await _try(node, sender, delivery)
    finally:
        node.post.end_nowait(subscription_id)


async def _is_due(node: Node, delivery: deliveries.Delivery) -> bool:
    """Wait for the moment of a delivery. Returns: false if meanwhile something else may come before it."""
    if delivery.next_at is None:
        return False
    # A clock that was set back must not make a delivery wait for ever.
    wait_s = min(LONGEST_PAUSE_S, (delivery.next_at - node.clock.now()) / SECOND_US)
    if wait_s > 0:
        with trio.move_on_after(wait_s):
            await node.post.wait_stirred(delivery.subscription_id)
            return False
    return True


async def _try(node: Node, sender: Sender, delivery: deliveries.Delivery) -> None:
    now = node.clock.now()
    subscriber = await node.store.read(_still, delivery, now)
    try:
        if subscriber is None:
            await node.store.write(deliveries.forget, delivery)
            node.post.dropped_count += 1
            return
        attempt = await sender.deliver(_letter(node, subscriber, delivery, now))
        if not attempt.problem:
            node.post.dispatched_count += 1
            await node.store.write(deliveries.note_taken, delivery)
            return
        node.post.failed_count += 1
        failures = delivery.attempt_count + 1
        is_last = failures >= ATTEMPTS_MAX or now - delivery.made_at >= AGE_MAX_S * SECOND_US
        next_at = None if is_last else after(node.clock.now(), pause_s(failures, node.chance.rng))
        await node.store.write(deliveries.note_failed, delivery, attempt.problem, next_at)
    except Unavailable as error:
        # What was sent and could not be noted is sent again.
        log.warning("webhooks.wait", extra={"reason": error.code.value})
        await trio.sleep(STORE_PAUSE_S)


def _still(conn: Connection, delivery: deliveries.Delivery, now: Instant) -> subscriptions.Subscriber | None:
    """The subscriber, if it is still there and may still be told of the event."""
    found = subscriptions.subscriber(conn, delivery.subscription_id)
    if found is None or next(found.principals(now), None) is None:
        return None
    page = events.after(conn, delivery.event_no - 1, 1)
    if page and page[0].no == delivery.event_no and _told(found, page[0], now) is None:
        return None
    return found


def _letter(node: Node, subscriber: subscriptions.Subscriber, delivery: deliveries.Delivery, now: Instant) -> Letter:
    body = msgspec.structs.replace(
        msgspec.json.decode(delivery.body, type=WebhookBody), delivered_at=format_instant(now),
        attempt=delivery.attempt_count + 1,
    )
    return Letter(
        url=subscriber.subscription.url, body=encode(body), signing_key=subscriber.subscription.signing_key,
        timestamp=now // SECOND_US, delivery_id=delivery.id, event_id=event_id(node.store.stream, delivery.event_no),
    )
