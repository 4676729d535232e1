"""From all that was seen to what is told of it, section by section."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TypeVar

import aimem
from aimem.errors import Code
from aimem.model import format_instant
from aimem.operations import diagnosis, meshdiagnosis
from aimem.operations.diagnosis import Findings, Kind, critical, size, warning
from aimem.operations.seen import Answers, Certificates, Daemon, Database, Disk, Models, Seen, Settings, Unseen
from aimem.service import days_left
from aimem.wire import doctor

Section = doctor.Section
T = TypeVar("T")

_KINDS = {
    (Section.CONFIGURATION, Code.INVALID_REQUEST): Kind.CONFIG_INVALID,
    (Section.CERTIFICATES, Code.INVALID_REQUEST): Kind.CERTIFICATE_UNUSABLE,
    (Section.DATABASE, Code.CORRUPT): Kind.DATABASE_UNREADABLE,
}
"""What a look that failed means, where that is more than that it failed."""

_REMEDIES = {
    Kind.CONFIG_INVALID: f"mend that setting: {diagnosis.PAGE} has each; no daemon would start, and nothing else was "
                         "looked at",
    Kind.CERTIFICATE_UNUSABLE: "do what it says; a daemon that runs goes on with what it has, and would not start anew",
    Kind.DATABASE_UNREADABLE: "if it says what to do, do that; else put a backup back: ai-memory restore",
}

_WORDS = {
    Kind.CHECK_HANGS: "given up", Kind.CHECK_FAILED: "not looked at", Kind.CONFIG_INVALID: "not valid",
    Kind.CERTIFICATE_UNUSABLE: "not usable", Kind.DATABASE_UNREADABLE: "not readable",
}
"""The summary of a section of which nothing more is known."""


def examined(seen: Seen) -> doctor.DoctorOut:
    """What is told; without settings of these alone."""
    settings = seen.settings
    if isinstance(settings, Unseen):
        sections = [_section(Section.CONFIGURATION, settings, diagnosis.settings_findings, _of_settings)]
    else:
        sections = [
            _section(Section.CONFIGURATION, settings, diagnosis.settings_findings, _of_settings),
            _section(
                Section.CERTIFICATES, seen.certificates, lambda one: diagnosis.certificate_findings(one, seen.now),
                lambda one: _of_certificates(one, seen),
            ),
            _clock(seen),
            _section(Section.DISK, seen.disk, diagnosis.disk_findings, _of_disk),
            _section(
                Section.DATABASE, seen.database, lambda one: diagnosis.database_findings(one, seen.now), _of_database
            ),
            _section(Section.MODEL, seen.models, diagnosis.model_findings, _of_models),
            _section(
                Section.DAEMON, seen.daemon,
                lambda one: meshdiagnosis.daemon_findings(one, settings.config.search.tier), _of_daemon,
            ),
            *_of_mesh(seen.daemon),
        ]
    return doctor.DoctorOut(
        severity=doctor.worst(tuple(one.severity for one in sections)), version=aimem.__version__,
        db="" if isinstance(settings, Unseen) else str(settings.config.store.db), sections=tuple(sections),
    )


def _section(
    section: Section, seen: T | Unseen, findings: Callable[[T], Findings], summary: Callable[[T], str]
) -> doctor.SectionOut:
    if isinstance(seen, Unseen):
        finding = _unseen(section, seen)
        return _told(section, _WORDS[finding.kind], (finding,))
    return _told(section, summary(seen), tuple(findings(seen)))


def _told(section: Section, summary: str, findings: tuple[doctor.FindingOut, ...]) -> doctor.SectionOut:
    severity = doctor.worst(tuple(one.severity for one in findings))
    return doctor.SectionOut(section=section, severity=severity, summary=summary, findings=findings)


def _unseen(section: Section, seen: Unseen) -> doctor.FindingOut:
    if seen.after_s is not None:
        return critical(
            Kind.CHECK_HANGS, f"the look at the {section} did not end within {seen.after_s:g} s, and was given up",
            "find what hangs: a disk (dmesg), a file on another machine, a server, or the daemon (its log)",
        )
    kind = _KINDS.get((section, seen.family)) if seen.family else None
    if kind is not None:
        return critical(kind, seen.why, _REMEDIES[kind])
    return warning(Kind.CHECK_FAILED, f"the {section} could not be looked at: {seen.why}",
                   "run this as the user whose daemon it is, with its settings: see ai-memory-service(7), THE DOCTOR")


def _clock(seen: Seen) -> doctor.SectionOut:
    findings = [*diagnosis.clock_findings(seen)]
    if (answers := _answers(seen.daemon)) is not None:
        findings += meshdiagnosis.peer_clock_findings(answers)
    return _told(Section.CLOCK, f"{format_instant(seen.now)[:19]}Z", tuple(findings))


def _of_mesh(daemon: Daemon | Unseen) -> tuple[doctor.SectionOut, doctor.SectionOut]:
    """Peers and versions: as the daemon says, if one does."""
    answers = _answers(daemon)
    if answers is None:
        nobody = "no daemon was asked"
        unknown = doctor.SectionOut(
            section=Section.PEERS, severity=doctor.Severity.INFO, summary=f"not known: {nobody}", findings=()
        )
        return unknown, _told(Section.VERSIONS, f"this is {aimem.__version__}; {nobody}", ())
    mesh = answers.mesh
    reachable = sum(peer.state == "reachable" for peer in mesh.peers)
    peers = f"{reachable} of {len(mesh.peers)} reachable, a write waits for {mesh.writes}" if mesh.peers else "none"
    return (
        _told(Section.PEERS, peers, tuple(meshdiagnosis.peer_findings(answers))),
        _told(Section.VERSIONS, f"this is {aimem.__version__}, the daemon {answers.health.version}",
              tuple(meshdiagnosis.version_findings(answers))),
    )


def _answers(daemon: Daemon | Unseen) -> Answers | None:
    return daemon.answers if isinstance(daemon, Daemon) else None


def _of_settings(settings: Settings) -> str:
    config = settings.config
    return f"tier {config.search.tier}, address {config.api.host}:{config.api.port}"


def _of_certificates(certificates: Certificates, seen: Seen) -> str:
    if not certificates.own:
        return "none are named"
    return f"the first ends in {min(days_left(one.not_after, seen.now) for one in certificates.own)} days"


def _of_disk(disk: Disk) -> str:
    took = f", a synced write takes {statistics.median(disk.sync_ms):.1f} ms" if disk.sync_ms else ""
    return f"{size(disk.free_bytes)} free{took}"


def _of_database(database: Database) -> str:
    look = database.look
    if look is None:
        return f"{database.db}, empty" if database.is_there else f"{database.db}, not there"
    part = "" if look.is_whole else ", looked at in part: ai-memory verify reads all"
    return f"{database.db}, schema {look.version}{part}"


def _of_models(models: Models) -> str:
    return ", ".join(name for name in (models.embedding, models.language) if name) or "none"


def _of_daemon(daemon: Daemon) -> str:
    return daemon.holder or "none"
