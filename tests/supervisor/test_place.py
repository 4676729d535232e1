"""Who holds a database, and what is said to the others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aimem.errors import InvalidRequest, Unavailable
from aimem.ports import LockHeld, system_files
from aimem.supervisor.place import Place, Role, find_socket, held, locate, make_default_folder, read_hint, take


def test_two_names_of_a_file_meet_at_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real").mkdir()
    lock = take(system_files(), locate(tmp_path / "real" / "m.db", {}), Role.DAEMON)
    with pytest.raises(LockHeld) as caught:
        take(system_files(), locate(tmp_path / "link" / "m.db", {}), Role.COMMAND)
    lock.release()
    holder = read_hint(caught.value.hint)
    assert holder.role is Role.DAEMON and holder.text == f"process {os.getpid()} (ai-memory serve)"
    assert holder.socket == tmp_path / "real" / "m.db.sock"


def test_hint_keeps_a_socket_path_with_spaces() -> None:
    assert read_hint("pid=1 role=mcp socket=/a b/c d.sock").socket == Path("/a b/c d.sock")


@pytest.mark.parametrize("hint", ["", "   ", "nonsense", "pid= role= socket=", "role=king socket=relative", "=\0"])
def test_hint_that_says_nothing_does_no_harm(hint: str) -> None:
    holder = read_hint(hint)
    assert holder.role is None and holder.socket is None
    assert "another" in holder.text or "process" in holder.text


def test_the_socket_is_where_the_holder_says_also_if_its_surroundings_were_others(tmp_path: Path) -> None:
    files, db = system_files(), tmp_path / "m.db"
    assert find_socket(db, files, {}) == tmp_path / "m.db.sock"
    elsewhere = Place(db=db, socket=tmp_path / "run" / "other.sock")
    take(files, elsewhere, Role.DAEMON).release()
    assert find_socket(db, files, {}) == elsewhere.socket


def test_a_lock_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.db.lock").mkdir()
    with pytest.raises(Unavailable, match="cannot look at"):
        find_socket(tmp_path / "m.db", system_files(), {})


def test_database_that_is_held_is_named_with_its_holder(tmp_path: Path) -> None:
    place = Place(db=tmp_path / "m.db", socket=tmp_path / "m.db.sock")
    error = held(place, read_hint("pid=42 role=serve socket=/x"))
    assert "process 42 (ai-memory serve)" in error.message and "--db" in error.message


def test_only_the_default_folder_is_made_and_is_private(tmp_path: Path) -> None:
    environ = {"XDG_DATA_HOME": str(tmp_path / "share")}
    make_default_folder(tmp_path / "other" / "m.db", environ)
    assert not (tmp_path / "other").exists()
    make_default_folder(tmp_path / "share" / "ai-memory" / "ai-memory.db", environ)
    assert stat.S_IMODE((tmp_path / "share" / "ai-memory").stat().st_mode) == 0o700

    with pytest.raises(InvalidRequest, match="does not exist"):
        take(system_files(), locate(tmp_path / "other" / "m.db", {}), Role.COMMAND)
    with pytest.raises(InvalidRequest, match="is a folder"):
        take(system_files(), locate(tmp_path / "share", {}), Role.COMMAND)


@pytest.mark.parametrize("path", ["/", "/tmp/.."])
def test_the_root_is_a_folder_too(path: str) -> None:
    with pytest.raises(InvalidRequest, match="/ is a folder; name a file with --db"):
        locate(Path(path), {})


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "share").write_bytes(b"a file")
    with pytest.raises(Unavailable, match="cannot make the folder"):
        make_default_folder(
            tmp_path / "share" / "ai-memory" / "ai-memory.db", {"XDG_DATA_HOME": str(tmp_path / "share")}
        )


@pytest.mark.parametrize("mode", [0o500, 0o000], ids=["read only", "closed"])
def test_folder_without_permission_is_named(tmp_path: Path, bound_by_permissions: None, mode: int) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=mode)
    with pytest.raises(Unavailable, match="its folder's permissions"):
        take(system_files(), locate(folder / "m.db", {}), Role.COMMAND)


def test_path_that_can_be_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    for path in (tmp_path / "ring" / "m.db", tmp_path / "null\0.db"):
        with pytest.raises((InvalidRequest, Unavailable)):     # which one depends on the Python
            take(system_files(), locate(path, {}), Role.COMMAND)
