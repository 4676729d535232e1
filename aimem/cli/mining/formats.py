"""The formats that can be mined, and how each is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final  # Any: an export's values, of whatever kind

from msgspec import Struct

from aimem.cli.jsonstream import pieces
from aimem.cli.mining.conversations import (
    CONVERSATION_MAX_BYTES,
    Conversation,
    Message,
    Problem,
    decoded,
    joined,
    moment,
)
from aimem.cli.mining.files import Files
from aimem.cli.mining.tree import Node, active_branch, message_of
from aimem.errors import InvalidRequest

FORMATS: Final = ("claude", "chatgpt", "slack")
MESSAGE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of Slack's messages, which are read one by one."""

Read = tuple[Conversation | Problem, int]
"""A conversation, or why there is none, and how many bytes of the export it took."""


class _ChatGpt(Struct, kw_only=True):
    id: str | None = None
    conversation_id: str | None = None
    title: str | None = None
    create_time: Any = None
    current_node: str | None = None
    mapping: dict[str, Node]


class _ClaudeMessage(Struct, kw_only=True):
    uuid: str | None = None
    sender: str | None = None
    role: str | None = None
    text: str | None = None
    content: Any = None
    created_at: Any = None
    timestamp: Any = None


class _Claude(Struct, kw_only=True):
    uuid: str | None = None
    name: str | None = None
    created_at: Any = None
    chat_messages: list[_ClaudeMessage] = []
    mapping: dict[str, Node] | None = None
    current_node: str | None = None
    create_time: Any = None


class _SlackMessage(Struct, kw_only=True):
    user: str | None = None
    username: str | None = None
    text: str | None = None
    ts: Any = None


def read_conversations(kind: str, files: Files) -> Iterator[Read]:
    """Every conversation of an export, one held at a time. Raises: InvalidRequest if a file cannot be read."""
    if kind == "slack":
        yield from _slack(files)
        return
    make = _chatgpt if kind == "chatgpt" else _claude
    for name in files.conversations():
        with files.open(name) as stream:
            passed = 0
            for place, raw, end in _records(stream):
                yield _made(make, raw, f"{name}: {place}"), end - passed
                passed = end


def _made(make: Any, raw: bytes, where: str) -> Conversation | Problem:
    try:
        made: Conversation = make(raw)
    except InvalidRequest as error:
        return Problem(reason=f"{where}: {error.message}")
    return made


def _records(stream: BinaryIO) -> Iterator[tuple[str, bytes, int]]:
    """The elements of a JSON list, or the lines of JSON Lines: where each stands, and where it ends."""
    line = stream.readline(CONVERSATION_MAX_BYTES + 1)
    if not line.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        for one in pieces(stream, max_bytes=CONVERSATION_MAX_BYTES, head=line):
            if one.place is not None:
                yield f"conversation {one.place + 1}", one.raw, one.end
        return
    number, end = 1, 0
    while line:
        if len(line) > CONVERSATION_MAX_BYTES:
            raise InvalidRequest(f"line {number} has more than {CONVERSATION_MAX_BYTES} bytes", field="path")
        end += len(line)
        if line.strip():
            yield f"line {number}", line.removeprefix(b"\xef\xbb\xbf"), end
        line = stream.readline(CONVERSATION_MAX_BYTES + 1)
        number += 1


def _chatgpt(raw: bytes) -> Conversation:
    found = decoded(_ChatGpt, raw)
    said = map(message_of, active_branch(found.mapping, found.current_node))
    return Conversation(
        id=found.id or found.conversation_id or "", title=found.title or "", created_at=moment(found.create_time),
        messages=[message for message in said if message is not None])


def _claude(raw: bytes) -> Conversation:
    found = decoded(_Claude, raw)
    looks_like = ""
    if found.mapping is not None and not found.chat_messages:
        looks_like = "" if found.current_node is None and found.create_time is None else "chatgpt"
        said = list(map(message_of, active_branch(found.mapping, found.current_node)))
    else:
        said = list(map(_claude_message, found.chat_messages))
    return Conversation(
        id=found.uuid or "", title=found.name or "", created_at=moment(found.created_at),
        messages=[message for message in said if message is not None], looks_like=looks_like)


def _claude_message(found: _ClaudeMessage) -> Message | None:
    role = found.sender or found.role or "user"
    text = found.text or joined(found.content)
    if not text.strip():
        return None
    at = moment(found.created_at) or moment(found.timestamp)
    return Message(role="user" if role == "human" else role, text=text, at=at, id=found.uuid or None)


def _slack(files: Files) -> Iterator[Read]:
    people = _people(files)
    for channel, names in files.channels().items():
        problems: list[Problem] = []
        messages = _slack_messages(files, names, people, problems)
        yield Conversation(id=channel, title=f"#{channel}", created_at=None, messages=messages), sum(
            files.size_bytes(name) for name in names)
        yield from ((problem, 0) for problem in problems)


def _slack_messages(
    files: Files, names: list[str], people: dict[str, str], problems: list[Problem]
) -> Iterator[Message]:
    """A channel's messages, file by file (a file a day), by time within a file."""
    for name in names:
        found: list[Message] = []
        try:
            with files.open(name) as stream:
                for one in pieces(stream, max_bytes=MESSAGE_MAX_BYTES):
                    made = _made(_slack_message, one.raw, f"{name}: message {(one.place or 0) + 1}")
                    if isinstance(made, Problem):
                        problems.append(made)
                    else:
                        found += made.messages
        except InvalidRequest as error:
            problems.append(Problem(reason=f"{name}: {error.message}"))
        found.sort(key=lambda message: message.at or 0)
        for message in found:
            yield Message(role=people.get(message.role, message.role), text=message.text, at=message.at, id=message.id)


def _slack_message(raw: bytes) -> Conversation:
    """One message, as a conversation of its own; empty if nobody says anything in it."""
    found = decoded(_SlackMessage, raw)
    text, at = found.text or "", moment(found.ts)
    said = Message(
        role=found.user or found.username or "unknown", text=text, at=at, id=None if at is None else str(found.ts))
    return Conversation(id="", title="", created_at=at, messages=[said] if text.strip() else [])


def _people(files: Files) -> dict[str, str]:
    """User id -> name, where the export says so."""
    people: dict[str, str] = {}
    for name in files.named("users.json"):
        try:
            with files.open(name) as stream:
                for one in pieces(stream, max_bytes=MESSAGE_MAX_BYTES):
                    user = decoded(dict[str, Any], one.raw)
                    known = user.get("real_name") or user.get("name")
                    if isinstance(user.get("id"), str) and isinstance(known, str) and known.strip():
                        people[user["id"]] = known.strip()
        except InvalidRequest:
            continue        # without names the ids do
    return people
