"""Conversations as memories: one each, in parts where one memory cannot hold it; or one for each turn.

Parts are filled from the beginning, so that a conversation that grew since changes its last part and adds more, and
leaves the others as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from msgspec import Struct

from aimem.cli.mining.conversations import Conversation, Message, Shape, clean
from aimem.model import Instant, MemoryId, derived_memory_id, format_instant, rules
from aimem.wire import ImportMemory

TITLE_FROM_TEXT_BYTES: Final = 100
CONFIDENCE: Final = 0.8
UNTITLED: Final = "untitled conversation"
ID_MAX_CHARS: Final = 200


class Manner(Struct, frozen=True, kw_only=True):
    """How conversations become memories.

    Attributes:
      kind: the format's name.
      min_messages: a conversation with fewer is passed over.
      now: what is dated later counts as undated.
    """

    kind: str
    namespace: str
    tier: str
    min_messages: int
    shape: Shape
    now: Instant


class _Part:
    """Text that is being filled, with what it holds. `key` tells it from the others of its conversation."""

    def __init__(self, number: int, key: str) -> None:
        self.number, self.key = number, key
        self.pieces: list[str] = []
        self.size_bytes = 0
        self.messages: list[Message] = []

    def add(self, message: Message, text: str) -> None:
        self.size_bytes += len(text.encode()) + bool(self.pieces)
        self.pieces.append(text)
        self.messages.append(message)

    def times(self, now: Instant) -> list[Instant]:
        return [message.at for message in self.messages if message.at is not None and message.at <= now]


def memories_of(conversation: Conversation, manner: Manner) -> Iterator[ImportMemory] | None:
    """The memories of one conversation, made as they are read; None if it is too short."""
    messages = iter(conversation.messages)
    head = list(islice(messages, max(1, manner.min_messages)))
    if len(head) < max(1, manner.min_messages):
        return None
    identity = conversation.id or _identity(conversation, head[0])
    title = _title(conversation, head)
    filled = _by_size if manner.shape is Shape.CONVERSATION else _by_turn
    parts = filled(_cleaned(chain(head, messages)))
    return (_memory(conversation, identity, title, part, manner) for part in parts)


def _identity(conversation: Conversation, first: Message) -> str:
    """An id for a conversation that has none: its beginning, which stays when it grows."""
    text = f"{conversation.created_at}\n{conversation.title}\n{first.role}\n{first.text}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def _title(conversation: Conversation, head: list[Message]) -> str:
    line = " ".join(clean(conversation.title).split())
    if not line:
        said = next((message.text for message in head if message.role == "user"), head[0].text)
        line = " ".join(clean(said).split()).encode()[:TITLE_FROM_TEXT_BYTES].decode(errors="ignore").strip()
    return line[: rules.TITLE_MAX_CHARS - 40] or UNTITLED


def _cleaned(messages: Iterable[Message]) -> Iterator[Message]:
    for message in messages:
        role = " ".join(clean(message.role).split()) or "unknown"
        yield Message(role=role[:100], text=clean(message.text), at=message.at, id=message.id)


def _by_size(messages: Iterable[Message]) -> Iterator[_Part]:
    part = _Part(1, "1")
    for message in messages:
        for text in _bounded(message):
            if part.pieces and part.size_bytes + 1 + len(text.encode()) > rules.CONTENT_MAX_BYTES:
                yield part
                part = _Part(part.number + 1, str(part.number + 1))
            part.add(message, text)
    if part.pieces:
        yield part


def _by_turn(messages: Iterable[Message]) -> Iterator[_Part]:
    for number, message in enumerate(messages, 1):
        # Its own id stays where another branch moves it; without one its place and beginning stand for it.
        key = message.id or f"{number} {message.text[:64]}"
        for piece, text in enumerate(_cut(message.text, rules.CONTENT_MAX_BYTES)):
            part = _Part(number, f"{key} {piece}")
            part.add(message, text)
            yield part


def _bounded(message: Message) -> Iterator[str]:
    """A message as lines of a conversation; what no memory can hold is cut, and nothing is left out."""
    lead = f"[{message.role}]: "
    for text in _cut(message.text, rules.CONTENT_MAX_BYTES - len(lead.encode()) - len(" (continued)")):
        yield lead + text
        lead = f"[{message.role}] (continued): "


def _cut(text: str, max_bytes: int) -> Iterator[str]:
    """The text in pieces of at most so many bytes, cut between characters."""
    data = text.encode()
    while data:
        end = min(max_bytes, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:     # within a character
            end -= 1
        piece, data = data[:end].decode(), data[end:]
        if piece.strip():
            yield piece


def _memory(conversation: Conversation, identity: str, title: str, part: _Part, manner: Manner) -> ImportMemory:
    source, times = f"mine-{manner.kind}", part.times(manner.now)
    begun = conversation.created_at if part.number == 1 or not times else times[0]
    created = begun if begun is not None and begun <= manner.now else (times[0] if times else None)
    metadata: dict[str, object] = {
        "mined_from": manner.kind, "conversation_id": identity[:ID_MAX_CHARS], "messages": len(part.messages)}
    if manner.shape is Shape.TURN:
        metadata |= {"role": part.messages[0].role, "turn": part.number}
    else:
        metadata["part"] = part.number
    return ImportMemory(
        id=_id(identity, part, manner), title=_titled(title, part, manner), content="\n".join(part.pieces),
        tier=manner.tier, namespace=manner.namespace, tags=[source], priority=5, confidence=CONFIDENCE, source=source,
        created_at=None if created is None else format_instant(created),
        updated_at=format_instant(max(times)) if times else None, metadata=metadata)


def _titled(title: str, part: _Part, manner: Manner) -> str:
    if manner.shape is Shape.TURN:
        return f"{title} (message {part.number})"
    return title if part.number == 1 else f"{title} (part {part.number})"


def _id(identity: str, part: _Part, manner: Manner) -> MemoryId:
    """The same for the same piece of the same conversation, so that mining again finds what it stored."""
    name = f"{manner.namespace}\n{manner.shape}\n{identity}\n{part.key}"
    return derived_memory_id(f"mine-{manner.kind}", name, 0)
