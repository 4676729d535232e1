"""What the doctor found: of each section one line, and findings that say what was seen and what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Severity(StrEnum):
    """How bad a finding is, or the worst of several; the order is that of the members."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Section(StrEnum):
    """What is looked at, in the order in which it is told."""

    CONFIGURATION = "configuration"
    CERTIFICATES = "certificates"
    CLOCK = "clock"
    DISK = "disk"
    DATABASE = "database"
    MODEL = "model"
    DAEMON = "daemon"
    PEERS = "peers"
    VERSIONS = "versions"


class Kind(StrEnum):
    """What a finding is about, for scripts; MEANING says it in words."""

    CHECK_HANGS = "check_hangs"
    CHECK_FAILED = "check_failed"
    CONFIG_INVALID = "config_invalid"
    CONFIG_NOTICE = "config_notice"
    EXPOSED = "exposed"
    KEY_READABLE = "key_readable"
    CERTIFICATE_UNUSABLE = "certificate_unusable"
    CERTIFICATE_ENDS = "certificate_ends"
    NOT_ON_OWN_LIST = "not_on_own_list"
    CLOCK_BEHIND = "clock_behind"
    CLOCK_OFF_PEER = "clock_off_peer"
    DISK_FULL = "disk_full"
    DISK_SLOW = "disk_slow"
    FOLDER_UNWRITABLE = "folder_unwritable"
    LEFTOVERS = "leftovers"
    DATABASE_MISSING = "database_missing"
    DATABASE_UNREADABLE = "database_unreadable"
    DATABASE_DAMAGED = "database_damaged"
    RESTORE_CUT_OFF = "restore_cut_off"
    OLD_SCHEMA = "old_schema"
    LONG_LOG = "long_log"
    HELD_OPS = "held_ops"
    NO_BACKUP = "no_backup"
    OLD_BACKUP = "old_backup"
    MODEL_AWAY = "model_away"
    LANGUAGE_AWAY = "language_away"
    NO_DAEMON = "no_daemon"
    DAEMON_SILENT = "daemon_silent"
    DAEMON_UNWELL = "daemon_unwell"
    OTHER_SETTINGS = "other_settings"
    PEER_UNREACHABLE = "peer_unreachable"
    PEER_EXCLUDED = "peer_excluded"
    PEER_BEHIND = "peer_behind"
    PEER_CERTIFICATE_ENDS = "peer_certificate_ends"
    NO_QUORUM = "no_quorum"
    MESH_OPEN = "mesh_open"
    MESH_ALARM = "mesh_alarm"
    OTHER_VERSION = "other_version"
    OTHER_PROTOCOL = "other_protocol"


MEANING: Final = {
    Kind.CHECK_HANGS: "A section was not looked at within its time; its disk, file or server hangs.",
    Kind.CHECK_FAILED: "A section could not be looked at, mostly for want of permission.",
    Kind.CONFIG_INVALID: "The settings cannot be read, and no daemon would start; nothing else is looked at then.",
    Kind.CONFIG_NOTICE: "A variable AI_MEMORY_* is unknown, or a setting has no effect, or one to know of.",
    Kind.EXPOSED: "Other machines reach the address on which the daemon is to listen, and there is no TLS.",
    Kind.KEY_READABLE: "Others than its owner may read the file with the node's key.",
    Kind.CERTIFICATE_UNUSABLE: "A certificate, its key, an authority or the list of those that may connect is missing, "
                               "has expired, is not valid yet, or does not fit.",
    Kind.CERTIFICATE_ENDS: "A certificate, or one of its chain, ends within 30 days.",
    Kind.NOT_ON_OWN_LIST: "The list of those that may connect lacks what this node shows its peers.",
    Kind.CLOCK_BEHIND: "The database holds a write of a moment that is yet to come.",
    Kind.CLOCK_OFF_PEER: "The clocks of a peer and of this node differ by more than half a second.",
    Kind.DISK_FULL: "The disk of the database has too little room to write, or for a copy of the database.",
    Kind.DISK_SLOW: "A small synced write in the database's folder takes long: so does each write of a memory.",
    Kind.FOLDER_UNWRITABLE: "Whoever runs this may not write in the folder of the database.",
    Kind.LEFTOVERS: "Files beside the database that nothing uses any more.",
    Kind.DATABASE_MISSING: "There is no database.",
    Kind.DATABASE_UNREADABLE: "The database cannot be opened, or is none of this program.",
    Kind.DATABASE_DAMAGED: "SQLite's quick look at the database found damage.",
    Kind.RESTORE_CUT_OFF: "A restore was cut off; the next start ends it.",
    Kind.OLD_SCHEMA: "The next start brings the database to a newer schema, or to the last form of its own, and keeps "
                     "a copy.",
    Kind.LONG_LOG: "The write-ahead log is long: a reader keeps it from being moved into the database.",
    Kind.HELD_OPS: "The database holds writes that it cannot apply.",
    Kind.NO_BACKUP: "The folder backups beside the database has no backup of it; there may be some elsewhere.",
    Kind.OLD_BACKUP: "The newest backup there is more than two days old.",
    Kind.MODEL_AWAY: "What makes vectors cannot be used: recall is by words alone.",
    Kind.LANGUAGE_AWAY: "The language model cannot be used.",
    Kind.NO_DAEMON: "No process holds the database.",
    Kind.DAEMON_SILENT: "A process holds the database and does not answer.",
    Kind.DAEMON_UNWELL: "The daemon says that it is not well, not ready, or what it warns of.",
    Kind.OTHER_SETTINGS: "The daemon was started with other settings than this command has.",
    Kind.PEER_UNREACHABLE: "A peer does not answer.",
    Kind.PEER_EXCLUDED: "A peer answers and does not count: it is untrusted, another mesh's, twice there, or forked.",
    Kind.PEER_BEHIND: "A peer lacks writes for more than a minute.",
    Kind.PEER_CERTIFICATE_ENDS: "The certificate of a peer ends within 30 days.",
    Kind.NO_QUORUM: "Fewer nodes answer than a write waits for.",
    Kind.MESH_OPEN: "Whoever reaches this node may pose as a peer.",
    Kind.MESH_ALARM: "An alarm of the mesh, in its own words.",
    Kind.OTHER_VERSION: "The daemon is of another version than this command.",
    Kind.OTHER_PROTOCOL: "A peer speaks an older language between nodes than this one.",
}
"""The manual's sentence for each kind."""


class FindingOut(Struct, frozen=True, kw_only=True):
    """One thing to know of: what was seen, and what to do."""

    kind: Kind
    severity: Severity
    seen: str
    remedy: str


class SectionOut(Struct, frozen=True, kw_only=True):
    """One section; `summary` says in a few words what was looked at."""

    section: Section
    severity: Severity
    summary: str
    findings: tuple[FindingOut, ...]


class DoctorOut(Struct, frozen=True, kw_only=True):
    """All of it: `severity` is the worst. `db` is empty where the settings cannot be read."""

    severity: Severity
    version: str
    db: str
    sections: tuple[SectionOut, ...]


def worst(severities: tuple[Severity, ...]) -> Severity:
    """The worst of several, OK of none."""
    return max(severities, key=list(Severity).index, default=Severity.OK)
