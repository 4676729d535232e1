"""Files that are whole or absent, and the lock: what the store relies on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aimem.ports import Files, LockHeld, lock_hint, system_files
from aimem.ports.files import SMALL_FILE_MAX_BYTES
from tests.disk import Disk
from tests.sim.ports import SimFiles

MAKERS = {"system": system_files, "disk": Disk, "simulated": lambda: SimFiles(system_files())}


@pytest.fixture(params=sorted(MAKERS))
def files(request: pytest.FixtureRequest) -> Files:
    return MAKERS[request.param]()


def test_a_file_is_replaced_as_a_whole_and_is_the_owners_alone(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"an older and longer text")
    path.chmod(0o644)
    files.write_durably(path, b"text")
    assert files.read(path) == b"text"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_what_a_crash_left_of_a_replacement_does_no_harm(files: Files, tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_bytes(b"half of a te")
    files.write_durably(tmp_path / "secret", b"text")
    assert files.read(tmp_path / "secret") == b"text"


def test_a_file_that_is_not_there_is_none_and_has_no_size(files: Files, tmp_path: Path) -> None:
    assert files.read(tmp_path / "none") is None
    assert files.size_bytes(tmp_path / "none") == 0
    files.write_durably(tmp_path / "empty", b"")
    assert files.read(tmp_path / "empty") == b""
    files.write_durably(tmp_path / "some", b"four")
    assert files.size_bytes(tmp_path / "some") == 4


def test_what_cannot_be_read_or_written_is_an_os_error(files: Files, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        files.read(tmp_path)
    with pytest.raises(OSError):
        files.write_durably(tmp_path / "none" / "x", b"text")


def test_what_is_no_small_regular_file_is_refused_without_waiting(files: Files, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "large").write_bytes(b"x" * (SMALL_FILE_MAX_BYTES + 1))
    for name in ("pipe", "endless", "large"):
        with pytest.raises(OSError, match=name):
            files.read(tmp_path / name)
    (tmp_path / "key").write_bytes(b"k")
    (tmp_path / "linked").symlink_to(tmp_path / "key")
    assert files.read(tmp_path / "linked") == b"k"


def test_the_lock_is_taken_on_no_other_file_of_the_users(files: Files, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"data")
    (tmp_path / "x.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        files.lock(tmp_path / "x.lock", "pid 42")
    assert (tmp_path / "precious").read_bytes() == b"data"
    os.mkfifo(tmp_path / "y.lock")
    with pytest.raises(OSError, match="no regular file"):
        files.lock(tmp_path / "y.lock", "pid 42")


def test_the_lock_is_held_once_and_tells_the_holders_hint(files: Files, tmp_path: Path) -> None:
    held = files.lock(tmp_path / "x.lock", "pid 42")
    with pytest.raises(LockHeld) as refused:
        files.lock(tmp_path / "x.lock", "pid 43")
    assert refused.value.hint == "pid 42"
    held.close()
    held.close()
    again = files.lock(tmp_path / "x.lock", "pid 4")
    assert (tmp_path / "x.lock").read_text() == "pid 4"
    again.close()


def test_a_lock_that_cannot_be_taken_is_an_os_error(files: Files, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        files.lock(tmp_path / "none" / "x.lock", "")
    with pytest.raises(OSError):
        files.lock(tmp_path, "")


def test_a_full_disk_takes_the_hint_but_not_the_lock(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        held = files.lock(tmp_path / "x.lock", "pid 42")
    with pytest.raises(LockHeld):
        files.lock(tmp_path / "x.lock", "pid 43")
    held.close()


def test_a_write_that_the_kernel_takes_in_pieces_is_complete(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
        files.write_durably(tmp_path / "x", b"ten bytes!")
    assert files.read(tmp_path / "x") == b"ten bytes!"


def test_a_folder_is_the_owners_alone_and_goes_with_all_that_is_in_it(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "older").write_bytes(b"left by a crash")
    files.clear_folder(folder)
    assert (list(folder.iterdir()), folder.stat().st_mode & 0o777) == ([], 0o700)
    files.clear_folder(folder / "one")
    files.write_new(folder / "one" / "0", b"text")
    assert files.read_up_to(folder / "one" / "0", 4) == b"text"
    files.drop_folder(folder)
    files.drop_folder(folder)
    assert not folder.exists()


def test_of_a_link_in_the_place_of_a_folder_only_the_link_goes(files: Files, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_bytes(b"data")
    (tmp_path / "spool").symlink_to(tmp_path / "precious")
    files.clear_folder(tmp_path / "spool")
    assert not (tmp_path / "spool").is_symlink()
    assert (tmp_path / "precious" / "data").read_bytes() == b"data"


def test_a_new_file_is_the_owners_alone_and_read_within_a_bound(files: Files, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"an older one")
    files.write_new(tmp_path / "x", b"four")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert files.read_up_to(tmp_path / "none", 4) is None
    with pytest.raises(OSError, match="more than 3 bytes"):
        files.read_up_to(tmp_path / "x", 3)
    with pytest.raises(OSError):
        files.write_new(tmp_path / "none" / "x", b"text")


def test_who_holds_a_lock_is_told_without_taking_it(tmp_path: Path) -> None:
    files, path = system_files(), tmp_path / "x.lock"
    assert lock_hint(path) is None
    assert not path.exists()
    lock = files.lock(path, "pid=7 role=serve")
    assert lock_hint(path) == lock_hint(path) == "pid=7 role=serve"
    lock.close()
    assert lock_hint(path) is None
    files.lock(path, "the next one").close()
