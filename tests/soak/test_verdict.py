"""What grows is found, whatever it is and however slowly; what only moves is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from tests.soak.samples import Process, Sample
from tests.soak.verdict import FEWEST, MEMORY_KIB_AN_HOUR, grown, kept, undecided

EVERY_S = 15.0
HOUR_COUNT = 241
AT_REST = 5
Change = Callable[[Sample, float], Sample]


def flat(count: int = HOUR_COUNT, every_s: float = EVERY_S, seed: int = 1) -> list[Sample]:
    """A node that breathes, as they all do: an MiB of memory, and a connection or two with their tasks."""
    rng, found = random.Random(seed), []
    for number in range(count):
        guests = rng.randrange(6)
        process = Process(
            rss_kib=110_000, own_kib=90_000 + rng.randrange(1024), cpu_s=1.0, threads=5 + rng.randrange(3),
            sockets=30 + guests, files=20,
        )
        found.append(Sample(
            at_s=number * every_s, node="node-a", process=process, tasks=70 + 3 * guests, queued=rng.randrange(3),
            held=0, memories=100, tombstones=number, log_ops=500, db_bytes=1, wal_bytes=1,
        ))
    return found


def changed(samples: Sequence[Sample], change: Change, by: Callable[[float], float]) -> list[Sample]:
    """The same, with as much more of something as the share of the time that is over says."""
    whole_s = samples[-1].at_s
    return [change(one, by(one.at_s / whole_s)) for one in samples]


def more_memory(sample: Sample, kib: float) -> Sample:
    return replace(sample, process=replace(sample.process, own_kib=sample.process.own_kib + int(kib)))


def more_sockets(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, sockets=sample.process.sockets + int(count)))


def more_files(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, files=sample.process.files + int(count)))


def more_threads(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, threads=sample.process.threads + int(count)))


def more_tasks(sample: Sample, count: float) -> Sample:
    return replace(sample, tasks=sample.tasks + int(count))


def more_queued(sample: Sample, count: float) -> Sample:
    return replace(sample, queued=sample.queued + int(count))


LEAKS: dict[str, tuple[Change, str, float]] = {
    "memory": (more_memory, "memory", 1.5 * MEMORY_KIB_AN_HOUR), "sockets": (more_sockets, "handles", 12),
    "files": (more_files, "handles", 12), "threads": (more_threads, "threads", 12), "tasks": (more_tasks, "tasks", 20),
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
