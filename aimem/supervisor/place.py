"""Where a node lives: the database file, its lock, its socket, and who holds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from aimem.errors import InvalidRequest, Unavailable
from aimem.ports import Files
from aimem.store import LOCK_SUFFIX, NodeLock
from aimem.supervisor.listeners import choose_socket_path


class Role(StrEnum):
    """What the process that holds a database is; the value is the verb that started it."""

    DAEMON = "serve"
    SESSION = "mcp"
    COMMAND = "command"


class Place(Struct, frozen=True, kw_only=True):
    """A database file (all links resolved, so that two names of it meet at one lock) and its socket."""

    db: Path
    socket: Path


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds a database, as its lock file says: a hint, never the truth.

    Attributes:
      socket: where it serves, or None if the text did not say.
    """

    text: str
    role: Role | None = None
    socket: Path | None = None


def locate(db: Path, environ: Mapping[str, str]) -> Place:
    """The place of a database path. Raises: InvalidRequest if no file can be there."""
    try:
        resolved = db.resolve()
    except (OSError, RuntimeError, ValueError) as error:    # a ring of links; a null character
        raise InvalidRequest(f"{str(db)!r} cannot be a database's path: {error}", field="db") from error
    if not resolved.name:
        raise InvalidRequest(f"{resolved} is a folder; name a file with --db", field="db")
    runtime_dir = environ.get("XDG_RUNTIME_DIR")
    return Place(db=resolved, socket=choose_socket_path(resolved, Path(runtime_dir) if runtime_dir else None))


def make_default_folder(db: Path, environ: Mapping[str, str]) -> None:
    """Make the folder of the default database, for the user alone; any other folder is the operator's to make.

    Raises: Unavailable.
    """
    data_home = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local/share")
    if db.parent != Path(data_home, "ai-memory"):
        return
    try:
        db.parent.parent.mkdir(parents=True, exist_ok=True)
        db.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make the folder {db.parent}: {error.strerror or error}") from error


def take(files: Files, place: Place, role: Role) -> NodeLock:
    """Become the holder.

    Raises: ports.LockHeld if another process is; InvalidRequest or Unavailable if the path cannot hold a database.
    """
    try:
        return NodeLock.take(files, place.db, f"pid={os.getpid()} role={role} socket={place.socket}")
    except OSError as error:
        sentence = f"cannot look at {place.db}: {error.strerror or error}; check the permissions of its folder"
        raise Unavailable(sentence) from error


def read_hint(hint: str) -> Holder:
    """What a lock file says. The socket is taken from it, as the holder's environment may differ from ours."""
    fields = dict(word.split("=", 1) for word in hint.split(" ", 2) if "=" in word)
    roles = {str(role): role for role in Role}
    socket = fields.get("socket", "")
    return Holder(
        text=f"process {fields['pid']} (ai-memory {fields.get('role', '?')})" if "pid" in fields else "another process",
        role=roles.get(fields.get("role", "")),
        socket=Path(socket) if socket.startswith("/") else None,
    )


def find_socket(db: Path, files: Files, environ: Mapping[str, str]) -> Path:
    """Where the holder of a database serves, as its lock file says, or where the next one would.

    Raises: InvalidRequest if no file can be there; Unavailable if this user may not look.
    """
    place = locate(db, environ)
    try:
        hint = files.read(place.db.with_name(place.db.name + LOCK_SUFFIX)) or b""
    except OSError as error:
        raise Unavailable(f"cannot look at {place.db}: {error.strerror or error}") from error
    return read_hint(hint.decode(errors="replace")).socket or place.socket


def held(place: Place, holder: Holder) -> Unavailable:
    """The sentence for a database that somebody else keeps."""
    return Unavailable(
        f"{place.db} is held by {holder.text}; stop it, or name another database with --db",
        holder=holder.text,
    )
