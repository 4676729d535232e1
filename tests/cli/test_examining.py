"""The verb doctor: what it prints and how it ends, on a machine of which one thing is broken at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from aimem.cli import ExitStatus
from aimem.model import DAY_S
from aimem.ports import Mode, durable, system_files
from aimem.store import replacing
from aimem.wire.doctor import DoctorOut, FindingOut, Kind, Section, SectionOut, Severity
from tests.cli.fakes import Machine
from tests.cli.real import RealMachine
from tests.pki import issue, issue_expired, issue_not_yet, make_ca

Break = Callable[[RealMachine], tuple[str, ...]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealMachine:
    monkeypatch.setattr(durable, "synced_writes_ms", lambda folder, count: (1.0,) * count)
    made = RealMachine(tmp_path)
    made.run("store", "-T", "Lamp", "-c", "It is green.")
    made.run("backup")
    return made


def look(machine: RealMachine, *argv: str) -> tuple[int, DoctorOut]:
    done = machine.run("doctor", "--json", *argv)
    return done.status, msgspec.json.decode(done.out, type=DoctorOut)


def settings(machine: RealMachine, *lines: str) -> tuple[str, ...]:
    path = machine.cwd / "config.toml"
    path.write_text("\n".join(lines))
    return ("--config", str(path))


def certified(machine: RealMachine, how: str) -> tuple[str, ...]:
    """Settings that name a certificate, and a list that has it."""
    shown = {"expired": issue_expired, "not yet": issue_not_yet, "other key": issue}[how](make_ca(), "node-a")
    certificate, key = shown.write(machine.cwd, "tls")
    if how == "other key":
        key.write_bytes(issue(make_ca(), "node-a").key)
    return settings(machine, "[tls]", f'cert = "{certificate}"', f'key = "{key}"')


def model_of(machine: RealMachine, tier: str, line: str) -> tuple[str, ...]:
    machine.environ["AI_MEMORY_TIER"] = tier
    return settings(machine, line)


def cut(machine: RealMachine) -> tuple[str, ...]:
    db = machine.cwd / "memory.db"
    db.write_bytes(db.read_bytes()[: 20 * 4096])
    return ()


def blank_page(machine: RealMachine) -> tuple[str, ...]:
    """Damages what no command reads before it reads memories."""
    db = machine.cwd / "memory.db"
    conn = system_files().connect(db, Mode.UNTOUCHED)
    [[page]] = conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'memories'").fetchall()
    conn.close()
    assert isinstance(page, int)
    data = db.read_bytes()
    db.write_bytes(data[: (page - 1) * 4096] + bytes(4096) + data[page * 4096 :])
    return ()


def overwrite(machine: RealMachine) -> tuple[str, ...]:
    (machine.cwd / "memory.db").write_bytes(b"no database at all" * 1000)
    return ()


def cut_off_restore(machine: RealMachine) -> tuple[str, ...]:
    db = machine.cwd / "memory.db"
    db.rename(replacing.copy_path(db))
    replacing.commit(db)
    return ()


def publish_key(machine: RealMachine) -> tuple[str, ...]:
    (machine.cwd / "memory.db.node").chmod(0o644)
    return ()


def age_backup(machine: RealMachine) -> tuple[str, ...]:
    machine.clock.advance(3 * DAY_S)
    return ()


def turn_clock_back(machine: RealMachine) -> tuple[str, ...]:
    machine.clock.advance(-3600)
    return ()


def leave_files(machine: RealMachine) -> tuple[str, ...]:
    (machine.cwd / "memory.db.joining").mkdir()
    return ()


BROKEN: dict[str, tuple[Break, Section, Kind, ExitStatus]] = {
    "unknown setting": (lambda machine: settings(machine, "colour = 1"), Section.CONFIGURATION, Kind.CONFIG_INVALID,
                        ExitStatus.INVALID),
    "no such file": (lambda machine: ("--config", "none.toml"), Section.CONFIGURATION, Kind.CONFIG_INVALID,
                     ExitStatus.INVALID),
    "idle setting": (lambda machine: settings(machine, 'embedding_model = "mini_lm_l6_v2"'), Section.CONFIGURATION,
                     Kind.CONFIG_NOTICE, ExitStatus.OTHER),
    "public": (lambda machine: settings(machine, 'bind = "0.0.0.0:9077"'), Section.CONFIGURATION, Kind.EXPOSED,
               ExitStatus.INVALID),
    "more than all": (lambda machine: settings(machine, "[mesh]", 'quorum_peers = "http://b:1"', "quorum_writes = 3"),
                      Section.CONFIGURATION, Kind.CONFIG_INVALID, ExitStatus.INVALID),
    "public key": (publish_key, Section.CONFIGURATION, Kind.KEY_READABLE, ExitStatus.INVALID),
    "expired": (lambda machine: certified(machine, "expired"), Section.CERTIFICATES, Kind.CERTIFICATE_UNUSABLE,
                ExitStatus.INVALID),
    "other key": (lambda machine: certified(machine, "other key"), Section.CERTIFICATES, Kind.CERTIFICATE_UNUSABLE,
                  ExitStatus.INVALID),
    "cut": (cut, Section.DATABASE, Kind.DATABASE_UNREADABLE, ExitStatus.INVALID),
    "blank page": (blank_page, Section.DATABASE, Kind.DATABASE_DAMAGED, ExitStatus.INVALID),
    "overwritten": (overwrite, Section.DATABASE, Kind.DATABASE_UNREADABLE, ExitStatus.INVALID),
    "missing": (lambda machine: ("--db", "other.db"), Section.DATABASE, Kind.DATABASE_MISSING, ExitStatus.INVALID),
    "no folder": (lambda machine: ("--db", "none/other.db"), Section.DATABASE, Kind.DATABASE_MISSING,
                  ExitStatus.INVALID),
    "half restored": (cut_off_restore, Section.DATABASE, Kind.RESTORE_CUT_OFF, ExitStatus.OTHER),
    "old backup": (age_backup, Section.DATABASE, Kind.OLD_BACKUP, ExitStatus.OTHER),
    "clock": (turn_clock_back, Section.CLOCK, Kind.CLOCK_BEHIND, ExitStatus.OTHER),
    "leftovers": (leave_files, Section.DISK, Kind.LEFTOVERS, ExitStatus.OK),
    "no model": (lambda machine: model_of(machine, "semantic", f'model_dir = "{machine.cwd}"'),
                 Section.MODEL, Kind.MODEL_AWAY, ExitStatus.OTHER),
    "no language": (lambda machine: model_of(machine, "smart", 'ollama_url = "http://127.0.0.1:1"'),
                    Section.MODEL, Kind.LANGUAGE_AWAY, ExitStatus.OTHER),
}


def test_a_node_that_is_well_has_status_0_and_a_line_for_each_section(machine: RealMachine) -> None:
    done = machine.run("doctor")
    assert (done.status, done.err) == (ExitStatus.OK, ""), done.out
    lines = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == list(Section)
    status, found = look(machine)
    assert status == ExitStatus.OK
    assert [one.kind for section in found.sections for one in section.findings] == [Kind.NO_DAEMON]
    assert found.db == str(machine.cwd / "memory.db")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_with_its_status(name: str, machine: RealMachine) -> None:
    spoil, section, kind, status = BROKEN[name]
    result, found = look(machine, *spoil(machine))
    assert result == status
    told = {one.section: one for one in found.sections}
    assert kind in [one.kind for one in told[section].findings]


def test_a_database_by_another_name_is_looked_at_where_it_lies(machine: RealMachine) -> None:
    link = machine.cwd / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(machine.cwd / "memory.db")
    status, found = look(machine, "--db", str(link))
    assert (status, found.db) == (ExitStatus.OK, str(machine.cwd / "memory.db"))
    assert [one.kind for section in found.sections for one in section.findings] == [Kind.NO_DAEMON]


def test_a_disk_that_is_nearly_full_is_found(machine: RealMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "free_bytes", lambda folder: 1 << 20)
    status, found = look(machine)
    assert (status, found.severity) == (ExitStatus.INVALID, Severity.CRITICAL)


def test_a_finding_says_what_was_seen_and_what_to_do(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    finding = FindingOut(kind=Kind.DISK_FULL, severity=Severity.WARNING, seen="12 MiB are free", remedy="make room")
    section = SectionOut(section=Section.DISK, severity=Severity.WARNING, summary="12 MiB free", findings=(finding,))
    machine.doctor_report = DoctorOut(severity=Severity.WARNING, version="1", db="/m.db", sections=(section,))
    shown = machine.run("doctor")
    assert shown.status == ExitStatus.OTHER
    assert shown.out == (
        "disk           warning   12 MiB free\n  warning: 12 MiB are free\n  to do: make room\n"
    )
    assert msgspec.json.decode(machine.run("doctor", "--json").out, type=DoctorOut) == machine.doctor_report
