"""One order out of all that is known of the candidates; each step leaves its number or its name, to be told.

Relevance is settled first (fusion); a time that the question names and the speaker of a turn add a little; importance,
recency and distance multiply by a little. Then two rules move rows regardless of scores: the first row of each arm
stays in sight, and of two facts that contradict each other the newer comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from aimem.config import ScoringConfig
from aimem.model import Candidate, Instant, Namespace
from aimem.search.fusion import Fused, fuse_scores, keep_firsts, places
from aimem.search.moments import Period, nearness
from aimem.search.scoring import Boosts, boosts, is_user_turn
from aimem.search.tuning import NEARNESS_SHARE, USER_TURN_SHARE


class Move(StrEnum):
    """A rule that set a row above others of higher score."""

    FIRST_OF_WORDS = "first_of_words"
    FIRST_OF_MEANING = "first_of_meaning"
    NEWER_FACT = "newer_fact"


class Evidence(Struct, frozen=True, kw_only=True):
    """What is known of the candidates, by row number.

    Attributes:
      lexical: BM25 of the rows that the words found, larger is better.
      cosines: of every candidate that has a vector, whichever arm found it.
      rows: every candidate.
      contradicted: for rows whose fact a newer candidate contradicts, the newer ones.
    """

    lexical: Mapping[int, float]
    cosines: Mapping[int, float]
    rows: Mapping[int, Candidate]
    contradicted: Mapping[int, Collection[int]] = {}


class Wish(Struct, frozen=True, kw_only=True):
    """What the question says beside its words.

    Attributes:
      now: what age is counted to.
      dense_weight: the meaning's share of the fused score, in [0, 1].
      periods: times that the question names.
      favours_user: whether user turns of a dialogue gain.
      asked: the namespace whose ancestors are searched too, or None.
      scoring: half-lives of recency.
    """

    now: Instant
    dense_weight: float
    periods: Sequence[Period] = ()
    favours_user: bool = True
    asked: Namespace | None = None
    scoring: ScoringConfig = ScoringConfig()


class Ranked(Struct, frozen=True, kw_only=True):
    """A candidate, its score, and what that is made of.

    `score` is `(fused.score + time + role) * boosts.factor`; it lies between 0 and 1.35.

    Attributes:
      words_place, meaning_place: its place in each arm, from 1; None if the arm does not have it.
      nearness: to the time named, in [0, 1].
      time, role: what the time and the speaker add.
      moved_by: rules that set it above rows of higher score, in the order in which they came.
    """

    fused: Fused
    words_place: int | None
    meaning_place: int | None
    nearness: float
    time: float
    role: float
    boosts: Boosts
    score: float
    moved_by: tuple[Move, ...] = ()

    @property
    def no(self) -> int:
        """The row's number."""
        return self.fused.no


def rank(evidence: Evidence, wish: Wish, *, dropped: Collection[int], limit: int) -> list[Ranked]:
    """Order the candidates, best first, ties by the memory's id.

    Args:
      dropped: candidates to leave out. They still count when the arms are scaled, so that what stays scores the same
        with them and without.
      limit: how many are shown: the first of each arm stand within the first `max(2, limit)`.

    Raises: ValueError if a score is not finite.
    """
    fused = fuse_scores(evidence.lexical, evidence.cosines, dense_weight=wish.dense_weight)
    words, meaning = places(evidence.lexical), places(evidence.cosines)
    scored = [
        _scored(row, evidence.rows[row.no], wish, words.get(row.no), meaning.get(row.no))
        for row in fused
        if row.no not in dropped
    ]
    scored.sort(key=lambda row: (-row.score, evidence.rows[row.no].id))
    by_no = {row.no: row for row in scored}
    firsts = {
        min(held, key=arm.__getitem__): move
        for move, arm in ((Move.FIRST_OF_MEANING, meaning), (Move.FIRST_OF_WORDS, words))
        if (held := arm.keys() & by_no.keys())
    }
    risen = {no: (firsts[no],) for no in list(by_no)[max(2, limit) :] if no in firsts}
    kept = keep_firsts(list(by_no), firsts, limit)
    place = {no: position for position, no in enumerate(kept)}
    pulled = {
        newer: (Move.NEWER_FACT,)
        for older, newer_ones in evidence.contradicted.items()
        for newer in newer_ones
        if newer in place and place[newer] > place.get(older, len(kept))
    }
    for no in risen.keys() | pulled.keys():
        by_no[no] = msgspec.structs.replace(by_no[no], moved_by=risen.get(no, ()) + pulled.get(no, ()))
    return [by_no[no] for no in newer_first(kept, evidence)]


def _scored(fused: Fused, memory: Candidate, wish: Wish, words_place: int | None, meaning_place: int | None) -> Ranked:
    near = nearness(wish.periods, memory.created_at)
    time = NEARNESS_SHARE * near
    role = USER_TURN_SHARE if wish.favours_user and is_user_turn(memory) else 0.0
    found = boosts(
        memory, now=wish.now, half_life_days=wish.scoring.half_life_days(memory.tier), asked=wish.asked
    )
    return Ranked(
        fused=fused, words_place=words_place, meaning_place=meaning_place, nearness=near, time=time, role=role,
        boosts=found, score=(fused.score + time + role) * found.factor,
    )


def newer_first(order: Sequence[int], evidence: Evidence) -> list[int]:
    """Put every row that contradicts an older one directly before it, the newest first, should it stand behind."""
    if not evidence.contradicted:
        return list(order)
    known, rows = set(order), evidence.rows
    placed: dict[int, None] = {}
    for no in order:
        if no in placed:
            continue
        waiting, group = [no], {no}
        while waiting:
            said = evidence.contradicted.get(waiting.pop(), ())
            newer = {one for one in said if one in known and one not in placed and one not in group}
            group |= newer
            waiting += newer
        by_age = sorted(group, key=lambda one: (rows[one].created_at, rows[one].id), reverse=True)
        placed.update(dict.fromkeys(by_age))
    return list(placed)
