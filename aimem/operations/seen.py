"""What the doctor saw of a node and its machine: values, from which the findings are made."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from aimem.config import Config
from aimem.errors import Code
from aimem.model import Instant
from aimem.service import OwnCertificate
from aimem.store import glance
from aimem.wire import Health, IndexStatus, MeshDocument


class Unseen(Struct, frozen=True, kw_only=True):
    """Nothing was seen: a look failed, in words and by the family of its error, or did not end in `after_s` seconds."""

    why: str = ""
    family: Code | None = None
    after_s: float | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """The configuration.

    Attributes:
      is_exposed: whether other machines reach the address to listen on, and no TLS is there.
      host_fault: why that address cannot be one; empty if it can.
      readable_keys: files with the node's key that others than their owner may read.
    """

    config: Config
    is_exposed: bool = False
    host_fault: str = ""
    readable_keys: tuple[Path, ...] = ()


class Certificates(Struct, frozen=True, kw_only=True):
    """What the files of TLS hold; `listed` are the fingerprints of those that may connect, None: everybody."""

    own: tuple[OwnCertificate, ...] = ()
    listed: frozenset[str] | None = None


class Disk(Struct, frozen=True, kw_only=True):
    """The folder of the database.

    Attributes:
      sync_ms: how long each of a few small synced writes took; `unwritable` is why there could be none.
      is_full: whether they found no room.
      database_bytes: of the database with its log.
      kept, unfinished: files beside the database that nothing uses: copies, and what a process at work left.
    """

    folder: Path
    free_bytes: int
    database_bytes: int = 0
    sync_ms: tuple[float, ...] = ()
    unwritable: str = ""
    is_full: bool = False
    kept: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()


class Database(Struct, frozen=True, kw_only=True):
    """The database's file.

    Attributes:
      is_named: whether a setting names it, and no rule chose it.
      is_there, is_pending: whether it is there, and whether a restore of it was cut off.
      look: what a short look found, if it is there and not empty.
      backup_at: when the newest backup in the folder beside it was made; None without any.
    """

    db: Path
    is_named: bool = True
    is_there: bool = True
    is_pending: bool = False
    log_bytes: int = 0
    look: glance.Glance | None = None
    backup_at: Instant | None = None


class Models(Struct, frozen=True, kw_only=True):
    """What makes vectors, and what speaks: its name, or why it is not there; both empty where none is asked for."""

    embedding: str = ""
    embedding_away: str = ""
    language: str = ""
    language_away: str = ""


class Answers(Struct, frozen=True, kw_only=True):
    """What the daemon says of itself."""

    health: Health
    index: IndexStatus
    mesh: MeshDocument


class Daemon(Struct, frozen=True, kw_only=True):
    """Who holds the database: empty if nobody does; `answers` is None for one that does not answer on its socket."""

    holder: str = ""
    answers: Answers | None = None


class Seen(Struct, frozen=True, kw_only=True):
    """All of it, at one moment; without settings nothing else is."""

    now: Instant
    settings: Settings | Unseen
    certificates: Certificates | Unseen = Unseen()
    disk: Disk | Unseen = Unseen()
    database: Database | Unseen = Unseen()
    models: Models | Unseen = Unseen()
    daemon: Daemon | Unseen = Unseen()
