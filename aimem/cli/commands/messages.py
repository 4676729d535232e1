"""Verbs on messages: notify, inbox and what is done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from aimem.cli.commands.memories import content_of
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import age, counted, one_line
from aimem.errors import NotFound
from aimem.wire import Inbox, InboxMessage, InboxQuery, NotifyRequest, ReadRequest

if TYPE_CHECKING:
    from aimem.client import Client


class DeletedMessages(Struct, frozen=True, kw_only=True):
    """What `inbox delete --json` prints."""

    deleted: tuple[str, ...]
    missing: tuple[str, ...]


def notify(context: Context) -> int:
    """Send a message."""
    value = context.value
    request = NotifyRequest(
        target_agent_id=value("target"), title=value("title"), payload=content_of(context), priority=value("priority"),
        tier=value("tier"))
    sent = context.ask(lambda client: client.notify(request))
    if context.wants_json:
        context.screen.json(sent)
    else:
        context.screen.line(f"sent: {sent.id} to {sent.recipient} (from {sent.sender})")
    return ExitStatus.OK


def inbox(context: Context) -> int:
    """Show the caller's messages, and mark them as read if that is said."""
    value = context.value
    query = InboxQuery(unread_only=value("unread_only"), limit=value("limit"), offset=value("offset"))
    _refuse_nobody(context)

    async def act(client: Client) -> tuple[Inbox, int]:
        found = await client.inbox(query)
        unread = [message.id for message in found.messages if not message.read]
        if not (unread and value("mark_read")):
            return found, 0
        return found, (await client.mark_read(ReadRequest(ids=unread))).count

    found, marked_count = context.ask(act)
    if context.wants_json:
        context.screen.json(found)
    else:
        for message in found.messages:
            _show(context, message)
    marked = f", {marked_count} marked as read" if marked_count else ""
    context.screen.say(f"{counted(found.count, 'message')} to {found.agent_id}, {found.unread_count} unread{marked}")
    return ExitStatus.OK


def _show(context: Context, message: InboxMessage) -> None:
    when = age(message.created_at, context.around.now())
    state = "read" if message.read else "unread"
    context.screen.line(f"{message.id}  from {message.sender}, {when}, priority {message.priority}, {state}")
    context.screen.line(one_line(message.title))
    for line in message.payload.splitlines():
        context.screen.line(f"    {line}".rstrip())
    context.screen.line()


def mark_read(context: Context) -> int:
    """Mark messages as read. One that is not there is named, and the others are marked."""
    _refuse_nobody(context)
    request = ReadRequest(ids=context.value("id"))
    answer = context.ask(lambda client: client.mark_read(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        for message_id in answer.read:
            context.screen.line(f"read: {message_id}")
    return _told_missing(context, answer.missing)


def delete(context: Context) -> int:
    """Delete messages. One that is not there is named, and the others are deleted."""
    _refuse_nobody(context)
    ids: list[str] = context.value("id")

    async def act(client: Client) -> DeletedMessages:
        deleted, missing = [], []
        for message_id in ids:
            try:
                await client.delete_message(message_id)
                deleted.append(message_id)
            except NotFound:
                missing.append(message_id)
        return DeletedMessages(deleted=tuple(deleted), missing=tuple(missing))

    answer = context.ask(act)
    if context.wants_json:
        context.screen.json(answer)
    else:
        for message_id in answer.deleted:
            context.screen.line(f"deleted: {message_id}")
    return _told_missing(context, answer.missing)


def _told_missing(context: Context, missing: tuple[str, ...]) -> int:
    for message_id in missing:
        context.screen.say(f"error: not found: no message {message_id!r} is in this inbox; give whole ids")
    return ExitStatus.NOT_FOUND if missing else ExitStatus.OK


def _refuse_nobody(context: Context) -> None:
    """The id that is made for a command without an identity is new each time: its inbox would always be empty."""
    identity = context.config.identity
    if not identity.agent_id and not identity.agent_key:
        raise UsageError("whose inbox? Give --agent-id, or set AI_MEMORY_AGENT_ID")
