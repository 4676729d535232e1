"""Agents that registered, and the messages that agents send each other."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model.ids import AgentId, MemoryId, Namespace
from aimem.model.instant import Instant
from aimem.model.memory import Tier

_INBOXES: Final = "_messages/"


class Agent(Struct, frozen=True, kw_only=True):
    """A registered agent.

    Attributes:
      registered_by: who registered it first; until identities are proven that may be anybody.
      last_seen_at: its latest registration.
    """

    agent_id: AgentId
    agent_type: str
    capabilities: tuple[str, ...]
    registered_at: Instant
    last_seen_at: Instant
    registered_by: AgentId


class Message(Struct, frozen=True, kw_only=True):
    """A message in an inbox.

    Attributes:
      read_at: when its recipient said that it was read; None means never.
      expires_at: None while it is unread, and for ever if its tier never ends.
    """

    id: MemoryId
    sender: AgentId
    title: str
    payload: str
    priority: int
    tier: Tier
    created_at: Instant
    read_at: Instant | None = None
    expires_at: Instant | None = None


def inbox_of(agent_id: AgentId) -> Namespace:
    """The namespace of an agent's messages. It need not be one that a caller could name: an id may hold `..`."""
    return Namespace(_INBOXES + agent_id)


def is_inbox(namespace: str) -> bool:
    """Whether a namespace is some agent's inbox."""
    return namespace.startswith(_INBOXES)


def recipient_of(inbox: str) -> AgentId:
    """Whose inbox a namespace is; the inverse of `inbox_of`."""
    return AgentId(inbox.removeprefix(_INBOXES))
