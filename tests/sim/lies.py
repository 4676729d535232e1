"""What becomes of a message between nodes when somebody on its way, or a peer gone mad, lies.

Nothing here that its writer's signature does not cover: whoever holds a member's key may lie about what it knows, and
no mesh of equals finds that out.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.sim.poison import spoil

PUSH: Final = "/api/v1/sync/push"
SNAPSHOT: Final = "/api/v1/sync/snapshot"
NONSENSE: Final = (
    b"", b"null", b"[]", b"{}", b"<html>502 Bad Gateway</html>", b'{"ok":true,"applied":1}',
    b"\x1f\x8b\x08\x00nonsense", b"[" * 5_000, b'{"protocol":1,"node":7,"stream":{},"vector":[]}', b"\xff\xfe{}",
    b'{"protocol":"one"}',
)
"""Bodies that are no message of ours; a node that sends them with 200 acknowledged nothing."""
HOUR: Final = 3_600_000 << 16
"""In ticks of a hybrid clock."""
Headers = tuple[tuple[bytes, bytes], ...]
_CODING: Final = b"content-encoding"


def lie(
    rng: random.Random, path: str, headers: Headers, body: bytes, asked: dict[str, Any] | None
) -> tuple[Headers, bytes]:
    """A message, changed; half of the time beyond recognition.

    Args:
      asked: the request, if the message is an answer to one that can be read.
    """
    plain = tuple((name, value) for name, value in headers if name.lower() not in (_CODING, b"content-length"))
    told = read_message(headers, body) if path in (PUSH, SNAPSHOT) and rng.random() < 0.5 else None
    if told is None or (path == SNAPSHOT and not spoil(rng, told)):
        return plain, rng.choice(NONSENSE)
    if path == SNAPSHOT:
        return plain, msgspec.json.encode(told)
    if asked is not None and "vector" in told and rng.random() < 0.5:
        told["vector"] |= asked.get("vector", {})       # all that was sent is acknowledged, and what was not
    else:
        rng.choice(_TRICKS if told.get("ops") else _TRICKS[:2])(rng, told)
    return plain, msgspec.json.encode(told)


def plain_of(headers: Headers, body: bytes) -> bytes | None:
    """A body as it was before it was packed; None if it broke off."""
    try:
        is_packed = any(name.lower() == _CODING and value == b"gzip" for name, value in headers)
        return gzip.decompress(body) if is_packed else body
    except (OSError, EOFError):
        return None


def read_message(headers: Headers, body: bytes) -> dict[str, Any] | None:
    """What nodes say to each other, as it is on the wire; None if it is nothing of the kind."""
    try:
        value = msgspec.json.decode(plain_of(headers, body) or b"")
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _speak_another_protocol(_: random.Random, told: dict[str, Any]) -> None:
    told["protocol"] = 99


def _say_something_new(_: random.Random, told: dict[str, Any]) -> None:
    told["a field of later versions"] = {"deep": [1, 2, 3]}


def _lose_one(rng: random.Random, told: dict[str, Any]) -> None:
    at = _of_one_stream(rng, told)
    if len(at) > 1:
        del told["ops"][rng.choice(at[:-1])]


def _lose_all(_: random.Random, told: dict[str, Any]) -> None:
    told["ops"] = []


def _mix(rng: random.Random, told: dict[str, Any]) -> None:
    at, ops = _of_one_stream(rng, told), list(told["ops"])
    for one, other in zip(at, rng.sample(at, len(at)), strict=True):
        told["ops"][one] = ops[other]


def _of_one_stream(rng: random.Random, told: dict[str, Any]) -> list[int]:
    """Where ops of one stream are; between streams the order is the sender's word, and no signature covers it."""
    stream = rng.choice(told["ops"])["stream"]
    return [at for at, op in enumerate(told["ops"]) if op["stream"] == stream]


def _repeat(rng: random.Random, told: dict[str, Any]) -> None:
    told["ops"] = [*told["ops"], rng.choice(told["ops"])][:512]


def _change_text(rng: random.Random, told: dict[str, Any]) -> None:
    op = rng.choice(told["ops"])
    op["entries"] = [entry.replace("word", "lies") + " " for entry in op["entries"]]


def _invent_kind(rng: random.Random, told: dict[str, Any]) -> None:
    rng.choice(told["ops"])["kind"] = "invented"


def _come_from_the_future(rng: random.Random, told: dict[str, Any]) -> None:
    rng.choice(told["ops"])["hlc"] += HOUR


def _claim_another_past(rng: random.Random, told: dict[str, Any]) -> None:
    rng.choice(told["ops"])["previous"] = "A" * 43 + "="


def _sign_with_nothing(_: random.Random, told: dict[str, Any]) -> None:
    for op in told["ops"]:
        op["signature"] = "A" * 86 + "=="


_TRICKS: Final[tuple[Callable[[random.Random, dict[str, Any]], None], ...]] = (
    _speak_another_protocol, _say_something_new, _lose_one, _lose_all, _mix, _repeat, _change_text, _invent_kind,
    _come_from_the_future, _claim_another_past, _sign_with_nothing,
)
