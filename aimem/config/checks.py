"""From what was written to a checked value, or a message that names the place, what was given and what is allowed."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from aimem.config.settings import Kind, Setting
from aimem.errors import Code, InvalidRequest

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


class Given(Struct, frozen=True, kw_only=True):
    """A checked value and where it came from (`--port`, `AI_MEMORY_PORT`, `config.toml, line 3`)."""

    value: object
    origin: str


def invalid(origin: str, key: str, problem: str) -> InvalidRequest:
    """The error for one setting. `origin` is the place where it was written."""
    return InvalidRequest(f"{subject(origin, key)} {problem}", code=Code.CONFIG_INVALID, field=key)


def subject(origin: str, key: str) -> str:
    """What a sentence about a setting is about: an option or a variable says its name, a line of a file does not."""
    return origin if origin.startswith(("-", "AI_MEMORY_")) else f"{origin}: {key}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?` for a near miss, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.65)
    return f"; did you mean {near[0]}?" if near else ""


def check(setting: Setting, raw: object, origin: str) -> Given:
    """Read a flag's or a variable's value as this setting's kind: text becomes a number or a switch if one is wanted.

    The file's values have types of their own; `typed` is for them.

    Raises: InvalidRequest(config_invalid); a secret's value is never shown.
    """
    if isinstance(raw, str) and setting.kind in (Kind.INTEGER, Kind.NUMBER, Kind.SWITCH):
        return typed(setting, _parsed(setting, raw, origin), origin)
    return typed(setting, raw, origin)


def typed(setting: Setting, raw: object, origin: str) -> Given:
    """Check a value that has a type of its own. Raises: InvalidRequest(config_invalid)."""
    match setting.kind:
        case Kind.SWITCH:
            if not isinstance(raw, bool):
                raise _mismatch(setting, raw, origin)
        case Kind.INTEGER | Kind.NUMBER:
            _check_number(setting, raw, origin)
        case _:
            if not isinstance(raw, str):
                raise _mismatch(setting, raw, origin)
            _check_text(setting, raw, origin)
    return Given(value=raw, origin=origin)


def _parsed(setting: Setting, text: str, origin: str) -> object:
    word = text.strip()
    if setting.kind is Kind.SWITCH:
        if word.lower() in _TRUE:
            return True
        if word.lower() in _FALSE:
            return False
    elif setting.kind is Kind.INTEGER:
        if _INTEGER.fullmatch(word):
            return int(word)
    else:
        try:
            return float(word)
        except ValueError:
            pass
    raise _mismatch(setting, text, origin)


def _check_number(setting: Setting, raw: object, origin: str) -> None:
    is_number = isinstance(raw, int) or (isinstance(raw, float) and setting.kind is Kind.NUMBER)
    if isinstance(raw, bool) or not is_number or not isinstance(raw, int | float):
        raise _mismatch(setting, raw, origin)
    low, high = setting.low, setting.high
    if not math.isfinite(raw) or (low is not None and raw < low) or (high is not None and raw > high):
        raise invalid(origin, setting.key, f"is {raw}; allowed is {range_words(setting)}")


def _check_text(setting: Setting, text: str, origin: str) -> None:
    problem = ""
    if setting.choices and text not in setting.choices:
        problem = f"is {text[:64]!r}; allowed are {', '.join(setting.choices)}{did_you_mean(text, setting.choices)}"
    elif setting.kind is Kind.SECRET:
        if not (text.isascii() and text.isprintable() and text == text.strip() and 0 < len(text) <= 1024):
            problem = "must be 1 to 1024 printable ASCII characters without spaces at its ends (the value is not shown)"
    elif not text.strip():
        problem = "is empty; leave it out or give a value"
    elif not text.isprintable():
        problem = f"is {text[:64]!r}; control characters are not allowed"
    elif setting.kind is Kind.URL and not is_server(text):
        # Not shown: what was written may hold a password.
        problem = "is no address of a server; wanted is http://HOST:PORT or https://HOST:PORT, without a user's name"
    if problem:
        raise invalid(origin, setting.key, problem)


def is_server(text: str) -> bool:
    """Whether this is the address of an HTTP server, without a name or a password in it."""
    return not server_fault(text)


def server_fault(text: str) -> str:
    """What keeps a text from being an HTTP server's address; empty if nothing does.

    It does not say the text, which may hold a password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "it has a port that is none, or a bracket too many"
    if parts.scheme not in ("http", "https") or not text[len(parts.scheme) :].startswith("://"):
        return "it does not begin with http:// or https://"
    faults = {
        "it names no host": not parts.hostname, "it has the port 0": port == 0,
        "it has a user's name in it": "@" in parts.netloc, "it has a blank in it": " " in text,
        "it has ? or # in it": bool(parts.query or parts.fragment),
    }
    return next((fault for fault, holds in faults.items() if holds), "")


def _mismatch(setting: Setting, raw: object, origin: str) -> InvalidRequest:
    shown = "something else" if setting.kind is Kind.SECRET else f"{raw!r:.64}"
    return invalid(origin, setting.key, f"is {shown}; wanted is {kind_words(setting)}")


def kind_words(setting: Setting) -> str:
    """What may be written, in words: `an integer, 0 to 65535`."""
    words = {
        Kind.INTEGER: "an integer", Kind.NUMBER: "a number", Kind.SWITCH: "true or false", Kind.ADDRESS: "HOST:PORT",
        Kind.PATH: "a path", Kind.URL: "an address, like http://localhost:11434",
        Kind.URLS: "addresses divided by commas, like http://10.0.0.2:9077,http://10.0.0.3:9077",
        Kind.SECRET: "a text of 1 to 1024 printable ASCII characters",
    }
    if setting.choices:
        return "one of " + ", ".join(setting.choices)
    bounds = range_words(setting)
    return words.get(setting.kind, "a text") + (f", {bounds}" if bounds else "")


def range_words(setting: Setting) -> str:
    """The range in words, empty if there is none."""
    low, high = setting.low, setting.high
    if low is not None and high is not None:
        return f"{low:.15g} to {high:.15g}"
    if low is not None:
        return f"at least {low:.15g}"
    return f"at most {high:.15g}" if high is not None else ""


def is_public(path: Path) -> bool:
    """Whether everybody may read it; what cannot be looked at is told when it is read."""
    try:
        return bool(path.stat().st_mode & 0o004)
    except OSError:
        return False
