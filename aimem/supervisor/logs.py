"""Log lines: an event name and fields, as text for people or JSON for machines, on stderr, which may be the journal.

Exceptions and libraries may quote what they were handed, so a memory, a key or a question: of an exception its kind and
the places in the code are written, of a library's line who wrote it. AI_MEMORY_DEBUG=1 has their words written, too.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from msgspec import json

from aimem.config import LogConfig, LogFormat, LogLevel
from aimem.errors import Corrupt, Unavailable

log = logging.getLogger(__name__)

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS: Final = ("aimem", "py.warnings")
"""Whose words are written: ours name no memory, and a warning of Python is a constant of the code."""

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_PRIORITY_DEBUG: Final = 7
"""Those of sd-daemon(3), by the level from which they hold."""

_BEHIND_MAX: Final = 8
"""Exceptions behind one, or in one group, that are told."""


def set_up_logging(config: LogConfig, environ: Mapping[str, str]) -> None:
    """Log to stderr from now on; libraries only when something is wrong."""
    in_journal, words = _is_journal(environ), environ.get("AI_MEMORY_DEBUG") == "1"
    made: _Lines = _JsonLines(in_journal, words) if config.format is LogFormat.JSON else _TextLines(in_journal, words)
    handler = logging.StreamHandler()
    handler.setFormatter(_JournalLines(made) if in_journal else made)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aimem").setLevel(config.level.value.upper())
    logging.captureWarnings(capture=True)
    sys.unraisablehook = _log_unraisable


def set_up_logging_of_command(config: LogConfig, environ: Mapping[str, str]) -> None:
    """Log nothing, unless everything is asked for: a command's stderr belongs to a person."""
    if config.level is LogLevel.DEBUG:
        set_up_logging(config, environ)
    else:
        logging.basicConfig(handlers=[logging.NullHandler()], level=logging.CRITICAL, force=True)


def _log_unraisable(found: sys.UnraisableHookArgs) -> None:
    log.error("python.unraisable", exc_info=found.exc_value)


def _is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the journal's: systemd.exec(5) names it by device and inode."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):   # it was closed, or is no file
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Lines(logging.Formatter):
    """What both formats share.

    Args:
      is_timed: by whoever reads the lines, so that they need no time of their own.
      has_words: whether the words of exceptions and libraries are written.
    """

    def __init__(self, is_timed: bool, has_words: bool) -> None:    # noqa: FBT001
        super().__init__()
        self._is_timed, self._has_words = is_timed, has_words

    def told(self, record: logging.LogRecord) -> tuple[str, dict[str, object]]:
        """The event and its fields."""
        if self._has_words or record.name.startswith(_OURS):
            return record.getMessage(), _fields(record)
        return "library.said", {"library": record.name, "at": f"{record.module}:{record.lineno}"}

    def exception(self, record: logging.LogRecord) -> str:
        """The lines of its exception; empty without one."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return ""
        if self._has_words:
            return "".join(traceback.format_exception(error)).rstrip("\n")
        return "\n".join(_trace(error))


class _TextLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        event, told = self.told(record)
        fields = "".join(f" {name}={_shown(value)}" for name, value in told.items())
        time, trace = "" if self._is_timed else f"{_time(record)} ", self.exception(record)
        line = f"{time}{record.levelname.lower()} {event}{fields}"
        return f"{line}\n{trace}" if trace else line


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        event, told = self.told(record)
        line: dict[str, object] = {} if self._is_timed else {"time": _time(record)}
        line |= {"level": record.levelname.lower(), "event": event, "logger": record.name, **told}
        if trace := self.exception(record):
            line["exception"] = trace
        return json.encode(line, enc_hook=str).decode()


class _JournalLines(logging.Formatter):
    """Each line begins with its priority, which the journal takes off: those of a traceback stay with their event."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        priority = next((one for level, one in _PRIORITIES if record.levelno >= level), _PRIORITY_DEBUG)
        return "\n".join(f"<{priority}>{line}" for line in self._lines.format(record).split("\n"))


def _trace(error: BaseException, depth: int = 0) -> Iterator[str]:
    """Where an exception was raised, and those behind and in it."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None and depth < _BEHIND_MAX:
        yield from _trace(behind, depth + 1)
        yield "which led to:"
    yield from "".join(traceback.format_tb(error.__traceback__)).splitlines()
    yield type(error).__qualname__ + _own_words(error)
    if isinstance(error, BaseExceptionGroup) and depth < _BEHIND_MAX:
        for inner in islice(error.exceptions, _BEHIND_MAX):
            yield from (f"  {line}" for line in _trace(inner, depth + 1))


def _own_words(error: BaseException) -> str:
    """What an exception says, of those that speak of the machine alone."""
    if isinstance(error, Unavailable | Corrupt):
        return f": {error.message}"
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        value = ",".join(f"{name}:{item}" for name, item in value.items())
    text = str(value)
    return text if text.isprintable() and " " not in text and text else json.encode(text).decode()
