"""What grows is found, whatever it is and however slowly; what only moves is not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.soak.made import (
    Change,
    changed,
    flat,
    more_database,
    more_files,
    more_memory,
    more_queued,
    more_sockets,
    more_tasks,
    more_threads,
)
from tests.soak.samples import Sample
from tests.soak.verdict import FEWEST, MEMORY_KIB_AN_HOUR, grown, kept, undecided

AT_REST = 5
LEAKS: dict[str, tuple[Change, str, float]] = {
    "memory": (more_memory, "memory", 1.5 * MEMORY_KIB_AN_HOUR), "sockets": (more_sockets, "handles", 12),
    "files": (more_files, "handles", 12), "database": (more_database, "database handles", 12),
    "threads": (more_threads, "threads", 12), "tasks": (more_tasks, "tasks", 20),
    "queued": (more_queued, "queued", 60),
}
"""What leaks, under which name it has to be found, and how much of it in an hour is found whatever else moves."""


@pytest.mark.parametrize("seed", range(5))
def test_a_node_that_only_breathes_is_flat(seed: int) -> None:
    for samples in (flat(seed=seed), flat(count=40, seed=seed)):
        assert not [*grown(samples)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("leak", LEAKS)
def test_a_slow_leak_is_found_under_its_name(leak: str, seed: int) -> None:
    change, name, an_hour = LEAKS[leak]
    [found] = grown(changed(flat(seed=seed), change, lambda share: an_hour * share))
    assert found.startswith(f"node-a: {name} grew from ")


def test_memory_may_hold_what_a_growing_file_has_once_for_each_connection_and_no_more() -> None:
    def file_grows(samples: list[Sample], mib: float) -> list[Sample]:
        whole_s = samples[-1].at_s
        return [replace(one, db_bytes=int(one.wal_bytes + mib * 2**20 * one.at_s / whole_s)) for one in samples]

    pages = changed(flat(), more_memory, lambda share: 5 * 2_048 * share)
    assert not [*grown(file_grows(pages, 2.0))]
    assert [*grown(pages)]
    assert [*grown(file_grows(changed(pages, more_memory, lambda share: 1.5 * MEMORY_KIB_AN_HOUR * share), 2.0))]


@pytest.mark.parametrize("leak", LEAKS)
def test_what_grows_while_a_node_warms_up_and_then_stays_is_no_leak(leak: str) -> None:
    change, _, an_hour = LEAKS[leak]
    assert not [*grown(changed(flat(), change, lambda share: 10 * an_hour * min(share, 0.25)))]


@pytest.mark.parametrize("begin", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_step_that_goes_back_is_no_leak(leak: str, begin: float) -> None:
    change, _, an_hour = LEAKS[leak]
    assert not [*grown(changed(flat(), change, lambda share: 10 * an_hour * (begin < share < begin + 0.1)))]


def test_too_few_samples_or_too_short_a_time_say_so_and_decide_nothing() -> None:
    assert undecided([]) == f"0 samples are too few: {FEWEST} are the least"
    assert "too few" in undecided(flat(count=FEWEST - 1))
    assert undecided(flat(count=FEWEST, every_s=1.0)) == "23 s are too short: 240 s are the least"
    assert undecided(flat(count=FEWEST)) == ""
    with pytest.raises(ValueError, match="too few"):
        list(grown(flat(count=FEWEST - 1)))


@pytest.mark.parametrize("leak", set(LEAKS) - {"memory"})
def test_what_an_idle_node_has_kept_is_found(leak: str) -> None:
    change, name, _ = LEAKS[leak]
    still = [replace(one, process=replace(one.process, sockets=30, threads=5), tasks=70) for one in flat(AT_REST)]
    assert not [*kept(still, [change(one, 3) for one in still])]
    [found] = kept(still, [change(one, 17) for one in still])
    assert found.startswith(f"node-a: {name} at rest were ")
