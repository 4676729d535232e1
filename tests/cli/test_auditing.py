"""The verbs on the audit, against a real node."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.cli import ExitStatus
from aimem.ports import Mode, system_files
from tests.cli.real import RealMachine


@pytest.fixture
def machine(tmp_path: Path) -> RealMachine:
    machine = RealMachine(tmp_path)
    for title in ("one", "two"):
        assert machine.run("store", "-T", title, "-c", "text", "-n", "team").status == 0
    return machine


def test_list_shows_the_latest_first_and_where_the_audit_ends(machine: RealMachine) -> None:
    done = machine.run("audit", "list", "--decision", "allowed", "-n", "team")
    head, *lines = done.out.splitlines()
    assert head.split() == ["ROW", "WHEN", "AGENT", "DID", "DECISION", "COUNT", "NAMESPACE", "TARGET", "RULE"]
    assert [line.split()[0] for line in lines] == ["2", "1"]
    assert "2 rows; the audit ends at 2:" in done.err
    assert [row["agent_id"] for row in machine.json("audit", "list", "--limit", "1")["rows"]] == ["tester"]


def test_verify_exits_with_one_where_a_row_was_changed(machine: RealMachine) -> None:
    whole = machine.run("audit", "verify")
    assert (whole.status, whole.out[:29]) == (ExitStatus.OK, "the audit is whole: 2 rows, u")
    conn = system_files().connect(machine.cwd / "memory.db", Mode.READ_WRITE_CREATE)
    conn.execute("UPDATE audit SET decision = 'denied' WHERE seq = 2")
    conn.close()
    broken = machine.run("audit", "verify")
    assert broken.status == ExitStatus.OTHER
    assert "row 2 is not as it was written" in broken.err
    assert machine.run("--json", "audit", "verify").status == ExitStatus.OTHER


def test_a_noted_end_is_still_there_until_it_is_not(machine: RealMachine) -> None:
    head = machine.json("audit", "list")["head"]
    machine.run("store", "-T", "three", "-c", "text")
    assert machine.json("audit", "verify", "--after", head)["checked"] == 1
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    assert machine.run("audit", "verify", "--after", other).status == ExitStatus.OTHER
    assert machine.run("audit", "verify", "--after", "nonsense").status == ExitStatus.INVALID


def test_prune_says_which_damaged_row_kept_the_others(machine: RealMachine) -> None:
    conn = system_files().connect(machine.cwd / "memory.db", Mode.READ_WRITE_CREATE)
    conn.execute("UPDATE audit SET decision = 'denied' WHERE seq = 2")
    conn.close()
    cut = machine.run("audit", "prune", "--before-row", "3")
    assert (cut.status, cut.out) == (ExitStatus.OTHER, "pruned: 1 row\n")
    assert "row 2 is not as it was written; it stays, with all behind it" in cut.err


def test_prune_takes_one_bound_and_says_how_many_rows_went(machine: RealMachine) -> None:
    assert machine.run("audit", "prune").status == ExitStatus.INVALID
    assert machine.run("audit", "prune", "--before-row", "2").out == "pruned: 1 row\n"
    after = machine.run("audit", "verify")
    assert after.status == ExitStatus.OK
    assert "1 row up to row 1 went at" in after.err


def test_a_row_names_the_whole_id_of_the_action_that_waits(machine: RealMachine) -> None:
    machine.run("agents", "register", "--agent-id", "ann", "--agent-type", "human")
    machine.run("namespace", "set-standard", "ops", "--governance", '{"write": "approve"}')
    said = machine.run("store", "-T", "plan", "-c", "text", "-n", "ops").err
    pending_id = said.partition("pending_id=")[2].split()[0]
    assert f"(pending {pending_id})" in machine.run("audit", "list", "--decision", "asked").out
