"""The verb console: which nodes it looks at, its overview, and what it refuses. The screens are in tests/tui."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec.structs import replace

from aimem.cli.exits import ExitStatus
from aimem.wire import console
from tests.cli.fakes import Machine

NODE = console.NodeOverview(
    door="http://a:1", node="node-a", state="ok", why="", rtt_ms=1.5, ack_ms=None, lag_ops=0, lag_s=0.0, acked=7, of=7,
    breaker="", clock_offset_ms=None, certificate_days_left=12, version="0.1.0",
)
QUORUM = console.QuorumOverview(writes=2, members=3, reachable=2, short_writes=1, last_short="a write needs 2 nodes")
OVERVIEW = console.ConsoleOverview(
    verdict="warning", seen_by="node-a", nodes=(NODE,), quorum=QUORUM, pending=4, warnings=("node-b: nothing listens",)
)


def asked(machine: Machine, *words: str) -> console.ConsoleRequest:
    [request] = machine.run("console", "--once", *words).runtime.consoles
    return request


def test_without_an_address_it_is_the_socket_of_the_database(machine: Machine) -> None:
    request = asked(machine, "--db", "x.db")
    db = machine.cwd / "x.db"
    assert request.doors == (console.DoorIn(name=str(db), socket=f"{db}.sock"),)
    assert request.key is None


def test_addresses_are_looked_at_in_their_order_once_each(machine: Machine) -> None:
    request = asked(machine, "--url", "https://b:2/", "--url", "http://a:1", "--url", "https://b:2")
    assert [door.url for door in request.doors] == ["https://b:2", "http://a:1"]


def test_files_key_and_agent_are_handed_on(machine: Machine) -> None:
    request = asked(
        machine, "--url", "https://a:1", "--ca-cert", "ca.pem", "--client-cert", "me.pem", "--client-key", "~/me.key",
        "--key", "secret", "--agent-id", "ops:ann", "--screen", "pending", "--colours", "light",
    )
    assert (request.ca_cert, request.client_cert) == (str(machine.cwd / "ca.pem"), str(machine.cwd / "me.pem"))
    assert request.client_key == str(machine.home / "me.key")
    assert (request.key, request.agent_id, request.screen, request.theme) == ("secret", "ops:ann", "pending", "light")


def test_the_key_may_come_from_the_environment(machine: Machine) -> None:
    machine.environ["AI_MEMORY_API_KEY"] = "shared"
    assert asked(machine).key == "shared"
    assert asked(machine, "--key", "other").key == "other"


@pytest.mark.parametrize("url", ["a:1", "ftp://a", "http://", "http://a:x", "http://a/path", "http://u@a:1", "http://a:0",
                                 "http://[::1"])
def test_what_is_no_address_is_refused_with_how_one_is_written(machine: Machine, url: str) -> None:
    shown = machine.run("console", "--url", url)
    assert shown.status == ExitStatus.INVALID
    assert "write http://HOST:PORT or https://HOST:PORT" in shown.err


@pytest.mark.parametrize(("words", "why"), [
    (("--json",), "--json goes with --once"), ((), "needs a terminal"),
    (("--client-key", "x"), "--client-key needs --client-cert"),
    (tuple(word for no in range(65) for word in ("--url", f"http://a:{no + 1}")), "at most 64"),
])
def test_what_cannot_be_is_a_usage_error(machine: Machine, words: tuple[str, ...], why: str) -> None:
    shown = machine.run("console", *words)
    assert shown.status == ExitStatus.INVALID
    assert why in shown.err
    assert not shown.runtime.consoles


def test_a_picture_needs_no_terminal(machine: Machine) -> None:
    [request] = machine.run("console", "--screenshot", "x.svg").runtime.consoles
    assert request.screenshot == str(machine.cwd / "x.svg")


def test_the_overview_is_a_table_and_sentences(machine: Machine) -> None:
    machine.overview = OVERVIEW
    shown = machine.run("console", "--once")
    assert shown.status == ExitStatus.OTHER
    first, second, _, quorum, pending = shown.out.splitlines()
    assert first.split() == ["NODE", "STATE", "RTT", "MS", "ACK", "MS", "BEHIND", "ACKED", "BREAKER", "CLOCK", "MS",
                             "CERT", "DAYS", "VERSION", "WHY"]
    assert second.split() == ["node-a", "ok", "1.5", "-", "0", "7", "-", "-", "12", "0.1.0"]
    assert quorum == ("2 of 3 nodes reachable, a write waits for 2; 1 found too few so far: a write needs 2 nodes")
    assert pending == "4 waiting for a decision"
    assert shown.err == "ai-memory: warning: node-b: nothing listens\n"


def test_the_overview_of_a_node_alone_speaks_of_one(machine: Machine) -> None:
    quorum = console.QuorumOverview(writes=1, members=1, reachable=1, short_writes=0, last_short="")
    machine.overview = replace(OVERVIEW, quorum=quorum)
    shown = machine.run("console", "--once")
    assert "1 of 1 node reachable, a write waits for 1; 0 found too few so far\n" in shown.out


def test_the_overview_is_a_document_for_scripts(machine: Machine) -> None:
    machine.overview = OVERVIEW
    shown = machine.run("console", "--once", "--json")
    document = shown.json
    assert isinstance(document, dict)
    assert (document["verdict"], document["pending"], document["nodes"][0]["acked"]) == ("warning", 4, 7)
    assert document["quorum"]["last_short"] == "a write needs 2 nodes"


@pytest.mark.parametrize(("verdict", "status"), [
    ("ok", ExitStatus.OK), ("warning", ExitStatus.OTHER), ("unavailable", ExitStatus.UNAVAILABLE),
])
def test_the_verdict_is_the_exit_status(machine: Machine, verdict: str, status: ExitStatus) -> None:
    machine.overview = console.ConsoleOverview(
        verdict=verdict, seen_by="", nodes=(), quorum=None, pending=None, warnings=())
    assert machine.run("console", "--once").status == status


@pytest.mark.slow
def test_no_other_verb_loads_the_toolkit() -> None:
    seen = (
        "import sys; from aimem import cli; import aimem.__main__; import aimem.cli.commands.watching; "
        "print([name for name in sys.modules if name.partition('.')[0] in ('textual', 'aimem_tui', 'asyncio')])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
