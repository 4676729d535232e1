"""The curator's cycle: look at a stretch of the store, propose acts, carry them out one by one, report.

A cycle begins where the last one ended, so that in the end everybody has a turn. It works on what this node has: today
every row is born here. Whoever opened it may stop it between two acts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from aimem.errors import Code, Conflict, Denied, InvalidRequest, NotFound, Unavailable
from aimem.model import (
    CURATOR,
    SYSTEM,
    Instant,
    Memory,
    MemoryId,
    Principal,
    Tier,
    format_instant,
    new_memory_id,
    rules,
)
from aimem.ports import Connection
from aimem.service import acts
from aimem.service.callers import require_operator
from aimem.service.node import Node
from aimem.service.records import system_entry
from aimem.service.survey import REPORTS, Survey, survey
from aimem.service.thinking import is_thinking, look_for_language, suggest_tags, summarise
from aimem.service.writing import write_as
from aimem.store import Transaction, curation, memories, visible_to
from aimem.wire import ActName, ActOut, Autonomy, CurateRequest, CurationReport, ReportsPage, ReportsQuery

MAX_OPS: Final = 1_000
NAMESPACES_MAX: Final = 100
REPORTS_MAX: Final = 1_000


class SavedReport(Struct, frozen=True, kw_only=True):
    """A report as it is kept: the flat fields that v0.6.3's tools read, then all of it.

    Attributes:
      cursor: the memory behind which the next cycle begins; None for the first.
    """

    cycle_ts: str
    cycle_duration_ms: int
    auto_tagged: int
    contradictions_found: int
    clusters_formed: int
    memories_consolidated: int
    memories_forgotten: int
    priority_adjustments: int
    rollback_entries_written: int
    errors_total: int
    cursor: str | None
    report: CurationReport


Titles: TypeAlias = dict[str, str]
"""Id -> title of memories that the caller of a cycle may see. They go into its answer and are kept nowhere."""


class Cycle:
    """One cycle in progress: for whom, what it saw, and what it did so far."""

    def __init__(
        self, who: Principal, request: CurateRequest, seen: Survey, titles: Titles, started_at: Instant
    ) -> None:
        self.who, self.request, self.seen, self.titles, self.started_at = who, request, seen, titles, started_at
        self.done: list[ActOut] = []
        self.attempted = self.skipped = 0
        self.errors: list[str] = []
        self.gone: set[MemoryId] = set()
        self.is_complete = False

    def count(self, action: ActName) -> int:
        """Acts of one sort so far."""
        return sum(act.action == action for act in self.done)


def check(request: CurateRequest) -> None:
    """Refuse bounds that cannot be meant. Raises: InvalidRequest naming the field."""
    rules.bounded(request.max_ops, 0, MAX_OPS, field="max_ops")
    for field in ("include_namespaces", "exclude_namespaces"):
        names = getattr(request, field)
        rules.bounded(len(names), 0, NAMESPACES_MAX, field=field)
        for place, name in enumerate(names):
            rules.namespace(name, field=f"{field}[{place}]")


async def begin_cycle(node: Node, who: Principal, request: CurateRequest) -> Cycle:
    """Look at the next stretch and propose acts. Raises: InvalidRequest, Denied(operator_required), Unavailable."""
    require_operator(who, "a cycle of the curator")
    check(request)
    started_at = node.clock.now()
    seen, titles = await node.store.read(_look, who, request, started_at)
    return Cycle(who, request, seen, titles, started_at)


def _look(conn: Connection, who: Principal, request: CurateRequest, now: Instant) -> tuple[Survey, Titles]:
    cursor = None
    for row in curation.latest_titled(conn, REPORTS, now, 1):
        saved = _read(row)
        cursor = saved.cursor if saved else None
    seen = survey(conn, request, None if cursor is None else MemoryId(cursor), now)
    # Now, because what an act archives is not there any more when the cycle is told.
    return seen, _titles(conn, seen.proposed, who, now)


def _titles(conn: Connection, ids: Iterable[MemoryId], who: Principal, now: Instant) -> Titles:
    found = ((memory_id, memories.find(conn, memory_id, now, visible_to(who))) for memory_id in ids)
    return {memory_id: row.title for memory_id, row in found if row is not None}


async def run_cycle(node: Node, cycle: Cycle) -> None:
    """Carry out what was proposed, at most `max_ops` acts; a dry run only lists it. May be cancelled at any time.

    Raises: Unavailable if the store cannot be written.
    """
    seen = cycle.seen
    for plan in seen.duplicates:
        await _try(node, cycle, "consolidate", (plan.kept, *plan.others), acts.keep_newest, plan)
        cycle.gone.update(plan.others)
    for older, newer in seen.contradicted:
        if newer not in cycle.gone:
            await _try(node, cycle, "forget", (older,), acts.forget_contradicted, older, newer)
            cycle.gone.add(older)
    for memory_id in seen.adjustable:
        await _try(node, cycle, "priority_adjust", (memory_id,), acts.adjust_priority, memory_id)
    if not cycle.request.dry_run and await _can_think(node):
        await _think(node, cycle)
    cycle.is_complete = True


async def _can_think(node: Node) -> bool:
    """Whether a language model is there now; one that nobody has looked for yet is looked for."""
    if not is_thinking(node):
        await look_for_language(node)
    return is_thinking(node)


async def _try(
    node: Node,
    cycle: Cycle,
    action: ActName,
    ids: tuple[MemoryId, ...],
    act: Callable[..., ActOut | None],
    *args: object,
) -> None:
    if cycle.gone.intersection(ids):
        return
    if cycle.attempted >= cycle.request.max_ops:
        cycle.skipped += 1
        return
    cycle.attempted += 1
    if cycle.request.dry_run:
        # An act that puts others away names the one that stays first.
        cycle.done.append(ActOut(action=action, ids=ids, kept=ids[0] if action == "consolidate" else UNSET))
        return
    try:
        wrote = await write_as(node, CURATOR, act, node, *args)
    except (Conflict, Denied, NotFound, InvalidRequest) as error:
        # By ids and code alone: a message may quote a memory.
        cycle.errors.append(f"{action} {ids[0]}: {error.code}")
        return
    if wrote.value is not None:
        cycle.done.append(wrote.value)


async def _think(node: Node, cycle: Cycle) -> None:
    """The passes that ask the language model, until it fails: it is not asked twice in vain."""
    try:
        for cluster in cycle.seen.clusters:
            if not cycle.gone.intersection(row.id for row in cluster) and _has_room(cycle):
                summary = await summarise(node, SYSTEM, cluster)
                ids = tuple(row.id for row in cluster)
                await _try(node, cycle, "consolidate", ids, acts.put_together, cluster, summary)
                cycle.gone.update(ids)
        for row in cycle.seen.untagged:
            if row.id not in cycle.gone and _has_room(cycle):
                tags = await suggest_tags(node, SYSTEM, row)
                await _try(node, cycle, "auto_tag", (row.id,), acts.set_tags, row, tags)
    except Unavailable as error:
        if error.code not in (Code.NEEDS_LLM, Code.LLM_ANSWER_UNUSABLE):
            raise
        cycle.errors.append(f"language model: {error.code}")


def _has_room(cycle: Cycle) -> bool:
    """Whether one more act may be tried; one that may not is counted."""
    is_free = cycle.attempted < cycle.request.max_ops
    cycle.skipped += not is_free
    return is_free


async def end_cycle(node: Node, cycle: Cycle) -> CurationReport:
    """Report, and keep the report (not a dry run's). Raises: Unavailable."""
    # What the language model wrote was not there when the cycle began.
    new = dict.fromkeys(MemoryId(i) for act in cycle.done for i in act.ids if i not in cycle.titles)
    if new:
        cycle.titles |= await node.store.read(_titles, new, cycle.who, node.clock.now())
    report = _report(node, cycle)
    if cycle.request.dry_run:
        return report
    report_id = new_memory_id(node.chance.rng)
    await write_as(node, CURATOR, _save, node, report_id, report, _cursor(cycle))
    return replace(report, id=report_id)


def _cursor(cycle: Cycle) -> MemoryId | None:
    """Where the next cycle begins: here again if something is left to do and anything could be done."""
    is_left = not cycle.is_complete or (cycle.skipped > 0 and bool(cycle.done))
    return cycle.seen.begin if is_left else cycle.seen.end


def _report(node: Node, cycle: Cycle) -> CurationReport:
    seen, completed_at = cycle.seen, node.clock.now()
    consolidated = [act for act in cycle.done if act.action == "consolidate"]
    made = sum(len(act.ids) - 1 for act in consolidated)
    return CurationReport(
        started_at=format_instant(cycle.started_at), completed_at=format_instant(completed_at),
        cycle_duration_ms=max(0, completed_at - cycle.started_at) // 1000,
        memories_scanned=seen.scanned, memories_eligible=seen.eligible, auto_tagged=cycle.count("auto_tag"),
        contradictions_found=seen.contradictions, operations_attempted=cycle.attempted,
        operations_skipped_cap=cycle.skipped,
        autonomy=Autonomy(
            clusters_formed=len(seen.duplicates) + len(seen.clusters), memories_consolidated=made,
            memories_forgotten=cycle.count("forget"), priority_adjustments=cycle.count("priority_adjust"),
            rollback_entries_written=0 if cycle.request.dry_run else len(cycle.done), errors=tuple(cycle.errors),
        ),
        errors=tuple(cycle.errors), dry_run=cycle.request.dry_run,
        acts=tuple(replace(act, titles=tuple(cycle.titles.get(i, "") for i in act.ids)) for act in cycle.done),
        more=seen.end is not None or cycle.skipped > 0 or not cycle.is_complete,
    )


def _save(
    transaction: Transaction, node: Node, report_id: MemoryId, report: CurationReport, cursor: MemoryId | None
) -> None:
    """Keep a report. Its acts are told by their records, which stay longer."""
    counts = report.autonomy
    saved = SavedReport(
        cycle_ts=report.started_at, cycle_duration_ms=report.cycle_duration_ms, auto_tagged=report.auto_tagged,
        contradictions_found=report.contradictions_found, clusters_formed=counts.clusters_formed,
        memories_consolidated=counts.memories_consolidated, memories_forgotten=counts.memories_forgotten,
        priority_adjustments=counts.priority_adjustments, rollback_entries_written=counts.rollback_entries_written,
        errors_total=len(report.errors), cursor=cursor,
        report=replace(report, acts=(), errors=report.errors[:100], autonomy=replace(counts, errors=())),
    )
    entry = system_entry(
        transaction, report_id, REPORTS, f"report {report.started_at} {report_id[:8]}",
        content=msgspec.json.encode(saved), tags=("_report",), tier=Tier.MID,
        expires_at=node.policy.lifetimes.expiry(Tier.MID, transaction.now),
    )
    transaction.emit("curate", [entry])


async def curate(node: Node, request: CurateRequest) -> CurationReport:
    """One whole cycle, of the node's own. Raises: InvalidRequest naming the field, Unavailable."""
    cycle = await begin_cycle(node, SYSTEM, request)
    await run_cycle(node, cycle)
    return await end_cycle(node, cycle)


async def curation_reports(node: Node, who: Principal, query: ReportsQuery) -> ReportsPage:
    """Reports of cycles, the latest first. Raises: InvalidRequest, Denied(operator_required)."""
    require_operator(who, "reading the curator's reports")      # they name memories of everybody
    limit = rules.bounded(query.limit, 1, REPORTS_MAX, field="limit")
    found = await node.store.read(curation.latest_titled, REPORTS, node.clock.now(), limit)
    reports = tuple(replace(saved.report, id=row.id) for row in found if (saved := _read(row)) is not None)
    return ReportsPage(reports=reports, count=len(reports))


def _read(row: Memory) -> SavedReport | None:
    try:
        return msgspec.json.decode(row.content, type=SavedReport)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


