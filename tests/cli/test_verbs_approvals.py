"""The verbs on actions that wait for approval: what each asks the node, what it prints, and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.cli import ExitStatus
from tests.cli.fakes import Machine
from tests.cli.real import RealMachine
from tests.pendings import PENDING, queue_pending

THEN = "2026-01-01T21:00:00.000000Z"
ACTION = {
    "id": "p-1", "action_type": "store", "namespace": "acme", "payload": {"title": "Plan", "id": "m-1"},
    "requested_by": "bob", "requested_at": THEN, "status": "pending", "approvals": [], "memory_id": "m-1",
    "expires_at": "2026-01-08T21:00:00.000000Z", "quorum": 2, "rule": "acme: write=approve", "label": "update",
    "home": "s", "approver": {"consensus": 2},
    "votes": [{"agent_id": "carol", "vote": "approve", "voted_at": THEN, "counts": True, "late": False,
               "comment": "good"}],
}
CHANGES = [
    {"kind": "memory", "id": "m-1", "effect": "change", "field": "priority", "from": 5, "to": 9},
    {"kind": "memory", "id": "m-1", "effect": "change", "field": "content", "from": "one\ntwo\nthree\nfour",
     "to": "one\ntwo\n3\nfour"},
    {"kind": "memory", "id": "m-2", "effect": "create", "field": "title", "from": None, "to": "New"},
    {"kind": "memory", "id": "m-3", "effect": "delete", "field": "content", "from": "word " * 30, "to": None},
]
DETAIL = {
    **ACTION, "changes": CHANGES, "changes_total": 5,
    "comments": [{"agent_id": "bob", "text": "please\nsoon", "made_at": THEN}],
}
PAGE = {"count": 1, "pending": [ACTION], "more": True}
DETAIL_TEXT = """\
p-1  pending 0/2
store in acme (update), asked for by bob 3h ago
by the rule acme: write=approve; approver: {"consensus":2}, 2 needed
expires 2026-01-08T21:00:00.000000Z
approve by carol 3h ago: good
bob 3h ago: please soon
change memory m-1
  priority: 5 -> 9
  content:
      one
      two
    - three
    + 3
      four
create memory m-2
  title: New
delete memory m-3
  content:
    - word word word word word word word word word word word word word word
    - word word word word word word word word word word word word word word
    - word word
and 1 further field
"""
LIST_TEXT = """\
ID   STATUS       ACTION  NAMESPACE  ASKED   BY   ABOUT
p-1  pending 0/2  store   acme       3h ago  bob  Plan
"""
APPROVED = {"approved": True, "id": "p-1", "status": "approved", "decided_by": "bob", "executed": True,
            "memory_id": "m-1", "votes": 1, "quorum": 1, "version": "s:1"}
VOTED = {"approved": False, "id": "p-1", "status": "pending", "votes": 1, "quorum": 2,
         "reason": "consensus threshold not yet reached"}
FAILED = {**APPROVED, "status": "failed", "executed": False, "error": "another memory has the title"}
REJECTED = {"rejected": True, "id": "p-1", "status": "rejected", "decided_by": "bob", "version": "s:1"}
LATE = {"approved": False, "id": "p-1", "status": "rejected", "decided_by": "bob", "reason": "too late"}
LATER = {"rejected": False, "id": "p-1", "status": "approved", "decided_by": "bob", "reason": "too late"}
RECORDED = {"rejected": True, "id": "p-1", "status": "rejected", "reason": "not yet"}
AGAIN = {"asked_again": True, "id": "p-1", "status": "pending", "executed": False, "pending_id": "p-2",
         "namespace": "acme", "version": "s:2"}
DONE_AGAIN = {"asked_again": True, "id": "p-1", "status": "done", "executed": True, "memory_id": "m-1",
              "version": "s:2"}
CASES = [
    ("pending", PAGE, "GET /pending", {"limit": "100", "offset": "0"}, 200, LIST_TEXT, "1 action; there are more"),
    ("pending list --status pending -n acme --requested-by bob --action store", PAGE, "GET /pending",
     {"status": "pending", "namespace": "acme", "requested_by": "bob", "action": "store", "limit": "100",
      "offset": "0"}, 200, LIST_TEXT, "1 action"),
    ("pending get p-1", DETAIL, "GET /pending/p-1", {}, 200, DETAIL_TEXT, ""),
    ("pending approve p-1 -m fine", APPROVED, "POST /pending/p-1/approve", {"comment": "fine", "agent_id": None}, 200,
     "approved: p-1, done: m-1\n", ""),
    ("pending approve p-1", VOTED, "POST /pending/p-1/approve", {"comment": None, "agent_id": None}, 202, "",
     "still pending: 1 of 2 approvals; consensus threshold not yet reached"),
    ("pending approve p-1", FAILED, "POST /pending/p-1/approve", {"comment": None, "agent_id": None}, 200, "",
     "approved, and could not be done: another memory has the title"),
    ("pending approve p-1", LATE, "POST /pending/p-1/approve", {"comment": None, "agent_id": None}, 200, "",
     "error: rejected: too late"),
    ("pending reject p-1", LATER, "POST /pending/p-1/reject", {"comment": None, "agent_id": None}, 200,
     "approved: p-1\n", "error: approved: too late"),
    ("pending reject p-1", RECORDED, "POST /pending/p-1/reject", {"comment": None, "agent_id": None}, 202,
     "rejected: p-1\n", "recorded: not yet"),
    ("pending reject p-1", REJECTED, "POST /pending/p-1/reject", {"comment": None, "agent_id": None}, 200,
     "rejected: p-1\n", ""),
    ("pending comment p-1 why", {"commented": True, "id": "p-1", "comment_id": "c"}, "POST /pending/p-1/comment",
     {"text": "why", "agent_id": None}, 201, "commented: p-1\n", ""),
    ("pending again p-1", AGAIN, "POST /pending/p-1/again", {}, 202, "", "queued for approval again: pending_id=p-2"),
    ("pending again p-1", DONE_AGAIN, "POST /pending/p-1/again", {}, 200, "done: m-1\n", ""),
]
EXITS = {
    "VOTED": ExitStatus.PENDING, "RECORDED": ExitStatus.PENDING, "AGAIN": ExitStatus.PENDING,
    "FAILED": ExitStatus.CONFLICT, "LATE": ExitStatus.CONFLICT, "LATER": ExitStatus.CONFLICT,
}


def exit_of(answer: object) -> ExitStatus:
    return next((EXITS[name] for name in EXITS if answer is globals()[name]), ExitStatus.OK)


@pytest.mark.parametrize(
    ("line", "answer", "request_line", "sent", "status", "text", "said"), CASES, ids=[case[0] for case in CASES]
)
def test_a_verb_asks_once_prints_the_answer_and_exits_by_it(
    machine: Machine, line: str, answer: dict[str, object], request_line: str, sent: dict[str, object], status: int,
    text: str, said: str,
) -> None:
    machine.environ["AI_MEMORY_AGENT_ID"] = "bob"
    shown = machine.run(*line.split(), answer=answer, status=status)
    assert (shown.status, shown.out) == (exit_of(answer), text)
    assert said in shown.err and "\x1b" not in shown.out + shown.err
    printed = machine.run(*line.split(), "--json", answer=answer, status=status)
    assert (printed.status, printed.json) == (exit_of(answer), answer)
    assert f"{shown.request.method} {shown.request.url.path.removeprefix('/api/v1')}" == request_line


def test_a_description_fits_on_80_columns() -> None:
    assert max(map(len, DETAIL_TEXT.splitlines())) <= 80


def test_a_person_decides_at_the_command_line(tmp_path: Path) -> None:
    real = RealMachine(tmp_path)
    real.visit(queue_pending)
    shown = real.run("pending", "get", PENDING)
    assert "create memory" in shown.out and "title: Asked for" in shown.out
    real.json("pending", "comment", PENDING, "Looks right.")
    done = real.run("pending", "approve", PENDING)
    assert (done.status, done.out.partition(",")[0]) == (ExitStatus.OK, f"approved: {PENDING}")
    assert "\ndone: " in (after := real.run("pending", "get", PENDING).out) and "Asked for" in after
    late = real.run("pending", "reject", PENDING)
    assert (late.status, late.out) == (ExitStatus.CONFLICT, "")
    assert real.json("list", "-n", "asked")["memories"][0]["title"] == "Asked for"
