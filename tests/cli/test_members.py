"""mesh add, remove and reload: which file they change, what they have the daemon do, and what they leave as it was."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from aimem.cli import ExitStatus
from tests.cli.fakes import Machine, Outcome
from tests.cli.test_meshing import DOCUMENT, PEER

NEW = "http://n9:1"


class Daemon:
    """A daemon that takes whatever it is told; `state` is what comes of an exchange with the new peer."""

    def __init__(self, folder: Path) -> None:
        self.file, self.listed = folder / "config.toml", folder / "peers"
        self.file.write_text('# ours\n[mesh]\nquorum_peers = "http://n1:1"  # one\nquorum_writes = 2\n')
        self.told: dict[str, object] = {
            "peers": "file", "writes": "file", "peers_by": f"{self.file}, line 3", "writes_by": f"{self.file}, line 4",
            "file": str(self.file), "listed": None, "overruled": ["a note"],
        }
        self.state, self.last_error = "reachable", ""
        self.fault: tuple[int, str, str] | None = None
        self.reloads: list[str] = []
        self.restart: list[str] = []
        self.looked: list[str] = []
        self.found: dict[str, str] = {"verdict": "new", "version": "0.1.0", "stream": "e" * 32}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        document = {**DOCUMENT, "peers": [PEER], "told": self.told}
        if request.url.path.endswith("/reload"):
            self.reloads.append(self.file.read_text())
            if self.fault is not None and len(self.reloads) == 1:
                status, code, sentence = self.fault
                return httpx.Response(status, json={"error": sentence, "code": code})
            return httpx.Response(200, json={
                "node": "n0", "peers": ["http://n1:1", NEW], "members": 3, "writes": 2, "added": [NEW], "removed": [],
                "told": self.told, "notices": [], "restart": self.restart,
            })
        if request.url.path.endswith("/look"):
            self.looked.append(json.loads(request.content)["url"])
            return httpx.Response(200, json={"url": NEW, **self.found})
        if request.method == "POST":
            new = {**PEER, "url": NEW, "node": "n9", "state": self.state, "last_error": self.last_error}
            return httpx.Response(200, json={**document, "peers": [PEER, new]})
        return httpx.Response(200, json=document)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


def add(machine: Machine, daemon: Daemon, *more: str) -> Outcome:
    return machine.run("mesh", "add", NEW, *more, handler=daemon)


def test_a_member_is_added_to_the_file_and_what_to_say_elsewhere_is_printed(machine: Machine, daemon: Daemon) -> None:
    shown = add(machine, daemon, "--quorum-writes", "3")
    assert shown.status == ExitStatus.OK
    text = daemon.file.read_text()
    assert text == '# ours\n[mesh]\nquorum_peers = "http://n1:1,http://n9:1"  # one\nquorum_writes = 3\n'
    assert daemon.reloads == [text]
    assert shown.out.splitlines() == [
        f"changed: {daemon.file}", "in force: 3 nodes, writes wait for 2",
        "to be said on the other nodes, so that all know the same members:",
        "  n1: ai-memory mesh add http://n9:1 --quorum-writes 3",
        "  http://n9:1: ai-memory mesh add http://n1:1 --quorum-writes 2",
        "  http://n9:1: ai-memory mesh add ADDRESS-OF-n0 --quorum-writes 3",
    ]
    assert "a note" in shown.err


@pytest.mark.parametrize(("found", "expected"), [
    ({}, "a node of no mesh yet, stream eeeeeeee, version 0.1.0, answers"),
    ({"verdict": "none", "reason": "unreachable: refused"}, "nobody answers as a node (unreachable: refused)"),
    ({"verdict": "self", "node": "n0"}, "this node itself answers"),
    ({"verdict": "peer", "node": "n1"}, "node n1 answers, which is a peer already"),
    ({"verdict": "other_cluster", "cluster": "d" * 32}, "a node of mesh dddddddd, stream eeeeeeee, version"),
    ({"verdict": "member", "cluster": "c" * 32}, "a node of mesh cccccccc, stream eeeeeeee, version"),
], ids=["new", "none", "self", "peer", "other", "member"])
def test_a_dry_run_says_who_answers(
    machine: Machine, daemon: Daemon, found: dict[str, str], expected: str
) -> None:
    daemon.found |= found
    shown = add(machine, daemon, "--dry-run")
    assert (shown.status, daemon.looked, daemon.reloads) == (ExitStatus.OK, [NEW], [])
    assert f"{NEW}: {expected}" in shown.out
    assert ("another mesh" in shown.out) == (found.get("verdict") == "other_cluster")
    assert ("would be taken back" in shown.out) == (found.get("verdict", "new") not in ("new", "member"))


def test_a_dry_run_does_nothing(machine: Machine, daemon: Daemon) -> None:
    before = daemon.file.read_text()
    told = json.loads(add(machine, daemon, "--dry-run", "--json").out)
    assert (told["is_dry"], told["in_force"], told["files"]) == (True, False, [str(daemon.file)])
    assert (daemon.file.read_text(), daemon.reloads) == (before, [])


@pytest.mark.parametrize(("state", "error", "status", "expected"), [
    ("unreachable", "timeout", ExitStatus.UNAVAILABLE, "does not answer as a member (timeout)"),
    ("unasked", "", ExitStatus.UNAVAILABLE, "(no answer)"), ("self", "", ExitStatus.CONFLICT, "this node itself"),
    ("duplicate", "", ExitStatus.CONFLICT, "a peer already"),
    ("other_cluster", "another mesh: x", ExitStatus.UNAVAILABLE, "another mesh: x"),
    ("untrusted", "", ExitStatus.UNAVAILABLE, "(untrusted)"),
])
def test_an_address_where_no_member_answers_is_taken_back(
    machine: Machine, daemon: Daemon, state: str, error: str, status: ExitStatus, expected: str
) -> None:
    before = daemon.file.read_text()
    daemon.state, daemon.last_error = state, error
    shown = add(machine, daemon)
    assert (shown.status, daemon.file.read_text(), daemon.reloads[-1]) == (status, before, before)
    assert expected in shown.err and "nothing was changed" in shown.err


def test_with_force_it_is_added_whether_anybody_answers_or_not(machine: Machine, daemon: Daemon) -> None:
    daemon.state = "unreachable"
    assert add(machine, daemon, "--force").status == ExitStatus.OK
    assert NEW in daemon.file.read_text()


def test_what_the_daemon_refuses_is_taken_back(machine: Machine, daemon: Daemon) -> None:
    before = daemon.file.read_text()
    daemon.fault = (400, "config_invalid", "quorum_writes is 7, and there are 3 nodes")
    shown = add(machine, daemon, "--quorum-writes", "7")
    assert (shown.status, daemon.file.read_text()) == (ExitStatus.INVALID, before)
    assert "quorum_writes is 7, and there are 3 nodes; nothing was changed" in shown.err


def test_a_list_is_changed_wherever_its_name_stands(machine: Machine, daemon: Daemon) -> None:
    daemon.listed.write_text("# others\nhttp://n1:1\n")
    daemon.told |= {"peers": "flag", "peers_by": "--quorum-peers", "listed": str(daemon.listed)}
    assert add(machine, daemon).status == ExitStatus.OK
    assert daemon.listed.read_text() == "# others\nhttp://n1:1\nhttp://n9:1\n"
    shown = machine.run("mesh", "remove", "n1", handler=daemon)
    assert (shown.status, daemon.listed.read_text()) == (ExitStatus.OK, "# others\nhttp://n9:1\n")


@pytest.mark.parametrize(("told", "more", "expected"), [
    ({"peers": "flag", "peers_by": "--quorum-peers"}, (), "--quorum-peers http://n1:1,http://n9:1"),
    ({"peers": "variable", "peers_by": "AI_MEMORY_QUORUM_PEERS"}, (), "AI_MEMORY_QUORUM_PEERS=http://n1:1,http://n9:1"),
    ({"writes": "flag", "writes_by": "--quorum-writes"}, ("--quorum-writes", "2"), "--quorum-writes 2, or without it"),
    ({"peers": "nowhere", "file": None}, (), "no configuration file is read"),
], ids=["flag", "variable", "writes", "no file"])
def test_what_a_command_line_fixes_is_refused_with_the_ways_on(
    machine: Machine, daemon: Daemon, told: dict[str, object], more: tuple[str, ...], expected: str
) -> None:
    before = daemon.file.read_text()
    daemon.told |= told
    shown = add(machine, daemon, *more)
    assert (shown.status, daemon.file.read_text(), daemon.reloads) == (ExitStatus.INVALID, before, [])
    assert expected in shown.err


def test_of_the_last_peer_of_a_command_line_only_the_start_without_it_is_named(
    machine: Machine, daemon: Daemon
) -> None:
    daemon.told |= {"peers": "flag", "peers_by": "--quorum-peers"}
    shown = machine.run("mesh", "remove", "n1", handler=daemon)
    assert shown.status == ExitStatus.INVALID
    assert "start it anew without it, so that" in shown.err


@pytest.mark.parametrize("meant", ["n1", "http://n1:1/", "HTTP://N1:1"])
def test_a_member_is_removed_by_its_name_or_its_address(machine: Machine, daemon: Daemon, meant: str) -> None:
    shown = machine.run("mesh", "remove", meant, "--quorum-writes", "1", handler=daemon)
    assert shown.status == ExitStatus.OK
    assert daemon.file.read_text() == "# ours\n[mesh]\nquorum_writes = 1\n"


def test_who_is_no_peer_cannot_be_removed_and_who_is_one_cannot_be_added(machine: Machine, daemon: Daemon) -> None:
    shown = machine.run("mesh", "remove", "n7", handler=daemon)
    assert (shown.status, "n1 (http://n1:1)" in shown.err) == (ExitStatus.NOT_FOUND, True)
    shown = machine.run("mesh", "add", "http://N1:1/", handler=daemon)
    assert (shown.status, "a peer already (n1)" in shown.err) == (ExitStatus.CONFLICT, True)


@pytest.mark.parametrize(("text", "expected"), [
    ("foo", "it does not begin with http:// or https://"), ("n1:1", "it does not begin with http:// or https://"),
    ("http://a:1,http://b:1", "it holds a comma: say one address at a time"),
    ("http://me:secret@a:1", "it has a user's name in it"),
    ("", "it does not begin with"),
])
def test_what_is_no_address_is_refused_with_what_is_wrong_and_what_is_wanted(
    machine: Machine, daemon: Daemon, text: str, expected: str
) -> None:
    shown = machine.run("mesh", "add", text, handler=daemon)
    assert (shown.status, daemon.reloads) == (ExitStatus.INVALID, [])
    assert f"that is no address of a node: {expected}" in shown.err
    assert "wanted is an address like http://10.0.0.2:9077" in shown.err and "secret" not in shown.err


@pytest.mark.parametrize("place", ["file", "flag"])
def test_of_an_address_that_is_a_peer_already_only_w_is_set(machine: Machine, daemon: Daemon, place: str) -> None:
    daemon.told |= {"peers": place}
    shown = machine.run("mesh", "add", "http://N1:1/", "--quorum-writes", "1", handler=daemon)
    assert shown.status == ExitStatus.OK
    text = daemon.file.read_text()
    assert text == '# ours\n[mesh]\nquorum_peers = "http://n1:1"  # one\nquorum_writes = 1\n'
    assert daemon.reloads == [text]
    assert "http://N1:1 is a peer already (n1), and stays as it is" in shown.err
    assert "to be said" not in shown.out


def test_without_a_daemon_the_file_is_changed_and_checked_for_the_next_start(machine: Machine, daemon: Daemon) -> None:
    daemon.file.write_text("[mesh]\n")
    machine.environ = {"AI_MEMORY_CONFIG": str(daemon.file)}
    alone = {**DOCUMENT, "peers": [], "members": 1}
    shown = machine.run("mesh", "add", NEW, answer=alone, holder=True)
    assert (shown.status, daemon.file.read_text()) == (0, f'[mesh]\nquorum_peers = "{NEW}"\n')
    assert "holds from its next start on" in shown.out
    shown = machine.run("mesh", "add", "http://n8:1", "--quorum-writes", "9", answer=alone, holder=True)
    assert (shown.status, "there are 3 nodes" in shown.err) == (ExitStatus.INVALID, True)
    assert daemon.file.read_text() == f'[mesh]\nquorum_peers = "{NEW}"\n'


def test_rejoin_waits_until_the_node_is_ready_and_tells_who_cannot_be_asked(machine: Machine) -> None:
    steps = [(False, 0, ["http://n1:1: timeout"]), (False, 5, ["http://n1:1: timeout"]), (True, 9, [])]
    asked: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        ready, known, failing = steps.pop(0)
        return httpx.Response(200, json={"stream": "a" * 32, "ready": ready, "known": known, "failing": failing})

    shown = machine.run("mesh", "rejoin", "--forget-cluster", handler=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, f"ready: 9 writes known; stream {'a' * 32}\n")
    assert shown.err.count("http://n1:1: timeout") == 1
    assert [one["look"] for one in asked] == [False, True, True]
    assert asked[0]["forget_cluster"] is True


def test_reload_says_what_holds_now_and_what_comes_later(machine: Machine, daemon: Daemon) -> None:
    shown = machine.run("mesh", "reload", handler=daemon)
    assert (shown.status, len(daemon.reloads)) == (ExitStatus.OK, 1)
    assert shown.out == f"read anew: 3 members, writes wait for 2 nodes\nadded:   {NEW}\n"
    assert shown.err == "ai-memory: note: a note\n"
    daemon.restart = ["store", "api"]
    assert "note: store, api was changed too" in machine.run("mesh", "reload", handler=daemon).err
    assert json.loads(machine.run("mesh", "reload", "--json", handler=daemon).out)["members"] == 3


def test_reload_fails_with_what_is_wrong(machine: Machine, daemon: Daemon) -> None:
    daemon.fault = (400, "config_invalid", "config.toml, line 3: no such key")
    shown = machine.run("mesh", "reload", handler=daemon)
    assert (shown.status, shown.out) == (ExitStatus.INVALID, "")
    assert "config.toml, line 3: no such key" in shown.err
