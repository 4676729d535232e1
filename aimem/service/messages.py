"""Messages between agents: append-only, seen by their recipient alone, kept until they are read."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct

from aimem.errors import Code, InvalidRequest, NotFound, QuotaExceeded
from aimem.model import (
    AgentId,
    Entry,
    FieldValue,
    Instant,
    MemoryId,
    Message,
    Principal,
    Scope,
    Tier,
    format_instant,
    inbox_of,
    rules,
)
from aimem.ports import Connection
from aimem.service.callers import speaker
from aimem.service.drafts import metadata_value, name_value
from aimem.service.node import Node, Once, Policy
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.writing import write_as
from aimem.store import LIVE, MEMORY, Transaction, messages
from aimem.wire import (
    Deleted,
    Inbox,
    InboxQuery,
    MarkedRead,
    Notified,
    NotifyRequest,
    ReadRequest,
    inbox_message,
)

PAGE_MAX: Final = 500
READ_MAX: Final = 1000
UNREAD_MAX: Final = 10_000
"""An inbox that nobody reads takes so many messages, and then refuses further ones."""

MESSAGE_TAG: Final = "_message"
MESSAGE_KIND: Final = "notify"
_RECIPIENT = ("target_agent_id", "to")
_TITLE = ("title", "subject")
_PAYLOAD = ("payload", "content", "body")


class Letter(Struct, frozen=True, kw_only=True):
    """A message to be sent, complete and checked."""

    sender: AgentId
    recipient: AgentId
    title: str
    payload: str
    priority: int
    tier: Tier


def letter_of(request: NotifyRequest, who: Principal) -> Letter:
    """Check a message. Raises: InvalidRequest naming the field; Denied if it names another sender than the caller."""
    title, title_field = _given(request, _TITLE)
    payload, payload_field = _given(request, _PAYLOAD)
    recipient, recipient_field = _given(request, _RECIPIENT)
    checked = rules.title(title, field=title_field)
    if not checked:
        raise InvalidRequest(f"{title_field} is blank; say what the message is about", field=title_field)
    return Letter(
        sender=speaker(who, request.agent_id),
        recipient=rules.agent_id(recipient, field=recipient_field),
        title=checked,
        payload=rules.content(payload, field=payload_field),
        priority=5 if request.priority is None else rules.priority(request.priority),
        tier=Tier.MID if request.tier is None else rules.choice(Tier, request.tier, field="tier"),
    )


def _given(request: NotifyRequest, names: tuple[str, ...]) -> tuple[str, str]:
    """The one value under any of these names, and that name."""
    given = {name: text for name in names if (text := getattr(request, name)) is not None}
    if not given:
        raise InvalidRequest(f"{names[0]} is missing", code=Code.SCHEMA_MISMATCH, field=names[0])
    name, text = next(iter(given.items()))
    if any(other != text for other in given.values()):
        raise InvalidRequest(f"{' and '.join(given)} say the same thing; give one of them", field=name)
    return text, name


async def notify(node: Node, who: Principal, request: NotifyRequest, once: Once | None = None) -> Notified:
    """Send a message. Every one is a new one, whatever its title; its author is the caller.

    Raises: InvalidRequest naming the field, Denied, QuotaExceeded if the inbox is full, Unavailable.
    """
    letter = letter_of(request, who)
    answer: Notified = (await write_as(node, who, _notify, node, who, letter, once)).value
    return answer


def _notify(transaction: Transaction, node: Node, who: Principal, letter: Letter, once: Once | None) -> Notified:
    def run() -> Notified:
        now, memory_id = transaction.now, fresh_id(node, who, once)
        refuse_taken(transaction, memory_id)
        if messages.has_unread(transaction.conn, letter.recipient, UNREAD_MAX, now):
            raise QuotaExceeded(
                f"the inbox of {letter.recipient} is full: {UNREAD_MAX} unread messages; "
                "it takes more once some of them are read",
                field="target_agent_id",
                limit=UNREAD_MAX,
            )
        entry = transaction.create(MEMORY, memory_id, letter.sender, message_fields(letter, now))
        dot = transaction.emit("notify", [entry])
        return Notified(
            id=memory_id,
            sender=letter.sender,
            recipient=letter.recipient,
            namespace=inbox_of(letter.recipient),
            tier=letter.tier.value,
            delivered_at=format_instant(now),
            version=str(dot),
        )

    return answer_once(transaction, node, who, once, Notified, run)


def message_fields(letter: Letter, now: Instant) -> dict[str, FieldValue]:
    """All fields of a new message. It does not expire: its tier's time begins when it is read."""
    return {
        "name": name_value(inbox_of(letter.recipient), letter.title, is_generated=False),
        "content": letter.payload,
        "tags": (MESSAGE_TAG,),
        "tier": letter.tier.value,
        "priority": letter.priority,
        "confidence": 1.0,
        "source": MESSAGE_KIND,
        "metadata": _metadata(letter.recipient, None),
        "scope": Scope.PRIVATE.value,
        "created_at": now,
        "updated_at": now,
        "expires_at": None,
        "lifecycle": LIVE,
    }


def _metadata(recipient: AgentId, read_at: Instant | None) -> FieldValue:
    known: dict[str, object] = {"recipient_agent_id": recipient, "message_kind": MESSAGE_KIND}
    return metadata_value(known if read_at is None else {**known, "read_at": read_at})


async def inbox(node: Node, who: Principal, query: InboxQuery) -> Inbox:
    """A page of the caller's messages. Reading marks nothing.

    Raises: InvalidRequest naming the parameter, Denied for another agent's inbox, Unavailable.
    """
    agent_id = speaker(who, query.agent_id)
    which = messages.Which(
        unread_only=query.unread_only,
        limit=rules.bounded(query.limit, 0, PAGE_MAX, field="limit"),
        offset=rules.bounded(query.offset, 0, 2**31, field="offset"),
    )
    now = node.clock.now()

    def read(conn: Connection) -> tuple[tuple[Message, ...], int]:
        return messages.page(conn, agent_id, which, now), messages.count_unread(conn, agent_id, now)

    found, unread_count = await node.store.read(read)
    return Inbox(
        agent_id=agent_id,
        namespace=inbox_of(agent_id),
        count=len(found),
        unread_only=query.unread_only,
        messages=tuple(inbox_message(message) for message in found),
        unread_count=unread_count,
    )


async def mark_read(node: Node, who: Principal, request: ReadRequest, once: Once | None = None) -> MarkedRead:
    """Say that messages of the caller's inbox were read: from now on their tier's lifetime counts.

    Raises: InvalidRequest, Denied for another agent's inbox, Unavailable.
    """
    agent_id = speaker(who, request.agent_id)
    rules.bounded(len(request.ids), 1, READ_MAX, field="ids")
    ids = tuple(dict.fromkeys(rules.memory_id(text, field=f"ids[{i}]") for i, text in enumerate(request.ids)))
    answer: MarkedRead = (await write_as(node, who, _mark_read, node, who, agent_id, ids, once)).value
    return answer


def _mark_read(
    transaction: Transaction,
    node: Node,
    who: Principal,
    agent_id: AgentId,
    ids: tuple[MemoryId, ...],
    once: Once | None,
) -> MarkedRead:
    def run() -> MarkedRead:
        there = {one.id: one for one in messages.by_ids(transaction.conn, agent_id, ids, transaction.now)}
        fresh = [message for message in there.values() if message.read_at is None]
        entries = [_reading(transaction, node.policy, agent_id, message) for message in fresh]
        return MarkedRead(
            read=tuple(i for i in ids if i in there),
            missing=tuple(i for i in ids if i not in there),
            count=len(there),
            version=str(transaction.emit("read", entries)) if entries else UNSET,
        )

    return answer_once(transaction, node, who, once, MarkedRead, run)


def _reading(transaction: Transaction, policy: Policy, recipient: AgentId, message: Message) -> Entry:
    now = transaction.now
    fields: dict[str, FieldValue] = {
        "metadata": _metadata(recipient, now),
        "expires_at": policy.lifetimes.expiry(message.tier, now),
    }
    return transaction.change(MEMORY, message.id, fields)


async def delete_message(
    node: Node, who: Principal, message_id: str, named: str | None, once: Once | None = None
) -> Deleted:
    """Delete a message from the caller's inbox, read or not, for ever.

    Args:
      named: the caller as the request names it, if it does.

    Raises: NotFound, InvalidRequest, Denied for another agent's inbox, Unavailable.
    """
    agent_id, whole = speaker(who, named), rules.memory_id(message_id)
    answer: Deleted = (await write_as(node, who, _delete, node, who, agent_id, whole, once)).value
    return answer


def _delete(
    transaction: Transaction, node: Node, who: Principal, agent_id: AgentId, message_id: MemoryId, once: Once | None
) -> Deleted:
    def run() -> Deleted:
        if not messages.by_ids(transaction.conn, agent_id, (message_id,), transaction.now):
            raise NotFound(f"not found: no message {message_id!r} is in the inbox of {agent_id}", field="id")
        dot = transaction.emit("delete", [transaction.bury(MEMORY, message_id)])
        return Deleted(deleted=True, id=message_id, version=str(dot))

    return answer_once(transaction, node, who, once, Deleted, run)
