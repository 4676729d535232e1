"""Events: a bounded buffer of what happened, for those who follow it.

They are derived here, from what the fold of an op changed, so that every write makes them whatever door it came by; and
each is written down with what decides who may see its object at that moment, for the object may be gone when somebody
asks. Never texts of memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Dot, Event, EventName, Exposure, FieldValue, Instant, ObjectState, is_inbox
from aimem.ports import Connection, Row, SqlValue
from aimem.store.fields import Kind
from aimem.store.kinds import AGENT, ALIAS, KEY, LINK, MEMORY, NAMESPACE, PENDING, REMARK, SUBSCRIPTION, VOTE
from aimem.store.view import name_of, standing

_COLUMNS: Final = "no, at, event, kind, key, namespace, scope, author, was, other, agent_id, version, is_own"
_INSERT: Final = (
    "INSERT INTO events (at, event, kind, key, namespace, scope, author, was, other, agent_id, version, is_own) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_AFTER: Final = f"SELECT {_COLUMNS} FROM events WHERE no > ? ORDER BY no LIMIT ?"
_FIRST: Final = "SELECT min(no) FROM events"
_LAST: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
_TRIM_COUNT: Final = "DELETE FROM events WHERE no <= (SELECT max(no) FROM events) - :keep"
_TRIM_AGE: Final = (
    "DELETE FROM events WHERE no IN (SELECT no FROM events ORDER BY no LIMIT :limit) AND at < :before"
)

_QUIET: Final = frozenset({"extended", "collected"})
"""Registers of lifetimes: a recall's extension of a life is no event, and a collection shows as an archive."""

_exposures: Final = msgspec.json.Decoder(Exposure)

EventRow: TypeAlias = tuple[SqlValue, ...]
"""An event as it is noted."""

Load: TypeAlias = Callable[[Kind, str], ObjectState]
"""Tells an object as known at that moment."""


class Bounds(Struct, frozen=True):
    """What the buffer holds: events from `first` to `last`; `first` is `last` + 1 if it holds none."""

    first: int
    last: int


class Change(Struct, frozen=True, kw_only=True):
    """What one entry changed in one object; `creator` is set if the entry created it."""

    kind: Kind
    key: str
    before: ObjectState
    after: ObjectState
    creator: str | None


class _Happening(Struct, frozen=True, kw_only=True):
    event: EventName
    kind: str
    key: str
    exposure: Exposure | None
    was: Exposure | None = None
    other: Exposure | None = None


class Source(Struct, frozen=True, kw_only=True):
    """Where an op came from.

    Attributes:
      agent_id: on whose behalf it was written, if this node knows.
    """

    dot: Dot
    label: str
    agent_id: AgentId | None
    is_own: bool


def derive(load: Load, source: Source, changes: Sequence[Change], at: Instant) -> list[EventRow]:
    """What the fold of one op comes to for those who follow, out of what it changed."""
    found: dict[tuple[EventName, str, str], _Happening] = {}
    for change in changes:
        for one in _derived(load, source.label, change):
            # An entity's birth names its aliases too: that is one event.
            found.setdefault((one.event, one.kind, one.key), one)
    by = {change.key: change.creator for change in changes if change.creator is not None}
    return [_row(source, one, source.agent_id or _agent(by.get(one.key)), at) for one in found.values()]


def write(conn: Connection, rows: Sequence[EventRow]) -> None:
    """Note events, in order."""
    if rows:
        conn.executemany(_INSERT, rows)


def _agent(creator: str | None) -> AgentId | None:
    return None if creator is None else AgentId(creator)


def _row(source: Source, one: _Happening, agent_id: AgentId | None, at: Instant) -> EventRow:
    shown = one.exposure
    place = (None, None, None) if shown is None else (shown.namespace, shown.scope, shown.author)
    return (
        at, one.event.value, one.kind, one.key, *place, _packed(one.was), _packed(one.other), agent_id,
        str(source.dot), int(source.is_own),
    )


def _packed(exposure: Exposure | None) -> str | None:
    return None if exposure is None else msgspec.json.encode(exposure).decode()


def _derived(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    derive = _DERIVE.get(change.kind.name)
    if derive is not None:
        yield from derive(load, label, change)


def _of_memory(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load
    before, after = _standing(change.before), _standing(change.after)
    was, now = _exposure(change.before), _exposure(change.after)
    event = _memory_event(label, change, before, after)
    if event is None:
        return
    if event is EventName.DELETE:
        yield _Happening(event=event, kind=MEMORY.name, key=change.key, exposure=was)
        return
    has_moved = before != "unborn" and was != now
    yield _Happening(event=event, kind=MEMORY.name, key=change.key, exposure=now, was=was if has_moved else None)


def _memory_event(label: str, change: Change, before: str, after: str) -> EventName | None:
    if after in ("dead", "unborn"):
        return EventName.DELETE if after == "dead" and before in ("live", "archived") else None
    if before == "unborn":
        name = name_of(change.after)
        if name is not None and is_inbox(name[0]):
            return EventName.NOTIFY
        return _BIRTHS.get(label, EventName.STORE) if after == "live" else EventName.ARCHIVE
    if before != after:
        return EventName.ARCHIVE if after == "archived" else EventName.RESTORE
    changed = _changed(change) - _QUIET
    if not changed:
        return None
    return EventName.PROMOTE if "tier" in changed and _value(change.after, "tier") == "long" else EventName.UPDATE


def _standing(state: ObjectState) -> str:
    return "dead" if state.dead is not None else standing(state)


def _exposure(state: ObjectState) -> Exposure | None:
    name = name_of(state)
    if name is None:
        return None
    scope = _value(state, "scope")
    return Exposure(name[0], None if scope is None else str(scope), state.author)


def _value(state: ObjectState, field: str) -> FieldValue:
    cell = state.fields.get(field)
    return None if cell is None else cell.value


def _text(state: ObjectState, field: str) -> str | None:
    value = _value(state, field)
    return value if isinstance(value, str) else None


def _changed(change: Change) -> set[str]:
    """The fields whose value is another one now; of an object that was not complete, all."""
    old, new = change.before.fields, change.after.fields
    return {name for name in new if name not in old or old[name].value != new[name].value}


def _is_whole(kind: Kind, state: ObjectState) -> bool:
    return state.dead is None and state.born is not None and kind.required <= state.fields.keys()


def _of_link(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del label
    stood, stands = (_is_whole(LINK, s) and bool(_value(s, "present")) for s in (change.before, change.after))
    if stands:
        has_ended = stood and bool({"valid_until", "ended"} & _changed(change)) and _value(change.after, "ended")
        event = EventName.LINK_INVALIDATE if has_ended else EventName.LINK
        if stood and not _changed(change):
            return
    elif stood:
        event = EventName.LINK_DELETE
    else:
        return
    source, target, _ = LINK.split_key(change.key)
    ends = _exposure(load(MEMORY, source)), _exposure(load(MEMORY, target))
    is_known = ends[0] is not None and ends[1] is not None
    yield _Happening(
        event=event, kind=LINK.name, key=change.key, exposure=ends[0] if is_known else None,
        other=ends[1] if is_known else None,
    )


def _of_alias(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del label
    if _is_whole(ALIAS, change.after) and _changed(change):
        entity_id = ALIAS.split_key(change.key)[0]
        yield _Happening(
            event=EventName.ENTITY, kind=MEMORY.name, key=entity_id, exposure=_exposure(load(MEMORY, entity_id))
        )


def _of_agent(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load, label
    if _is_whole(AGENT, change.after):   # who takes part is no secret among those who do
        yield _happening(EventName.AGENT, change, Exposure("", "collective", change.key))


def _of_key(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load, label
    if _is_whole(KEY, change.after):
        yield _happening(EventName.AGENT_KEY, change, Exposure("", "private", _text(change.after, "agent_id")))


def _of_namespace(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load, label
    if _is_whole(NAMESPACE, change.after):
        scope = "collective" if change.key == "*" else None
        owner = _text(change.after, "owner") or change.after.author
        yield _happening(EventName.NAMESPACE_STANDARD, change, Exposure(change.key, scope, owner))


def _of_pending(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load, label
    if _is_whole(PENDING, change.after):
        is_decided = "outcome" in _changed(change)
        exposure = Exposure(_text(change.after, "namespace") or "", None, _text(change.after, "requested_by"))
        yield _happening(EventName.PENDING_DECISION if is_decided else EventName.PENDING, change, exposure)


def _of_vote(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del label
    if _is_whole(VOTE, change.after):
        yield _about_pending(load, EventName.PENDING_VOTE, VOTE, change)


def _of_remark(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del label
    if _is_whole(REMARK, change.after):
        yield _about_pending(load, EventName.PENDING_COMMENT, REMARK, change)


def _about_pending(load: Load, event: EventName, kind: Kind, change: Change) -> _Happening:
    pending_id = kind.split_key(change.key)[0]
    pending = load(PENDING, pending_id)
    namespace = _text(pending, "namespace")
    exposure = None if namespace is None else Exposure(namespace, None, _text(pending, "requested_by"))
    return _Happening(event=event, kind=kind.name, key=pending_id, exposure=exposure)


def _of_subscription(load: Load, label: str, change: Change) -> Iterator[_Happening]:
    del load, label
    if not _is_whole(SUBSCRIPTION, change.after):
        return
    event = EventName.SUBSCRIBE if _value(change.after, "present") else EventName.UNSUBSCRIBE
    yield _happening(event, change, Exposure("", "private", change.after.author))


def _happening(event: EventName, change: Change, exposure: Exposure) -> _Happening:
    return _Happening(event=event, kind=change.kind.name, key=change.key, exposure=exposure)


_BIRTHS: Final = {
    "consolidate": EventName.CONSOLIDATE, "curate": EventName.CONSOLIDATE, "entity": EventName.ENTITY,
}
"""What a new memory is called by the label of its op."""

_DERIVE: Final[dict[str, Callable[[Load, str, Change], Iterator[_Happening]]]] = {
    MEMORY.name: _of_memory, LINK.name: _of_link, ALIAS.name: _of_alias, AGENT.name: _of_agent, KEY.name: _of_key,
    NAMESPACE.name: _of_namespace, PENDING.name: _of_pending, VOTE.name: _of_vote, REMARK.name: _of_remark,
    SUBSCRIPTION.name: _of_subscription,
}
"""By kind. A stream's opening is nothing that happened to anybody."""


def after(conn: Connection, no: int, limit: int) -> list[Event]:
    """The events that follow number `no`, in order, at most `limit`."""
    return [_event(row) for row in conn.execute(_AFTER, (no, limit))]


def bounds(conn: Connection) -> Bounds:
    """What the buffer holds now."""
    last = conn.execute(_LAST).fetchone()
    first = conn.execute(_FIRST).fetchone()
    end = 0 if last is None else cast("int", last[0])
    return Bounds(end + 1 if first is None or first[0] is None else cast("int", first[0]), end)


def trim_to_count(conn: Connection, keep_count: int) -> None:
    """Forget all but the latest events."""
    conn.execute(_TRIM_COUNT, {"keep": keep_count})


def trim_older(conn: Connection, before: Instant, limit: int) -> int:
    """Forget events noted before a moment, at most `limit` of the oldest. Returns: how many."""
    return conn.execute(_TRIM_AGE, {"before": before, "limit": limit}).rowcount


def _event(row: Row) -> Event:
    no, at, event, kind, key, namespace, scope, author, was, other, agent_id, version, is_own = row
    shown = None
    if namespace is not None:
        shown = Exposure(str(namespace), cast("str | None", scope), cast("str | None", author))
    return Event(
        no=cast("int", no), at=Instant(cast("int", at)), event=EventName(str(event)), kind=str(kind), key=str(key),
        exposure=shown, was=None if was is None else _exposures.decode(str(was)),
        other=None if other is None else _exposures.decode(str(other)),
        agent_id=None if agent_id is None else AgentId(str(agent_id)), version=str(version), is_own=bool(is_own),
    )
