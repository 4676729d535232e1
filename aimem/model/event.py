"""Events: what happened to an object, and who may be told of it. They never hold texts of memories."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model.agent import is_inbox, recipient_of
from aimem.model.ids import AgentId
from aimem.model.instant import Instant
from aimem.model.principal import Principal, Role
from aimem.model.sight import Ground, Spot

_OF_THE_PROGRAM = "_"


class EventName(StrEnum):
    """What can happen."""

    STORE = "store"
    UPDATE = "update"
    PROMOTE = "promote"
    ARCHIVE = "archive"
    RESTORE = "restore"
    DELETE = "delete"
    CONSOLIDATE = "consolidate"
    ENTITY = "entity"
    NOTIFY = "notify"
    LINK = "link"
    LINK_DELETE = "link_delete"
    LINK_INVALIDATE = "link_invalidate"
    AGENT = "agent"
    AGENT_KEY = "agent_key"
    NAMESPACE_STANDARD = "namespace_standard"
    PENDING = "pending"
    PENDING_VOTE = "pending_vote"
    PENDING_COMMENT = "pending_comment"
    PENDING_DECISION = "pending_decision"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


class Exposure(Struct, frozen=True, array_like=True):
    """What decides who may see an object: the three fields that `Sight` judges.

    What lies in no namespace has an empty one; with scope `private` it is then seen by its author alone.
    """

    namespace: str
    scope: str | None
    author: str | None


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened to one object, as this node learned of it.

    Attributes:
      no: its place in this node's log of events; later ones have greater numbers.
      at: when this node noted it.
      kind, key: the object; an alias counts as its entity, a vote and a comment as the action that they are about.
      exposure: of the object then; of one that is gone, as it was last. None: only for those who see everything.
      was: its exposure before, if the event changed it.
      other: of a link, its target's exposure: who is to see the link must see both ends.
      agent_id: who did it, if that is known here.
      version: of the op.
      is_own: whether this node wrote that op.
    """

    no: int
    at: Instant
    event: EventName
    kind: str
    key: str
    exposure: Exposure | None
    was: Exposure | None = None
    other: Exposure | None = None
    agent_id: AgentId | None = None
    version: str
    is_own: bool


def event_for(event: Event, who: Principal, area: Ground | Spot | None = None) -> EventName | None:
    """What an event is to a reader, or None if it is nothing to it.

    What moves out of a reader's sight is deleted for that reader; what moves into it is stored.

    Args:
      area: what the reader narrows to: a namespace, with or without all below it.
    """
    if event.other is not None:
        ends = (event.exposure, event.other)
        is_seen = all(_is_shown(end, who, None) for end in ends) and any(_is_shown(end, who, area) for end in ends)
        return event.event if is_seen else None
    is_seen = _is_shown(event.exposure, who, area)
    if event.was is None:
        return event.event if is_seen else None
    was_seen = _is_shown(event.was, who, area)
    if is_seen:
        return event.event if was_seen else EventName.STORE
    return EventName.DELETE if was_seen else None


def _is_shown(exposure: Exposure | None, who: Principal, area: Ground | Spot | None) -> bool:
    if exposure is None:
        return area is None and not who.sights
    namespace = exposure.namespace
    if area is not None and not area.holds(namespace):
        return False
    if is_inbox(namespace):
        return who.role is Role.OPERATOR or recipient_of(namespace) == who.agent_id
    if namespace.startswith(_OF_THE_PROGRAM) and (area is None or not area.path.startswith(_OF_THE_PROGRAM)):
        return False    # what the program keeps for itself concerns nobody who did not name it
    return who.sees(namespace=namespace, scope=exposure.scope, author=exposure.author)
