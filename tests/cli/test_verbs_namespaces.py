"""The verbs on standards and policies: what each asks the node, and what it prints as JSON and for people."""

from __future__ import annotations

import json
import shlex
from urllib.parse import unquote

import pytest

from aimem.cli import ExitStatus
from tests.cli.fakes import Machine

THEN = "2026-01-01T21:00:00.000000Z"
POLICY = {"write": "owner", "promote": "any", "delete": "owner", "policy": "owner", "approver": {"consensus": 2}}
WORDS = 'write=owner promote=any delete=owner policy=owner approver={"consensus": 2}'
SET = {
    "set": True, "namespace": "acme/ops", "standard_id": "m-1", "governance": POLICY, "owner": "bob", "warnings": [],
    "version": "s:1",
}
STANDARD = {
    "namespace": "acme/ops", "standard_id": "m-1", "title": "Rules", "content": "Be kind.\nBe brief.", "priority": 5,
    "governance": POLICY, "effective": POLICY, "from": "acme/ops", "parent": "house", "owner": "bob",
    "changed_by": "carol", "changed_at": THEN,
}
BARE = {"namespace": "free", "standard_id": None, "governance": None, "effective": None, "from": None}
STANDARDS = {
    "namespace": "acme/ops/x", "chain": ["*", "acme", "acme/ops", "acme/ops/x"],
    "standards": [{**STANDARD, "namespace": "*", "governance": None}, STANDARD], "count": 2,
    "effective": POLICY, "from": "acme/ops",
}
ACCESS = {
    "namespace": "acme/ops", "agent_id": "ai:x", "role": "agent", "home": "acme", "registered": True, "owner": "bob",
    "access": [
        {"verb": "write", "level": "owner", "from": "acme", "decision": "deny", "on_others": "deny", "reason": "no"},
        {"verb": "promote", "level": "approve", "from": "acme", "decision": "ask", "on_others": "ask",
         "approver": "2 registered agents"},
        {"verb": "delete", "level": "owner", "from": "acme", "decision": "allow", "on_others": "deny",
         "on_others_reason": "not its author"},
        {"verb": "policy", "level": None, "from": None, "decision": "allow", "on_others": "allow"},
    ],
}
HISTORY = {
    "namespace": "acme/ops", "count": 3, "history": [
        {"version": "03", "standard_id": None, "parent": None, "governance": None, "owner": None, "changed_by": "bob",
         "changed_at": THEN},
        {"version": "02", "standard_id": "m-1", "parent": None, "governance": None, "governance_error": "broken",
         "owner": "bob", "changed_by": "bob", "changed_at": THEN},
        {"version": "01", "standard_id": "m-1", "parent": None, "governance": POLICY, "owner": "bob",
         "changed_by": "bob", "changed_at": THEN},
    ],
}
SHOWN = f"""\
namespace: acme/ops
standard:  m-1 Rules
parent:    house
owner:     bob
policy:    {WORDS}
changed:   3h ago by carol

Be kind.
Be brief.
"""
ACCESS_TABLE = """\
ACT      OWN    OTHERS'  BY             REASON
write    deny   deny     acme: owner    no
promote  ask    ask      acme: approve  approved by 2 registered agents
delete   allow  deny     acme: owner    not its author
policy   allow  allow    no policy
"""
HISTORY_TABLE = f"""\
CHANGED  BY   OWNER   STANDARD  POLICY
3h ago   bob  nobody  none      none
3h ago   bob  bob     m-1       cannot be read
3h ago   bob  bob     m-1       {WORDS}
"""
ALL_TABLE = f"""\
NAMESPACE  POLICY{' ' * (len(WORDS) - 6)}  STANDARD  TEXT
*          none of its own{' ' * (len(WORDS) - 15)}  m-1       Be kind. Be brief.
acme/ops   {WORDS}  m-1       Be kind. Be brief.
"""
AT = "/api/v1/namespaces/acme/ops"
CASES: list[tuple[str, object, str, dict[str, object], str]] = [
    (("namespace set-standard acme/ops --id m-1 --governance '{\"write\": \"owner\"}' --parent house --owner bob "
     "--force"),
     SET, f"POST {AT}/standard",
     {"id": "m-1", "governance": {"write": "owner"}, "parent": "house", "owner": "bob", "force": True,
      "dry_run": False}, f"set: acme/ops (standard m-1, owner bob)\npolicy: {WORDS}\n"),
    ("namespace set-standard acme/ops -c 'Be kind.' --dry-run",
     {"set": False, "namespace": "acme/ops", "standard_id": None, "owner": None, "warnings": [], "dry_run": True,
      "decision": "allow"}, f"POST {AT}/standard", {"content": "Be kind.", "dry_run": True},
     "would be set: acme/ops (standard made anew, owner nobody)\n"),
    ("namespace set-standard acme/ops -c 'Be kind.' --dry-run",
     {"set": False, "namespace": "acme/ops", "standard_id": "m-1", "owner": "bob", "warnings": [], "dry_run": True,
      "decision": "ask"}, f"POST {AT}/standard", {"dry_run": True},
     "would wait for approval: acme/ops (standard m-1, owner bob)\n"),
    ("namespace get-standard acme/ops", STANDARD, f"GET {AT}/standard", {}, SHOWN),
    ("namespace get-standard free", BARE, "GET /api/v1/namespaces/free/standard", {},
     "namespace: free\nstandard:  none\npolicy:    none: everybody may do everything\n"),
    ("namespace get-standard acme/ops/x --inherit", STANDARDS, f"GET {AT}/x/standard", {"inherit": "true"}, ALL_TABLE),
    ("namespace clear-standard acme/ops", {"cleared": True, "namespace": "acme/ops", "standard_id": "m-1"},
     f"DELETE {AT}/standard", {}, "cleared: acme/ops\n"),
    ("namespace clear-standard acme/ops", {"cleared": False, "namespace": "acme/ops"},
     f"DELETE {AT}/standard", {}, "nothing is set: acme/ops\n"),
    ("namespace access acme/ops --agent ai:x", ACCESS, f"GET {AT}/access", {"agent_id": "ai:x"}, ACCESS_TABLE),
    ("namespace history acme/ops --limit 3", HISTORY, f"GET {AT}/history", {"limit": "3"}, HISTORY_TABLE),
]


@pytest.mark.parametrize(("line", "answer", "request_line", "sent", "text"), CASES)
def test_a_verb_asks_once_and_prints_the_answer(
    machine: Machine, line: str, answer: object, request_line: str, sent: dict[str, object], text: str
) -> None:
    shown = machine.run(*shlex.split(line), answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, text)
    printed = machine.run(*shlex.split(line), "--json", answer=answer)
    assert (printed.status, printed.json) == (ExitStatus.OK, answer)
    for request in (shown.request, printed.request):
        assert f"{request.method} {unquote(request.url.path)}" == request_line
        asked = {**dict(request.url.params), **json.loads(request.content or b"{}")}
        assert {name: asked.get(name) for name in sent} == sent


def test_warnings_are_talk(machine: Machine) -> None:
    answer = {**SET, "warnings": ["it has no owner"]}
    for words in ((), ("--json",)):
        shown = machine.run("namespace", "set-standard", "a", "-c", "x", *words, answer=answer)
        assert shown.err == "ai-memory: warning: it has no owner\n"


def test_what_is_wrong_with_a_standard_or_a_policy_is_said(machine: Machine) -> None:
    answer = {**BARE, "standard_id": "m-1", "warning": "it is not there", "governance_error": "broken", "from": "acme"}
    shown = machine.run("namespace", "get-standard", "acme", answer=answer)
    assert "that of acme cannot be read, so it denies" in shown.out
    assert "free: it is not there" in shown.err and "acme: broken" in shown.err
    every = machine.run(
        "namespace", "get-standard", "acme", "--inherit",
        answer={**STANDARDS, "standards": [answer], "effective": None, "from": "acme", "governance_error": "broken"})
    assert "cannot be read, so it denies" in every.err and "it is not there" in every.err


def test_a_text_comes_from_standard_input(machine: Machine) -> None:
    sent = machine.run("namespace", "set-standard", "a", "-c", "-", answer=SET, stdin="grüß\n".encode())
    assert sent.body["content"] == "grüß\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [((), "nothing to set"), (("--id", "m", "-c", "x"), "excludes"), (("--governance", "{"), "no JSON object"),
     (("--governance", "[]"), "no JSON object"), (("--governance", '{"a": "\udc80"}'), "no JSON object"),
     (("--governance", '{"a":' * 9_999), "no JSON object")],
)
def test_wrong_usage_asks_nothing(machine: Machine, words: tuple[str, ...], text: str) -> None:
    refused = machine.run("namespace", "set-standard", "acme", *words)
    assert (refused.status, refused.runtime.requests) == (ExitStatus.INVALID, [])
    assert text in refused.err


@pytest.mark.parametrize(
    ("status", "code", "exit_status"),
    [(409, "locks_out", ExitStatus.CONFLICT), (403, "denied_by_policy", ExitStatus.DENIED),
     (403, "operator_required", ExitStatus.DENIED), (400, "invalid_request", ExitStatus.INVALID)],
)
def test_a_refusal_has_its_status(machine: Machine, status: int, code: str, exit_status: ExitStatus) -> None:
    refused = machine.run(
        "namespace", "set-standard", "acme", "-c", "x", status=status, answer={"error": "no", "code": code})
    assert refused.status == exit_status


def test_a_deleted_standard_is_warned_of(machine: Machine) -> None:
    answer = {"deleted": True, "id": "m-1", "version": "s:1", "warning": "this was the standard of acme"}
    assert "the standard of acme" in machine.run("delete", "m-1", answer=answer).err
    away = {"archived": ["m-1"], "missing": [], "count": 1, "reason": "archive", "warning": "the standard of acme"}
    assert "the standard of acme" in machine.run("archive", "add", "m-1", answer=away).err
