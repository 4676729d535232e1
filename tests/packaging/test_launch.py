"""The head of the one-file program: it unpacks what is behind it once, to a safe place, and becomes that program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.sources import ROOT

pytestmark = pytest.mark.slow

PACK = ROOT / "packaging" / "onefile" / "pack"
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    char self[4096] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 9;
    printf("%d\n%s\n%s\n%s\n", getpid(), self, getenv("LD_LIBRARY_PATH"), getenv("LD_LIBRARY_PATH_BEFORE"));
    for (int i = 0; i < count; i++) puts(words[i]);
    return 7;
}
"""
"""Says its process id, where it lies, where libraries are looked for, now and before, and its words."""
LONG_NAME = "n" * 90

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with a program, a text of some blocks, an empty folder, a link, and a path longer than a ustar name."""
    links = ["gcc", "-include", "zlib.h", "-x", "c", "-", "-static", "-o", os.devnull, "-lz"]
    if subprocess.run(links, input="int main(void) { return !zlibVersion(); }", text=True, check=False).returncode:
        pytest.skip("there is no zlib to link with (apt install zlib1g-dev)")
    work = tmp_path_factory.mktemp("packed")
    folder = work / "folder"
    (folder / LONG_NAME / "empty").mkdir(parents=True)
    (folder / LONG_NAME / f"{LONG_NAME}.txt").write_bytes(bytes(range(256)) * 700)
    (folder / LONG_NAME / "link").symlink_to(f"{LONG_NAME}.txt")
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(folder / "ai-memory")], input=PROGRAM, text=True, check=True)
    subprocess.run([str(PACK), str(folder), "1.2.3", str(work / "ai-memory")], check=True, capture_output=True)
    return work / "ai-memory"


@pytest.fixture
def start(tmp_path: Path, packed: Path) -> Start:
    """Start the file with words, in an environment of these variables alone."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()

    def run(*words: str, file: Path = packed, **environ: str) -> subprocess.CompletedProcess[str]:
        surroundings = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), **environ}
        return subprocess.run(
            [str(file), *words], env=surroundings, capture_output=True, text=True, check=False, timeout=60)

    return run


def place_of(done: subprocess.CompletedProcess[str]) -> Path:
    """The folder of the program that spoke."""
    assert done.returncode == 7, done.stderr
    return Path(done.stdout.splitlines()[1]).parent


def test_it_becomes_the_program_with_its_own_path_and_all_words(start: Start, packed: Path, tmp_path: Path) -> None:
    done = start("recall", "", "two words")
    folder = place_of(done)
    assert folder.parent == tmp_path / "home" / ".cache" / "ai-memory" and folder.name.startswith("1.2.3-")
    assert done.stdout.splitlines()[4:] == [str(packed), "recall", "", "two words"]


@pytest.mark.parametrize("before", ["", "/opt/lib"])
def test_libraries_are_looked_for_inside_and_what_was_before_is_told(start: Start, before: str) -> None:
    done = start(**({"LD_LIBRARY_PATH": before} if before else {}))
    assert done.stdout.splitlines()[2:4] == [f"{place_of(done)}/_internal", before]


def test_the_process_id_stays(packed: Path, tmp_path: Path) -> None:
    with subprocess.Popen([str(packed)], env={"HOME": str(tmp_path)}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid


def test_all_that_was_packed_is_there_again_for_its_owner_alone_to_change(start: Start, packed: Path) -> None:
    folder, source = place_of(start()), packed.parent / "folder"
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == sorted(
        p.relative_to(source) for p in source.rglob("*"))
    link, text = Path(LONG_NAME, "link"), Path(LONG_NAME, f"{LONG_NAME}.txt")
    assert (folder / link).is_symlink() and (folder / link).read_bytes() == (source / text).read_bytes()
    assert (folder / "ai-memory").read_bytes() == (source / "ai-memory").read_bytes()
    assert not any(p.lstat().st_mode & 0o022 for p in folder.rglob("*") if not p.is_symlink())
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_it_unpacks_once(start: Start) -> None:
    text = place_of(start()) / LONG_NAME / f"{LONG_NAME}.txt"
    made = text.stat().st_mtime_ns, text.stat().st_ino
    place_of(start())
    assert (text.stat().st_mtime_ns, text.stat().st_ino) == made


def test_many_that_start_at_once_share_one_unpacking(packed: Path, tmp_path: Path) -> None:
    together = [
        subprocess.Popen([str(packed)], env={"HOME": str(tmp_path)}, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [process.wait(timeout=60) for process in together] == [7] * 8
    [folder, lock] = sorted((tmp_path / ".cache" / "ai-memory").iterdir())
    assert folder.name.startswith("1.2.3-") and lock.name == "lock"


def test_what_a_killed_one_left_and_a_folder_without_its_program_are_made_anew(start: Start) -> None:
    folder = place_of(start())
    (folder.parent / "unpacking" / "half").mkdir(parents=True)
    (folder / "ai-memory").unlink()
    assert place_of(start()) == folder
    assert not (folder.parent / "unpacking").exists()


def test_the_cache_that_is_named_comes_before_the_home_and_without_both_there_is_the_temporary_folder(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "named").mkdir()
    assert place_of(start(XDG_CACHE_HOME=str(tmp_path / "named"))).parent == tmp_path / "named" / "ai-memory"
    assert place_of(start(HOME="/nowhere")).parent == tmp_path / "tmp" / f"ai-memory-program-{os.geteuid()}"


def test_a_place_that_others_could_write_to_is_passed_over(start: Start, tmp_path: Path) -> None:
    (tmp_path / "home").chmod(0o777)
    assert place_of(start()).is_relative_to(tmp_path / "tmp")
    (tmp_path / "home").chmod(0o700)
    (tmp_path / "home" / ".cache" / "ai-memory").mkdir(parents=True)
    (tmp_path / "home" / ".cache" / "ai-memory").chmod(0o777)
    assert place_of(start()).is_relative_to(tmp_path / "tmp")


def test_a_place_that_is_anothers_is_passed_over_also_by_root(start: Start, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(tmp_path / "home", 65534, 65534)
    assert place_of(start()).is_relative_to(tmp_path / "tmp")
    assert not (tmp_path / "home" / ".cache").exists()


def test_without_any_place_it_says_what_was_wrong_with_each(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start(HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path / "file"), XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1 and done.stdout == ""
    assert "XDG_CACHE_HOME" in done.stderr
    (tmp_path / "home" / ".cache").touch()
    (tmp_path / "tmp").chmod(0o777)
    done = start()
    assert f"{tmp_path}/home/.cache/ai-memory: Not a directory" in done.stderr
    assert f"{tmp_path}/tmp: others than you can write to it" in done.stderr


@pytest.mark.parametrize(("options", "why"), [("size=64k", "No space left on device"), ("noexec", "Permission denied")])
def test_a_place_that_is_full_or_starts_nothing_is_passed_over_and_named(
    start: Start, packed: Path, tmp_path: Path, options: str, why: str
) -> None:
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    mounted = [*mapped, "--mount", "sh", "-c", 'mount -t tmpfs -o "$0" none "$HOME" && exec "$1"', options, str(packed)]
    unshare = Path("/usr/bin/unshare")
    assert place_of(start(*mounted, file=unshare, PATH=os.defpath)).is_relative_to(tmp_path / "tmp")
    done = start(*mounted, file=unshare, PATH=os.defpath, TMPDIR="/nowhere")
    assert done.returncode == 1 and "XDG_CACHE_HOME" in done.stderr
    assert f"{tmp_path}/home/.cache/ai-memory: {why}" in done.stderr


def test_a_file_that_is_cut_off_says_so(start: Start, packed: Path, tmp_path: Path) -> None:
    broken = tmp_path / "ai-memory"
    broken.touch(mode=0o755)
    broken.write_bytes(packed.read_bytes()[:-1000])
    done = start(file=broken)
    assert done.returncode == 1 and "this file is not whole" in done.stderr


@pytest.mark.parametrize("from_end", [3000, 64 + 8], ids=["contents", "checksum"])
def test_a_file_that_is_altered_says_so_and_leaves_nothing(
    start: Start, packed: Path, tmp_path: Path, from_end: int
) -> None:
    whole, broken = packed.read_bytes(), tmp_path / "ai-memory"
    at = len(whole) - from_end
    broken.touch(mode=0o755)
    broken.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
    done = start(file=broken)
    assert done.returncode == 1 and "this file is damaged" in done.stderr
    assert [path.name for path in (tmp_path / "home" / ".cache" / "ai-memory").iterdir()] == ["lock"]
