"""Changing the members of a mesh where they are written down: comments, order and everything else stay.

A line is found by scanning, and what came of it is parsed and compared: a file that is written in a way that the scan
does not see through is left alone, with a sentence about what to write there by hand.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from aimem.config.members import PEERS, entry_of
from aimem.config.mesh import is_same_place, peers_in
from aimem.config.tomlfile import flat, line_of, read_config_file
from aimem.errors import Code, Denied, InvalidRequest, Unavailable

_LINE: Final = re.compile(r"""^(\s*[^=#]+=\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"']+)(\s*(?:#.*)?)$""")
NEW_MODE: Final = 0o600


def with_settings(text: str, changes: Mapping[str, str | int | None], path: Path) -> str:
    """The text of a configuration with other values; None takes a key out.

    Args:
      changes: by dotted key of one table.
      path: for the sentence.
    Raises: InvalidRequest(config_invalid) if it is written in a way that cannot be changed here.
    """
    import tomllib  # most commands run without a file

    edited = text
    for key, value in changes.items():
        edited = _with_one(edited, key, value)
    wanted = {**flat(tomllib.loads(text)), **changes}
    try:
        found = flat(tomllib.loads(edited))
    except ValueError:
        found = {}
    if found != {key: value for key, value in wanted.items() if value is not None}:
        told = ", ".join(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in changes.items())
        raise InvalidRequest(
            f"{path} is written in a way that cannot be changed from here; write it there by hand: {told}",
            code=Code.CONFIG_INVALID,
        )
    return edited


def _with_one(text: str, key: str, value: str | int | None) -> str:
    lines, number = text.splitlines(keepends=True), line_of(text, key)
    table, _, name = key.rpartition(".")
    written = None if value is None else msgspec.json.encode(value).decode()
    if number is not None:
        found = _LINE.match(lines[number - 1].rstrip("\r\n"))
        if found is None:
            return text
        lines[number - 1 : number] = [] if written is None else [f"{found[1]}{written}{found[3]}\n"]
        return "".join(lines)
    if written is None:
        return text
    header = line_of(text, table)
    if header is None:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}\n[{table}]\n{name} = {written}\n"
    if not lines[header - 1].endswith("\n"):
        lines[header - 1] += "\n"
    lines.insert(header, f"{name} = {written}\n")
    return "".join(lines)


def peers_written(path: Path) -> tuple[str, ...]:
    """The peers that a configuration file names by now. Raises: InvalidRequest(config_invalid)."""
    value = read_config_file(path).values.get(PEERS)
    return peers_in(value, str(path)) if isinstance(value, str) else ()


def with_entry(text: str, url: str) -> str:
    """The text of a list of peers with one more."""
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{url}\n"


def without_entry(text: str, url: str) -> str:
    """The text of a list of peers without one, and without the comment on its line."""
    kept = [line for line in text.splitlines(keepends=True) if not _names(line, url)]
    return "".join(kept)


def _names(line: str, url: str) -> bool:
    entry = entry_of(line)
    return bool(entry) and is_same_place(entry, url)


def replace_text(path: Path, text: str) -> None:
    """Put a text in a file's place, whole or not at all; a new file is for its owner alone.

    Raises: Unavailable; Denied where this user may not write.
    """
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = target.stat() if target.exists() else None
        mode = NEW_MODE if found is None else found.st_mode & 0o777
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            if found is not None:
                with contextlib.suppress(OSError):      # root may do this for others, such as the daemon's group
                    os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, mode)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        fresh.replace(target)
    except PermissionError as error:
        raise Denied(
            f"{path} cannot be changed: {error.strerror}; nothing was done: run it as root, or as a user who may write "
            f"in {target.parent}"
        ) from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be changed: {error.strerror or error}; nothing was done") from error
