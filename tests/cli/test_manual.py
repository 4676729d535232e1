"""`ai-memory man`: the pages of the manual, from the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.cli import ExitStatus
from aimem.cli.commands.manual import page_files
from aimem.cli.verbs import VERBS
from tests.cli.fakes import Machine

MAN = Path(__file__).resolve().parents[2] / "man"


@pytest.mark.parametrize(("words", "page"), [
    ((), "ai-memory.1"), (("recall",), "ai-memory-recall.1"), (("ai-memory-recall",), "ai-memory-recall.1"),
    (("api",), "ai-memory-api.7"), (("ai-memory-config.5",), "ai-memory-config.5"), (("ai-memory",), "ai-memory.1"),
    (("mesh",), "ai-memory-mesh.1"), (("mesh.7",), "ai-memory-mesh.7"), (("ai-memory-mesh(7)",), "ai-memory-mesh.7"),
])
def test_a_page_is_printed_as_it_is_written(machine: Machine, words: tuple[str, ...], page: str) -> None:
    printed = machine.run("man", *words, terminal=True)
    assert (printed.status, printed.out) == (ExitStatus.OK, (MAN / page).read_text())


def test_help_names_every_page_that_is_of_no_verb(machine: Machine) -> None:
    named = machine.run("--help").out
    pages = sorted(MAN.glob("*.[57]"))
    assert [path.name for path in pages if f"{path.stem}({path.suffix[1:]})" not in named] == []
    asked = " ".join(machine.run("help", "man").out.split())
    assert [path.name for path in pages if path.stem.removeprefix("ai-memory-") not in asked] == []


def test_every_verb_has_its_page() -> None:
    assert {verb.name for verb in VERBS} <= set(page_files())


def test_an_unknown_page_is_not_found_and_a_near_one_is_named(machine: Machine) -> None:
    refused = machine.run("man", "recal")
    assert (refused.status, refused.out) == (ExitStatus.NOT_FOUND, "")
    assert "there is no manual page 'recal'; did you mean recall?" in refused.err
    assert machine.run("man", "../../etc/passwd").status == ExitStatus.NOT_FOUND
