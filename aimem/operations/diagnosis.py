"""From what was seen of a node and its machine to findings, each with a remedy. Nothing here looks or waits."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aimem.model import DAY_S, SECOND_US, Instant, format_instant
from aimem.operations.seen import Certificates, Database, Disk, Models, Seen, Settings
from aimem.replication import CLOCK_BOUND_S
from aimem.service import WARN_DAYS, Which, days_left
from aimem.store import SCHEMA_VERSION, glance
from aimem.wire import doctor

MIB: Final = 1 << 20
ROOM_LEAST_BYTES: Final = 64 * MIB
"""Less than the write-ahead log takes before it is moved; a write that finds no room is refused."""

ROOM_SMALL_BYTES: Final = 512 * MIB
SYNC_SLOW_MS: Final = 100.0
SYNC_STUCK_MS: Final = 1000.0
"""A write waits for one sync here and one on each node that acknowledges it, two seconds in all by default."""

LOG_LONG_BYTES: Final = 256 * MIB
"""A daemon empties it once a minute, and keeps 64 MiB of the file at most."""

BACKUP_OLD_S: Final = 2 * DAY_S
PAGE: Final = "ai-memory-config(5)"

Kind = doctor.Kind
Findings = Iterator[doctor.FindingOut]


def info(kind: Kind, seen: str, remedy: str) -> doctor.FindingOut:
    """Something to know."""
    return doctor.FindingOut(kind=kind, severity=doctor.Severity.INFO, seen=seen, remedy=remedy)


def warning(kind: Kind, seen: str, remedy: str) -> doctor.FindingOut:
    """Something to look at."""
    return doctor.FindingOut(kind=kind, severity=doctor.Severity.WARNING, seen=seen, remedy=remedy)


def critical(kind: Kind, seen: str, remedy: str) -> doctor.FindingOut:
    """Something broken, or about to be."""
    return doctor.FindingOut(kind=kind, severity=doctor.Severity.CRITICAL, seen=seen, remedy=remedy)


def size(count: float) -> str:
    """`12 MiB`, `3.4 GiB`."""
    return f"{count / MIB:.0f} MiB" if count < 1024 * MIB else f"{count / (1024 * MIB):.1f} GiB"


def settings_findings(settings: Settings) -> Findings:
    """What the configuration has, and who may read the node's key."""
    for notice in settings.config.notices:
        yield warning(Kind.CONFIG_NOTICE, notice, f"do what it says, or change that setting: see {PAGE}")
    if settings.host_fault:
        yield critical(Kind.CONFIG_INVALID, settings.host_fault, f"name another with --bind: see {PAGE}")
    if settings.is_exposed:
        api = settings.config.api
        seen = f"other machines reach {api.host}, and what goes to and from it is not encrypted"
        if api.insecure:
            yield warning(Kind.EXPOSED, f"{seen}; --insecure allows it",
                          "give --tls-cert and --tls-key, or be sure that something else protects the port")
        else:
            yield critical(Kind.EXPOSED, f"{seen}; the daemon refuses to start",
                           "give --tls-cert and --tls-key, or listen on 127.0.0.1 (--bind)")
    for path in settings.readable_keys:
        yield critical(
            Kind.KEY_READABLE, f"others than its owner may read {path}, the key that signs this node's writes",
            f"chmod 600 {_word(path)}",
        )


def certificate_findings(certificates: Certificates, now: Instant) -> Findings:
    """Until when certificates hold, and whether the list has this node's own."""
    for one in certificates.own:
        left = days_left(one.not_after, now)
        if left < WARN_DAYS[0]:
            told = critical if left < WARN_DAYS[-1] else warning
            yield told(
                Kind.CERTIFICATE_ENDS,
                f"the certificate of {one.which.value} ({one.subject}) ends on {format_instant(one.not_after)[:10]}",
                "put a new one in its place (ai-memory pki issue --renew, if that made it) and send the daemon SIGHUP",
            )
    listed = certificates.listed
    shown = [one for one in certificates.own if one.which in (Which.SERVER, Which.CLIENT)]
    lacking = [one for one in shown if listed is not None and one.fingerprint not in listed]
    if lacking:
        yield info(
            Kind.NOT_ON_OWN_LIST, f"the list of those that may connect lacks {lacking[0].fingerprint}, which this node "
            "shows", "nothing, if each node has a list of its own; a list that all nodes share has to name it",
        )


def clock_findings(seen: Seen) -> Findings:
    """Whether the clock is behind what the database knows."""
    look = seen.database.look if isinstance(seen.database, Database) else None
    if look is None or look.newest is None:
        return
    ahead_s = (look.newest - seen.now) / SECOND_US
    if ahead_s > CLOCK_BOUND_S:
        yield warning(
            Kind.CLOCK_BEHIND, f"the newest write in the database is of {format_instant(look.newest)}, "
            f"{ahead_s:.0f} s after what this machine's clock says",
            "set the clock (timedatectl status); if it is right, that of the node which wrote it was wrong, and new "
            "writes are stamped after that moment",
        )


def disk_findings(disk: Disk) -> Findings:
    """Room, speed, permission, and what nothing uses."""
    wanted = disk.database_bytes + ROOM_LEAST_BYTES
    free = f"{size(disk.free_bytes)} are free in {disk.folder}"
    if disk.is_full or disk.free_bytes < ROOM_LEAST_BYTES:
        what = "a small write finds no room, and so will those of a daemon" if disk.is_full else (
            "writes are about to be refused")
        yield critical(Kind.DISK_FULL, f"{free}: {what}",
                       "make room (df, df -i, quota), or move the database to another disk (--db) while no daemon runs")
    elif disk.free_bytes < max(wanted, ROOM_SMALL_BYTES):
        yield warning(Kind.DISK_FULL, f"{free}, and the database has {size(disk.database_bytes)}: a copy, which "
                      "backups, restores and upgrades make, may not fit", "make room; backups may go to another disk")
    if disk.unwritable:
        yield warning(Kind.FOLDER_UNWRITABLE, f"this user cannot write in {disk.folder}: {disk.unwritable}",
                      "run this as the user whose daemon it is (runuser -u ai-memory -- ai-memory doctor); if it "
                      "cannot write there either, look how the disk is mounted, and at dmesg")
    elif disk.sync_ms and (middle := statistics.median(disk.sync_ms)) > SYNC_SLOW_MS:
        told = critical if middle > SYNC_STUCK_MS else warning
        yield told(Kind.DISK_SLOW, f"a small synced write in {disk.folder} takes {middle:.0f} ms, "
                   f"{max(disk.sync_ms):.0f} ms at worst",
                   "look what else writes to that disk (iostat -x 1), and put the database on a local one")
    if disk.kept or disk.unfinished:
        yield info(Kind.LEFTOVERS, f"{disk.folder} has {', '.join((*disk.kept, *disk.unfinished))}", "; ".join((
            *(["remove the copies once you are sure that you need none"] if disk.kept else ()),
            *(["the next start goes on with what a process left unfinished, or clears it"] if disk.unfinished else ()),
        )))


def database_findings(database: Database, now: Instant) -> Findings:
    """What the file is, and what is behind it."""
    db = database.db
    if database.is_pending:
        yield warning(Kind.RESTORE_CUT_OFF, f"a restore of {db} was cut off before its end",
                      "start the daemon, or say ai-memory status: either ends it")
    elif not database.is_there:
        told = critical if database.is_named else info
        yield told(Kind.DATABASE_MISSING, f"there is no database {db}",
                   "name the right one with --db; ai-memory serve makes a new one there")
    if database.look is not None:
        yield from _look_findings(database, database.look)
    if database.log_bytes > LOG_LONG_BYTES:
        yield warning(Kind.LONG_LOG, f"the write-ahead log of {db} has {size(database.log_bytes)}",
                      "end a backup or verify that runs for very long; else start the daemon anew")
    yield from _backup_findings(database, now)


def _look_findings(database: Database, look: glance.Glance) -> Findings:
    db = database.db
    if look.findings:
        yield critical(Kind.DATABASE_DAMAGED, f"{db} is damaged: {look.findings[0]}",
                       "keep a copy, see ai-memory verify, and put a backup back with ai-memory restore")
    if look.is_early or look.version < SCHEMA_VERSION:
        form = "an early form of " if look.is_early else ""
        yield info(Kind.OLD_SCHEMA, f"{db} has {form}schema {look.version}, and this version writes {SCHEMA_VERSION}",
                   "nothing: the next start migrates it, and keeps a copy beside it")
    if look.held:
        yield warning(Kind.HELD_OPS, f"{db} holds {look.held} writes that this version cannot apply",
                      "install the version that the other nodes have; see ai-memory-mesh(7), Writes of a newer version")


def _backup_findings(database: Database, now: Instant) -> Findings:
    folder = database.db.with_name("backups")
    remedy = (f"ai-memory --db {_word(database.db)} backup --to {_word(folder)}, each hour by a timer as "
              "ai-memory-service(7) has it")
    if database.backup_at is not None and now - database.backup_at > BACKUP_OLD_S * SECOND_US:
        yield warning(Kind.OLD_BACKUP, f"the newest backup in {folder} is of {format_instant(database.backup_at)}",
                      f"look whether the timer runs (systemctl list-timers), or say {remedy}")
    elif database.backup_at is None and database.look is not None:
        yield info(Kind.NO_BACKUP, f"{folder} has no backup of this database", f"nothing, if they are elsewhere; else "
                   f"{remedy}")


def model_findings(models: Models) -> Findings:
    """Whether what makes vectors, and what speaks, can be used."""
    if models.embedding_away:
        yield warning(Kind.MODEL_AWAY, f"{models.embedding_away}; recall is by words alone",
                      f"do what it says, or set tier = \"keyword\" if that is meant: see {PAGE}")
    if models.language_away:
        yield warning(Kind.LANGUAGE_AWAY, models.language_away,
                      f"start Ollama and have it pull the model, or set another tier: see {PAGE}")


def _word(path: Path) -> str:
    return shlex.quote(str(path))
