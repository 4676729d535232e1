"""`python -m tests.system.sandbox UNIT COMMAND...`: a command under the system calls that a unit leaves it.

As systemd 252 does: SystemCallFilter= by the groups that `systemd-analyze syscall-filter` tells, EPERM to everything
else, and MemoryDenyWriteExecute= as rules on mmap and mprotect. Loaded through libseccomp, which comes with systemd.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.packaging.units import values_of

ALLOW, REFUSE, MASKED_EQ = 0x7FFF0000, 0x00050000 | errno.EPERM, 7
PROT_WRITE, PROT_EXEC = 2, 4
NO_NEW_PRIVS = 38


class Compared(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("mask", ctypes.c_uint64), ("to", ctypes.c_uint64)]


def calls_of(name: str) -> set[str]:
    """Every system call of a group, or the one of this name."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = [line.strip() for line in told.stdout.splitlines()[1:]]
    return set().union(*(calls_of(word) for word in words if word and not word.startswith("#")))


def allowed_by(unit: Path) -> set[str]:
    found: set[str] = set()
    for value in values_of(unit, "SystemCallFilter"):
        calls = set().union(*map(calls_of, value.removeprefix("~").split()))
        found = found - calls if value.startswith("~") else found | calls
    return found


class Filter:
    """Rules for the kernel."""

    def __init__(self, default: int) -> None:
        self._lib: Any = ctypes.CDLL("libseccomp.so.2")
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._state = ctypes.c_void_p(self._lib.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *compared: Compared) -> None:
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:     # else it is none of this machine's
            count = len(compared)
            given = (Compared * count)(*compared)
            added = self._lib.seccomp_rule_add_array(self._state, ctypes.c_uint32(action), number, count, given)
            assert added == 0, call

    def load(self) -> None:
        assert self._lib.seccomp_load(self._state) == 0


def main(unit: str, *command: str) -> None:
    path = Path(unit)
    calls, memory = Filter(REFUSE), Filter(ALLOW)
    for call in allowed_by(path) | {"execve", "seccomp", "prctl"}:
        calls.add(ALLOW, call)
    both = PROT_WRITE | PROT_EXEC
    memory.add(REFUSE, "mmap", Compared(2, MASKED_EQ, both, both))
    memory.add(REFUSE, "mprotect", Compared(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    assert ctypes.CDLL(None).prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if values_of(path, "MemoryDenyWriteExecute") == ["yes"]:
        memory.load()
    calls.load()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
