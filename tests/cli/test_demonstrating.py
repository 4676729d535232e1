"""The verb demo: what it asks for, and how it is shown. The processes are in tests/operations/test_demo.py."""

from __future__ import annotations

import msgspec
import pytest

from aimem.cli.exits import ExitStatus
from aimem.wire import demo
from tests.cli.fakes import Machine

REPORT = demo.DemoReport(
    folder="/demo", is_whole=True,
    nodes=(demo.DemoNodeOut(name="node-a", url="https://127.0.0.1:1", pid=7, db="/demo/node-a.db"),),
    steps=(demo.DemoStepOut(what="Done.", ms=1.5),),
    commands=(demo.DemoCommandOut(what="who is behind", line="ai-memory --db /demo/node-a.db mesh status"),),
)


def test_four_nodes_find_by_words_in_a_temporary_folder_if_nothing_else_is_said(machine: Machine) -> None:
    assert machine.run("demo").runtime.demos == [demo.DemoRequest()]


def test_what_is_asked_for_is_shown(machine: Machine) -> None:
    [asked] = machine.run("demo", "--nodes", "3", "--tier", "semantic", "--once", "--keep", "x").runtime.demos
    assert asked == demo.DemoRequest(nodes=3, tier="semantic", once=True, keep=str(machine.cwd / "x"))


def test_the_console_is_asked_for_at_a_terminal_alone(machine: Machine) -> None:
    for words in (("--console",), ("--console", "--once"), ("--console", "--json")):
        shown = machine.run("demo", *words)
        assert shown.status == ExitStatus.INVALID
        assert "--console" in shown.err
        assert not shown.runtime.demos


def test_steps_addresses_and_commands_are_lines_for_people(machine: Machine) -> None:
    machine.demo_report = REPORT
    shown = machine.run("demo")
    assert shown.status == ExitStatus.OK
    assert shown.out.splitlines()[0] == "1. Done."
    assert "node-a  https://127.0.0.1:1  7\n" in shown.out
    assert "(NODE.db), logs (NODE.log) and certificates (pki) are in /demo\n" in shown.out
    assert "  ai-memory --db /demo/node-a.db mesh status\n" in shown.out
    assert shown.out.endswith("The nodes serve until Ctrl-C.\n")


@pytest.mark.parametrize("columns", [60, 80])
def test_a_step_that_is_too_long_for_a_terminal_goes_on_between_words(machine: Machine, columns: int) -> None:
    told = "Gave node-b another certificate, took the old one off all lists, and stored on 4 disks; none began anew"
    machine.demo_report = msgspec.structs.replace(REPORT, steps=(demo.DemoStepOut(what=told, ms=1.0),))
    shown = machine.run("demo", terminal=True, environ={"COLUMNS": str(columns), "NO_COLOR": "1"}).out
    first, *others = shown.partition("\n\n")[0].splitlines()
    assert f"1. {told}" == " ".join([first, *(line.removeprefix("   ") for line in others)])
    assert others and all(line.startswith("   ") for line in others)
    assert max(map(len, [first, *others])) <= columns


def test_what_follows_an_interrupt_begins_a_line_of_a_terminal_alone(machine: Machine) -> None:
    machine.demo_report = demo.DemoReport(folder="/demo", is_whole=False)
    assert machine.run("demo", terminal=True).err == "\n"
    assert machine.run("demo").err == ""


def test_a_demonstration_that_ends_by_itself_says_nothing_of_trying(machine: Machine) -> None:
    machine.demo_report = REPORT
    shown = machine.run("demo", "--once")
    assert "To try" not in shown.out
    assert "Ctrl-C" not in shown.out


def test_with_json_the_document_is_all_that_stdout_has(machine: Machine) -> None:
    machine.demo_report = REPORT
    shown = machine.run("--json", "demo")
    assert isinstance(shown.json, dict)
    assert shown.json["nodes"][0]["name"] == "node-a"
    assert "1. Done." in shown.err


def test_a_demonstration_that_was_interrupted_has_the_status_of_that(machine: Machine) -> None:
    machine.demo_report = demo.DemoReport(folder="/demo", is_whole=False)
    assert machine.run("demo").status == ExitStatus.INTERRUPTED


def test_a_broken_configuration_is_no_matter(machine: Machine) -> None:
    machine.environ["AI_MEMORY_TIER"] = "nonsense"
    assert machine.run("demo").status == ExitStatus.OK
