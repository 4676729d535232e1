"""Every verb takes the options of v0.6.3 and answers its fields: each is run against a real node of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests.cli.fakes import Machine
from tests.cli.real import RealMachine
from tests.cli.test_benching import REPORT
from tests.cli.test_mining import chatgpt, talk, write
from tests.house.reference_fields import VERBS, Fields, lost_from
from tests.pendings import PENDING, queue_pending

# Verb -> the command lines that lead to it, the last of which answers. {id}: of the memory stored last, {old}: of the
# one before.
LINES: Final = {
    "store": ("store -T Again -c Text.",),
    "update": ("update {id} -c Other.",),
    "recall": ("recall lamp --budget-tokens 1000",),
    "search": ("search lamp",),
    "get": ("get {id}",),
    "list": ("list",),
    "delete": ("delete {id}",),
    "promote": ("promote {id}",),
    "forget": ("forget -n space --yes",),
    "link": ("link {id} {old} -r contradicts",),
    "resolve": ("resolve {id} {old}",),
    "consolidate": ("consolidate {id},{old} -T One -s Whole.",),
    "auto-consolidate": ("auto-consolidate --min-count 2 --dry-run",),
    "gc": ("gc",),
    "stats": ("stats",),
    "namespaces": ("namespaces",),
    "export": ("export",),
    "backup": ("backup",),
    "restore": ("backup", "restore --from backups"),
    "import": ("import",),
    "archive list": ("archive add {id}", "archive list"),
    "archive restore": ("archive add {id}", "archive restore {id}"),
    "archive purge": ("archive purge --all",),
    "archive stats": ("archive add {id}", "archive stats"),
    "mine": ("mine -f chatgpt conversations.json",),
    "curator": ("curator --once",),
    "sync": ("--db other.db store -c There.", "sync other.db"),
    "agents": ("agents register --agent-id a --agent-type human", "agents"),
    "agents list": ("agents register --agent-id a --agent-type human", "agents list"),
    "pending": ("pending",),
    "pending list": ("pending list",),
    "pending approve": ("pending approve {pending}",),
    "pending reject": ("pending reject {pending}",),
    "agents register": ("agents register --agent-id a --agent-type human --capabilities b",),
}
SAY_NOTHING: Final = {"shell", "completions", "man", "mcp", "serve", "sync-daemon"}
"""Verbs that print no data."""


@pytest.fixture
def real(tmp_path: Path) -> RealMachine:
    return RealMachine(tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_the_options_of_v063(verb: str, machine: Machine) -> None:
    shown = machine.run(*verb.split(), "--help")
    assert shown.status == 0, shown.err
    options = [word for word in VERBS[verb].asks.split() if word.startswith("-")]
    assert not [option for option in options if not re.search(rf"(?<![\w-]){option}\b", shown.out)]


@pytest.mark.parametrize(("verb", "fields"), [(verb, VERBS[verb]) for verb in LINES])
def test_a_verb_answers_the_fields_of_v063(verb: str, fields: Fields, real: RealMachine) -> None:
    write(real.cwd, [chatgpt("c-1", talk(4))])
    old, new = (
        real.json("store", "-n", "space", "-T", title, "-c", "The lamp turns.", "--tags", "sea")["id"]
        for title in ("Lamp", "Lighthouse")
    )
    real.json("link", new, old)
    document = json.dumps(real.json("export")).encode()
    real.visit(queue_pending)
    for line in LINES[verb]:
        answer = real.json(*line.format(id=new, old=old, pending=PENDING).split(), stdin=document)
    assert not lost_from(answer, fields.answers), answer


def test_bench_answers_the_fields_of_v063(machine: Machine) -> None:
    machine.report = REPORT
    answer = machine.run("bench", "--json").json
    assert not lost_from(answer, VERBS["bench"].answers), answer


def test_every_verb_that_prints_data_is_run() -> None:
    assert LINES.keys() | SAY_NOTHING | {"bench"} == VERBS.keys()
