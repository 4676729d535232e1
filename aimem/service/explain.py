"""Why a memory stands where it stands, in wire form."""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from aimem.model import Principal, format_instant
from aimem.search import Evidence, Ranked, Wish, tuning
from aimem.service.candidates import Candidates
from aimem.wire import ArmScore, Explanation, PeriodOut, RankingOut


def explanation_of(row: Ranked, evidence: Evidence, who: Principal) -> Explanation:
    """What a score is made of, unrounded."""
    boosts = row.boosts
    bm25 = _arm(evidence.lexical.get(row.no), row.fused.words, row.words_place)
    return Explanation(
        bm25=replace(bm25, raw=UNSET) if who.sights and bm25 is not UNSET else bm25,
        cosine=_arm(evidence.cosines.get(row.no), row.fused.meaning, row.meaning_place),
        fused=row.fused.score,
        nearness=row.nearness,
        time=row.time,
        role=row.role,
        priority=boosts.priority,
        confidence=boosts.confidence,
        tier=boosts.tier,
        access=boosts.access,
        recency=boosts.recency,
        proximity=boosts.proximity,
        final=row.score,
        moved_by=tuple(move.value for move in row.moved_by),
    )


def _arm(raw: float | None, scaled: float, place: int | None) -> ArmScore | UnsetType:
    return UNSET if raw is None or place is None else ArmScore(raw=raw, scaled=scaled, rank=place)


def ranking_of(found: Candidates, wish: Wish) -> RankingOut:
    """The configuration behind the scores of one recall, and what was read in its context."""
    return RankingOut(
        dense_weight=wish.dense_weight,
        candidates=tuning.CANDIDATES,
        considered=len(found.evidence.rows),
        superseded=found.superseded_count,
        nearness_share=tuning.NEARNESS_SHARE,
        user_turn_share=tuning.USER_TURN_SHARE,
        meaning_floor=tuning.MEANING_FLOOR,
        sense_floor=tuning.SENSE_FLOOR,
        words_floor=tuning.WORDS_FLOOR,
        periods=tuple(
            PeriodOut(begin=format_instant(period.begin), end=format_instant(period.end)) for period in wish.periods
        ),
    )
