"""What some faults need of the machine: a small disk, clocks that can be set, and a network that nobody else uses."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

DISK_MB: Final = 48
NAMESPACES: Final = "TEST_NAMESPACES"
"""A variable that says that this process has what it needs of them."""
_TABLE: Final = "table inet cycles"


class Need(StrEnum):
    """What a fault may need."""

    DISK = "disk"
    CLOCK = "clock"
    NETWORK = "network"


_NAMESPACES: Final = {Need.DISK: "--mount", Need.NETWORK: "--net"}


def lacks(needs: Iterable[Need]) -> str:
    """Why this machine cannot do one of these; empty if it can do all."""
    reasons = {Need.DISK: _lacks_disk, Need.CLOCK: _lacks_clock, Need.NETWORK: _lacks_network}
    return "; ".join(reason for need in sorted(set(needs)) if (reason := reasons[need]()))


def _lacks_disk() -> str:
    is_there = _can("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return "" if is_there else "mounting a small disk (tmpfs) is for root"


def _lacks_clock() -> str:
    return "" if _fake_clock() else "libfaketime is missing (Debian: faketime)"


def _lacks_network() -> str:
    if not shutil.which("nft"):
        return "nft is missing (Debian: nftables)"
    is_there = _can("unshare", "--net", "nft", "list", "ruleset") and _can("unshare", "--net", "ip", "link")
    return "" if is_there else "a network of one's own (unshare --net, nft, ip) is for root"


def _can(*words: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    return False


def _fake_clock() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found else ""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A new folder on a disk of its own that fills up soon; what is in it in the end is kept on another one."""
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        kept = folder.with_name(f"{folder.name}.kept")
        subprocess.run(["cp", "-a", str(folder), str(kept)], check=False)     # what can be copied
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(filler: Path) -> None:
    """Have a file take all the room that its disk has now."""
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def clock_environment(file: Path) -> dict[str, str]:
    """Variables by which a process's wall clock is off by what a file says, and no other clock is."""
    return {
        "LD_PRELOAD": _fake_clock(), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1", "NO_FAKE_STAT": "1",
    }


def enter_namespaces(needs: Iterable[Need], arguments: Sequence[str]) -> None:
    """Begin this program anew with disks and a network of its own, as far as it needs them, unless it has them.

    They go with the last process that has them, however it ends.
    """
    words = [_NAMESPACES[need] for need in sorted(set(needs)) if need in _NAMESPACES]
    if words and NAMESPACES not in os.environ:
        os.environ[NAMESPACES] = "1"
        os.execvp("unshare", ["unshare", *words, sys.executable, "-m", "tests.cycles", *arguments])
    if _NAMESPACES[Need.NETWORK] in words:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def filter_packets(rules: Iterable[str]) -> None:
    """Let these rules of nft decide on every packet that is sent."""
    clear_filter()
    text = "\n".join((f"{_TABLE} {{", "chain sent {", "type filter hook output priority 0", *rules, "}", "}", ""))
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)


def clear_filter() -> None:
    """Let every packet through."""
    subprocess.run(["nft", "-f", "-"], input=f"{_TABLE}\ndelete {_TABLE}".encode(), check=True)
