"""The limits of every field, in one place: each function returns the normalised value or raises InvalidRequest.

Limits are those of v0.6.3 (ai-memory-api(7), LIMITS). Texts are trimmed where v0.6.3 measured them trimmed and stored
them untrimmed. Every message says what was given and what is allowed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from aimem.errors import Code, Denied, InvalidRequest
from aimem.model.agentkey import key_id_of
from aimem.model.ids import AgentId, MemoryId, Namespace
from aimem.model.memory import JsonObject

TITLE_MAX_CHARS: Final = 512
CONTENT_MAX_BYTES: Final = 65_536
NAMESPACE_MAX_CHARS: Final = 512
NAMESPACE_MAX_DEPTH: Final = 8
ID_MAX_BYTES: Final = 128
ID_PREFIX_MIN_CHARS: Final = 4
AGENT_ID_MAX_BYTES: Final = 128
AGENT_ID_PATTERN: Final = "[A-Za-z0-9_\\-:@./]+"
AGENT_TYPE_MAX_BYTES: Final = 64
TAGS_MAX_COUNT: Final = 50
TAG_MAX_BYTES: Final = 128
METADATA_MAX_BYTES: Final = 65_536
METADATA_MAX_DEPTH: Final = 32
TTL_MAX_S: Final = 31_536_000
PRIORITY_RANGE: Final = range(1, 11)
QUERY_MAX_BYTES: Final = 65_536
IDEMPOTENCY_KEY_MAX_BYTES: Final = 255
ALIASES_MAX_COUNT: Final = 50
ALIAS_MAX_BYTES: Final = 256
REASON_MAX_CHARS: Final = 128

RESERVED_METADATA: Final = frozenset({"agent_id", "scope"})
"""Keys of `metadata` that are fields of their own: accepted where v0.6.3 accepted them, never stored inside."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""All of Unicode's category Cc."""
_CONTROL_NAMES = {"\n": "line feed", "\t": "tab", "\r": "carriage return"}
_AGENT_ID = re.compile(AGENT_ID_PATTERN, re.ASCII)
_AGENT_TYPE = re.compile(r"human|system|ai:[A-Za-z0-9_.\-]+", re.ASCII)
_SOURCE = re.compile(r"[a-z0-9_.:-]{1,64}", re.ASCII)
_Choice = TypeVar("_Choice", bound=StrEnum)


def _bytes_of(text: str, field: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field} holds half of a surrogate pair; send well-formed Unicode", field=field) from None


def _refuse_control(text: str, field: str, allowed: str) -> None:
    names = [_CONTROL_NAMES[char] for char in allowed]
    words = f"only {', '.join(names[:-1])} and {names[-1]} are" if names else "none is"
    for found in _CONTROL.finditer(text):
        position, char = found.start(), found.group()
        if char not in allowed:
            raise InvalidRequest(
                f"{field} has the control character U+{ord(char):04X} at position {position}; {words} allowed",
                field=field,
            )


def choice(kind: type[_Choice], value: str, *, field: str, code: Code = Code.INVALID_REQUEST) -> _Choice:
    """Read one of a closed set; the message lists the set. Raises: InvalidRequest with this code."""
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(kind)
        raise InvalidRequest(
            f"{field}: {value[:64]!r} is unknown; allowed are {allowed}", code=code, field=field
        ) from None


def title(text: str, *, field: str = "title") -> str:
    """A title, trimmed; may come back empty, which asks for a generated one."""
    trimmed = text.strip()
    _bytes_of(trimmed, field)
    if len(trimmed) > TITLE_MAX_CHARS:
        raise InvalidRequest(
            f"{field} has {len(trimmed)} characters; at most {TITLE_MAX_CHARS} are allowed", field=field
        )
    _refuse_control(trimmed, field, "\n\t")
    return trimmed


def content(text: str, *, field: str = "content") -> str:
    """The text of a memory: not blank, stored as given."""
    size = _bytes_of(text, field)
    if not text.strip():
        raise InvalidRequest(f"{field} is blank; give the text to remember", field=field)
    if size > CONTENT_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes; at most {CONTENT_MAX_BYTES} are allowed", field=field)
    _refuse_control(text, field, "\n\t\r")
    return text


def namespace(text: str, *, field: str = "namespace") -> Namespace:
    """A path of 1 to 8 segments divided by `/`; `*` names the global standard."""
    trimmed = text.strip()
    _bytes_of(trimmed, field)
    chars, segments = len(trimmed), trimmed.split("/")
    problem = (
        "is empty" if not trimmed
        else f"has {chars} characters; at most {NAMESPACE_MAX_CHARS} are allowed" if chars > NAMESPACE_MAX_CHARS
        else f"has {len(segments)} segments; at most {NAMESPACE_MAX_DEPTH} are allowed"
        if len(segments) > NAMESPACE_MAX_DEPTH
        else "has an empty, '.' or '..' segment, or a slash at an end" if any(s in ("", ".", "..") for s in segments)
        else "has a space, a backslash or a control character" if any(
            c in " \\" or unicodedata.category(c) in ("Cc", "Zs", "Zl", "Zp") for c in trimmed)
        else ""
    )
    if problem:
        raise InvalidRequest(f"{field} {trimmed[:80]!r} {problem}; write it like team/project", field=field)
    return Namespace(trimmed)


def writable_namespace(text: str, *, field: str = "namespace") -> Namespace:
    """A namespace that generic writes may name: those that begin with `_` belong to the system.

    Raises: Denied(reserved_namespace).
    """
    checked = namespace(text, field=field)
    if checked.startswith("_") or checked == "*":
        raise Denied(
            f"{field} {checked[:80]!r} is kept by the system; choose one that does not begin with '_' and is not '*'",
            code=Code.RESERVED_NAMESPACE, field=field,
        )
    return checked


def memory_id(text: str, *, field: str = "id") -> MemoryId:
    """A whole id: 1 to 128 bytes without control characters."""
    trimmed = text.strip()
    size = _bytes_of(trimmed, field)
    if not 0 < size <= ID_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes; 1 to {ID_MAX_BYTES} are allowed", field=field)
    _refuse_control(trimmed, field, "")
    return MemoryId(trimmed)


def agent_id(text: str, *, field: str = "agent_id") -> AgentId:
    """An agent's id: 1 to 128 of letters, digits and `_ - : @ . /`; no key, which everybody could read as an id."""
    if key_id_of(text) is not None:
        raise InvalidRequest(f"{field}: this is a key, and no agent id; it goes into X-API-Key alone", field=field)
    if not (0 < len(text) <= AGENT_ID_MAX_BYTES and _AGENT_ID.fullmatch(text)):
        raise InvalidRequest(
            f"{field}: {text[:64]!r} is an invalid agent id; "
            f"allowed are 1 to {AGENT_ID_MAX_BYTES} letters, digits and _ - : @ . /",
            field=field,
        )
    return AgentId(text)


def agent_type(text: str, *, field: str = "agent_type") -> str:
    """What an agent is: `human`, `system`, or `ai:` and the name of a model or program."""
    if not (len(text) <= AGENT_TYPE_MAX_BYTES and _AGENT_TYPE.fullmatch(text)):
        raise InvalidRequest(
            f"{field}: {text[:80]!r} is unknown; allowed are human, system, and ai: with a name of letters, digits and "
            f"_ . - after it, at most {AGENT_TYPE_MAX_BYTES} characters in all",
            field=field,
        )
    return text


def tags(values: Sequence[str], *, field: str = "tags") -> tuple[str, ...]:
    """Tags, trimmed, each once, in the order given."""
    if len(values) > TAGS_MAX_COUNT:
        raise InvalidRequest(f"{field} has {len(values)} items; at most {TAGS_MAX_COUNT} are allowed", field=field)
    return tuple(dict.fromkeys(tag(value, field=f"{field}[{position}]") for position, value in enumerate(values)))


def tag(text: str, *, field: str = "tags") -> str:
    """One tag, trimmed: 1 to 128 bytes without control characters."""
    trimmed = text.strip()
    size = _bytes_of(trimmed, field)
    if not 0 < size <= TAG_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes; 1 to {TAG_MAX_BYTES} are allowed", field=field)
    _refuse_control(trimmed, field, "")
    return trimmed


def aliases(values: Sequence[str], *, field: str = "aliases") -> tuple[str, ...]:
    """Other names of an entity, trimmed, each once, in the order given; blank ones are left out."""
    if len(values) > ALIASES_MAX_COUNT:
        raise InvalidRequest(f"{field} has {len(values)} items; at most {ALIASES_MAX_COUNT} are allowed", field=field)
    named = {place: text for place, text in enumerate(values) if text.strip()}
    return tuple(dict.fromkeys(alias(text, field=f"{field}[{place}]") for place, text in named.items()))


def alias(text: str, *, field: str = "alias") -> str:
    """One name, trimmed, in its own spelling: 1 to 256 bytes without control characters."""
    trimmed = text.strip()
    size = _bytes_of(trimmed, field)
    if not 0 < size <= ALIAS_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes; 1 to {ALIAS_MAX_BYTES} are allowed", field=field)
    _refuse_control(trimmed, field, "")
    return trimmed


def priority(value: int, *, field: str = "priority") -> int:
    """1 (least) to 10."""
    return bounded(value, PRIORITY_RANGE.start, PRIORITY_RANGE.stop - 1, field=field)


def bounded(value: int, low: int, high: int, *, field: str) -> int:
    """An integer in [low, high]."""
    if not low <= value <= high:
        raise InvalidRequest(f"{field} is {value}; allowed are {low} to {high}", field=field)
    return value


def confidence(value: float, *, field: str = "confidence") -> float:
    """A finite number in [0, 1]."""
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise InvalidRequest(f"{field} is {value}; allowed is a number from 0 to 1", field=field)
    return float(value)


def source(text: str, *, field: str = "source") -> str:
    """Where a memory came from: 1 to 64 of lower-case letters, digits and `_ . : -`."""
    if not _SOURCE.fullmatch(text):
        raise InvalidRequest(f"{field}: {text[:80]!r}; allowed are 1 to 64 of a-z, 0-9 and _ . : -", field=field)
    return text


def ttl_s(value: int, *, field: str = "ttl_secs") -> int:
    """Seconds to live, at most a year."""
    return bounded(value, 1, TTL_MAX_S, field=field)


def metadata(value: Mapping[str, object], *, field: str = "metadata") -> JsonObject:
    """A JSON object of at most 65,536 bytes and 32 levels, without the keys that are fields of their own."""
    _refuse_deep_or_endless(value, field)
    kept = {key: item for key, item in value.items() if key not in RESERVED_METADATA}
    size = len(canonical_json(kept, field=field))
    if size > METADATA_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes as JSON; at most {METADATA_MAX_BYTES} are allowed", field=field)
    return kept


def canonical_json(value: Mapping[str, object], *, field: str = "metadata") -> bytes:
    """The one encoding of a JSON object (keys sorted, no white space): what ops, digests and hashes are over."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"{field} cannot be written as JSON: {error}", field=field) from None


def _refuse_deep_or_endless(value: object, field: str) -> None:
    level: Collection[object] = (value,)
    for _ in range(METADATA_MAX_DEPTH):
        level = [
            inner for item in level if isinstance(item, Mapping | list)
            for inner in (item.values() if isinstance(item, Mapping) else item)
        ]
        if not level:
            return
        # JSON has neither: the encoder would store null in their place without a word.
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            raise InvalidRequest(f"{field} holds a number that is not finite; JSON has no NaN or Infinity", field=field)
    if any(isinstance(item, Mapping | list) for item in level):
        raise InvalidRequest(f"{field} is nested deeper than {METADATA_MAX_DEPTH} levels", field=field)


def query(text: str, *, field: str) -> str:
    """What to look for: not blank, at most 64 KiB."""
    size = _bytes_of(text, field)
    if not text.strip():
        raise InvalidRequest(f"{field} is required and must not be blank", field=field)
    if size > QUERY_MAX_BYTES:
        raise InvalidRequest(f"{field} has {size} bytes; at most {QUERY_MAX_BYTES} are allowed", field=field)
    return text


def idempotency_key(text: str, *, field: str = "Idempotency-Key") -> str:
    """A client's name for one request: 1 to 255 printable ASCII characters."""
    if not (0 < len(text) <= IDEMPOTENCY_KEY_MAX_BYTES and text.isascii() and text.isprintable()):
        raise InvalidRequest(
            f"{field} must be 1 to {IDEMPOTENCY_KEY_MAX_BYTES} printable ASCII characters", field=field
        )
    return text


def generated_title(text: str) -> str:
    """The title of a memory that came without one: its first 80 characters on one line."""
    line = " ".join(text.split())
    return line[:80].rstrip()
