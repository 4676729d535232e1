"""What a cycle of the curator looks at, and which acts it proposes: a read, and pure decisions over it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.language import TEXTS_MAX_CHARS
from aimem.model import Instant, Memory, MemoryId, Namespace, Relation, after
from aimem.ports import Connection
from aimem.service.acts import EVERYTHING, decide_forget, decide_priority, rest_s
from aimem.service.facts import judge_facts
from aimem.service.records import SOURCE, past_of
from aimem.service.similarity import CLUSTER_MAX, Duplicates, decide_clusters, decide_duplicates
from aimem.store import Filters, curation, linkage, memories
from aimem.wire import CurateRequest

REPORTS: Final = Namespace("_curator/reports")
SCANNED_MAX: Final = 2_000
"""Memories that one cycle looks at: half a second of comparing."""

SCANNED_MAX_BYTES: Final = 16 * 1024 * 1024
CLUSTERED_MAX: Final = 500
"""Of these, those whose likeness is weighed pair by pair, for the language model."""

READ_WHOLE_MAX_CHARS: Final = TEXTS_MAX_CHARS // CLUSTER_MAX - 1
"""The model reads so much of each of 8 texts: what is longer would be put away for a summary of its beginning."""

ELIGIBLE_MIN_BYTES: Final = 50


class Survey(Struct, frozen=True, kw_only=True):
    """What was seen, and the acts that it suggests, in the order in which they are done.

    Attributes:
      begin, end: the memories behind which the stretch began and behind which the next one does; None for the first.
      contradicted: older and newer memory.
      clusters: alike, for the language model to sum up; nothing that is in `duplicates`.
      untagged: those that the model has not tagged yet.
    """

    scanned: int
    eligible: int
    begin: MemoryId | None
    end: MemoryId | None
    contradictions: int
    duplicates: tuple[Duplicates, ...]
    contradicted: tuple[tuple[MemoryId, MemoryId], ...]
    adjustable: tuple[MemoryId, ...]
    clusters: tuple[tuple[Memory, ...], ...]
    untagged: tuple[Memory, ...]

    @property
    def proposed(self) -> frozenset[MemoryId]:
        """The memories that the acts would touch."""
        plain = [i for plan in self.duplicates for i in (plan.kept, *plan.others)]
        read = [row.id for cluster in (*self.clusters, self.untagged) for row in cluster]
        return frozenset([*plain, *(older for older, _ in self.contradicted), *self.adjustable, *read])


def survey(conn: Connection, request: CurateRequest, cursor: MemoryId | None, now: Instant) -> Survey:
    """Look at the next stretch of the store."""
    scanned, end = _scan(conn, request, cursor, now)
    rows = [row for row in scanned if len(row.content.encode()) >= ELIGIBLE_MIN_BYTES]
    texts = [row for row in rows if row.source != SOURCE]
    duplicates = _duplicates(conn, texts)
    paired = {i for plan in duplicates for i in (plan.kept, *plan.others)}
    contradictions, contradicted = _contradicted(conn, rows, now)
    return Survey(
        scanned=len(scanned), eligible=len(rows), begin=cursor, end=end, contradictions=contradictions,
        duplicates=duplicates, contradicted=contradicted, adjustable=_adjustable(conn, rows, now),
        clusters=_clusters(
            conn, [row for row in texts if row.id not in paired and _is_read_whole(row)][:CLUSTERED_MAX]
        ),
        untagged=_untagged(conn, texts),
    )


def _scan(
    conn: Connection, request: CurateRequest, cursor: MemoryId | None, now: Instant
) -> tuple[list[Memory], MemoryId | None]:
    """The rows of the stretch, and its last one if others follow."""
    included = tuple(Namespace(name.strip()) for name in request.include_namespaces) or None
    excluded = [Namespace(name.strip()) for name in request.exclude_namespaces]
    rows: list[Memory] = []
    size = 0
    for row in curation.curable(conn, Filters(namespaces=included), excluded, cursor, now, SCANNED_MAX + 1):
        if len(rows) == SCANNED_MAX or size > SCANNED_MAX_BYTES:
            return rows, rows[-1].id
        rows.append(row)
        size += len(row.content)
    return rows, None


def _duplicates(conn: Connection, rows: list[Memory]) -> tuple[Duplicates, ...]:
    by_id = {row.id: row for row in rows}
    found = []
    for plan in decide_duplicates(rows):
        past = past_of(conn, "consolidate", (plan.kept, *plan.others))
        others = tuple(i for i in plan.others if not past.is_left_alone(by_id[i]))
        if others:
            found.append(Duplicates(kept=plan.kept, others=others))
    return tuple(found)


def _contradicted(
    conn: Connection, rows: list[Memory], now: Instant
) -> tuple[int, tuple[tuple[MemoryId, MemoryId], ...]]:
    """How many stated contradictions there are, and of each memory that should go, the newest that says so."""
    by_id = {row.id: row for row in rows}
    facts = linkage.facts_about(conn, list(by_id), now, EVERYTHING)
    past = past_of(conn, "forget", list(by_id)) if facts else None
    found = []
    for older, newer_ones in sorted(judge_facts(facts).contradicted.items()):
        if older not in by_id or (past is not None and past.is_left_alone(by_id[older])):
            continue
        for newer_id in newer_ones:
            newer = memories.find(conn, newer_id, now, EVERYTHING)
            if newer is not None and decide_forget(by_id[older], newer):
                found.append((older, newer_id))
                break
    return sum(fact.relation is Relation.CONTRADICTS for fact in facts), tuple(found)


def _adjustable(conn: Connection, rows: list[Memory], now: Instant) -> tuple[MemoryId, ...]:
    wanted = [row for row in rows if decide_priority(row, now) is not None]
    past = past_of(conn, "priority_adjust", [row.id for row in wanted])
    return tuple(
        row.id for row in wanted
        if not past.is_left_alone(row) and past.done_at.get(row.id, -(2**62)) <= after(now, -rest_s(row))
    )


def _is_read_whole(row: Memory) -> bool:
    return len(row.title) + len(row.content) <= READ_WHOLE_MAX_CHARS


def _clusters(conn: Connection, rows: list[Memory]) -> tuple[tuple[Memory, ...], ...]:
    by_id = {row.id: row for row in rows}
    found = []
    for ids in decide_clusters(rows):
        past = past_of(conn, "consolidate", ids)
        members = tuple(by_id[i] for i in ids if not past.is_left_alone(by_id[i]))
        if len(members) > 1:
            found.append(members)
    return tuple(found)


def _untagged(conn: Connection, rows: list[Memory]) -> tuple[Memory, ...]:
    untagged = [row for row in rows if not row.metadata.get("auto_tags")]
    past = past_of(conn, "auto_tag", [row.id for row in untagged])
    return tuple(row for row in untagged if not past.is_left_alone(row))
