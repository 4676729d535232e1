"""What a process holds is counted from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from tests.soak.samples import Process, Sample, look_at, sample_of
from tests.soak.verdict import FEWEST, grown

LEAKY = """
import socket, sys, threading
kept = []
for line in sys.stdin:
    kept.append({
        "file": lambda: open("/dev/null"), "database": lambda: open(sys.argv[1]),
        "socket": socket.socket, "memory": lambda: b"x" * (1 << 20),
        "thread": lambda: threading.Thread(target=threading.Event().wait, daemon=True).start(), "nothing": int,
    }[line.strip()]())
    print(flush=True)
"""
"""Keeps one of what it is told, and says so."""
EVERY_S = 15.0
PAGE = """# HELP ai_memory_tasks Tasks of the process.
ai_memory_tasks 57.0
ai_memory_write_queue 1.0
ai_memory_touch_queue 2.0
ai_memory_audit_queue 3.0
ai_memory_ops_held 4.0
ai_memory_memories{tier="long"} 5.0
ai_memory_memories{tier="mid"} 6.0
ai_memory_tombstones 7.0
ai_memory_op_log_ops 8.0
ai_memory_db_bytes 9.0
ai_memory_wal_bytes 1.0e+06
ai_memory_sqlite_bytes 2.097152e+06
"""


@pytest.fixture
def leaky(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "memory.db-wal").touch()
    words = [sys.executable, "-c", LEAKY, str(tmp_path / "memory.db-wal")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def told(process: subprocess.Popen[str], word: str) -> Process:
    """Have it keep something. Returns: what it is seen to hold then."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    process.stdout.readline()
    return look_at(process.pid)


@pytest.mark.slow
def test_handles_threads_and_memory_are_counted_each_as_what_they_are(leaky: subprocess.Popen[str]) -> None:
    first = told(leaky, "nothing")
    assert 0 < first.own_kib <= first.rss_kib
    assert (first.threads, first.sockets, first.files) == (1, 0, 3)
    for word, sockets, files, threads in (("file", 0, 4, 1), ("socket", 1, 4, 1), ("thread", 1, 4, 2)):
        found = told(leaky, word)
        assert (found.sockets, found.files, found.threads) == (sockets, files, threads)
    found = told(leaky, "database")
    assert (found.sockets, found.files, found.database) == (1, 4, 1)
    assert told(leaky, "memory").own_kib >= first.own_kib + 1024


@pytest.mark.slow
@pytest.mark.parametrize(("word", "name"), [
    ("file", "handles"), ("database", "database handles"), ("socket", "handles"), ("thread", "threads"),
])
def test_a_process_that_keeps_what_it_opens_is_found(leaky: subprocess.Popen[str], word: str, name: str) -> None:
    """One of something every second look; the looks stand for an hour's quarter."""
    first = Sample(
        at_s=0.0, node="leaky", process=told(leaky, "nothing"), tasks=1, queued=0, held=0, memories=0, tombstones=0,
        log_ops=0, db_bytes=0, wal_bytes=0, sqlite_bytes=0,
    )

    def looks(kept: str) -> list[Sample]:
        return [
            replace(first, at_s=number * EVERY_S, process=told(leaky, kept if number % 2 else "nothing"))
            for number in range(2 * FEWEST)
        ]

    assert not [*grown(looks("nothing"))]
    [found] = grown(looks(word))
    assert found.startswith(f"leaky: {name} grew from ")


async def test_what_a_node_says_of_itself_is_read_from_its_metrics() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=PAGE))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        found = await sample_of("node-a", os.getpid(), http, 1.5)
    assert (found.at_s, found.node, found.tasks, found.queued, found.held) == (1.5, "node-a", 57, 6, 4)
    assert (found.memories, found.tombstones, found.log_ops) == (11, 7, 8)
    assert (found.db_bytes, found.wal_bytes, found.sqlite_bytes) == (9, 1_000_000, 2 << 20)
    assert found.rest_kib == found.process.own_kib - 2_048
    assert found.handles == found.process.sockets + found.process.files > 0
