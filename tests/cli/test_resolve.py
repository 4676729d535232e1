"""The verb resolve."""

from __future__ import annotations

import pytest

from aimem.cli import ExitStatus
from aimem.errors import NotFound
from tests.cli.fakes import Machine, error_answer

ANSWER = {"resolved": True, "winner": "a", "loser": "b", "version": "s:1"}


def test_resolve_asks_once_and_prints_the_answer(machine: Machine) -> None:
    shown = machine.run("resolve", "a", "b", answer=ANSWER)
    assert (shown.status, shown.out, shown.err) == (ExitStatus.OK, "resolved: a supersedes b\n", "")
    assert f"{shown.request.method} {shown.request.url.path}" == "POST /api/v1/resolve"
    assert shown.body == {"winner": "a", "loser": "b"}
    printed = machine.run("resolve", "a", "b", "--json", answer=ANSWER)
    assert (printed.status, printed.json) == (ExitStatus.OK, ANSWER)


def test_what_was_settled_already_is_said(machine: Machine) -> None:
    settled = {name: value for name, value in ANSWER.items() if name != "version"}
    shown = machine.run("resolve", "a", "b", answer=settled)
    assert (shown.status, shown.err) == (ExitStatus.OK, "ai-memory: note: it was settled so already\n")


def test_an_unknown_side_is_not_found(machine: Machine) -> None:
    refused = machine.run("resolve", "a", "b", handler=error_answer(NotFound("not found: no memory 'a'"), 404))
    assert (refused.status, refused.out) == (ExitStatus.NOT_FOUND, "")


@pytest.mark.parametrize("line", [(), ("a",), ("a", "b", "c"), ("a", "b", "--relation", "x")])
def test_wrong_usage_asks_nothing(machine: Machine, line: tuple[str, ...]) -> None:
    refused = machine.run("resolve", *line)
    assert refused.status == ExitStatus.INVALID
    assert refused.runtime.requests == []
