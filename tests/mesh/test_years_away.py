"""Nodes that were away for long: they get what happened from the logs, or the whole state where these were trimmed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.mesh.conftest import Ages
from tests.mesh.hurried import LATER
from tests.mesh.years import (
    Book,
    assert_equal,
    assert_kept,
    copied_while_it_runs,
    counted,
    document,
    level,
    lose_database,
    restart,
    shown_by,
    stop,
    trimmed,
    years,
)

pytestmark = pytest.mark.slow

RECEIVED: Final = "ai_memory_mesh_ops_received_total"
SMALL: Final = {"AI_MEMORY_OP_LOG_MAX_BYTES": str(1 << 20)}
MONTH_S: Final = 31 * 86_400


async def test_nodes_away_for_all_writes_get_them_from_the_log_or_as_a_snapshot_once_that_is_short(
    tmp_path: Path, ages: Ages, capsys: pytest.CaptureFixture[str]
) -> None:
    book, times = Book(), [trio.current_time()]
    async with years(tmp_path, 3) as mesh:
        await book.store(mesh, 1, 100)
        await level(mesh, [0, 1, 2])
        await stop(mesh, 1, 2)
        times.append(trio.current_time())
        # Nobody else is there to acknowledge it; and the machine's cores are for one process.
        await book.store(mesh, 0, ages.away_count, pad=400, consistency="local")
        times.append(trio.current_time())
        await restart(mesh, 1)
        await level(mesh, [0, 1], ages.patience_s)
        times.append(trio.current_time())
        assert await counted(mesh, 1, RECEIVED, result="taken") >= ages.away_count

        await stop(mesh, 0)
        mesh.environ.update(SMALL)
        await restart(mesh, 0)
        await book.change(mesh, 0, 50)
        await trimmed(mesh, [0], ages.away_count)
        await stop(mesh, 1)      # so that no other log reaches back
        times.append(trio.current_time())
        await restart(mesh, 2)
        await level(mesh, [0, 2], ages.patience_s)
        times.append(trio.current_time())
        assert await counted(mesh, 2, RECEIVED, result="taken") < ages.away_count
        await restart(mesh, 1)
        await level(mesh, [0, 1, 2])
        await assert_equal(mesh, [0, 1, 2])
        assert not book.faults(await shown_by(mesh, 2))
        assert not (await document(mesh, 2))["alarms"]
    _, began, wrote, by_log, short, by_snapshot = times
    with capsys.disabled():
        print(
            f"\n{ages.away_count} writes: made in {wrote - began:.1f} s, caught up by log in {by_log - wrote:.1f} s, "
            f"by snapshot in {by_snapshot - short:.1f} s"
        )


async def test_a_node_that_was_away_longer_than_logs_are_kept_loses_nothing_and_revives_nothing(tmp_path: Path) -> None:
    book, lonely, nodes = Book(), Book("lonely"), (0, 1, 2)
    async with years(tmp_path, 3) as mesh:
        for number in nodes:
            await book.store(mesh, number, 50)
        await level(mesh, nodes)
        # The one that is left alone writes on, for itself and its log.
        await stop(mesh, 0, 1)
        await lonely.store(mesh, 2, 20, consistency="local")
        await stop(mesh, 2)
        await restart(mesh, 0, 1)
        await book.change(mesh, 0, 20)
        await stop(mesh, 0, 1)
        # To all of them a month passes, after which nobody's log reaches back to what the other side knows.
        mesh.environ[LATER] = str(MONTH_S)
        await restart(mesh, 0, 1)
        await trimmed(mesh, (0, 1), 10)
        await stop(mesh, 0, 1)
        await restart(mesh, 2)
        await trimmed(mesh, [2], 10)
        await restart(mesh, 0, 1)
        await level(mesh, nodes)
        await assert_kept(mesh, lonely, nodes)
        await assert_kept(mesh, book, nodes)
        for number in nodes:
            await book.change(mesh, number, 5)
        await level(mesh, nodes)
        await assert_kept(mesh, book, nodes)
        assert not [alarms for number in nodes if (alarms := (await document(mesh, number))["alarms"])]


async def test_a_copy_older_than_all_logs_is_put_back_and_loses_nothing_and_revives_nothing(tmp_path: Path) -> None:
    book, nodes = Book(), (0, 1, 2)
    async with years(tmp_path, 3, **SMALL) as mesh:
        for number in nodes:
            await book.store(mesh, number, 30)
        await level(mesh, nodes)
        copied_while_it_runs(mesh.db(0), tmp_path / "copy")
        await book.change(mesh, 0, 10)
        await book.store(mesh, 0, 300, pad=8_000)
        await book.change(mesh, 1, 20)
        await trimmed(mesh, nodes, 300)
        await stop(mesh, 0)
        lose_database(mesh, 0)
        shutil.copy(tmp_path / "copy", mesh.db(0))
        await restart(mesh, 0)
        await level(mesh, nodes)
        await assert_kept(mesh, book, nodes)
        for number in nodes:
            await book.change(mesh, number, 5)
        await level(mesh, nodes)
        await assert_kept(mesh, book, nodes)
