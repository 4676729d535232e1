"""The verbs on keys of agents, and commands that come with a key of their own."""

from __future__ import annotations

import json

import pytest

from aimem.cli import ExitStatus
from aimem.cli.values import lifetime
from aimem.errors import Code, Denied, Unauthenticated
from aimem.model import key_text
from tests.cli.fakes import Machine, error_answer

THEN, LATER = "2026-01-01T21:00:00.000000Z", "2026-04-01T21:00:00.000000Z"
KEY_ID = "0123456789abcdef"
KEY = key_text(KEY_ID, bytes(32))
ISSUED = {
    "key": KEY, "key_id": KEY_ID, "agent_id": "ai:planner", "role": "agent", "home": "acme/planning",
    "created_at": THEN, "expires_at": LATER, "registered": True, "is_first": False, "version": "s:1",
}
ROTATED = {**ISSUED, "registered": False, "replaces": "f" * 16, "replaced_until": LATER}
LISTED = {
    "count": 1, "total": 1, "keys": [{
        "key_id": KEY_ID, "agent_id": "ai:planner", "role": "agent", "home": None, "status": "active",
        "created_at": THEN, "created_by": "root", "expires_at": None, "revoked_at": None,
    }],
}
REVOKED = {"revoked": 1, "key_ids": [KEY_ID], "agent_id": "ai:planner", "version": "s:2"}
TABLE = """\
KEY ID            AGENT       ROLE   HOME  STATUS  MADE    BY    ENDS
0123456789abcdef  ai:planner  agent        active  3h ago  root
"""
CASES: list[tuple[str, object, str, dict[str, object], str]] = [
    ("agents key add ai:planner", ISSUED, "POST /agents/keys",
     {"agent_id": "ai:planner", "role": "agent", "force": False}, KEY + "\n"),
    ("agents key add ann --home acme --role operator --expires 90d --agent-type human", ISSUED, "POST /agents/keys",
     {"agent_id": "ann", "home": "acme", "role": "operator", "ttl_secs": 90 * 86_400, "agent_type": "human",
      "force": False},
     KEY + "\n"),
    (f"agents key add ann --expires {LATER} --force", ISSUED, "POST /agents/keys",
     {"agent_id": "ann", "role": "agent", "expires_at": LATER, "force": True}, KEY + "\n"),
    ("agents key list", LISTED, "GET /agents/keys", {"limit": "1000", "offset": "0"}, TABLE),
    ("agents key list --agent bot --limit 5 --offset 2", LISTED, "GET /agents/keys",
     {"agent_id": "bot", "limit": "5", "offset": "2"}, TABLE),
    (f"agents key rotate {'f' * 16}", ROTATED, f"POST /agents/keys/{'f' * 16}/rotate", {"grace_secs": 0}, KEY + "\n"),
    (f"agents key rotate {'f' * 16} --grace 1h --expires 2w", ROTATED, f"POST /agents/keys/{'f' * 16}/rotate",
     {"grace_secs": 3600, "ttl_secs": 14 * 86_400}, KEY + "\n"),
    (f"agents key revoke {KEY_ID}", REVOKED, f"DELETE /agents/keys/{KEY_ID}", {}, f"revoked: {KEY_ID}\n"),
    # Whoever pastes the whole key means that one, and its secret goes nowhere.
    (f"agents key revoke {KEY}", REVOKED, f"DELETE /agents/keys/{KEY_ID}", {}, f"revoked: {KEY_ID}\n"),
    ("agents key revoke --all-of ai:planner", REVOKED, "DELETE /agents/keys", {"agent_id": "ai:planner"},
     f"revoked: {KEY_ID}\n"),
]


@pytest.mark.parametrize(("line", "answer", "request_line", "sent", "text"), CASES)
def test_a_verb_asks_once_and_prints_the_answer(
    machine: Machine, line: str, answer: object, request_line: str, sent: dict[str, object], text: str
) -> None:
    shown, printed = machine.run(*line.split(), answer=answer), machine.run(*line.split(), "--json", answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, text)
    assert (printed.status, printed.json) == (ExitStatus.OK, answer)
    for ran in (shown, printed):
        request = ran.request
        assert f"{request.method} {request.url.path.removeprefix('/api/v1')}" == request_line
        given = ran.body if request.content else dict(request.url.params)
        assert given == sent


def test_what_a_person_should_know_of_a_new_key_is_said_beside_it(machine: Machine) -> None:
    first = machine.run("agents", "key", "add", "ai:planner", answer={**ISSUED, "is_first": True})
    assert "not shown again" in first.err
    assert "from now on callers over TCP need one" in first.err
    assert KEY not in first.err
    rotated = machine.run("agents", "key", "rotate", "f" * 16, answer=ROTATED)
    assert f"the key {'f' * 16} ends at {LATER}" in rotated.err


def test_damaged_keys_are_told(machine: Machine) -> None:
    assert "1 row" in machine.run("agents", "key", "list", answer={**LISTED, "unreadable": 1}).err


def test_a_revocation_of_nothing_says_so(machine: Machine) -> None:
    nothing = {"revoked": 0, "key_ids": [], "agent_id": "bot"}
    shown = machine.run("agents", "key", "revoke", "--all-of", "bot", answer=nothing)
    assert (shown.status, shown.out) == (ExitStatus.OK, "")
    assert "nothing to revoke" in shown.err


@pytest.mark.parametrize("line", [
    "agents key add", "agents key add ann --role root", "agents key rotate", "agents key revoke",
    f"agents key revoke {KEY_ID} --all-of bot", f"agents key rotate {KEY_ID} --grace soon", "agents key list --limit x",
])
def test_wrong_usage_asks_nobody(machine: Machine, line: str) -> None:
    shown = machine.run(*line.split())
    assert (shown.status, shown.runtime.requests) == (ExitStatus.INVALID, [])


def test_an_end_that_is_no_time_names_both_forms_that_are(machine: Machine) -> None:
    for line in ("agents key add ann --expires 90x", f"agents key rotate {KEY_ID} --expires 90x"):
        shown = machine.run(*line.split())
        assert (shown.status, shown.runtime.requests) == (ExitStatus.INVALID, [])
        assert "--expires is '90x'; wanted is a time to live like 90d" in shown.err
        assert "RFC 3339 time like" in shown.err


def test_an_empty_id_asks_nobody(machine: Machine) -> None:
    for verb in ("rotate", "revoke"):
        shown = machine.run("agents", "key", verb, "")
        assert (shown.status, shown.runtime.requests) == (ExitStatus.INVALID, [])


@pytest.mark.parametrize("error", [
    Denied("no", code=Code.OPERATOR_REQUIRED), Denied("no", code=Code.IDENTITY_MISMATCH),
    Unauthenticated("no", code=Code.KEY_REVOKED), Unauthenticated("no", code=Code.KEY_EXPIRED),
])
def test_who_may_not_gets_the_status_of_that(machine: Machine, error: Denied) -> None:
    shown = machine.run("agents", "key", "list", handler=error_answer(error, 403))
    assert shown.status == ExitStatus.DENIED
    printed = machine.run("agents", "key", "list", "--json", handler=error_answer(error, 403))
    assert json.loads(printed.err or printed.out)["code"] == error.code


@pytest.mark.parametrize(("text", "expected"), [
    ("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600), (" 1h ", 3600),
    (LATER, LATER), ("soon", "soon"), ("5", "5"), ("-1h", "-1h"), ("1.5h", "1.5h"), ("٣h", "٣h"),
])
def test_a_time_to_live_is_a_number_and_a_unit(text: str, expected: object) -> None:
    assert lifetime(text) == expected


def test_a_command_with_an_agents_key_claims_no_name_of_its_own(machine: Machine) -> None:
    environ = {"AI_MEMORY_API_KEY": KEY}
    shown = machine.run("agents", answer={"count": 0, "agents": [], "total": 0}, environ=environ)
    assert shown.status == ExitStatus.OK, shown.err
    assert "x-agent-id" not in shown.request.headers
    assert shown.runtime.config is not None
    assert (shown.runtime.config.identity.agent_key, shown.runtime.config.api.api_key) == (KEY, None)


def test_a_name_beside_a_key_is_claimed_so_that_a_wrong_one_is_refused(machine: Machine) -> None:
    shown = machine.run("agents", "--agent-id", "bot", answer={"count": 0, "agents": [], "total": 0}, environ={
        "AI_MEMORY_API_KEY": KEY})
    assert shown.request.headers["x-agent-id"] == "bot"


def test_an_inbox_is_that_of_the_key(machine: Machine) -> None:
    empty = {"agent_id": "bot", "namespace": "_messages/bot", "count": 0, "unread_only": False, "messages": [],
             "unread_count": 0}
    assert machine.run("inbox", answer=empty, environ={"AI_MEMORY_API_KEY": KEY}).status == ExitStatus.OK


def test_half_a_key_is_no_shared_key(machine: Machine) -> None:
    shown = machine.run("list", environ={"AI_MEMORY_API_KEY": KEY[:-1]})
    assert shown.status == ExitStatus.INVALID
    assert "not a whole one" in shown.err
    assert KEY[:-1] not in shown.err
