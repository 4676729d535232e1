"""The C library's heaps."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.system.processes import heaps_of

ALLOCATING = """
import os, sys, threading
from aimem.ports import share_heap
if sys.argv[1:]:
    share_heap()
kept, ready = [], threading.Barrier(4)
def allocate():
    ready.wait()
    kept.append([bytes(4_360) for _ in range(1_000)])
    ready.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has one heap")
@pytest.mark.parametrize(("arguments", "is_shared"), [(["shared"], True), ([], False)])
def test_threads_share_a_heap_if_they_are_told_to(arguments: list[str], is_shared: bool) -> None:
    words = [sys.executable, "-c", ALLOCATING, *arguments]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert (heaps_of(process.pid) == 0) is is_shared
        process.communicate()
