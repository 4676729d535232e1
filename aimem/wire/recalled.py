"""What a recall answers: scored memories, and on demand what each score is made of."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.wire.namespaces import InjectedStandard
from aimem.wire.responses import MemoryOut


class ArmScore(Struct, kw_only=True):
    """What one arm of recall says of a memory.

    Attributes:
      raw: BM25 (0 or more) or cosine (-1 to 1). BM25 is left out for who does not see everything: it would tell in
        how many memories a word stands, hidden ones among them.
      scaled: the same between the worst (0) and the best (1) of the candidates that the arm knows.
      rank: place among these, from 1.
    """

    raw: float | UnsetType = UNSET
    scaled: float
    rank: int


class Explanation(Struct, kw_only=True):
    """What a score is made of.

    Computed in double precision and in this order, it comes out exactly:

        fused = min(1, (1 - dense_weight) * bm25.scaled + dense_weight * cosine.scaled), an absent arm counting 0
        final = (fused + time + role) * (priority * confidence * tier * access * recency * proximity)

    Attributes:
      nearness: to the times that the context names, in [0, 1].
      time: nearness_share * nearness.
      role: user_turn_share for a user's turn of a dialogue, unless the context speaks to the assistant.
      priority, confidence, tier, access, recency, proximity: factors near 1.
      final: the score before it is rounded to three decimals.
      moved_by: rules that put it above memories of higher score: first_of_words, first_of_meaning, newer_fact.
    """

    bm25: ArmScore | UnsetType = UNSET
    cosine: ArmScore | UnsetType = UNSET
    fused: float
    nearness: float
    time: float
    role: float
    priority: float
    confidence: float
    tier: float
    access: float
    recency: float
    proximity: float
    final: float
    moved_by: tuple[str, ...] = ()


class PeriodOut(Struct, kw_only=True):
    """A time that a context names, from `begin` until before `end`."""

    begin: str
    end: str


class RankingOut(Struct, kw_only=True):
    """How one recall was ranked: this node's fixed configuration, and what it read in the context.

    Attributes:
      dense_weight: share of the meaning in the fused score; 0 in keyword mode.
      candidates: how many each arm may give.
      considered: how many there were, of both arms, without the superseded.
      superseded: how many were left out because a newer memory supersedes them.
      nearness_share, user_turn_share: what time and role add at most.
      meaning_floor, sense_floor, words_floor: of the relevance floor.
      periods: times that the context names.
    """

    dense_weight: float
    candidates: int
    considered: int
    superseded: int
    nearness_share: float
    user_turn_share: float
    meaning_floor: float
    sense_floor: float
    words_floor: float
    periods: tuple[PeriodOut, ...]


class ScoredMemory(MemoryOut, kw_only=True):
    """A recalled memory.

    Attributes:
      score: 0 to 1 for relevance, then moved a little by time, role and importance; larger is better.
      contradicted_by: ids of newer memories that contradict it, the newest first; absent if there are none.
      explanation: what the score is made of, if it was asked for.
    """

    score: float
    contradicted_by: tuple[str, ...] | UnsetType = UNSET
    explanation: Explanation | UnsetType = UNSET


class RecallResult(Struct, kw_only=True):
    """Answer to a recall.

    Attributes:
      mode: `hybrid` or `keyword`.
      below_floor: how many candidates were left out because they have nothing to do with the context.
      ranking: how it was ranked, if an explanation was asked for.
      standard, standards: of the namespace and what it inherits from, if they were asked for: one, or several with the
        most general first. They are not among the memories, and their tokens count.
      standards_omitted: how many of them were left out because they are too long.
    """

    memories: tuple[ScoredMemory, ...]
    count: int
    tokens_used: int
    mode: str
    budget_tokens: int | UnsetType = UNSET
    below_floor: int = 0
    ranking: RankingOut | UnsetType = UNSET
    standard: InjectedStandard | UnsetType = UNSET
    standards: tuple[InjectedStandard, ...] | UnsetType = UNSET
    standards_omitted: int | UnsetType = UNSET
