"""mesh and sync-daemon: what they ask the node, what they print, and how they end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import httpx
import pytest

from aimem.cli import ExitStatus, Purpose
from tests.cli.fakes import Machine

PEER = {
    "url": "http://n1:1", "node": "n1", "stream": "a" * 32, "state": "reachable", "breaker": "closed",
    "in_flight": False, "lag_ops": 0, "lag_s": 0.0, "failures": 0, "clock_offset_ms": 1.5, "last_ok_s": 0.2,
    "last_error": "", "vector": {"a" * 32: 3}, "held": 0, "compared_s": 60.5, "differing": 0,
    "members_hash": "", "key": "", "fingerprints": [], "named": [], "certificate": None,
    "protocol": 3, "cluster": "c" * 32,
}
AWAY = {**PEER, "url": "http://n2:1", "node": "", "state": "unreachable", "lag_ops": 4, "lag_s": 12.25, "protocol": 0,
        "clock_offset_ms": None, "last_ok_s": None, "last_error": "timeout"}
DOCUMENT = {
    "node": "n0", "stream": "b" * 32, "protocol": 1, "members": 3, "writes": 2, "peers": [PEER, AWAY],
    "vector": {"a" * 32: 3, "b" * 32: 4}, "hlc": 7, "held": [], "held_count": 0, "conflict_count": 1,
    "digest": "d" * 32, "digest_vector": {}, "forks": [], "alarms": ["the clock is +0.7 s off its peers'"],
    "op_log_count": 7, "op_log_bytes": 700, "joining": None, "members_hash": "", "agreement": "", "certificates": [],
    "key": "", "mesh_access": "", "untrusted": [], "cluster": "c" * 32, "behind": 4321,
    "short_writes": 0, "last_short": None,
}
LOST = {"kind": "memory", "key": "3f2a9c1e-5b0d-4c8e-9f57-0a1b2c3d4e5f", "field": "content", "value": "old text",
        "version_hlc": 5, "stream": "a" * 32, "noted_at": "2026-01-02T00:00:00.000000Z"}


def comparing(*steps: dict[str, object]) -> Callable[[httpx.Request], httpx.Response]:
    """A node whose one peer is compared in such steps."""
    left = list(steps)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={**DOCUMENT, "peers": [PEER]})
        step = left.pop(0)
        return httpx.Response(503 if "code" in step else 200, json={"url": "http://n1:1", "node": "n1", **step})

    return answer


def test_status_shows_who_is_behind_for_how_long_and_why(machine: Machine) -> None:
    shown = machine.run("mesh", "status", answer=DOCUMENT)
    assert shown.status == ExitStatus.OK
    assert dict(shown.request.url.params) == {"digest": "true", "verify": "false"}
    [row] = [line for line in shown.out.splitlines() if "http://n2:1" in line]
    assert row.split() == ["unreachable", "-", "http://n2:1", "-", "4", "12.2", "-", "timeout"]
    [row] = [line for line in shown.out.splitlines() if "http://n1:1" in line]
    assert row.split()[:4] == ["reachable", "n1", "http://n1:1", "3"]
    assert f"mesh:             {'c' * 32}" in shown.out
    assert "writes wait for:  2 nodes" in shown.out
    assert "behind:           4321 writes" in shown.out.splitlines()
    assert shown.err == "ai-memory: warning: the clock is +0.7 s off its peers'\n"


def test_certificates_and_their_days_are_shown_where_there_are_some(machine: Machine) -> None:
    given = {"fingerprint": "f" * 64, "names": ["n1"], "expires_at": "2027-01-31T00:00:00.000000Z", "days_left": 1}
    own = {**given, "which": "server", "subject": "CN=n0"}
    gone = {**own, "which": "client", "days_left": -3}
    document = {**DOCUMENT, "peers": [{**PEER, "certificate": given}, AWAY], "certificates": [own, gone]}
    lines = machine.run("mesh", "status", answer=document).out.splitlines()
    assert "server:           CN=n0, expires in 1 day (2027-01-31)" in lines
    assert "client:           CN=n0, expired on 2027-01-31" in lines
    rows = machine.run("mesh", "peers", answer=document).out.splitlines()
    assert "CERTIFICATE" in rows[0] and " 1 day " in rows[1]
    assert "CERTIFICATE" not in machine.run("mesh", "peers", answer=DOCUMENT).out


def test_the_word_of_a_state_is_not_said_again_beside_it(machine: Machine) -> None:
    away = {**AWAY, "last_error": "unreachable: connection refused"}
    shown = machine.run("mesh", "peers", answer={**DOCUMENT, "peers": [away]})
    assert shown.out.splitlines()[1].endswith("-         connection refused")
    step = {"code": "unavailable", "error": "unreachable: refused"}
    compared = machine.run("mesh", "verify", handler=comparing(step))
    assert compared.out.splitlines()[1].split()[-1] == "refused"


def test_data_of_each_verb_is_printed_as_json(machine: Machine) -> None:
    assert machine.run("mesh", "status", "--json", answer=DOCUMENT).json == DOCUMENT
    assert machine.run("mesh", "peers", "--json", answer=DOCUMENT).json == [PEER, AWAY]
    assert machine.run("mesh", "conflicts", "--json", answer={**DOCUMENT, "conflicts": [LOST]}).json == [LOST]


def test_conflicts_show_the_value_that_lost(machine: Machine) -> None:
    shown = machine.run("mesh", "conflicts", "--limit", "5", answer={**DOCUMENT, "conflicts": [LOST]})
    assert shown.request.url.params["conflicts"] == "5"
    assert '"old text"' in shown.out


def test_the_time_of_an_edit_that_lost_is_shown_where_nothing_else_of_it_did(machine: Machine) -> None:
    time = {**LOST, "field": "updated_at", "value": 7}
    other = {**time, "version_hlc": 6, "value": 8}
    answer = {**DOCUMENT, "conflicts": [LOST, time, other]}
    shown = machine.run("mesh", "conflicts", answer=answer)
    assert [line.split()[3] for line in shown.out.splitlines()[1:]] == ["content", "updated_at"]
    assert shown.err == ""
    assert machine.run("mesh", "conflicts", "--json", answer=answer).json == [LOST, time, other]


def test_that_nothing_lost_is_said(machine: Machine) -> None:
    shown = machine.run("mesh", "conflicts", answer={**DOCUMENT, "conflicts": []})
    assert (shown.status, shown.err) == (ExitStatus.OK, "ai-memory: no write lost to one that did not know of it\n")


LOSS = {"kind": "memory", "key": "3f2a9c1e", "lost": "here"}


@pytest.mark.parametrize(("step", "word", "status"), [
    ({"compared": 4}, "equal", ExitStatus.OK),
    ({"differing": 2, "left": 2, "objects": [LOSS, LOSS]}, "differs", ExitStatus.CONFLICT),
    ({"differing": 2, "repaired": 2, "objects": [LOSS, LOSS]}, "repaired", ExitStatus.OK),
    ({"pending": 1}, "behind", ExitStatus.UNAVAILABLE),
    ({"code": "unavailable", "error": "timeout"}, "unreachable", ExitStatus.UNAVAILABLE),
    ({"code": "node_untrusted", "error": "untrusted: off the list"}, "untrusted", ExitStatus.UNAVAILABLE),
])
def test_verify_ends_with_what_it_found(
    machine: Machine, step: dict[str, object], word: str, status: ExitStatus
) -> None:
    shown = machine.run("mesh", "verify", handler=comparing(step))
    assert shown.status == status
    [row] = [line for line in shown.out.splitlines() if "http://n1:1" in line]
    assert row.split()[0] == word


def test_verify_of_a_node_without_peers_says_that_nothing_was_compared(machine: Machine) -> None:
    shown = machine.run("mesh", "verify", answer={**DOCUMENT, "peers": []})
    assert (shown.status, shown.err) == (ExitStatus.OK, "ai-memory: nothing was compared: this node has no peers\n")


def test_verify_goes_on_where_a_step_ended_and_sums_up(machine: Machine) -> None:
    asked: list[dict[str, object]] = []
    answer = comparing(
        {"after": "[]", "total": 9, "compared": 5, "differing": 1, "repaired": 1, "objects": [LOSS]},
        {"compared": 4, "differing": 1, "left": 1, "objects": [{**LOSS, "lost": "there"}]},
    )

    def noted(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            asked.append(json.loads(request.content))
        return answer(request)

    [found] = machine.run("mesh", "verify", "--repair", "--json", handler=noted).json
    assert asked == [
        {"peer": "http://n1:1", "after": None, "repair": True}, {"peer": "http://n1:1", "after": "[]", "repair": True},
    ]
    assert (found["verdict"], found["compared"], found["differing"], found["left"]) == ("differs", 9, 2, 1)
    assert [one["lost"] for one in found["objects"]] == ["here", "there"]


def test_verify_names_what_differs_and_says_how_much_it_does_not_name(machine: Machine) -> None:
    step = {"differing": 130, "left": 130, "objects": [{**LOSS, "key": f"k{number}"} for number in range(100)]}
    shown = machine.run("mesh", "verify", handler=comparing(step))
    assert len([line for line in shown.out.splitlines() if " k" in line and line.split()[0] == "n1"]) == 100
    assert "30 objects more differ from http://n1:1" in shown.err


@pytest.mark.parametrize(("lost", "options", "said"), [
    ("here", (), "here: `ai-memory mesh verify --repair` gets back"),
    ("there", (), "there: say `ai-memory mesh verify --repair` on the node that lost it"),
    ("unclear", ("--repair",), "unclear: two values stand under one write; update the memory"),
])
def test_verify_says_what_to_do_about_what_still_differs(
    machine: Machine, lost: str, options: tuple[str, ...], said: str
) -> None:
    left = {"differing": 1, "left": 1, "objects": [{**LOSS, "lost": lost}]}
    assert f"note: {said}" in machine.run("mesh", "verify", *options, handler=comparing(left)).err
    mended = {"differing": 1, "repaired": 1, "objects": [{**LOSS, "lost": lost}]}
    assert machine.run("mesh", "verify", "--repair", handler=comparing(mended)).err == ""


def test_trusting_a_name_under_which_nobody_was_refused_says_that_it_is_forgotten(machine: Machine) -> None:
    answer = {"node": "n1", "known_key": "a" * 64, "key": None}
    shown = machine.run("mesh", "trust", "n1", answer=answer)
    assert (shown.status, "'n1': it is forgotten here" in shown.err) == (ExitStatus.OK, True)
    assert machine.run("mesh", "trust", "n1", answer={**answer, "key": "b" * 64}).err == ""


def test_the_daemon_that_holds_the_database_is_asked(machine: Machine) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 3:
            signal.raise_signal(signal.SIGTERM)
        return httpx.Response(200, json=DOCUMENT)

    shown = machine.run(
        "sync-daemon", "--peers", "http://n1:1/,http://n2:1", "--interval", "5", handler=answer, autojump=True
    )
    assert shown.status == ExitStatus.OK
    assert {(request.method, request.url.path, request.content) for request in asked} == {
        ("POST", "/api/v1/mesh", b'{"peers":["http://n1:1","http://n2:1"]}')
    }
    assert shown.out == (
        "7 writes known here; http://n1:1 is reachable; http://n2:1 is unreachable (timeout), 4 writes behind\n"
    )
    assert shown.err.startswith("ai-memory: pid 7 exchanges ")
    assert shown.runtime.purposes == [Purpose.SESSION]
    config = shown.runtime.config
    assert config is not None
    assert (config.mesh.peers, config.mesh.writes, config.mesh.interval_s) == (("http://n1:1", "http://n2:1"), 1, 5.0)


def test_without_a_daemon_this_process_exchanges_with_the_key_that_it_was_given(machine: Machine) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        signal.raise_signal(signal.SIGINT)
        return httpx.Response(503, json={"error": "busy", "code": "unavailable"})

    shown = machine.run(
        "sync-daemon", "--peers", "http://n1:1", "--api-key", "k", handler=answer, autojump=True, holder=True
    )
    assert "this process exchanges" in shown.err
    assert "this round was skipped: busy" in shown.err
    assert shown.runtime.config is not None
    assert shown.runtime.config.api.api_key == "k"


@pytest.mark.parametrize("argv", [
    ("--peers", "n1"), ("--peers", "http://a,http://a"), ("--peers", "http://a", "--interval", "0"), (),
])
def test_what_cannot_be_meant_is_a_usage_error(machine: Machine, argv: tuple[str, ...]) -> None:
    assert machine.run("sync-daemon", *argv).status == ExitStatus.INVALID


def test_servers_are_verified_whatever_is_asked_for(machine: Machine) -> None:
    shown = machine.run("sync-daemon", "--peers", "https://n1:1", "--insecure-skip-server-verify")
    assert shown.status == ExitStatus.INVALID
    assert "always verified" in shown.err


def test_half_a_certificate_for_peers_is_refused(machine: Machine) -> None:
    for half, other in (("--client-cert", "--client-key"), ("--client-key", "--client-cert")):
        shown = machine.run("sync-daemon", "--peers", "https://n1:1", half, "a.pem")
        assert shown.status == ExitStatus.INVALID
        assert f"{half} is given without {other}" in shown.err


def test_a_command_may_wait_for_this_node_alone(machine: Machine) -> None:
    shown = machine.run("stats", "--consistency", "local", answer=None, status=503)
    assert shown.runtime.config is not None
    assert shown.runtime.config.consistency == "local"
