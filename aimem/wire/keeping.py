"""Backups: the wishes, what lies in a folder of them, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

KEEP_COUNT: Final = 48
KEEP_MAX: Final = 100_000


class Trust(StrEnum):
    """What makes a file a backup: its manifest, or only that it is a sound database of ours."""

    MANIFEST = "manifest"
    SOUNDNESS = "soundness"


class BackupManifest(Struct, frozen=True, kw_only=True):
    """What stands beside a backup; without one that holds, the backup does not count.

    Attributes:
      snapshot: name of the file.
      version: of the program that made it.
      schema: of the database; v0.6.3 has no such field, and its backups are none of ours.
      digest: of the replicated state, as the mesh compares it; empty for an older schema.
    """

    snapshot: str
    sha256: str
    bytes: int
    source_db: str
    version: str
    created_at: str
    schema: int
    memories: int
    digest: str


class BackupOut(BackupManifest, frozen=True, kw_only=True):
    """A backup that was made, what went for it, and what was found to be damaged in the folder."""

    path: str
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class RestoreOut(Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """A backup that was put in place. `kept` is where the old database is, if there was one."""

    status: str
    source: str
    to: str
    kept: str | None
    memories: int
    warnings: tuple[str, ...] = ()


class CheckOut(Struct, frozen=True, kw_only=True):
    """One thing that was looked at: how many of it there are, and what is wrong with it."""

    check: str
    count: int
    findings: tuple[str, ...] = ()


class SoundnessOut(Struct, frozen=True, kw_only=True):
    """What was found of one database or backup."""

    path: str
    sound: bool
    checks: tuple[CheckOut, ...]
    schema: int
    memories: int
    digest: str


class VerifyOut(Struct, frozen=True, kw_only=True):
    """What was found of all that was looked at."""

    sound: bool
    databases: tuple[SoundnessOut, ...]
