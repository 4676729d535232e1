"""Messages between agents: sending, the inbox, and what was read."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.model import Message, format_instant


class NotifyRequest(Struct, kw_only=True):
    """Body of POST /notify.

    The recipient is `target_agent_id` or `to`, the title `title` or `subject`, the text `payload`, `content` or `body`.
    """

    target_agent_id: str | None = None
    to: str | None = None
    title: str | None = None
    subject: str | None = None
    payload: str | None = None
    content: str | None = None
    body: str | None = None
    priority: int | None = None
    tier: str | None = None
    agent_id: str | None = None


class Notified(Struct, kw_only=True, rename={"sender": "from", "recipient": "to"}):
    """Answer to a message."""

    id: str
    sender: str
    recipient: str
    namespace: str
    tier: str
    delivered_at: str
    version: str | UnsetType = UNSET


class InboxQuery(Struct, kw_only=True):
    """Query of GET /inbox. `agent_id` is the caller; another one's inbox is refused."""

    agent_id: str | None = None
    unread_only: bool = False
    limit: int = 50
    offset: int = 0


class InboxMessage(Struct, kw_only=True, rename={"sender": "from"}):
    """A message as its recipient reads it.

    Attributes:
      access_count: 1 once it was marked as read, so that clients which go by it agree with `read`.
      expires_at: absent while it is unread, and for ever with tier long.
    """

    id: str
    sender: str
    title: str
    payload: str
    priority: int
    tier: str
    created_at: str
    read: bool
    access_count: int
    read_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


class Inbox(Struct, kw_only=True):
    """A page of an inbox: by priority, then the newest first. `unread_count` is of the whole inbox."""

    agent_id: str
    namespace: str
    count: int
    unread_only: bool
    messages: tuple[InboxMessage, ...]
    unread_count: int


class ReadRequest(Struct, kw_only=True):
    """Body of POST /inbox/read: which messages of the caller's inbox were read."""

    ids: list[str]
    agent_id: str | None = None


class MarkedRead(Struct, kw_only=True):
    """Answer to POST /inbox/read; `read` holds those too that were read already."""

    read: tuple[str, ...]
    missing: tuple[str, ...]
    count: int
    version: str | UnsetType = UNSET


class MessageQuery(Struct, kw_only=True):
    """Query of DELETE /inbox/{id}."""

    agent_id: str | None = None


def inbox_message(message: Message) -> InboxMessage:
    """A message in wire form."""
    is_read = message.read_at is not None
    return InboxMessage(
        id=message.id,
        sender=message.sender,
        title=message.title,
        payload=message.payload,
        priority=message.priority,
        tier=message.tier.value,
        created_at=format_instant(message.created_at),
        read=is_read,
        access_count=int(is_read),
        read_at=UNSET if message.read_at is None else format_instant(message.read_at),
        expires_at=UNSET if message.expires_at is None else format_instant(message.expires_at),
    )
