"""Promise P1 when the process is killed: every write that it acknowledged is there when it starts again."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from aimem.store import digest
from tests.nodes import open_store
from tests.store.test_crash import ids_of, look

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10


async def live_until_killed(db: Path, life: int, acknowledged: int) -> set[str]:
    """Let the child write until it has said so often enough. Returns: what it acknowledged."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.store.child_writer", str(db), str(life)], cwd=ROOT, stdout=subprocess.PIPE
    )
    said = b""
    try:
        assert process.stdout is not None
        async for part in process.stdout:
            said += part
            if said.count(b"\n") >= acknowledged:
                process.kill()  # what it says until it is dead is read too
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            status = await process.wait()
    assert status == -9
    return set(said[: said.rfind(b"\n")].decode().split())


@pytest.mark.slow
async def test_what_was_acknowledged_survives_ten_kills(tmp_path: Path) -> None:
    db, rng, told = tmp_path / "x.db", random.Random(9), set[str]()
    for life in range(KILLS):
        with trio.fail_after(60):
            told |= await live_until_killed(db, life, rng.randint(1, 60))
        async with open_store(db) as store:
            alive, dead = look(db)
            stored = {key.rsplit("-", 1)[0] for key in alive | dead}
            for key in told:
                assert ids_of(key) <= alive | dead, f"{key} of life {life} was acknowledged and is gone"
            for key in stored:
                assert ids_of(key) <= alive | dead, f"{key} is there by half"
            assert len(await store.read(digest)) == 32
    assert len(told) > KILLS
    assert len({key.partition("-")[0][1:] for key in told}) == KILLS
