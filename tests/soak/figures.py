"""What is kept of a soak, and said of it."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from msgspec import Struct

from tests.mesh.certified import NAMES
from tests.soak.samples import MEASURES
from tests.soak.soak import Report


class Node(Struct, frozen=True, kw_only=True):
    """One of the nodes.

    Attributes:
      first_mib, last_mib: memory of its own but for SQLite's, in the second and in the last quarter of the time (the
        first is for warming up).
      sqlite_mib: what SQLite holds, in these two.
      handles, db_handles, threads, tasks: at rest, before and after.
      cpu_s: processor time under load.
    """

    name: str
    first_mib: float
    last_mib: float
    sqlite_mib: tuple[float, float]
    handles: tuple[int, int]
    db_handles: tuple[int, int]
    threads: tuple[int, int]
    tasks: tuple[int, int]
    cpu_s: float
    log_ops: int
    tombstones: int
    db_mib: float


class Soaked(Struct, frozen=True, kw_only=True):
    """The figures of a soak.

    Attributes:
      minutes: of the load; visits: of others than callers.
      failed: what grew, or was not as promised, or why it was too short to tell.
    """

    minutes: float
    seed: int
    rate: float
    acked: int
    refused: int
    unknown: int
    visits: int
    nodes: tuple[Node, ...]
    failed: tuple[str, ...]

    def sentences(self) -> tuple[str, ...]:
        """All of it."""
        return (self._of_all(), *map(_of_node, self.nodes), self._verdict())

    def _of_all(self) -> str:
        return (
            f"{self.minutes:g} minutes of four daemons with certificates at {self.rate:g} acts a second: "
            f"{self.acked:,} acts acknowledged, {self.refused:,} refused, {self.unknown:,} with an end that nobody "
            f"knows, {self.visits:,} visits of readers, agents, strangers and an operator."
        )

    def _verdict(self) -> str:
        if self.failed:
            return f"Not as it is to be: {'; '.join(self.failed)}."
        return "No node's memory, handles, threads, tasks or queues grew, and no promise was broken."


def _of_node(node: Node) -> str:
    return (
        f"{node.name}: {node.first_mib:.1f} MiB of memory in the second quarter of the time and {node.last_mib:.1f} in "
        f"the last, and {_pair(node.sqlite_mib)} of SQLite's; at rest, before and after, {_pair(node.handles)} "
        f"handles, {_pair(node.db_handles)} of its database, {_pair(node.threads)} threads, {_pair(node.tasks)} tasks; "
        f"in the end {node.log_ops:,} ops in its log, {node.tombstones:,} tombstones, {node.db_mib:.1f} MiB of "
        f"database; {node.cpu_s:,.0f} s of processor time."
    )


def soaked_of(report: Report) -> Soaked:
    """The figures."""
    return Soaked(
        minutes=round(report.seconds / 60, 1), seed=report.plan.seed, rate=report.plan.rate, acked=report.acked,
        refused=report.refused, unknown=report.unknown, visits=sum(report.visits.values()),
        nodes=tuple(_node_of(name, report) for name in NAMES),
        failed=(*report.violations, *report.grown, *filter(None, [report.undecided])),
    )


def _node_of(name: str, report: Report) -> Node:
    samples = [one for one in report.samples if one.node == name]
    rest = [[one for one in look if one.node == name] for look in (report.before, report.after)]
    quarter = max(1, len(samples) // 4)
    second, final = samples[quarter : 2 * quarter], samples[-quarter:]

    def pair(measure: str) -> tuple[int, int]:
        before, after = (int(median(map(MEASURES[measure], look))) for look in rest)
        return before, after

    last = samples[-1]
    return Node(
        name=name, first_mib=_mib(one.rest_kib for one in second), last_mib=_mib(one.rest_kib for one in final),
        sqlite_mib=(_mib(one.sqlite_bytes / 1024 for one in second), _mib(one.sqlite_bytes / 1024 for one in final)),
        handles=pair("handles"), db_handles=pair("database handles"), threads=pair("threads"), tasks=pair("tasks"),
        cpu_s=round(last.process.cpu_s - rest[0][-1].process.cpu_s), log_ops=last.log_ops, tombstones=last.tombstones,
        db_mib=round(last.db_bytes / (1 << 20), 1),
    )


def _mib(values_kib: Iterable[float]) -> float:
    return round(median(values_kib) / 1024, 1)


def _pair(values: Iterable[float]) -> str:
    return " and ".join(map(str, values))
