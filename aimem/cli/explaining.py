"""What a recalled memory's score is made of, in lines for people; `--json` has the exact numbers."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from aimem.cli.text import counted, one_line, short_id
from aimem.wire import ArmScore, Explanation, RankingOut, RecallResult, ScoredMemory

_MOVES = {
    "first_of_words": "set in sight: the best by its words",
    "first_of_meaning": "set in sight: the best by its meaning",
    "newer_fact": "set before an older memory that it contradicts",
}


def explanation_lines(found: RecallResult) -> Iterator[str]:
    """How a recall was ranked, then each of its memories, the best first."""
    ranking = found.ranking
    if ranking is UNSET:
        return
    yield f"ranked {counted(ranking.considered, 'candidate')}, up to {ranking.candidates} by words and by meaning"
    if ranking.superseded:
        yield f"left out {counted(ranking.superseded, 'memory')} that newer ones supersede"
    for period in ranking.periods:
        yield f"favours the time from {period.begin} until before {period.end}"
    for place, memory in enumerate(found.memories, 1):
        if memory.explanation is not UNSET:
            yield ""
            yield f"{place}. {short_id(memory.id)}  {one_line(memory.title, width=60)}"
            for line in _memory_lines(memory, memory.explanation, ranking):
                yield f"   {line}"


def _memory_lines(memory: ScoredMemory, why: Explanation, ranking: RankingOut) -> Iterator[str]:
    factors = {
        "priority": why.priority, "confidence": why.confidence, "tier": why.tier, "access": why.access,
        "recency": why.recency, "proximity": why.proximity,
    }
    weight = ranking.dense_weight
    yield (
        f"score {why.final:.4f} = (relevance {why.fused:.4f} + time {why.time:.4f} + role {why.role:.4f}) x "
        + " x ".join(f"{name} {value:.4f}" for name, value in factors.items())
    )
    yield f"relevance = {1 - weight:.2f} x words {_scaled(why.bm25)} + {weight:.2f} x meaning {_scaled(why.cosine)}"
    yield f"words: {_arm(why.bm25, 'BM25')}; meaning: {_arm(why.cosine, 'cosine')}"
    for move in why.moved_by:
        yield _MOVES.get(move, move)
    if memory.contradicted_by is not UNSET:
        yield f"contradicted by the newer {', '.join(map(short_id, memory.contradicted_by))}"


def _scaled(arm: ArmScore | UnsetType) -> str:
    return "0 (none)" if arm is UNSET else f"{arm.scaled:.4f}"


def _arm(arm: ArmScore | UnsetType, unit: str) -> str:
    if arm is UNSET:
        return "not found"
    return f"number {arm.rank}" if arm.raw is UNSET else f"{unit} {arm.raw:.4f}, number {arm.rank}"
