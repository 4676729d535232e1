"""Events as readers get them."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.model import Event, EventName, format_instant


class EventsQuery(Struct, kw_only=True):
    """Query of GET /events.

    Attributes:
      namespace: this one and all below it.
      event, kind: names between commas.
      after: id of the last event that the reader knows; the header Last-Event-ID goes before it.
    """

    namespace: str | None = None
    event: str | None = None
    kind: str | None = None
    after: str | None = None


class EventOut(Struct, kw_only=True):
    """One thing that happened.

    Attributes:
      id: its place: pass it as Last-Event-ID to go on behind it.
      kind, key: the object.
      memory_id: the memory that it is about; of a link, its source.
      agent_id: who did it, if this node knows.
      author: of the memory.
      own: whether this node wrote it, and not a peer.
    """

    id: str
    at: str
    event: str
    kind: str
    key: str
    memory_id: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    agent_id: str | UnsetType = UNSET
    author: str | UnsetType = UNSET
    version: str
    own: bool


class ResetOut(Struct, kw_only=True):
    """What a reader is told whose place is not in the log: read everything anew, then go on from here."""

    id: str
    reason: str


def event_out(event: Event, name: EventName, stream: str, memory_id: str | None) -> EventOut:
    """An event in wire form.

    Args:
      name: what it is to this reader.
      memory_id: the memory that it is about.
    """
    shown = event.was if name is EventName.DELETE and event.was is not None else event.exposure
    return EventOut(
        id=event_id(stream, event.no),
        at=format_instant(event.at),
        event=name.value,
        kind=event.kind,
        key=event.key,
        memory_id=UNSET if memory_id is None else memory_id,
        namespace=UNSET if shown is None or not shown.namespace else shown.namespace,
        agent_id=UNSET if event.agent_id is None else event.agent_id,
        author=UNSET if shown is None or shown.author is None or memory_id is None else shown.author,
        version=event.version,
        own=event.is_own,
    )


def event_id(stream: str, no: int) -> str:
    """The name of a place in this node's log of events."""
    return f"{stream[:8]}.{no}"
