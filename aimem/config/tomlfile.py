"""The configuration file: its bytes, its keys, and the lines where they stand."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from aimem.errors import Code, InvalidRequest

FILE_MAX_BYTES = 1024 * 1024
"""A configuration has a few hundred bytes; a larger file is a mistake (a database, a log) and is not read."""

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PLACE = re.compile(r"^(.*) \(at line (\d+), column (\d+)\)$", re.DOTALL)


class ConfigFile(Struct, frozen=True, kw_only=True):
    """A parsed file. `values` has dotted keys; `tables` names the tables that are written, empty ones too."""

    path: Path
    text: str
    values: Mapping[str, object]
    tables: tuple[str, ...]

    def place(self, key: str) -> str:
        """Where the key stands, for a message: path and line."""
        line = line_of(self.text, key)
        return f"{self.path}, line {line}" if line else str(self.path)


def read_config_file(path: Path) -> ConfigFile:
    """Read and parse one file; nothing is created.

    Raises: InvalidRequest(config_invalid) naming the file, and the line if it is no TOML.
    """
    text = read_text(path, "the configuration file")
    import tomllib  # most commands run without a file

    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:   # a plain ValueError is an integer of thousands of digits
        raise _invalid(_broken(path, text, str(error))) from None
    return ConfigFile(path=path, text=text, values=flat(document), tables=tuple(
        name for name, value in document.items() if isinstance(value, dict)))


def read_text(path: Path, what: str) -> str:
    """A file of ours as text; `what` is what it is called.

    Raises: InvalidRequest(config_invalid), also for a pipe or a terminal: a node that runs reads it anew at a signal,
      and would wait for ever, or find it empty and take itself for a node without peers.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode) or stream.isatty():
                raise _invalid(f"{path}: {what} has to be a file, which can be read again: it is a pipe or a terminal")
            data = stream.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(f"{path}: {what} cannot be read: {error.strerror}") from error
    if len(data) > FILE_MAX_BYTES:
        raise _invalid(f"{path}: {what} has more than {FILE_MAX_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{path}, line {line}: {what} is not UTF-8") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)     # else a pipe that nobody writes to is never open


def flat(document: Mapping[str, object]) -> dict[str, object]:
    """Dotted keys of one level: a configuration has no more; deeper tables stay values, and are refused later."""
    values: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            values.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            values[name] = value
    return values


def _broken(path: Path, text: str, reason: str) -> str:
    found, lines = _PLACE.match(reason), text.splitlines()
    what, line = (found[1], int(found[2])) if found else (reason, len(lines))
    place = f"line {line}, column {found[3]}" if found else f"line {line}"
    key = _KEY.match(lines[line - 1]) if 0 < line <= len(lines) else None
    # Only the key is shown: the rest of the line may be a secret.
    return f"{path}, {place}{f', key {key[1]}' if key else ''}: the configuration file is not TOML: {what}"


def line_of(text: str, key: str) -> int | None:
    """The line (from 1) where a dotted key or a table's header stands; None if the scan does not see it.

    A scan, not a parser: a look-alike inside a multi-line text may mislead it, and only a message would be off.
    """
    table, wanted = "", _plain(key)
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _plain(header[1])
            if table == wanted:
                return number
        elif found := _KEY.match(line):
            name = f"{table}.{_plain(found[1])}" if table else _plain(found[1])
            if name == wanted or (wanted.startswith(name + ".") and "{" in line):
                return number
    return None


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code=Code.CONFIG_INVALID)
