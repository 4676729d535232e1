"""Subscriptions: whom events are sent to, and which."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model.event import Event, EventName, event_for
from aimem.model.ids import AgentId
from aimem.model.instant import Instant
from aimem.model.principal import Principal
from aimem.model.sight import Spot

EVERY_EVENT: Final = "*"
EVENT_PREFIX: Final = "memory_"
"""What v0.6.3 puts before the name of an event; a subscription may leave it out."""

NOWHERE: Final = "http://localhost/_ns/"
"""How the address begins of a subscription that was given none: nothing is ever sent to it."""


class Subscription(Struct, frozen=True, kw_only=True):
    """A wish to be told of events at an address.

    Attributes:
      events: names, as they were given; `*` for every one.
      signing_key: what deliveries are signed with, in hexadecimal; None if no secret was given.
      namespace_filter, agent_filter: exactly this namespace, exactly this agent's doings; None for all.
      by_operator: whether an operator made it.
    """

    id: str
    url: str
    events: tuple[str, ...]
    signing_key: str | None
    namespace: str | None
    namespace_filter: str | None
    agent_filter: str | None
    created_by: AgentId
    by_operator: bool
    created_at: Instant

    @property
    def is_sent(self) -> bool:
        """Whether it has an address to send to."""
        return not self.url.startswith(NOWHERE)

    def wants(self, name: EventName) -> bool:
        """Whether it asks for events of a name."""
        return any(wish in (EVERY_EVENT, name.value, EVENT_PREFIX + name.value) for wish in self.events)

    def told_of(self, event: Event, who: Principal) -> EventName | None:
        """What an event is to this subscription on behalf of its maker, or None if it is nothing to it.

        What happened before it was made is not told.
        """
        if event.at <= self.created_at or self.agent_filter not in (None, event.agent_id):
            return None
        area = None if self.namespace_filter is None else Spot(self.namespace_filter)
        name = event_for(event, who, area)
        return name if name is not None and self.wants(name) else None
