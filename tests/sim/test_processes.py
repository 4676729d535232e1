"""Processes that go on with more than they should are found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import trio

from tests.sim.processes import check_tasks
from tests.sim.seals import Seals
from tests.sim.trace import Trace
from tests.sim.watch import Watcher


async def test_tasks_that_nobody_waits_for_are_counted() -> None:
    watcher = Watcher(Trace(), Seals(), "")
    async with trio.open_nursery() as nursery:
        process: Any = SimpleNamespace(name="n0", nursery=nursery)
        for _ in range(20):
            nursery.start_soon(trio.sleep_forever)
        check_tasks([process], 2, watcher)
        assert not watcher.found
        for _ in range(40):
            nursery.start_soon(trio.sleep_forever)
        check_tasks([process], 2, watcher)
        assert [one.check for one in watcher.found] == ["bounds"]
        nursery.cancel_scope.cancel()
