"""The same nodes, agents and faults as in test_promises, among certificates that change and beside a node removed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.mesh.certified import certified
from tests.mesh.conftest import Scale
from tests.mesh.exile import Exile
from tests.mesh.test_promises import GIVEN_UP, assert_kept, fleet_of, what_all_show, write_while_nodes_fail

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(GIVEN_UP)]

REMOVED: Final = 3
ROTATED_AT_S: Final = 33.0
"""When the first node gets new certificates, the others after it, once all nodes run again."""
REMOVED_AT_S: Final = 42.0
"""When a node is taken off all lists at the earliest."""
REMOVED_S: Final = 10.0


async def test_the_same_holds_among_certificates_that_change_and_beside_a_node_that_is_removed_for_a_while(
    tmp_path: Path, scale: Scale, capsys: pytest.CaptureFixture[str]
) -> None:
    async with certified(tmp_path) as mesh, fleet_of(mesh, scale.agents) as fleet, AsyncExitStack() as removed:
        exile = Exile(mesh, REMOVED)

        async def rotate_and_remove(began: float, all_run: trio.Event) -> None:
            await trio.sleep_until(began + ROTATED_AT_S)
            await all_run.wait()
            for number in range(len(mesh.ports)):
                await mesh.rotate(number)
            await trio.sleep_until(began + REMOVED_AT_S)
            await removed.enter_async_context(exile.lasting())
            await trio.sleep(REMOVED_S)

        await write_while_nodes_fail(mesh, fleet, scale, rotate_and_remove)
        await removed.aclose()
        shown = await what_all_show(mesh, fleet)
        exile.assert_its_own_came_back(shown)
    assert_kept(fleet.ledger, shown, scale, capsys)
