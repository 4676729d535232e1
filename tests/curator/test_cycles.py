"""Cycles of the curator in the daemon: when they come, and what stops them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from aimem import service
from aimem.curator import run_cycles
from aimem.errors import Code, Corrupt, Unavailable
from aimem.service import Node
from aimem.wire import CurateRequest, CurationReport
from tests.nodes import InlineThreads, open_node, seeded_chance


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "x.db", chance=seeded_chance(1), threads=InlineThreads()) as opened:
        yield opened


class Cycles:
    """Notes when a cycle was asked for, and how; some fail."""

    def __init__(self, errors: dict[int, Exception]) -> None:
        self.at: list[float] = []
        self.requests: list[CurateRequest] = []
        self._errors = errors
        self._real = service.curate

    async def curate(self, node: Node, request: CurateRequest) -> CurationReport:
        self.at.append(round(trio.current_time()))
        self.requests.append(request)
        if error := self._errors.get(len(self.at)):
            raise error
        return await self._real(node, request)


async def test_cycles_come_at_an_even_pace_and_a_full_disk_skips_one(
    autojump_clock: trio.testing.MockClock, node: Node, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    cycles = Cycles({2: Unavailable("full", code=Code.STORAGE_FULL)})
    monkeypatch.setattr(service, "curate", cycles.curate)
    await nursery.start(partial(run_cycles, node, 3600.0, 7))
    await trio.sleep(3 * 3600 + 1)
    assert cycles.at == [3600, 7200, 10800]
    assert {request.max_ops for request in cycles.requests} == {7}
    told = [record.message for record in caplog.records if record.message.startswith("curator.")]
    assert told == ["curator.cycled", "curator.cycle_skipped", "curator.cycled"]


async def test_a_corrupt_store_ends_them(
    autojump_clock: trio.testing.MockClock, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "curate", Cycles({1: Corrupt("broken")}).curate)
    with pytest.raises(Corrupt):
        await run_cycles(node, 60.0, 7)
