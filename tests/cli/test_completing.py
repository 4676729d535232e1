"""Completion scripts: complete by the table of verbs, and understood by the shells that are there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aimem.cli import ExitStatus
from aimem.cli.completing import SCRIPTS, places
from aimem.cli.verbs import VERBS, within
from aimem.cli.verbs.interactive import SHELLS
from tests.cli.fakes import Machine

CASES = [
    ("", {"recall", "store", "archive", "--db"}, {"add"}),
    ("rec", {"recall"}, {"store"}),
    ("archive ", {"add", "list", "restore", "purge", "stats"}, {"recall"}),
    ("--db list archive ", {"purge"}, {"recall"}),
    ("--json archive restore --mo", {"--mode"}, {"--all"}),
    ("archive restore --mode ", {"keep", "long"}, {"--mode"}),
    ("store -t ", {"short", "mid", "long"}, {"--title"}),
    ("completions ", set(SHELLS), {"recall"}),
    ("help arch", {"archive"}, {"recall"}),
    ("import mem", {"memories.json"}, set()),
    ("import --db mem", {"memories.json"}, {"--json"}),
    ("list --tags ", set(), {"--json", "memories.json", "recall"}),
]
"""What stands behind `ai-memory`, what must be offered then, and what must not."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "memories.json").write_text("{}")
    for shell, make in SCRIPTS.items():
        (tmp_path / shell).write_text(make(places()))
    return tmp_path


def run(folder: Path, *words: str) -> list[str]:
    """Lines that a shell prints; nothing on stderr."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    environ = {**os.environ, "HOME": str(folder), "TERM": "dumb", "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_shell_has_a_script_with_every_verb_and_option(machine: Machine) -> None:
    assert tuple(SCRIPTS) == SHELLS
    for shell in SHELLS:
        printed = machine.run("completions", shell)
        assert printed.status == ExitStatus.OK
        for verb in VERBS:
            for _, leaf in within(verb):
                assert leaf.name in printed.out
                for option in leaf.options:
                    assert option.flag.removeprefix("--") in printed.out


def test_an_unknown_shell_is_a_usage_error_that_names_those_there_are(machine: Machine) -> None:
    refused = machine.run("completions", "tcsh")
    assert refused.status == ExitStatus.INVALID
    assert "bash, zsh, fish, elvish, powershell" in refused.err


def test_a_broken_configuration_does_not_matter(machine: Machine) -> None:
    (machine.cwd / "broken.toml").write_text("=")
    for words in (("completions", "bash"), ("man", "recall")):
        assert machine.run("--config", "broken.toml", *words).status == ExitStatus.OK


def test_a_flag_has_a_value_everywhere_or_nowhere() -> None:
    valued = {name: flag.is_valued for place in places() for flag in place.flags for name in flag.names}
    for place in places():
        for flag in place.flags:
            assert all(valued[name] == flag.is_valued for name in flag.names), (place.path, flag.names)


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "there", "absent"), CASES)
def test_bash_offers_what_may_come_next(folder: Path, typed: str, there: set[str], absent: set[str]) -> None:
    words = ["ai-memory", *typed.split(" ")]
    array = " ".join(f"'{word}'" for word in words)
    offered = run(folder, "bash", "--norc", "-c", (
        f"source ./bash; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _ai_memory; "
        'printf "%s\\n" "${COMPREPLY[@]}"'))
    assert there <= set(offered)
    assert not absent & set(offered)


@pytest.mark.slow
def test_bash_completes_a_value_behind_an_equals_sign(folder: Path) -> None:
    offered = run(folder, "bash", "--norc", "-c", (
        "source ./bash; COMP_WORDS=(ai-memory list --tier = mi); COMP_CWORD=4; _ai_memory; "
        'printf "%s\\n" "${COMPREPLY[@]}"'))
    assert offered == ["mid"]


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "there", "absent"), CASES)
def test_fish_offers_what_may_come_next(folder: Path, typed: str, there: set[str], absent: set[str]) -> None:
    lines = run(folder, "fish", "--no-config", "-c", f"source ./fish; complete -C 'ai-memory {typed}'")
    offered = {line.partition("\t")[0] for line in lines}
    # Options are shown behind a dash only.
    assert {word for word in there if not word.startswith("-") or "-" in typed.rpartition(" ")[2]} <= offered
    assert not absent & offered


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "there", "absent"), CASES)
def test_elvish_offers_what_may_come_next(folder: Path, typed: str, there: set[str], absent: set[str]) -> None:
    script = (folder / "elvish").read_text().partition("\nset edit:completion:arg-completer[aimem]")[0]
    # The editor's module is there in an interactive elvish only.
    script = script.replace("set edit:completion:arg-completer[ai-memory] =", "var completer =")
    script = script.replace("edit:complete-filename", "nop memories.json")
    words = " ".join(f"'{word}'" for word in ["ai-memory", *typed.split(" ")])
    offered = set(run(folder, "elvish", "-norc", "-c", f"{script}\n$completer {words} | to-lines"))
    prefix = typed.rpartition(" ")[2]
    assert {word for word in there if word != "memories.json" and word.startswith(prefix)} <= offered
    assert not absent & {word for word in offered if word.startswith(prefix)}


@pytest.mark.slow
def test_zsh_reads_its_script(folder: Path) -> None:
    run(folder, "zsh", "-f", "-n", "zsh")
