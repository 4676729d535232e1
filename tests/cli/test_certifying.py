"""The verb pki: what it writes, what it says has to go where, and what its lists look like."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest

from aimem.cli.exits import ExitStatus
from aimem.cli.parser import parse
from aimem.model import DAY_S, read_allowlist, shown
from tests.cli.fakes import Machine


@pytest.fixture
def authority(machine: Machine) -> Machine:
    """A machine with an authority in its working folder."""
    assert machine.run("pki", "init").status == ExitStatus.OK
    return machine


def test_an_authority_is_made_beside_one_and_what_to_do_next_is_said(machine: Machine) -> None:
    done = machine.run("pki", "init", "--name", "our mesh", "--dir", "my pki")
    assert done.out.splitlines()[0] == "my pki/ca.pem  CN=our mesh, until 2035-12-31"
    assert "ai-memory pki issue --name NAME --dir 'my pki'" in done.err
    assert (machine.cwd / "my pki/ca.key").exists()


def test_a_certificate_is_said_with_what_goes_where_and_how_to_start(authority: Machine) -> None:
    authority.run("pki", "issue", "--name", "node-b")
    done = authority.run("pki", "issue", "--name", "node-a", "--ip", "192.0.2.1", "--dns", "a.example.net")
    assert done.status == ExitStatus.OK
    lines = done.out.splitlines()
    assert lines[0] == "pki/node-a.pem  for a.example.net, node-a, 192.0.2.1, until 2027-02-03"
    assert lines[1].startswith("pki/node-a.key  its key")
    fingerprint = lines[2].removeprefix("pki/peer-fingerprints.txt  has ")
    listed = (authority.cwd / "pki/peer-fingerprints.txt").read_text()
    assert fingerprint in {shown(one) for one in read_allowlist(listed)}
    assert "  pki/node-a.pem pki/node-a.key pki/ca.pem pki/peer-fingerprints.txt" in lines
    assert max(map(len, lines[4:])) <= 100


def test_the_command_that_is_shown_is_the_one_in_json_and_a_shell_reads_it(authority: Machine) -> None:
    shown_ = authority.run("pki", "issue", "--name", "node-a").out
    command = shown_[shown_.index("  ai-memory --db") :]
    told = authority.run("--json", "pki", "issue", "--name", "node-a", "--renew").json
    assert isinstance(told, dict)
    words = shlex.split(command.replace("\\\n", " "))
    assert words == told["serve"]
    assert all(len(line) <= 78 for line in command.splitlines())
    assert parse(words[1:], io.StringIO()).settings["tls.mtls_allowlist"] == "peer-fingerprints.txt"


def test_the_command_that_starts_a_node_is_that_of_the_readme(authority: Machine) -> None:
    for name in ("node-b", "node-c", "node-a"):
        shown_ = authority.run("pki", "issue", "--name", name).out
    command = shown_[shown_.index("  ai-memory --db") :]
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    said = re.search(r"^ai-memory --db ai-memory.db serve (.+\\\n)+.+$", readme, re.MULTILINE)
    assert said is not None
    assert shlex.split(said[0].replace("\\\n", " ")) == shlex.split(command.replace("\\\n", " "))


def test_a_certificate_that_follows_another_says_in_which_order_nodes_get_it(authority: Machine) -> None:
    authority.run("pki", "issue", "--name", "node-a")
    done = authority.run("pki", "issue", "--name", "node-a", "--renew")
    assert "ai-memory pki remove node-a --replaced" in done.out
    assert "serve" not in done.out
    removed = authority.run("pki", "remove", "node-a", "--replaced")
    assert len(removed.out.splitlines()) == 1
    assert "1 left" in removed.err


def test_an_empty_list_is_warned_of(authority: Machine) -> None:
    authority.run("pki", "issue", "--name", "node-a")
    assert "no daemon starts with it" in authority.run("pki", "remove", "node-a").err


def test_fingerprints_are_printed_as_a_list_has_them(authority: Machine) -> None:
    authority.run("pki", "issue", "--name", "node-a")
    authority.run("pki", "issue", "--name", "node-b")
    of_all = authority.run("pki", "fingerprint").out
    assert read_allowlist(of_all) == read_allowlist((authority.cwd / "pki/peer-fingerprints.txt").read_text())
    one = authority.run("pki", "fingerprint", "pki/node-a.pem", "pki/ca.pem").out
    assert [line.rpartition("# ")[2] for line in one.splitlines()] == ["pki/node-a.pem", "pki/ca.pem"]


def test_what_certificates_say_is_shown_and_warned_of(authority: Machine) -> None:
    authority.run("pki", "issue", "--name", "node-a", "--days", "10")
    seen = authority.run("pki", "show")
    assert seen.out.count("fingerprint:") == 2
    assert "  holds:        2026-01-01 to 2026-01-12, 9 days left" in seen.out
    assert "warning: pki/node-a.pem: it ends in 9 days" in seen.err
    authority.wall_clock.advance(11 * DAY_S)
    late = authority.run("pki", "show", "pki/node-a.pem")
    assert late.status == ExitStatus.OK
    assert "2026-01-12, ended" in late.out
    told = authority.run("--json", "pki", "show", "pki/node-a.pem").json
    assert isinstance(told, list)
    assert [one["days_left"] for one in told] == [-2]


def test_what_is_refused_is_a_sentence_with_a_status(authority: Machine) -> None:
    for words, status in (
        (("pki", "init"), ExitStatus.CONFLICT), (("pki", "issue", "--name", "../x"), ExitStatus.INVALID),
        (("pki", "issue"), ExitStatus.INVALID), (("pki", "show", "none.pem"), ExitStatus.NOT_FOUND),
        (("pki", "show", "--dir", "none"), ExitStatus.NOT_FOUND), (("pki", "remove", "node-a"), ExitStatus.NOT_FOUND),
        (("pki", "issue", "--name", "a", "--ip", "b"), ExitStatus.INVALID), (("pki",), ExitStatus.INVALID),
    ):
        refused = authority.run(*words)
        assert (refused.status, refused.out) == (status, ""), words
        assert re.match(r"ai-memory: error: \S.+\n\Z", refused.err), words


def test_certificates_are_made_where_the_configuration_is_broken(machine: Machine) -> None:
    machine.environ["AI_MEMORY_DB"] = "/nowhere/x.db"
    machine.environ["AI_MEMORY_TIER"] = "nonsense"
    assert machine.run("pki", "init").status == ExitStatus.OK


def test_no_key_is_ever_printed(authority: Machine) -> None:
    done = authority.run("--json", "pki", "issue", "--name", "node-a")
    secret = (authority.cwd / "pki/node-a.key").read_text().splitlines()[1]
    assert secret not in done.out + done.err
    assert "PRIVATE" not in done.out + done.err + authority.run("pki", "show").out
