"""What nodes show, hold in indexes and leave behind is looked at: faults in it that all nodes share are found, too."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio

from aimem.ports import DatabaseError, DatabaseFault
from aimem.service import lookup, taxonomy
from aimem.store import filters, memories, textindex
from aimem.store.filters import ALL
from aimem.store.writer import Writer
from tests.sim import processes
from tests.sim.processes import check_tasks
from tests.sim.seals import Seals
from tests.sim.swarm import Certificates, Fault, Swarm, roll
from tests.sim.trace import Trace
from tests.sim.watch import Watcher
from tests.sim.world import simulate

SECONDS = 10.0
SEEDS = range(1, 5)
Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.slow


def mild(seed: int, *faults: Fault, is_secured: bool = False) -> Swarm:
    """Three nodes in fair weather, but for some faults."""
    return msgspec.structs.replace(
        roll(seed, nodes=3), quorum=2, loss=0.0, duplicates=0.0, leaves_late=0.0, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=is_secured, governed=False, has_model=False, clients=4, think_s=0.2, calm_s=2.0, commit_s=0.002,
        log_most=None, keeps_key=False, clock_offset_s=0.0, clock_drift=0.0, certificates=Certificates.NONE,
        faults=faults,
    )


def last_words_are_not_indexed(patch: pytest.MonkeyPatch) -> None:
    split = textindex.split_parts
    patch.setattr(textindex, "split_parts", lambda text: split(text.rpartition(" ")[0]))


def what_is_dropped_stays_in_the_index(patch: pytest.MonkeyPatch) -> None:
    take_out = textindex._take_out

    def keep(conn: Any, no: int, part_count: int) -> Any:
        is_live = conn.execute("SELECT 1 FROM memory_view WHERE no = ? AND state = 'live'", (no,)).fetchone()
        return take_out(conn, no, part_count) if is_live else []

    patch.setattr(textindex, "_take_out", keep)


def everybody_sees_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filters, "_seen_from", lambda *_: ALL)


def the_tree_counts_what_is_hidden(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(taxonomy, "visible_to", lambda _: ALL)


def what_is_known_is_not_found(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lookup, "memories", SimpleNamespace(**{**vars(memories), "find": lambda *_: None}))


PLANTS: dict[Plant, str] = {
    last_words_are_not_indexed: "index", what_is_dropped_stays_in_the_index: "index", everybody_sees_all: "shown",
    the_tree_counts_what_is_hidden: "shown", what_is_known_is_not_found: "session",
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_fault_that_all_nodes_share_is_found_by_what_the_rows_say(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    reports = (simulate(mild(seed, is_secured=True), SECONDS) for seed in SEEDS)
    found = next(({one.check for one in report.violations} for report in reports if report.violations), set())
    assert found == {PLANTS[plant]}


def test_without_such_a_fault_nothing_is_found() -> None:
    assert not simulate(mild(1, is_secured=True), SECONDS).violations


def test_a_process_that_goes_on_after_a_failed_sync_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Writer._failed

    def take_for_full(self: Writer, conn: Any, signer: Any, tip: Any, count: int, error: Any, **given: Any) -> Any:
        return failed(self, conn, signer, tip, count, DatabaseError(str(error), DatabaseFault.FULL), **given)

    monkeypatch.setattr(processes, "ENDS_S", 3.0)
    monkeypatch.setattr(Writer, "_failed", take_for_full)
    reports = (simulate(mild(seed, Fault.SYNC_ERROR), SECONDS) for seed in SEEDS)
    assert any(one.check == "sync" for report in reports for one in report.violations)


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
