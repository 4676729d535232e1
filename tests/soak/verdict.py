"""Whether a daemon stays as it is: a pure function of samples.

The first quarter of the time is for warming up. Then the last quarter is held against the second, half of the time
later, each by the lower quartile of its samples: guests come and go on top of what a node keeps, and a leak lifts the
floor; a step that goes back moves it as little as one odd sample. What grew by more than the bound has grown only if
the slope of Theil and Sen over all but the first quarter, the median of the slopes between any two samples, says at
least half as much: one late step does not.

Bounds: of handles and threads three more, of tasks six, as a connection has several; a leak of one in five minutes is
six in the half hour that an hour's quarters are apart. Of queues sixteen more. Of memory 6 MiB an hour, which is 400
bytes for each act at four acts a second, or 2 MiB where that is more: allocators take and return it by the MiB.

What SQLite holds, by its own account, is not part of that memory, and has a bound of its own: each connection to the
database, the writer's and four readers', may keep all pages of the file, up to the size of its cache, and an MiB of
statements, schema and temporary tables. A page takes an eighth more in memory than in the file. How much of that is in
use says nothing: a connection keeps what happened to be read, until it reads again and somebody has written meanwhile.

At rest nothing comes and goes: an idle node after the load has to be as it was before it, but for three more of each,
and for a file and a log for each of the database's four readers, which are opened when they are needed first. That
holds once connections between nodes that were needed for a while are closed again, for which they wait 75 s. Its memory
is not compared there, as it was cold before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from statistics import median, quantiles
from typing import Final

from tests.soak.samples import MEASURES, Sample

FEWEST: Final = 24
"""Samples of a node: six in a quarter."""
SHORTEST_S: Final = 240.0
"""A process that has just begun loads and fills what it needs."""
REST_S: Final = 90.0
"""From the end of the load until a node is at rest."""
MORE: Final = {"handles": 3, "database handles": 3, "threads": 3, "tasks": 6, "queued": 16}
MORE_AT_REST: Final = {"handles": 3, "database handles": 8, "threads": 3, "tasks": 3, "queued": 3}
MEMORY_KIB_AN_HOUR: Final = 6 * 1024
MEMORY_KIB: Final = 2 * 1024
CACHES_KIB: Final = (16 * 1024, *(4 * (32 * 1024,)))
"""Of the writer and of the readers: aimem.store.schema."""
PAGE_SHARE: Final = 1.125
CONNECTION_KIB: Final = 1024
_HOUR_S: Final = 3600.0


def undecided(samples: Sequence[Sample]) -> str:
    """Why these samples of a node do not show whether it grows; empty if they do."""
    if len(samples) < FEWEST:
        return f"{len(samples)} samples are too few: {FEWEST} are the least"
    if _span_s(samples) < SHORTEST_S:
        return f"{_span_s(samples):.0f} s are too short: {SHORTEST_S:.0f} s are the least"
    return ""


def grown(samples: Sequence[Sample]) -> Iterator[str]:
    """What of a node grew; the samples are of one node, in their order, and enough.

    Raises: ValueError if they are not enough.
    """
    if reason := undecided(samples):
        raise ValueError(reason)
    began, span_s = samples[0].at_s, _span_s(samples)
    second = [one for one in samples if 0.25 * span_s <= one.at_s - began < 0.5 * span_s]
    later = [one for one in samples if one.at_s - began >= 0.25 * span_s]
    last = [one for one in samples if one.at_s - began >= 0.75 * span_s]
    for name, measure in MEASURES.items():
        first, final = _floor(map(measure, second)), _floor(map(measure, last))
        bound = _bound(name, 0.5 * span_s)
        slope = _slope([(one.at_s, measure(one)) for one in later])
        if final - first > bound and slope * 0.5 * span_s > bound / 2:
            yield (
                f"{samples[0].node}: {name} grew from {first:g} to {final:g} in {0.5 * span_s:.0f} s "
                f"({slope * _HOUR_S:+.0f} an hour); at most {bound:.0f} more"
            )
    held, bound = _floor(one.sqlite_bytes / 1024 for one in last), max(map(sqlite_kib, last))
    if held > bound:
        yield f"{samples[0].node}: SQLite holds {held:.0f}; at most {bound:.0f} with such a file"


def sqlite_kib(sample: Sample) -> float:
    """What SQLite may hold for all connections to a database of that size."""
    file_kib = (sample.db_bytes - sample.wal_bytes) / 1024
    return sum(CONNECTION_KIB + PAGE_SHARE * min(cache_kib, file_kib) for cache_kib in CACHES_KIB)


def kept(before: Sequence[Sample], after: Sequence[Sample]) -> Iterator[str]:
    """What an idle node has kept of a load: samples of it at rest, before and after."""
    for name, more in MORE_AT_REST.items():
        first, final = (median(map(MEASURES[name], samples)) for samples in (before, after))
        if final - first > more:
            yield f"{before[0].node}: {name} at rest were {first:g}, and are {final:g}; at most {more} more"


def _bound(name: str, between_s: float) -> float:
    if name == "memory":
        return max(MEMORY_KIB, MEMORY_KIB_AN_HOUR * between_s / _HOUR_S)
    return MORE[name]


def _floor(values: Iterable[float]) -> float:
    return quantiles(values, n=4)[0]


def _span_s(samples: Sequence[Sample]) -> float:
    return samples[-1].at_s - samples[0].at_s if samples else 0.0


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of Theil and Sen, a second."""
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 > x1)
