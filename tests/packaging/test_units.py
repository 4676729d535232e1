"""The units name commands, options and settings that there are, and give a reason for whatever they leave open."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest

from aimem.cli.parser import parse
from aimem.config import SETTINGS, load_config
from tests.packaging.units import FOLDER, SERVICES, UNITS, lines_of, values_of

ENVIRONMENT = FOLDER / "ai-memory.env"
NOTIFYING = [FOLDER / "ai-memory.service", FOLDER / "ai-memory@.service"]
TAKEN_AWAY = {
    "CapabilityBoundingSet": "", "AmbientCapabilities": "", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
    "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "DevicePolicy": "closed", "PrivateUsers": "yes",
    "ProtectClock": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "ProtectProc": "invisible",
    "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
    "RemoveIPC": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
    "LimitCORE": "0",
}
"""What every service does without, whole and without exception."""
WITH_REASONS = {
    "StateDirectory": "", "RestrictAddressFamilies": "none", "SystemCallErrorNumber": "", "ProcSubset": "pid",
    "MemoryDenyWriteExecute": "yes",
}
"""What may let something through -> what lets nothing through; all else is an exception, and has a comment."""


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("unit", SERVICES, ids=named)
def test_a_service_gives_everything_up_but_for_exceptions_with_a_reason(unit: Path) -> None:
    for key, value in TAKEN_AWAY.items():
        assert values_of(unit, key) == [value], key
    assert values_of(unit, "User") == values_of(unit, "Group") == ["ai-memory"]
    assert values_of(unit, "SystemCallFilter") == ["@system-service", "~@privileged @resources @obsolete"]
    for key, closed in WITH_REASONS.items():
        [line] = [line for line in lines_of(unit) if line.key == key]
        assert line.value == closed or re.match(r"Exception[^:]*: .{40}", line.comment), key
    if values_of(unit, "PrivateNetwork") != ["yes"]:
        assert "# Exception (PrivateNetwork, IPAddressDeny): " in unit.read_text()
    assert not values_of(unit, "ReadWritePaths") and not values_of(unit, "BindPaths")


@pytest.mark.parametrize("unit", SERVICES, ids=named)
def test_a_service_calls_commands_with_options_that_there_are(unit: Path) -> None:
    calls = [call for key in ("ExecStart", "ExecReload") for call in values_of(unit, key)]
    assert len(values_of(unit, "ExecStart")) == 1
    for call in calls:
        program, *words = shlex.split(call)
        assert program == "/usr/bin/ai-memory"
        assert parse(words, io.StringIO()).verb is not None


@pytest.mark.parametrize("unit", SERVICES, ids=named)
def test_all_services_have_their_database_settings_and_keys_from_the_same_places(unit: Path) -> None:
    name = "%i" if "@" in unit.name else "ai-memory"
    folder = "ai-memory/%i" if "@" in unit.name else "ai-memory"
    assert values_of(unit, "Environment") == [f"AI_MEMORY_DB=/var/lib/{folder}/ai-memory.db"]
    assert values_of(unit, "EnvironmentFile") == [f"/etc/ai-memory/{name}.env"]
    assert values_of(unit, "StateDirectory")[0].split()[0] == folder
    if unit.name == "ai-memory-backup.service":
        assert "AI_MEMORY_API_KEY_FILE" in values_of(unit, "UnsetEnvironment")[0].split()
    else:
        stem = "ai-memory-%i" if "@" in unit.name else "ai-memory"
        assert values_of(unit, "LoadCredential") == [f"{id}:{stem}.{id}" for id in ("api-key", "tls-key")]


@pytest.mark.parametrize("unit", UNITS, ids=named)
def test_a_unit_points_to_pages_that_there_are(unit: Path) -> None:
    [pages] = values_of(unit, "Documentation")
    for page, section in re.findall(r"man:([a-z-]+)\((\d)\)", pages):
        assert (FOLDER.parents[1] / "man" / f"{page}.{section}").exists(), page


def test_the_instances_differ_from_the_one_daemon_by_their_names_alone() -> None:
    one, many = map(lines_of, NOTIFYING)
    plain = {
        "ai-memory/%i.env": "ai-memory/ai-memory.env", "ai-memory/%i": "ai-memory", "ai-memory-%i.": "ai-memory.",
        " (%i)": "",
    }
    for line, other in zip(one, many, strict=True):
        value = other.value
        for mark, name in plain.items():
            value = value.replace(mark, name)
        assert line == other._replace(value=value)


@pytest.mark.parametrize("unit", NOTIFYING, ids=named)
def test_the_time_to_stop_is_longer_than_the_grace_of_requests(unit: Path) -> None:
    grace_s = load_config({}, {}, cwd=FOLDER, home=FOLDER, etc=FOLDER).api.shutdown_grace_s
    assert int(values_of(unit, "TimeoutStopSec")[0]) >= grace_s + 60
    assert values_of(unit, "Type") == ["notify"] and int(values_of(unit, "WatchdogSec")[0]) == 60


def test_the_environment_file_has_settings_alone_and_those_in_force_can_be_read() -> None:
    variables = {setting.variable for setting in SETTINGS}
    shown = dict(re.findall(r"^#?(AI_MEMORY_[A-Z_]+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE))
    assert len(shown) > 8 and not shown.keys() - variables
    in_force = dict(re.findall(r"^(AI_MEMORY_[A-Z_]+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE))
    config = load_config({}, in_force, cwd=FOLDER, home=FOLDER, etc=FOLDER)
    assert (config.api.host, config.api.port, config.notices) == ("127.0.0.1", 9077, ())
    assert "AI_MEMORY_DB" not in shown


def test_the_settings_that_the_environment_file_shows_go_together(tmp_path: Path) -> None:
    shown = dict(re.findall(r"^#?(AI_MEMORY_[A-Z_]+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE))
    (tmp_path / "api-key").write_text("k")
    (tmp_path / "api-key").chmod(0o600)
    config = load_config(
        {}, {**shown, "CREDENTIALS_DIRECTORY": str(tmp_path)}, cwd=tmp_path, home=tmp_path, etc=tmp_path)
    assert (config.api.api_key, config.mesh.writes, len(config.mesh.peers)) == ("k", 2, 2)
    assert config.tls.key is not None and config.tls.key.path == tmp_path / "tls-key"
    assert config.notices == ()


def test_what_is_private_lies_in_folders_of_the_services_alone() -> None:
    folders = {
        fields[1]: tuple(fields[2:5]) for line in (FOLDER / "ai-memory.tmpfiles").read_text().splitlines()
        if line and not line.startswith("#") for fields in [line.split()]
    }
    assert folders["/var/lib/ai-memory"] == ("0700", "ai-memory", "ai-memory")
    assert folders["/etc/credstore"] == ("0700", "root", "root")
