"""The peers of a node: what is understood, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.config import Config, load_config
from aimem.errors import Code, InvalidRequest


def loaded(**given: object) -> Config:
    whole = ("port", "host", "consistency")
    flags = {name if name in whole else f"mesh.{name}": value for name, value in given.items()}
    return load_config(flags, {}, cwd=Path("/w"), home=Path("/h"), etc=Path("/e"))


def test_a_node_without_peers_stands_alone_and_waits_for_nobody() -> None:
    mesh = loaded(quorum_writes=3).mesh
    assert (mesh.peers, mesh.writes) == ((), 1)
    assert loaded().notices == ()
    assert "no peers are named" in loaded(quorum_writes=3).notices[0]


def test_peers_are_addresses_divided_by_commas() -> None:
    mesh = loaded(quorum_peers="http://a:1/, https://b/x/ ,http://[::1]:3", quorum_writes=3).mesh
    assert mesh.peers == ("http://a:1", "https://b/x", "http://[::1]:3")
    assert (mesh.writes, mesh.timeout_s, mesh.interval_s, mesh.node_name) == (3, 2.0, 30.0, None)


@pytest.mark.parametrize(("asked", "writes"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_so_many_nodes_have_a_write_as_are_asked_for(asked: int, writes: int) -> None:
    assert loaded(quorum_peers="http://a,http://b", quorum_writes=asked).mesh.writes == writes


@pytest.mark.parametrize(("given", "expected"), [
    ({"quorum_peers": "http://a,http://b", "quorum_writes": 4}, "is 4, and there are 3 nodes"),
    ({"quorum_peers": "http://a:80,HTTP://A/"}, "names HTTP://A twice (entry 1 of 2 and entry 2 of 2)"),
    ({"quorum_peers": "http://127.0.0.1:9077"}, "names this node itself"),
    ({"quorum_peers": "http://localhost:1", "host": "localhost", "port": 1}, "names this node itself"),
    ({"quorum_peers": "a:1"}, "no address (entry 1 of 1): it does not begin with http:// or https://; wanted is"),
    ({"quorum_peers": "http:a"}, "it does not begin with http://"), ({"quorum_peers": "http://"}, "begin with http://"),
    ({"quorum_peers": "http://a:1,b:2,http://c:3"}, "no address (entry 2 of 3)"),
    ({"quorum_peers": "http://user:secret@a"}, "no address (entry 1 of 1): it has a user's name in it"),
    ({"quorum_peers": "http://a:66000"}, "a port that is none"), ({"quorum_peers": "http://a:0"}, "has the port 0"),
    ({"quorum_peers": "http://a?b"}, "has ? or # in it"), ({"quorum_peers": "http://a b"}, "has a blank in it"),
    ({"quorum_peers": "http://:1"}, "names no host"),
    ({"quorum_peers": ","}, "names 0 peers"),
    ({"quorum_peers": ",".join(f"http://h{n}" for n in range(33))}, "names 33 peers"),
    ({"quorum_timeout_ms": 10}, "50 to 60000"),
    ({"quorum_writes": -1}, "0 to 33"),
    ({"op_log_max_bytes": 1000}, "1048576 to"),
    ({"node_name": "n" * 129}, "129 characters"), ({"node_name": "a\u202eb"}, "control characters"),
])
def test_what_cannot_be_a_mesh_is_refused_at_the_start(given: dict[str, object], expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(**given)
    assert caught.value.code is Code.CONFIG_INVALID
    assert expected in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(("text", "expected"), [
    ("# ours\nhttp://a:1\nb:1  # new\n", "line 3 holds something that is no address: it does not begin with"),
    ("http://a:1\n\nhttp://A:1/\n", "line 3 names http://A:1 twice (line 1 and line 3)"),
    ("http://a:1\nhttp://127.0.0.1:9077\n", "line 2 names this node itself (http://127.0.0.1:9077)"),
], ids=["no address", "twice", "itself"])
def test_what_is_wrong_in_a_list_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    listed = tmp_path / "peers.txt"
    listed.write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        loaded(quorum_peers=f"@{listed}")
    assert caught.value.message.startswith(f"{listed}, {expected}")


def test_fewer_than_a_majority_is_allowed_and_told() -> None:
    assert "no majority" in loaded(quorum_peers="http://a,http://b,http://c", quorum_writes=2).notices[0]
    assert loaded(quorum_peers="http://a,http://b,http://c", quorum_writes=3).notices == ()


def test_no_interval_leaves_it_to_the_peers_to_ask() -> None:
    assert loaded(quorum_peers="http://a", catchup_interval_secs=0, quorum_writes=2).mesh.interval_s == 86_400


def test_comparisons_may_be_left_out_and_the_log_has_bounds() -> None:
    mesh = loaded(quorum_peers="http://a", quorum_writes=2).mesh
    assert (mesh.compare_s, mesh.op_log_max_bytes, mesh.op_log_max_days) == (3600, 1 << 30, 30)
    given = {"compare_interval_secs": 0, "op_log_max_bytes": 2_000_000, "op_log_max_days": 0.5}
    mesh = loaded(quorum_peers="http://a", quorum_writes=2, **given).mesh
    assert (mesh.compare_s, mesh.op_log_max_bytes, mesh.op_log_max_days) == (None, 2_000_000, 0.5)


def test_commands_may_wait_for_another_number_of_nodes() -> None:
    assert loaded().consistency is None
    assert loaded(consistency="local").consistency == "local"
