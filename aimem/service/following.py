"""Following what happens: from a place in the log of events on, as far as the reader may see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Self

import trio

from aimem.errors import InvalidRequest
from aimem.model import Event, EventName, Ground, Principal, event_for, rules
from aimem.service.keyring import is_still_admitted
from aimem.service.node import Node
from aimem.store import KINDS, LINK, MEMORY, SUBSCRIPTION, Transaction, events
from aimem.wire import EventOut, EventsQuery, ResetOut, event_id, event_out

PAGE: Final = 256
HEARTBEAT_S: Final = 15.0
GATHER_S: Final = 0.25
"""How long what happens gathers while nobody waits to hear of it: reading it after each commit slows the commits."""
TRIM_EVERY: Final = 1000
"""So many events more than are kept may wait to be forgotten together."""

SLOW_S: Final = 5.0
"""A reader that leaves when it has not taken what it was sent for so long was cut for being slow (the connection does
so after 10 s), and counts as dropped."""

_ID = re.compile(r"(?P<stream>[0-9a-f]{8})\.(?P<no>[0-9]{1,18})", re.ASCII)
_GONE: Final = "the place is not in the log any more, or is of another log; read everything anew"
Told = EventOut | ResetOut


class Follower:
    """One reader's way through the log. In a `with` block, call `take` again and again; it holds one page at most."""

    def __init__(self, node: Node, who: Principal, query: EventsQuery, last_id: str = "") -> None:
        """Prepare.

        Args:
          last_id: the last event that the reader knows, as it says; goes before `query.after`.
        Raises: InvalidRequest naming the parameter; Unavailable if too many follow already.
        """
        self._node, self._who = node, who
        self._given_at: float | None = None
        self._area = None if not query.namespace else Ground(rules.namespace(query.namespace))
        self._names = _chosen(query.event, [name.value for name in EventName], "event")
        self._kinds = _chosen(query.kind, list(KINDS), "kind")
        self._start = _place(last_id or query.after or "", is_claimed=bool(last_id))
        self._no: int | None = None
        node.happenings.check_room(who.agent_id)

    def __enter__(self) -> Self:
        self._node.happenings.enter(self._who.agent_id)
        return self

    def __exit__(self, *_: object) -> None:
        happenings = self._node.happenings
        happenings.leave(self._who.agent_id)
        if self._given_at is not None and trio.current_time() - self._given_at >= SLOW_S:
            happenings.dropped_count += 1

    async def take(self) -> tuple[Told, ...] | None:
        """What the reader is to be told next; nothing, if nothing happened for 15 s. None: the stream ends here.

        It ends at shutdown, and as soon as its key does, or keys are asked for and it came without one.

        Raises: Unavailable.
        """
        self._given_at = None
        told = await self._next()
        self._given_at = trio.current_time()
        return told

    async def _next(self) -> tuple[Told, ...] | None:
        happenings = self._node.happenings
        if self._no is None:
            reset = await self._begin()
            if reset is not None:
                return (reset,)
        no = self._no or 0
        with trio.move_on_after(HEARTBEAT_S):
            while self._may_go_on() and await is_still_admitted(self._node, self._who):
                page = happenings.after(no, PAGE)
                if page is None:
                    page = await self._node.store.read(events.after, no, PAGE)
                    if not page or page[0].no > no + 1:
                        return (await self._reset(),)
                told = self._told(page)
                self._no = no = page[-1].no if page else no
                if told:
                    return told
                if page:
                    await trio.lowlevel.checkpoint()
                else:
                    await happenings.wait_beyond(no)
        return () if self._may_go_on() and await is_still_admitted(self._node, self._who) else None

    def _may_go_on(self) -> bool:
        happenings = self._node.happenings
        # Several may have passed the look for room at once; the last of them leave again.
        return not happenings.is_closed and not happenings.is_crowded(self._who.agent_id)

    async def _begin(self) -> ResetOut | None:
        held = await self._node.store.read(events.bounds)
        if self._start is None:
            self._no = held.last
            return None
        stream, no = self._start
        if stream == self._node.store.stream[:8] and held.first - 1 <= no <= held.last:
            self._no = no
            return None
        return await self._reset()

    async def _reset(self) -> ResetOut:
        held = await self._node.store.read(events.bounds)
        self._no = held.last
        return ResetOut(id=event_id(self._node.store.stream, held.last), reason=_GONE)

    def _told(self, page: Sequence[Event]) -> tuple[EventOut, ...]:
        return tuple(shown for event in page if (shown := self._shown(event)) is not None)

    def _shown(self, event: Event) -> EventOut | None:
        if self._kinds and event.kind not in self._kinds:
            return None
        name = event_for(event, self._who, self._area)
        if name is None or (self._names and name.value not in self._names):
            return None
        return event_out(event, name, self._node.store.stream, memory_of(event))


def memory_of(event: Event) -> str | None:
    """The memory that an event is about; of a link, its source."""
    if event.kind == MEMORY.name:
        return event.key
    return LINK.split_key(event.key)[0] if event.kind == LINK.name else None


def _chosen(text: str | None, known: Sequence[str], field: str) -> frozenset[str]:
    if not text:
        return frozenset()
    names = [name.strip().removeprefix("memory_") for name in text.split(",")]
    for name in names:
        if name not in known:
            raise InvalidRequest(f"{field}: {name[:64]!r} is unknown; known are {', '.join(known)}", field=field)
    return frozenset(names)


def _place(text: str, *, is_claimed: bool) -> tuple[str, int] | None:
    """A place in a log. What a browser repeats of some other server (`is_claimed`) is a place that is nowhere here."""
    if not text:
        return None
    found = _ID.fullmatch(text)
    if found is not None:
        return found["stream"], int(found["no"])
    if is_claimed:
        return "", 0
    raise InvalidRequest(
        f"after is {text[:64]!r}; wanted is the id of an event: 8 hexadecimal digits, a dot and a number", field="after"
    )


async def run_events(
    node: Node, stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keep the latest events at hand for readers, and the log of them within its bound.

    Args:
      stop: ends every reader once it is set: they would hold up the shutdown.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close, node, stop)
        held = await node.store.read(events.bounds)
        node.happenings.begin(held.last)
        trimmed_at = held.first
        task_status.started()
        while True:
            beat = node.store.happened.next_beat
            page = await node.store.read(events.after, node.happenings.position, PAGE)
            node.happenings.add_nowait(page)
            if node.happenings.position - trimmed_at >= node.policy.events_count + TRIM_EVERY:
                await node.store.write(_trim_events, node.policy.events_count)
                trimmed_at = node.happenings.position - node.policy.events_count
            if len(page) < PAGE:
                await beat.wait()
                if not _is_awaited(node):
                    await trio.sleep(GATHER_S)


def _is_awaited(node: Node) -> bool:
    """Whether somebody follows what happens, or may have subscribed to it."""
    happenings = node.happenings
    return happenings.reader_count > 0 or happenings.has_audience or node.store.revision(SUBSCRIPTION) > 0


async def _close(node: Node, stop: trio.Event) -> None:
    await stop.wait()
    node.happenings.close_nowait()


def _trim_events(transaction: Transaction, keep_count: int) -> None:
    events.trim_to_count(transaction.conn, keep_count)
