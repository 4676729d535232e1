"""forget, consolidate, auto-consolidate and curator: what they ask the node, and what they print."""

from __future__ import annotations

import io
import json
import signal

import httpx
import pytest

from aimem.cli import ExitStatus, Purpose
from tests.cli.fakes import Machine, Stream

DONE = {"deleted": 2, "archived": True, "dry_run": False, "more": False, "forget_id": "f-1", "version": "s:1"}
SEEN = {
    "deleted": 0, "archived": True, "dry_run": True, "more": False, "would_delete": 2, "memories": [
        {"id": "x-1", "title": "Old plans", "namespace": "draft", "tier": "short"},
        {"id": "x-2", "title": "Older\nplans", "namespace": "draft", "tier": "mid"},
    ],
}
SEEN_TABLE = """\
ID   TIER   NAMESPACE  TITLE
x-1  short  draft      Old plans
x-2  mid    draft      Older plans
would forget: 2 memories
"""
UNDONE = {"deleted": 0, "archived": False, "dry_run": False, "forget_id": "f-1", "restored": 2, "not_restored": []}
MADE = {
    "id": "y-1", "consolidated": 2, "title": "T", "namespace": "project", "tier": "long", "agent_id": "tester",
    "version": "s:2",
}
GROUPS = {
    "consolidated": 3, "dry_run": False, "more": False, "groups": [
        {"namespace": "n", "tag": "ops", "count": 3, "titles": ["a", "b", "c"], "ids": ["1", "2", "3"], "id": "z"},
    ],
}
REPORT = {
    "started_at": "2026-01-02T00:00:00.000000Z", "completed_at": "2026-01-02T00:00:01.000000Z",
    "cycle_duration_ms": 1000, "memories_scanned": 7, "memories_eligible": 5, "auto_tagged": 0,
    "contradictions_found": 0, "operations_attempted": 2, "operations_skipped_cap": 1,
    "autonomy": {
        "clusters_formed": 1, "memories_consolidated": 1, "memories_forgotten": 0, "priority_adjustments": 1,
        "rollback_entries_written": 2, "errors": [],
    },
    "errors": [], "dry_run": False, "more": False, "id": "r-9", "acts": [
        {"action": "consolidate", "ids": ["a1234567-8", "b1234567-8", "c1"], "titles": ["Plan", "Old\nplan", ""],
         "kept": "a1234567-8", "rollback_id": "r-1"},
        {"action": "priority_adjust", "ids": ["c"], "rollback_id": "r-2"},
    ],
}
REPORT_LINES = """\
looked at:    7 memories, 5 eligible
put together: 1
forgotten:    0
priorities:   1
tagged:       0
left over:    1
consolidate: keep "Plan" (a1234567), put away "Old plan" (b1234567), c1 (undo: ai-memory curator --rollback r-1)
priority_adjust: c (undo: ai-memory curator --rollback r-2)
"""
TAKEN_BACK = {
    "reversed": 1, "records": [{"id": "r-1", "reversed": True, "action": "consolidate", "already": False,
                                "restored": ["b"], "missing": [], "kept": [], "version": "s:3"}],
}
PLANNED = {
    "consolidated": 0, "dry_run": True, "groups": [
        {"namespace": "n", "tag": "ops", "count": 3, "titles": ["a", "b", "c"], "ids": ["1", "2", "3"]},
    ],
}
BACK = 'to take back: ai-memory delete {}; for id in {}; do ai-memory archive restore "$id"; done\n'
GROUP_TABLE = "COUNT  NAMESPACE  TAG  TITLES\n3      n          ops  a; b; c\n"

CASES: list[tuple[str, dict[str, object], str, dict[str, object], str]] = [
    ("forget -n draft -p old -t short", DONE, "/forget", {"namespace": "draft", "pattern": "old", "tier": "short"},
     "forgotten: 2 memories\nto bring back: ai-memory forget --undo f-1\n"),
    ("forget -n draft --dry-run", SEEN, "/forget", {"namespace": "draft", "dry_run": True}, SEEN_TABLE),
    ("forget --undo f-1", UNDONE, "/forget", {"undo": "f-1"}, "restored: 2 memories\n"),
    ("consolidate a,b -T T -s S", MADE, "/consolidate",
     {"ids": ["a", "b"], "title": "T", "summary": "S", "namespace": "project", "tier": "long", "source": "cli"},
     "consolidated: 2 memories into y-1 [long] (ns=project)\n" + BACK.format("y-1", "a b")),
    ("consolidate a b,c -T T -s S -n n -t mid", MADE, "/consolidate",
     {"ids": ["a", "b", "c"], "namespace": "n", "tier": "mid"},
     "consolidated: 2 memories into y-1 [long] (ns=project)\n" + BACK.format("y-1", "a b c")),
    ("auto-consolidate -n n --short-only --min-count 4", GROUPS, "/auto_consolidate",
     {"namespace": "n", "short_only": True, "min_count": 4, "dry_run": False},
     GROUP_TABLE + "consolidated: 3 memories in 1 group\n" + BACK.format("z", "1 2 3")),
    ("auto-consolidate --dry-run", PLANNED, "/auto_consolidate",
     {"min_count": 3, "dry_run": True}, GROUP_TABLE + "would consolidate: 3 memories in 1 group\n"),
]


@pytest.mark.parametrize(("line", "answer", "path", "sent", "text"), CASES, ids=[case[0] for case in CASES])
def test_a_verb_asks_once_and_prints_the_answer(
    machine: Machine, line: str, answer: dict[str, object], path: str, sent: dict[str, object], text: str
) -> None:
    shown = machine.run(*line.split(), answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, text)
    assert (shown.request.method, shown.request.url.path) == ("POST", "/api/v1" + path)
    assert sent.items() <= shown.body.items()
    as_json = machine.run(*line.split(), "--json", answer=answer)
    assert as_json.status == ExitStatus.OK
    assert answer.items() <= as_json.json.items()  # type: ignore[attr-defined]


def test_forget_of_nothing_says_so(machine: Machine) -> None:
    shown = machine.run("forget", "-n", "x", answer={"deleted": 0, "archived": True, "dry_run": False})
    assert (shown.status, shown.out) == (ExitStatus.OK, "forgotten: nothing matches\n")


def test_forget_without_a_filter_is_a_usage_error_and_asks_nobody(machine: Machine) -> None:
    for line in (["forget"], ["forget", "--dry-run"], ["forget", "--yes"]):
        shown = machine.run(*line, answer=DONE)
        assert shown.status == ExitStatus.INVALID
        assert "needs --namespace, --pattern or --tier" in shown.err
        assert shown.runtime.requests == []


def test_an_invalid_tier_is_a_usage_error(machine: Machine) -> None:
    shown = machine.run("forget", "-t", "shrot", "-n", "x", answer=DONE)
    assert shown.status == ExitStatus.INVALID
    assert shown.runtime.requests == []


def test_more_than_go_at_once_is_said(machine: Machine) -> None:
    shown = machine.run("forget", "-n", "x", answer={**DONE, "more": True})
    assert "repeat the command" in shown.err


def test_an_undo_that_leaves_some_names_them_with_the_status_of_a_conflict(machine: Machine) -> None:
    left = [{"id": "x-9", "code": "name_taken", "error": "a memory titled 'x' already exists"}]
    shown = machine.run("forget", "--undo", "f-1", answer={**UNDONE, "not_restored": left})
    assert shown.status == ExitStatus.CONFLICT
    assert "not restored: x-9: a memory titled 'x' already exists" in shown.err


class Typed(io.BytesIO):
    """A keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input and error are a terminal, output is not."""
    monkeypatch.setattr("tests.cli.fakes.io.BytesIO", Typed)
    monkeypatch.setattr(Stream, "isatty", lambda self: True)


def node(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=SEEN if json.loads(request.content)["dry_run"] else DONE)


@pytest.mark.parametrize(("typed", "requests"), [
    (b"y\n", 2), (b"YES\n", 2), (b"n\n", 1), (b"\n", 1), (b"", 1), (b"\xff\n", 1), (b"yellow\n", 1),
])
def test_on_a_terminal_it_shows_and_asks_first(
    machine: Machine, keyboard: None, typed: bytes, requests: int
) -> None:
    shown = machine.run("forget", "-n", "x", handler=node, stdin=typed)
    assert shown.status == ExitStatus.OK
    assert "forget 2 memories? [y/N]" in shown.err
    assert "Old plans" in shown.out
    assert len(shown.runtime.requests) == requests
    assert ("nothing was forgotten" in shown.err) == (requests == 1)


@pytest.mark.parametrize("flag", ["--yes", "-y", "--json"])
def test_it_does_not_ask_if_told_so_or_if_a_program_reads(machine: Machine, keyboard: None, flag: str) -> None:
    shown = machine.run("forget", "-n", "x", flag, handler=node)
    assert "?" not in shown.err
    assert len(shown.runtime.requests) == 1


def groups(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=PLANNED if json.loads(request.content)["dry_run"] else GROUPS)


@pytest.mark.parametrize(("typed", "requests"), [(b"y\n", 2), (b"n\n", 1), (b"", 1)])
def test_auto_consolidate_on_a_terminal_shows_and_asks_first(
    machine: Machine, keyboard: None, typed: bytes, requests: int
) -> None:
    shown = machine.run("auto-consolidate", handler=groups, stdin=typed)
    assert shown.status == ExitStatus.OK
    assert "put 1 group together? [y/N]" in shown.err
    assert len(shown.runtime.requests) == requests
    assert ("nothing was consolidated" in shown.err) == (requests == 1)


@pytest.mark.parametrize("flag", ["--yes", "--json", "--dry-run"])
def test_auto_consolidate_does_not_ask_if_told_so_or_if_a_program_reads(
    machine: Machine, keyboard: None, flag: str
) -> None:
    shown = machine.run("auto-consolidate", flag, handler=groups)
    assert "?" not in shown.err
    assert len(shown.runtime.requests) == 1


def test_an_undo_beside_filters_is_refused_by_the_names_of_the_options(machine: Machine) -> None:
    shown = machine.run("forget", "--undo", "f-1", "-n", "x", answer=UNDONE)
    assert (shown.status, shown.runtime.requests) == (ExitStatus.INVALID, [])
    assert "--undo goes alone; leave --namespace, --pattern, --tier and --dry-run out" in shown.err


def test_a_warning_of_a_consolidation_is_said(machine: Machine) -> None:
    shown = machine.run("consolidate", "a,b", "-T", "T", "-s", "S", answer={**MADE, "warning": "metadata was left out"})
    assert "warning: metadata was left out" in shown.err


def test_a_summary_that_is_not_given_is_left_to_the_node(machine: Machine) -> None:
    shown = machine.run("consolidate", "a,b", "-T", "T", answer={**MADE, "auto_summary": True, "summary_preview": "S"})
    assert "summary" not in shown.body


def test_more_groups_are_said(machine: Machine) -> None:
    assert "repeat the command" in machine.run("auto-consolidate", answer={**GROUPS, "more": True}).err


# --- curator


@pytest.mark.parametrize("line", [
    "curator", "curator --once --daemon", "curator --rollback a --rollback-last 1", "curator --once --reports",
    "curator --daemon --interval-secs 59", "curator --daemon --interval-secs 86401", "curator --dry-run",
    "curator --once --max-ops x", "curator --rollback",
])
def test_a_curator_without_one_mode_or_within_no_range_is_a_usage_error(machine: Machine, line: str) -> None:
    shown = machine.run(*line.split(), answer=REPORT)
    assert shown.status == ExitStatus.INVALID
    assert shown.runtime.requests == []


def test_a_rollback_of_the_last_none_is_the_nodes_to_refuse(machine: Machine) -> None:
    machine.run("curator", "--rollback-last", "0", answer=TAKEN_BACK)
    shown = machine.run("curator", "--rollback", "", answer=TAKEN_BACK)
    assert shown.body == {"id": ""}


def test_a_dry_run_says_would(machine: Machine) -> None:
    acts = [{"action": "forget", "ids": ["a"]}]
    answer = {**REPORT, "acts": acts, "dry_run": True, "more": True}
    shown = machine.run("curator", "--once", "--dry-run", answer=answer)
    assert "would forget: a\n" in shown.out
    assert "the next cycle goes on here" in shown.err


def test_what_a_cycle_could_not_do_is_said(machine: Machine) -> None:
    shown = machine.run("curator", "--once", answer={**REPORT, "errors": ["forget a: conflict"]})
    assert (shown.status, "not done: forget a: conflict" in shown.err) == (ExitStatus.OK, True)


def test_a_rollback_that_could_not_be_is_told_with_the_status_of_a_conflict(machine: Machine) -> None:
    records = [
        {"id": "r-1", "reversed": False, "code": "name_taken", "error": "somebody has the title"},
        {"id": "r-2", "reversed": True, "action": "forget", "already": True, "missing": ["m"], "kept": ["k"]},
    ]
    shown = machine.run("curator", "--rollback-last", "2", answer={"reversed": 0, "records": records})
    assert (shown.status, shown.out) == (ExitStatus.CONFLICT, "taken back: forget r-2 (it was before)\n")
    assert "not taken back: r-1: somebody has the title" in shown.err
    assert "m is no longer there" in shown.err
    assert "k was changed since and stays" in shown.err


def test_reports_are_a_table(machine: Machine) -> None:
    answer = {"reports": [{**REPORT, "acts": []}], "count": 1}
    shown = machine.run("curator", "--reports", answer=answer)
    assert shown.request.url.path == "/api/v1/curator/reports"
    assert shown.out.splitlines()[1].split() == ["2026-01-02T00:00:00.000000Z", "7", "1", "0", "1", "0", "0"]
    assert machine.run("curator", "--reports", "--json", answer=answer).json == answer


def test_the_daemon_runs_cycles_until_a_signal_and_outlives_a_node_that_is_busy(machine: Machine) -> None:
    def node(request: httpx.Request) -> httpx.Response:
        """Busy at first; at the second cycle the operator presses Ctrl-C."""
        count.append(1)
        if len(count) == 1:
            return httpx.Response(503, json={"error": "busy", "code": "overloaded"})
        signal.raise_signal(signal.SIGTERM if len(count) == 2 else signal.SIGINT)
        return httpx.Response(200, json=REPORT)

    count: list[int] = []
    shown = machine.run("curator", "--daemon", "--interval-secs", "60", handler=node, autojump=True)
    assert (shown.status, shown.out) == (ExitStatus.OK, REPORT_LINES)
    assert len(count) == 2
    assert "this cycle was skipped: busy" in shown.err
    assert shown.runtime.purposes == [Purpose.SESSION]
