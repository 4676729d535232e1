"""Which facts still hold: what superseding and contradicting links mean for the memories that a recall found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from aimem.model import MemoryId, Relation
from aimem.store import linkage


class Judgement(Struct, frozen=True, kw_only=True):
    """Who is out, and who is doubted.

    Attributes:
      superseded: memories that another one replaces.
      contradicted: an older memory -> the newer ones that contradict it, the newest first.
    """

    superseded: frozenset[MemoryId]
    contradicted: Mapping[MemoryId, tuple[MemoryId, ...]]


def judge_facts(facts: Sequence[linkage.Fact]) -> Judgement:
    """Weigh statements against each other.

    Superseding is directed. A ring of memories that supersede each other is broken at its oldest statement: whoever was
    called outdated first, and has had the others called outdated since, holds. Contradicting has no direction: of the
    two the one created later is the newer fact, ties by id. A superseded memory contradicts nobody.

    Args:
      facts: in any order; only what is said now, by memories that show.
    """
    superseded = _superseded(facts)
    contradicted: dict[MemoryId, dict[MemoryId, int]] = {}
    for fact in facts:
        if fact.relation is Relation.CONTRADICTS:
            (_, older), (created_at, newer) = sorted(
                ((fact.source_created_at, fact.source_id), (fact.target_created_at, fact.target_id))
            )
            if newer not in superseded:
                contradicted.setdefault(older, {})[newer] = created_at
    return Judgement(
        superseded=superseded,
        contradicted={
            older: tuple(sorted(newer, key=lambda one: (newer[one], one), reverse=True))
            for older, newer in contradicted.items()
        },
    )


def _superseded(facts: Sequence[linkage.Fact]) -> frozenset[MemoryId]:
    replaces: dict[MemoryId, set[MemoryId]] = {}
    statements = [fact for fact in facts if fact.relation is Relation.SUPERSEDES]
    for fact in sorted(statements, key=lambda one: (one.stated_at, one.source_id, one.target_id), reverse=True):
        # The latest word counts: what would close a ring was said before all that it is made of.
        if not _reaches(replaces, fact.target_id, fact.source_id):
            replaces.setdefault(fact.source_id, set()).add(fact.target_id)
    return frozenset(target for targets in replaces.values() for target in targets)


def _reaches(replaces: Mapping[MemoryId, set[MemoryId]], start: MemoryId, goal: MemoryId) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        fresh = replaces.get(here, set()) - seen
        seen |= fresh
        waiting += fresh
    return False
