"""Command lines of v0.6.3 whose outcome was mended, on a real node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.fakes import Machine
from tests.cli.real import RealMachine


@pytest.fixture
def real(tmp_path: Path) -> RealMachine:
    return RealMachine(tmp_path)


@pytest.mark.parametrize(("line", "status"), [
    ("get nothing", 5),
    ("archive restore nothing", 5),
    ("delete {prefix}", 5),
    ("promote {prefix}", 5),
    ("promote {prefix} --to-namespace a", 5),
    ("recall lamp --budget-tokens 0", 2),
    ("recall lamp --limit 51", 2),
    ("search lamp --limit 1001", 2),
    ("list --limit 1001", 2),
    ("archive list --limit 0", 2),
    ("archive purge", 2),
    ("update {id} --tier shrot", 2),
    ("list --tier shrot", 2),
    ("forget --tier shrot -n space", 2),
    ("list --tags a,b", 2),
    ("store -c x --ttl-secs 60 --expires-at 2030-01-01T00:00:00Z", 2),
    ("list --db-passphrase-file secret.txt", 2),
    ("store -n _agents -T agent:x -c x", 4),
])
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["text", "json"])
def test_what_is_refused_has_its_status_and_changes_nothing(
    real: RealMachine, line: str, status: int, words: tuple[str, ...]
) -> None:
    memory_id = real.json("store", "-T", "Lamp", "-c", "It turns.", "-n", "space")["id"]
    before = real.json("export", "--digest-only")
    done = real.run(*words, *line.format(id=memory_id, prefix=memory_id[:8]).split())
    assert done.status == status, done.err
    assert done.out == ""
    assert real.json("export", "--digest-only") == before


def test_the_variable_of_another_programs_log_is_not_read(machine: Machine) -> None:
    answer = {"memories": [], "count": 0}
    quiet = machine.run("list", answer=answer, environ={"RUST_LOG": "ai_memory=debug"})
    assert (quiet.status, quiet.err) == (0, machine.run("list", answer=answer).err)


@pytest.mark.parametrize("value", ["1", "true", "yes", "on"])
def test_a_name_that_is_made_tells_no_host_if_asked(machine: Machine, value: str) -> None:
    answer = {"memories": [], "count": 0}
    named = machine.run("list", answer=answer).request.headers["X-Agent-Id"]
    hidden = machine.run("list", answer=answer, environ={"AI_MEMORY_ANONYMIZE": value}).request.headers["X-Agent-Id"]
    assert named.startswith("host:box-one:pid-42-")
    assert hidden.startswith("anonymous:pid-42-")
