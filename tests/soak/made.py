"""Samples of nodes as they might be, flat or not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tests.soak.samples import Process, Sample

EVERY_S = 15.0
HOUR_COUNT = 241
Change = Callable[[Sample, float], Sample]


def flat(count: int = HOUR_COUNT, every_s: float = EVERY_S, seed: int = 1) -> list[Sample]:
    """A node that breathes, as they all do: an MiB of memory, and a connection or two with their tasks."""
    rng, found = random.Random(seed), []
    for number in range(count):
        guests = rng.randrange(6)
        process = Process(
            rss_kib=110_000, own_kib=90_000 + rng.randrange(1024), cpu_s=1.0, threads=5 + rng.randrange(3),
            sockets=30 + guests, files=20,
            database=7,
        )
        found.append(Sample(
            at_s=number * every_s, node="node-a", process=process, tasks=70 + 3 * guests, queued=rng.randrange(3),
            held=0, memories=100, tombstones=number, log_ops=500, db_bytes=10 << 20, wal_bytes=4 << 20,
            sqlite_bytes=12 << 20,
        ))
    return found


def changed(samples: Sequence[Sample], change: Change, by: Callable[[float], float]) -> list[Sample]:
    """The same, with as much more of something as the share of the time that is over says."""
    whole_s = samples[-1].at_s
    return [change(one, by(one.at_s / whole_s)) for one in samples]


def more_memory(sample: Sample, kib: float) -> Sample:
    return replace(sample, process=replace(sample.process, own_kib=sample.process.own_kib + int(kib)))


def more_sqlite(sample: Sample, kib: float) -> Sample:
    """The process has as much more."""
    return replace(more_memory(sample, kib), sqlite_bytes=sample.sqlite_bytes + 1024 * int(kib))


def more_sockets(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, sockets=sample.process.sockets + int(count)))


def more_files(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, files=sample.process.files + int(count)))


def more_database(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, database=sample.process.database + int(count)))


def more_threads(sample: Sample, count: float) -> Sample:
    return replace(sample, process=replace(sample.process, threads=sample.process.threads + int(count)))


def more_tasks(sample: Sample, count: float) -> Sample:
    return replace(sample, tasks=sample.tasks + int(count))


def more_queued(sample: Sample, count: float) -> Sample:
    return replace(sample, queued=sample.queued + int(count))
