"""Starting this program again; whole runs are in tests/bench."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aimem.errors import Unavailable
from aimem.operations import Program
from aimem.operations.processes import cold_starts
from aimem.operations.timing import resident_mb
from aimem.wire import BenchRequest
from tests.bench.ports import bench_ports, silent


def test_a_users_settings_do_not_reach_the_programs_that_are_measured() -> None:
    program = Program(command=("x",), environ={"PATH": "/bin", "AI_MEMORY_DB": "mine.db", "AI_MEMORY_API_KEY": "k"})
    assert program.surroundings("keyword") == {
        "PATH": "/bin", "AI_MEMORY_NO_CONFIG": "1", "AI_MEMORY_TIER": "keyword", "AI_MEMORY_AGENT_ID": "bench",
    }


def test_another_module_is_started_by_the_interpreter_and_in_the_one_file_program_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = Program(command=("/opt/ai-memory",), environ={"PATH": "/bin"})
    words = ("-m", "aimem.slowed", "20")
    assert program.other("aimem.slowed", "20").command == (sys.executable, *words)
    monkeypatch.setattr("sys.frozen", True, raising=False)
    other = program.other("aimem.slowed", "20")
    assert (other.command, other.environ) == (("/opt/ai-memory", *words), {"PATH": "/bin"})


def test_a_process_that_is_there_has_memory_and_another_has_none() -> None:
    assert resident_mb() > 10
    assert resident_mb("nobody") == 0


async def test_a_program_that_fails_is_said_with_its_words(tmp_path: Path) -> None:
    program = Program(command=(sys.executable, "-c", "raise SystemExit('out of luck')"), environ={})
    with pytest.raises(Unavailable, match=r"`ai-memory import` ended with status 1 .*out of luck"):
        await cold_starts(tmp_path, bench_ports(), program, BenchRequest(), silent)
