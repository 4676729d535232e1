"""Nothing that was acknowledged is lost, whatever befalls real processes; and if it were, it would be found."""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest
import trio

from aimem.ports import sqlite
from tests.cycles.book import Book, Row
from tests.cycles.cycles import Report, violations_of
from tests.cycles.faults import FAULTS
from tests.cycles.machine import lacks
from tests.cycles.nodes import nodes
from tests.cycles.tether import tether

pytestmark = pytest.mark.slow

PLAIN: Final = sorted(name for name, fault in FAULTS.items() if not fault.needs)
SPECIAL: Final = sorted(name for name, fault in FAULTS.items() if fault.needs)
PLAIN_S: Final = 85.0
SPECIAL_S: Final = 35.0
FEWEST: Final = 2


async def test_after_each_way_to_die_to_hang_and_to_be_slow_everything_is_as_its_callers_were_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await assert_kept(tmp_path, PLAIN, PLAIN_S, capsys)


async def test_the_same_holds_on_full_disks_under_wrong_clocks_and_where_packets_are_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if reason := lacks(need for name in SPECIAL for need in FAULTS[name].needs):
        pytest.skip(reason)
    await assert_kept(tmp_path, SPECIAL, SPECIAL_S, capsys)


async def assert_kept(folder: Path, names: list[str], within_s: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Run these faults, each once at most: as many as the time allows, each time in another order."""
    file, seed = folder / "report.json", random.SystemRandom().randrange(1_000_000)
    command = [
        sys.executable, "-m", "tests.cycles", "--cycles", str(len(names)), "--fault", ",".join(names), "--json",
        str(file), "--folder", str(folder), "--seconds", str(within_s), "--seed", str(seed), "--tethered",
    ]
    with tether() as tied:
        done = await trio.run_process(command, stdin=tied, capture_stdout=True, check=False)
    with capsys.disabled():
        print(f"\n{done.stdout.decode()}")
    assert done.returncode == 0, done.stdout.decode()
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert len({cycle.fault for cycle in report.cycles}) >= FEWEST


async def test_a_write_that_a_node_lost_is_found(tmp_path: Path) -> None:
    book = Book()
    async with nodes(tmp_path) as mesh, mesh.client() as http:
        for text in ("stays", "goes"):
            book.rows[await stored(http, mesh.url(0), text)] = Row(text)
        assert not [one async for one in violations_of(mesh, book)]
        await mesh.kill(1)
        with contextlib.closing(sqlite.sqlite.connect(mesh.db(1))) as conn, conn:
            assert conn.execute("DELETE FROM memories WHERE content = 'goes'").rowcount == 1
        await mesh.start(1)
        found = [one async for one in violations_of(mesh, book)]
    assert any("node-b: " in one and "(goes) is lost" in one for one in found), found
    assert any("the nodes differ" in one for one in found), found
    assert not any("stays" in one for one in found), found


async def stored(http: httpx.AsyncClient, url: str, text: str) -> str:
    """Store something. Returns: its id."""
    answer = await http.post(f"{url}/memories", json={"title": text, "content": text, "tier": "long"})
    return str(answer.raise_for_status().json()["id"])
