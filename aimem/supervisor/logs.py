"""Log lines: an event name and fields, as text for people or JSON for machines, on stderr."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import json

from aimem.config import LogConfig, LogFormat, LogLevel

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logging(config: LogConfig) -> None:
    """Log to stderr from now on; libraries only when something is wrong."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if config.format is LogFormat.JSON else _TextLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aimem").setLevel(config.level.value.upper())
    logging.captureWarnings(capture=True)


def set_up_logging_of_command(config: LogConfig) -> None:
    """Log nothing, unless everything is asked for: a command's stderr belongs to a person."""
    if config.level is LogLevel.DEBUG:
        set_up_logging(config)
    else:
        logging.basicConfig(handlers=[logging.NullHandler()], level=logging.CRITICAL, force=True)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname.lower()} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record), "level": record.levelname.lower(), "event": record.getMessage(),
            "logger": record.name, **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.encode(line, enc_hook=str).decode()


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        value = ",".join(f"{name}:{item}" for name, item in value.items())
    text = str(value)
    return text if text.isprintable() and " " not in text and text else json.encode(text).decode()
