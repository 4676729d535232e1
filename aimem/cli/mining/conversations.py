"""What all exports come to: conversations of messages; and what all of them need read: times and texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, TypeVar  # Any: an export's values, of whatever kind

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.model import SECOND_US, Instant, parse_instant

T = TypeVar("T")

CONVERSATION_MAX_BYTES: Final = 64 * 1024 * 1024
"""One conversation is held as a whole; ten thousand long messages with all their branches take half of this."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER: Final = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)


class Shape(StrEnum):
    """What becomes one memory."""

    CONVERSATION = "conversation"
    TURN = "turn"


class Message(Struct, frozen=True, kw_only=True):
    """What somebody said; `id` is the export's own, if it has one."""

    role: str
    text: str
    at: Instant | None = None
    id: str | None = None


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation.

    Attributes:
      id: the export's own, or else empty.
      messages: in order, those with a text; may be read as they are needed, once.
      looks_like: the format whose marks it has, if that is another one than it was read as; else empty.
    """

    id: str
    title: str
    created_at: Instant | None
    messages: Iterable[Message]
    looks_like: str = ""


class Problem(Struct, frozen=True, kw_only=True):
    """A part of an export that is none; `reason` names its place."""

    reason: str


def decoded(kind: type[T], raw: bytes) -> T:
    """A piece of an export as a value. Half surrogates, which exports hold where an emoji was cut, are let pass.

    Raises: InvalidRequest.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(raw), kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InvalidRequest(str(error) or "nested too deeply") from None


def moment(value: Any) -> Instant | None:
    """A time of an export, None if it is none: seconds since 1970, as number or text, or RFC 3339 (UTC if no zone)."""
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value)
        if found:
            return Instant(int(found[1]) * SECOND_US + int((found[2] or "0").ljust(6, "0")[:6]))
        for text in (value, value + "Z"):
            try:
                return parse_instant(text, field="time")
            except InvalidRequest:
                continue
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return Instant(round(value * SECOND_US)) if 0 < value < 10**11 else None


def clean(text: str) -> str:
    """The text with what no memory may hold (control characters, half surrogates) replaced."""
    return _CONTROL.sub("\ufffd", text)


def joined(parts: Any) -> str:
    """The text of a message's content: a text, or a list of texts and of objects that have one; others are named."""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    return "\n".join(text for text in map(_part, parts) if text.strip())


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    if isinstance(text, str):
        return text
    kind = part.get("content_type") or part.get("type")
    return f"[{kind}]" if isinstance(kind, str) else ""
