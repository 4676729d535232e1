"""What the Debian package is made of fits together; `python -m tests.packaging.debian` builds and tries it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.config import Config, Told, load_config
from tests.house.sources import ROOT
from tests.packaging.units import FOLDER as SYSTEMD
from tests.packaging.units import UNITS, values_of

DEB = ROOT / "packaging" / "deb"
BUILD = DEB / "build"
SCRIPTS = [DEB / name for name in ("config", "postinst", "prerm", "postrm")]
FILES = [
    (mode, ROOT / source, place)
    for line in (DEB / "files").read_text().splitlines() if not line.startswith("#")
    for mode, source, place in [line.split()]
]
OVERRIDDEN = {"embedded-library", "unstripped-binary-or-object"}
"""What an environment of its own brings with it; of anything else lintian may find no error."""


def built(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BUILD), *words], env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=60)


def test_the_build_is_executable_bash_without_syntax_errors() -> None:
    assert os.access(BUILD, os.X_OK)
    subprocess.run(["bash", "-n", str(BUILD)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_of_the_package_is_plain_shell_that_ends_at_the_first_error(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh" and "set -e" in lines[:4]


def test_everything_that_is_to_be_installed_is_there_and_has_its_place() -> None:
    sources = {source for _, source, _ in FILES}
    assert all(source.is_file() for source in sources)
    made = {DEB / name for name in ("build", "files", "control", "copyright.py")}
    assert sources >= {path for folder in (SYSTEMD, DEB) for path in folder.iterdir() if path.is_file()} - made


def test_units_go_where_systemd_looks_and_the_settings_belong_to_root_alone() -> None:
    placed = {source: (mode, place) for mode, source, place in FILES}
    for unit in UNITS:
        assert placed[unit] == ("644", f"usr/lib/systemd/system/{unit.name}")
    for name, place in (("sysusers", "usr/lib/sysusers.d"), ("tmpfiles", "usr/lib/tmpfiles.d")):
        assert placed[SYSTEMD / f"ai-memory.{name}"] == ("644", f"{place}/ai-memory.conf")
    assert placed[SYSTEMD / "ai-memory.env"] == ("600", "etc/ai-memory/ai-memory.env")
    assert all(placed[script] == ("755", f"DEBIAN/{script.name}") for script in SCRIPTS)
    assert all(place.startswith(("usr/", "etc/ai-memory/", "DEBIAN/")) for _, place in placed.values())


def test_an_upgrade_restarts_and_a_removal_stops_every_service_that_can_be_enabled() -> None:
    enabled = {unit.name for unit in UNITS if values_of(unit, "WantedBy")}
    plain = {name for name in enabled if "@" not in name}
    for script in (DEB / "postinst", DEB / "postrm"):
        [units] = re.findall(r'^units="(.*)"$', script.read_text(), re.MULTILINE)
        assert set(units.split()) == plain
    assert "try-restart $units 'ai-memory@*.service'" in (DEB / "postinst").read_text()
    [stopped] = re.findall(r"deb-systemd-invoke stop (.*?) >", (DEB / "prerm").read_text(), re.DOTALL)
    assert {"ai-memory@.service", *re.findall(r"ai-memory[a-z.-]*", stopped)} >= enabled
    assert not re.search(r"-invoke (start|restart)|systemctl.* (start|enable)", (DEB / "postinst").read_text())


def test_a_machine_without_systemd_gets_the_same_user_and_folders() -> None:
    postinst = (DEB / "postinst").read_text()
    [rule] = [line for line in (SYSTEMD / "ai-memory.sysusers").read_text().splitlines() if line.startswith("u ")]
    _, user, _, comment, home = re.findall(r'"[^"]*"|\S+', rule)
    for words in (f"--home-dir {home}", f"--comment {comment}", f"{comment} {user} >&2"):
        assert words in postinst
    assert "install -d -m 700 /etc/credstore\n" in postinst
    assert f"install -d -m 700 -o {user} -g {user} {home}\n" in postinst


def test_the_sample_of_a_configuration_shows_settings_as_they_are_without_it(tmp_path: Path) -> None:
    def loaded(etc: Path) -> Config:
        return replace(load_config({}, {}, cwd=tmp_path, home=tmp_path, etc=etc), told=Told())

    sample = (DEB / "config.toml").read_text()
    assert tomllib.loads(sample) == {}
    shown = re.sub(r"^#(?=\S)", "", sample, flags=re.MULTILINE)
    assert len(tomllib.loads(shown)) > 6
    (tmp_path / "etc/ai-memory").mkdir(parents=True)
    (tmp_path / "etc/ai-memory/config.toml").write_text(shown)
    assert loaded(tmp_path / "etc") == loaded(tmp_path)


def test_lintian_is_told_to_overlook_two_classes_alone_each_with_a_reason() -> None:
    lines = (DEB / "lintian-overrides").read_text().splitlines()
    assert {line.split()[1] for line in lines if line and not line.startswith("#")} == OVERRIDDEN
    for before, line in itertools.pairwise(lines):
        assert line.startswith("#") or before.startswith("#") or before.split()[1] == line.split()[1]


def test_a_purge_deletes_nothing_unless_it_is_told_to() -> None:
    template = (DEB / "templates").read_text()
    assert template.startswith("Template: ai-memory/purge-data\nType: boolean\nDefault: false\n")
    script = f"set -e\n{question()}\nif may_delete; then echo deleted; else echo kept; fi"
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "kept\n"


def question() -> str:
    """The question of a purge, on a machine without debconf."""
    [function] = re.findall(r"^may_delete\(\) \{.*?^\}$", (DEB / "postrm").read_text(), re.MULTILINE | re.DOTALL)
    return function


@pytest.mark.slow
@pytest.mark.parametrize(("words", "said"), [
    ((), "usage: packaging/deb/build OUT_DIR [REVISION]"), (("/nonexistent", "x1"), "a revision is digits"),
])
def test_a_build_that_is_called_wrongly_says_how_and_makes_nothing(words: tuple[str, ...], said: str) -> None:
    run = built(*words)
    assert run.returncode == 2 and said in run.stderr
    assert not Path("/nonexistent").exists()


@pytest.mark.slow
def test_a_build_names_the_package_of_a_tool_that_is_missing(tmp_path: Path) -> None:
    for name in ("bash", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    run = built(str(tmp_path / "out"), PATH=str(tmp_path))
    assert (run.returncode, run.stderr) == (2, "build: dpkg-dev is needed: apt install dpkg-dev\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_copyright_file_names_the_terms_of_every_library_here() -> None:
    run = copyright_of(Path(sysconfig.get_path("purelib")))
    assert run.returncode == 0, run.stderr
    for line in ("trio ", "annoy 1.17.3: Apache License 2.0", "onnxruntime ", "onnxruntime/ThirdPartyNotices.txt"):
        assert line in run.stdout


@pytest.mark.slow
def test_a_library_without_terms_is_not_passed_on(tmp_path: Path) -> None:
    info = tmp_path / "free-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: free\nVersion: 1.0\n")
    run = copyright_of(tmp_path)
    assert run.returncode != 0 and "free does not say under which licence it is" in run.stderr


def copyright_of(site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(DEB / "copyright.py"), str(site)], capture_output=True, text=True, check=False)
