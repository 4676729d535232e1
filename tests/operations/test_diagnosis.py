"""The doctor's findings: each kind comes from what it is about, has a remedy, and is absent on a node that is well."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import aimem
from aimem.config import ApiConfig, Config, FeatureTier, SearchConfig, StoreConfig
from aimem.errors import Code
from aimem.model import DAY_S, SECOND_US, Instant
from aimem.operations.diagnosis import LOG_LONG_BYTES, MIB
from aimem.operations.examined import examined
from aimem.operations.looking import look_at_disk
from aimem.operations.seen import Answers, Certificates, Daemon, Database, Disk, Models, Seen, Settings, Unseen
from aimem.ports import durable
from aimem.service import OwnCertificate, Which
from aimem.store import SCHEMA_VERSION
from aimem.store.glance import Glance
from aimem.wire import TIER_IS_KEYWORD, Health, IndexStatus, MeshDocument, PeerStatus
from aimem.wire.doctor import MEANING, DoctorOut, FindingOut, Kind, Section, Severity
from aimem.wire.mesh import PeerCertificateOut
from tests.nodes import START

DB = Path("/data/memory.db")
CONFIG = Config(store=StoreConfig(db=DB, named_by="--db"))
LISTED = "ab" * 32


def days(count: float) -> Instant:
    return Instant(START + round(count * DAY_S * SECOND_US))


def own(left_days: float = 200) -> OwnCertificate:
    return OwnCertificate(
        which=Which.SERVER, fingerprint=LISTED, subject="CN=node-a", names=("node-a",), not_after=days(left_days)
    )


ENDING_LATER = PeerCertificateOut(fingerprint=LISTED, names=("b",), expires_at="2027-09-01T00:00:00Z", days_left=200)


def peer(**changes: object) -> PeerStatus:
    fields: dict[str, object] = {
        "url": "https://b:9077", "node": "b", "stream": "s", "state": "reachable", "breaker": "closed",
        "in_flight": False, "lag_ops": 0, "lag_s": 0.0, "failures": 0, "clock_offset_ms": 12.0, "last_ok_s": 1.0,
        "last_error": "", "vector": {}, "held": 0, "protocol": 3,
        "certificate": ENDING_LATER,
    }
    return PeerStatus(**{**fields, **changes})  # type: ignore[arg-type]


HEALTH = Health(
    status="ok", service="ai-memory", version=aimem.__version__, embedder_ready=True, federation_enabled=True,
    compatible_with="0.6.3", mode="hybrid", embedding_backlog=0, open_access=False, stream="s",
)
INDEX = IndexStatus(mode="hybrid", model="m", embedding_backlog=0, embedded=3, reason="")
MESH = MeshDocument(
    node="a", stream="s", protocol=3, members=2, writes=2, peers=(peer(),), vector={}, hlc=1, held=(), held_count=0,
    conflict_count=0, mesh_access="mtls",
)
ANSWERS = Answers(health=HEALTH, index=INDEX, mesh=MESH)
WELL = Seen(
    now=START, settings=Settings(config=CONFIG), certificates=Certificates(own=(own(),), listed=frozenset({LISTED})),
    disk=Disk(folder=DB.parent, free_bytes=20_000 * MIB, database_bytes=100 * MIB, sync_ms=(2.0, 3.0, 40.0)),
    database=Database(
        db=DB, log_bytes=MIB, backup_at=days(-1), look=Glance(version=SCHEMA_VERSION, newest=days(-0.1))
    ),
    models=Models(embedding="m", language="gemma"),
    daemon=Daemon(holder="process 7 (ai-memory serve)", answers=ANSWERS),
)


def with_settings(**changes: object) -> Seen:
    return replace(WELL, settings=replace(WELL.settings, **changes))


def with_disk(**changes: object) -> Seen:
    return replace(WELL, disk=replace(WELL.disk, **changes))


def with_database(**changes: object) -> Seen:
    return replace(WELL, database=replace(WELL.database, **changes))


def with_look(**changes: object) -> Seen:
    return with_database(look=Glance(**{"version": SCHEMA_VERSION, **changes}))  # type: ignore[arg-type]


def with_health(**changes: object) -> Seen:
    return replace(WELL, daemon=replace(WELL.daemon, answers=replace(ANSWERS, health=replace(HEALTH, **changes))))


def with_index(**changes: object) -> Seen:
    return replace(WELL, daemon=replace(WELL.daemon, answers=replace(ANSWERS, index=replace(INDEX, **changes))))


def with_mesh(**changes: object) -> Seen:
    return replace(WELL, daemon=replace(WELL.daemon, answers=replace(ANSWERS, mesh=replace(MESH, **changes))))


def with_peer(**changes: object) -> Seen:
    return with_mesh(peers=(peer(**changes),))


PUBLIC = replace(CONFIG, api=ApiConfig(host="0.0.0.0"))
INSECURE = replace(CONFIG, api=ApiConfig(host="0.0.0.0", insecure=True))
ENDING = PeerCertificateOut(fingerprint=LISTED, names=("b",), expires_at="2027-01-17T00:00:00Z", days_left=2)
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL

CASES: list[tuple[Section, Kind, Severity, Seen]] = [
    (Section.CONFIGURATION, Kind.CHECK_HANGS, CRITICAL, replace(WELL, settings=Unseen(after_s=10.0))),
    (Section.CONFIGURATION, Kind.CHECK_FAILED, WARNING, replace(WELL, settings=Unseen(why="x: no permission"))),
    (Section.CONFIGURATION, Kind.CONFIG_INVALID, CRITICAL,
     replace(WELL, settings=Unseen(why="line 3: x is an unknown key", family=Code.INVALID_REQUEST))),
    (Section.CONFIGURATION, Kind.CONFIG_INVALID, CRITICAL, with_settings(host_fault="cannot listen on 'x'")),
    (Section.CONFIGURATION, Kind.CONFIG_NOTICE, WARNING,
     with_settings(config=replace(CONFIG, notices=("AI_MEMORY_X is an unknown variable and has no effect",)))),
    (Section.CONFIGURATION, Kind.EXPOSED, CRITICAL, with_settings(config=PUBLIC, is_exposed=True)),
    (Section.CONFIGURATION, Kind.EXPOSED, WARNING, with_settings(config=INSECURE, is_exposed=True)),
    (Section.CONFIGURATION, Kind.KEY_READABLE, CRITICAL, with_settings(readable_keys=(Path("/data/memory.db.node"),))),
    (Section.CERTIFICATES, Kind.CHECK_HANGS, CRITICAL, replace(WELL, certificates=Unseen(after_s=10.0))),
    (Section.CERTIFICATES, Kind.CERTIFICATE_UNUSABLE, CRITICAL,
     replace(WELL, certificates=Unseen(why="--tls-cert: a.pem expired on 2027-01-01", family=Code.INVALID_REQUEST))),
    (Section.CERTIFICATES, Kind.CERTIFICATE_ENDS, WARNING,
     replace(WELL, certificates=Certificates(own=(own(29.9),), listed=None))),
    (Section.CERTIFICATES, Kind.CERTIFICATE_ENDS, CRITICAL,
     replace(WELL, certificates=Certificates(own=(own(0.5),), listed=None))),
    (Section.CERTIFICATES, Kind.NOT_ON_OWN_LIST, INFO,
     replace(WELL, certificates=Certificates(own=(own(),), listed=frozenset({"cd" * 32})))),
    (Section.CLOCK, Kind.CLOCK_BEHIND, WARNING, with_look(newest=days(0.1))),
    (Section.CLOCK, Kind.CLOCK_OFF_PEER, WARNING, with_peer(clock_offset_ms=-700.0)),
    (Section.DISK, Kind.CHECK_HANGS, CRITICAL, replace(WELL, disk=Unseen(after_s=10.0))),
    (Section.DISK, Kind.DISK_FULL, CRITICAL, with_disk(free_bytes=63 * MIB)),
    (Section.DISK, Kind.DISK_FULL, CRITICAL, with_disk(sync_ms=(), is_full=True)),
    (Section.DISK, Kind.DISK_FULL, WARNING, with_disk(free_bytes=511 * MIB)),
    (Section.DISK, Kind.DISK_FULL, WARNING, with_disk(free_bytes=2000 * MIB, database_bytes=1990 * MIB)),
    (Section.DISK, Kind.DISK_SLOW, WARNING, with_disk(sync_ms=(120.0, 130.0, 1.0))),
    (Section.DISK, Kind.DISK_SLOW, CRITICAL, with_disk(sync_ms=(1200.0,))),
    (Section.DISK, Kind.FOLDER_UNWRITABLE, WARNING, with_disk(sync_ms=(), unwritable="Permission denied")),
    (Section.DISK, Kind.LEFTOVERS, INFO, with_disk(unfinished=("memory.db.joining",))),
    (Section.DATABASE, Kind.CHECK_HANGS, CRITICAL, replace(WELL, database=Unseen(after_s=10.0))),
    (Section.DATABASE, Kind.CHECK_FAILED, WARNING,
     replace(WELL, database=Unseen(why="cannot open it", family=Code.UNAVAILABLE))),
    (Section.DATABASE, Kind.DATABASE_UNREADABLE, CRITICAL,
     replace(WELL, database=Unseen(why="it is no SQLite database", family=Code.CORRUPT))),
    (Section.DATABASE, Kind.DATABASE_MISSING, CRITICAL, with_database(is_there=False, look=None)),
    (Section.DATABASE, Kind.DATABASE_MISSING, INFO, with_database(is_there=False, look=None, is_named=False)),
    (Section.DATABASE, Kind.DATABASE_DAMAGED, CRITICAL, with_look(findings=("row 7 missing from index i",))),
    (Section.DATABASE, Kind.RESTORE_CUT_OFF, WARNING, with_database(is_there=False, is_pending=True, look=None)),
    (Section.DATABASE, Kind.OLD_SCHEMA, INFO, with_look(version=SCHEMA_VERSION - 1)),
    (Section.DATABASE, Kind.OLD_SCHEMA, INFO, with_look(is_early=True)),
    (Section.DATABASE, Kind.LONG_LOG, WARNING, with_database(log_bytes=LOG_LONG_BYTES + 1)),
    (Section.DATABASE, Kind.HELD_OPS, WARNING, with_look(held=3)),
    (Section.DATABASE, Kind.NO_BACKUP, INFO, with_database(backup_at=None)),
    (Section.DATABASE, Kind.OLD_BACKUP, WARNING, with_database(backup_at=days(-2.1))),
    (Section.MODEL, Kind.CHECK_HANGS, CRITICAL, replace(WELL, models=Unseen(after_s=30.0))),
    (Section.MODEL, Kind.MODEL_AWAY, WARNING, replace(WELL, models=Models(embedding_away="no model.onnx"))),
    (Section.MODEL, Kind.LANGUAGE_AWAY, WARNING,
     replace(WELL, models=Models(embedding="m", language="gemma", language_away="Ollama does not have gemma"))),
    (Section.DAEMON, Kind.CHECK_HANGS, CRITICAL, replace(WELL, daemon=Unseen(after_s=10.0))),
    (Section.DAEMON, Kind.NO_DAEMON, INFO, replace(WELL, daemon=Daemon())),
    (Section.DAEMON, Kind.DAEMON_SILENT, CRITICAL, replace(WELL, daemon=Daemon(holder="process 7"))),
    (Section.DAEMON, Kind.DAEMON_UNWELL, CRITICAL, with_health(status="error")),
    (Section.DAEMON, Kind.DAEMON_UNWELL, WARNING, with_health(ready=False)),
    (Section.DAEMON, Kind.DAEMON_UNWELL, WARNING, with_health(warnings=("somebody has to look",))),
    (Section.DAEMON, Kind.OTHER_SETTINGS, INFO, with_index(mode="keyword", reason=TIER_IS_KEYWORD)),
    (Section.DAEMON, Kind.MODEL_AWAY, WARNING, with_index(mode="keyword", reason="the model cannot be loaded")),
    (Section.PEERS, Kind.PEER_UNREACHABLE, WARNING, with_mesh(writes=1, peers=(peer(state="unreachable"),))),
    (Section.PEERS, Kind.NO_QUORUM, CRITICAL, with_peer(state="unreachable")),
    (Section.PEERS, Kind.PEER_EXCLUDED, CRITICAL, with_peer(state="untrusted")),
    (Section.PEERS, Kind.PEER_BEHIND, WARNING, with_peer(lag_s=61.0, lag_ops=4)),
    (Section.PEERS, Kind.PEER_CERTIFICATE_ENDS, WARNING, with_peer(certificate=ENDING)),
    (Section.PEERS, Kind.MESH_OPEN, WARNING, with_mesh(mesh_access="open")),
    (Section.PEERS, Kind.MESH_ALARM, WARNING, with_mesh(alarms=("1 object differs from a peer's",))),
    (Section.VERSIONS, Kind.OTHER_VERSION, WARNING, with_health(version="0.0.1")),
    (Section.VERSIONS, Kind.OTHER_PROTOCOL, WARNING, with_peer(protocol=2)),
]


def findings(found: DoctorOut) -> Iterator[tuple[Section, FindingOut]]:
    return ((section.section, finding) for section in found.sections for finding in section.findings)


def test_a_node_that_is_well_has_no_finding() -> None:
    found = examined(WELL)
    assert ([*findings(found)], found.severity) == ([], Severity.OK)
    assert [section.section for section in found.sections] == list(Section)
    assert {section.severity for section in found.sections} == {Severity.OK}


@pytest.mark.parametrize(("section", "kind", "severity", "seen"), CASES)
def test_a_finding_stands_in_its_section_with_a_remedy(
    section: Section, kind: Kind, severity: Severity, seen: Seen
) -> None:
    found = examined(seen)
    [finding] = [one for where, one in findings(found) if (where, one.kind) == (section, kind)]
    assert finding.severity is severity
    assert finding.seen and finding.remedy
    [told] = [one for one in found.sections if one.section is section]
    assert list(Severity).index(told.severity) >= list(Severity).index(severity)
    assert found.severity is max((one.severity for one in found.sections), key=list(Severity).index)


def test_every_kind_can_be_found_and_is_explained() -> None:
    assert {kind for _, kind, _, _ in CASES} == set(Kind) == set(MEANING)


OTHER_NAME = "tls: its certificate is not for the name "


@pytest.mark.parametrize(("seen", "words", "others"), [
    (with_disk(kept=("memory.pre-restore-1.db",)), "remove the copies", "the next start"),
    (with_disk(unfinished=("memory.db.joining",)), "the next start", "remove the copies"),
    (with_peer(state="unreachable", last_error=f"{OTHER_NAME}10.0.0.2", url="https://10.0.0.2:9077"),
     "pki issue --renew --name b --ip 10.0.0.2 ", "firewall"),
    (with_peer(state="unreachable", last_error=f"{OTHER_NAME}bee.example", url="https://bee.example:9077", node=""),
     "pki issue --renew --name NAME --dns bee.example ", "firewall"),
    (with_peer(state="unreachable"), "firewall", "pki issue"),
])
def test_a_remedy_is_of_what_was_seen(seen: Seen, words: str, others: str) -> None:
    remedies = "\n".join(one.remedy for _, one in findings(examined(seen)))
    assert words in remedies
    assert others not in remedies


@pytest.mark.parametrize(("last_ok_s", "words"), [
    (None, "it was never reached"), (72.4, "its last answer came 72 s ago"),
])
def test_a_peer_that_was_reached_and_hangs_is_not_said_to_have_never_been(last_ok_s: float | None, words: str) -> None:
    seen = with_mesh(writes=1, peers=(peer(state="unreachable", last_ok_s=last_ok_s),))
    assert [one.seen for _, one in findings(examined(seen))] == [f"b (https://b:9077) does not answer: {words}"]


@pytest.mark.parametrize(("number", "kind"), [
    (errno.ENOSPC, Kind.DISK_FULL), (errno.EDQUOT, Kind.DISK_FULL), (errno.EACCES, Kind.FOLDER_UNWRITABLE),
])
def test_a_full_disk_is_no_want_of_permission(
    number: int, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, count: int) -> tuple[float, ...]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "synced_writes_ms", refuse)
    monkeypatch.setattr(durable, "free_bytes", lambda folder: 20_000 * MIB)
    disk = look_at_disk(tmp_path / "memory.db", is_held=False)
    assert [one.kind for _, one in findings(examined(replace(WELL, disk=disk)))] == [kind]


@pytest.mark.parametrize("seen", [replace(WELL, daemon=Daemon()), replace(WELL, daemon=Daemon(holder="process 7"))])
def test_of_peers_nothing_is_known_where_no_daemon_was_asked(seen: Seen) -> None:
    [told] = [one for one in examined(seen).sections if one.section is Section.PEERS]
    assert (told.severity, told.summary) == (INFO, "not known: no daemon was asked")


def test_what_was_looked_at_and_is_broken_is_not_said_to_be_unseen() -> None:
    seen = replace(WELL, database=Unseen(why="it is no SQLite database", family=Code.CORRUPT))
    assert {one.section: one.summary for one in examined(seen).sections}[Section.DATABASE] == "not readable"


def test_a_daemon_that_was_told_to_recall_by_words_does_not_ail() -> None:
    found = examined(with_index(mode="keyword", reason=TIER_IS_KEYWORD))
    assert [(one.kind, one.severity) for _, one in findings(found)] == [(Kind.OTHER_SETTINGS, INFO)]


def test_a_reason_does_not_repeat_the_state_that_it_explains() -> None:
    seen = with_mesh(writes=1, peers=(peer(state="unreachable", last_error="unreachable: it refuses the connection"),))
    assert [one.seen for _, one in findings(examined(seen))] == [
        "b (https://b:9077) does not answer: it refuses the connection"
    ]


def test_what_the_daemon_warns_of_and_the_mesh_raises_an_alarm_for_is_told_once() -> None:
    alarm = "b has not answered since noon"
    seen = replace(WELL, daemon=replace(WELL.daemon, answers=replace(
        ANSWERS, health=replace(HEALTH, warnings=(alarm,)), mesh=replace(MESH, alarms=(alarm,)),
    )))
    assert [one.seen for _, one in findings(examined(seen))] == [alarm]


def test_recall_by_words_is_nothing_to_tell_where_it_is_meant() -> None:
    config = replace(CONFIG, search=SearchConfig(tier=FeatureTier.KEYWORD))
    seen = replace(with_index(mode="keyword", reason=TIER_IS_KEYWORD), settings=Settings(config=config))
    assert examined(seen).severity is Severity.OK
