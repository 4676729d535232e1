"""Changing the members where they are written down: nothing else changes, and what cannot be changed is left alone."""

from __future__ import annotations

import os
from errno import EACCES
from pathlib import Path

import pytest

from aimem.config import read_text, replace_text, with_entry, with_settings, without_entry
from aimem.errors import Code, Denied, InvalidRequest, Unavailable

PEERS, WRITES = "mesh.quorum_peers", "mesh.quorum_writes"
FILE = Path("/etc/config.toml")


@pytest.mark.parametrize(("text", "changes", "expected"), [
    ("", {PEERS: "http://a:1"}, '\n[mesh]\nquorum_peers = "http://a:1"\n'),
    ("port = 1", {WRITES: 2}, "port = 1\n\n[mesh]\nquorum_writes = 2\n"),
    ('[mesh]  # ours\nquorum_peers = "http://a:1"  # one\n\n[tls]\ncert = "c"\n', {PEERS: "http://b:1", WRITES: 2},
     '[mesh]  # ours\nquorum_writes = 2\nquorum_peers = "http://b:1"  # one\n\n[tls]\ncert = "c"\n'),
    ("[mesh]\nquorum_peers='http://a:1'\nquorum_writes = 2\n", {PEERS: None}, "[mesh]\nquorum_writes = 2\n"),
    ('mesh.quorum_peers = "http://a:1"\n', {PEERS: "http://a:1,http://b:1"},
     'mesh.quorum_peers = "http://a:1,http://b:1"\n'),
    ("[mesh]", {WRITES: 3}, "[mesh]\nquorum_writes = 3\n"), ("port = 1\n", {PEERS: None}, "port = 1\n"),
    ('quorum_peers = "other"\n[mesh]\r\nquorum_writes = 1\r\n', {WRITES: 2},
     'quorum_peers = "other"\n[mesh]\r\nquorum_writes = 2\n'),
])
def test_settings_are_changed_and_all_else_stays(
    text: str, changes: dict[str, str | int | None], expected: str
) -> None:
    assert with_settings(text, changes, FILE) == expected


@pytest.mark.parametrize("text", [
    'mesh = { quorum_peers = "http://a:1" }\n', '[mesh]\nquorum_peers = """\nhttp://a:1"""\n',
    'note = """\n[mesh]\nquorum_peers = 1\n"""\n[mesh]\nquorum_peers = "http://a:1"\n',
    "mesh.node_name = 'n'\n",
])
def test_what_the_scan_does_not_see_through_is_left_to_a_person(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r'by hand: mesh\.quorum_peers = "http://b:1"') as caught:
        with_settings(text, {PEERS: "http://b:1"}, FILE)
    assert caught.value.code is Code.CONFIG_INVALID


def test_a_list_gains_and_loses_lines() -> None:
    assert with_entry("# others", "http://a:1") == "# others\nhttp://a:1\n"
    text = "# http://a:1\nhttp://A:1/ # first\nhttp://b:1\n\n"
    assert without_entry(text, "http://a:1") == "# http://a:1\nhttp://b:1\n\n"
    assert without_entry(text, "http://c:1") == text


def test_a_file_is_replaced_whole_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real.toml", tmp_path / "link.toml"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    replace_text(link, "new")
    assert (read_text(target, "it"), target.stat().st_mode & 0o777, link.is_symlink()) == ("new", 0o640, True)
    assert {one.name for one in tmp_path.iterdir()} == {"link.toml", "real.toml"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write for others")
def test_what_root_replaces_stays_whose_it_was(tmp_path: Path) -> None:
    target = tmp_path / "peers"
    target.write_text("old")
    os.chown(target, 0, 12_346)
    replace_text(target, "new")
    assert (target.stat().st_gid, target.read_text()) == (12_346, "new")


def test_who_may_not_write_there_is_told_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "peers"
    path.write_text("old")

    def refuse(*_: object) -> int:
        raise PermissionError(EACCES, "Permission denied", str(path))

    monkeypatch.setattr("aimem.config.editing.os.open", refuse)
    with pytest.raises(Denied, match="cannot be changed: Permission denied; nothing was done: run it as root, or as a"):
        replace_text(path, "new")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("peers", "old")]


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "ai-memory" / "config.toml"
    replace_text(path, "new")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_where_it_cannot_be_written_nothing_is_done(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(Unavailable, match="cannot be changed"):
        replace_text(blocked / "config.toml", "new")
