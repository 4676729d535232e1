"""What a cold start loads, and how long it takes: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.processes import ask, command, environment

pytestmark = pytest.mark.slow

HEAVY = {"numpy", "onnxruntime", "fastembed", "tokenizers", "annoy", "rich", "pygments", "mcp"}
"""What a recall by words needs nothing of."""

LOADED = """
import os, sys
from aimem import __main__, cli
exit_ = os._exit
def tell(status):
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules if sys.modules[name] is not None}))
    sys.stdout.flush()
    exit_(status)
os._exit = tell
sys.argv[0] = "ai-memory"
__main__.main()
"""


async def test_a_recall_by_words_loads_nothing_that_only_vectors_or_terminals_need(tmp_path: Path) -> None:
    db = tmp_path / "m.db"
    done = await ask(db, "store", "--title", "Deploys", "--content", "We ship on Tuesdays.")
    assert done.returncode == 0, done.stderr.decode()
    words = [sys.executable, "-c", LOADED, "--db", str(db), "recall", "when do we ship?"]
    said = subprocess.run(words, env=environment(), capture_output=True, check=False, text=True)
    assert "Tuesdays" in said.stdout, said.stderr
    loaded = set(said.stdout.partition("LOADED ")[2].split())
    assert {"trio", "httpx"} <= loaded
    assert not loaded & HEAVY


async def test_what_a_command_printed_arrives_although_the_interpreter_is_not_taken_apart(tmp_path: Path) -> None:
    db = tmp_path / "m.db"
    text = "a line of a long answer\n" * 2_000
    stored = await ask(db, "store", "--title", "Long", "--content", text)
    assert stored.returncode == 0, stored.stderr.decode()
    exported = await ask(db, "export")      # into a pipe, whose buffer it overruns
    assert exported.returncode == 0
    assert exported.stdout.count(b"a line of a long answer") == 2_000


async def test_an_exit_status_and_its_sentence_arrive(tmp_path: Path) -> None:
    done = await ask(tmp_path / "none.db", "recall", "anything")
    assert done.returncode == 5
    assert b"no database at" in done.stderr


@pytest.mark.timing
@pytest.mark.parametrize(
    ("words", "most_s"),
    # Measured alone on two cores: 0.08 and 0.45 s; the goals are 0.15 and 0.7.
    [(["--help"], 0.3), (["recall", "when do we ship?"], 1.5)],
)
async def test_a_cold_command_answers_soon(tmp_path: Path, words: list[str], most_s: float) -> None:
    db = tmp_path / "m.db"
    await ask(db, "store", "--title", "Deploys", "--content", "We ship on Tuesdays.")

    def spent_s() -> float:
        began = time.perf_counter()
        subprocess.run(command(db, *words), env=environment(), capture_output=True, check=True)
        return time.perf_counter() - began

    assert min(spent_s() for _ in range(5)) <= most_s
