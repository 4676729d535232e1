"""Finding memories by their words: BM25 over titles, contents, tags and neighbours, bounded however many there are.

Where the words of a query stand in few rows, FTS5 ranks them all. Where they are common, its rare words find the
candidates, and these are ranked by all words (as MaxScore does: what only common words could bring in ranks low).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from aimem.model import Instant, Memory, Words
from aimem.ports import Connection
from aimem.store import bm25, grams, memories, ranking, scratch
from aimem.store.bm25 import Term
from aimem.store.expressions import all_of, any_of, own, quoted
from aimem.store.filters import Clause, Filters
from aimem.store.grams import count_gramless, index_grams
from aimem.store.parts import PART_BITS
from aimem.store.ranking import Field
from aimem.store.textindex import clear, count_unindexed, rebuild
from aimem.store.vocabulary import count_terms, is_stale, keep_terms

__all__ = [
    "clear",
    "count_gramless",
    "count_terms",
    "count_unindexed",
    "hits",
    "index_grams",
    "is_stale",
    "keep_terms",
    "rebuild",
    "search",
]

RANKED_MAX_COUNT: Final = 8_000
"""Rows that FTS5 may rank for one query: 1.1 to 1.9 us each."""

WALK_SHARE: Final = 0.15
"""What it costs to pass over a row of another namespace, measured in ranked rows."""

SCORED_COST: Final = 30.0
"""What it costs to rank a row that no index found, by its text, measured in rows that FTS5 ranks."""

CANDIDATES_MIN_COUNT: Final = 150
"""Rows that the rare words find, to be ranked by all words, at 40 us each; 98 % of the exact top ten are among them."""

COMPANIONS: Final = 4
"""Words of which one has to stand beside the rarest, where even that is common: each has to be walked along."""

SEEN_SHARE: Final = 0.5
"""A caller that sees so much of what there is gets its best from those of all, without a look at every match."""

SCATTERED_MAX_COUNT: Final = 500
"""Long texts that hold the words of a search in different parts, at most; each word of each costs 30 us."""


def hits(
    conn: Connection, words: Words, filters: Filters, visible: Clause, now: Instant, limit: int
) -> dict[int, float]:
    """The rows that the words of a query find, the best first.

    Returns: at most `limit` numbers of the view's rows -> BM25 of their best part (larger is better), plus what their
      odd words add. Exact unless the words stand in more rows than may be ranked (`RANKED_MAX_COUNT`).
    """
    if limit < 1 or not (words.terms or words.odd):
        return {}
    field = ranking.field_of(conn, filters, visible, now)
    terms = bm25.weigh(conn, words.terms)
    found = _by_terms(conn, terms, field, limit) if terms else {}
    if words.odd:
        found = _with_odd(conn, found, terms, words.odd, field, limit)
    return ranking.best(found.items(), limit)


def _by_terms(conn: Connection, terms: Sequence[Term], field: Field, limit: int) -> dict[int, float]:
    sees_most = field.is_by_sight and ranking.guess_share(conn, field) >= SEEN_SHARE
    found = _among_all(conn, terms, field, limit) if sees_most else None
    return _within(conn, terms, field, limit) if found is None else found


def _among_all(conn: Connection, terms: Sequence[Term], field: Field, limit: int) -> dict[int, float] | None:
    """The best that the caller sees, out of the best of all rows; None if too few of these are to be seen.

    To look at the memory of each row that matches takes three times as long as to rank it.
    """
    opened = replace(field, is_open=True, share=1.0)
    is_ranked = _cost(terms, opened.share) <= RANKED_MAX_COUNT
    if is_ranked:
        count = ranking.PARTS_A_ROW * limit
        rows = ranking.rank_parts(conn, any_of(term.text for term in terms), opened, count)
    else:
        count = int(_candidate_count(limit) / SEEN_SHARE)
        rows = [(rowid, 0.0) for rowid in _candidates(conn, terms, opened, count)]
    seen = ranking.allowed(conn, {row >> PART_BITS: 0.0 for row, _ in rows}, field)
    if len(seen) < limit and len(rows) >= count:
        return None
    kept = [(row, score) for row, score in rows if row >> PART_BITS in seen]
    if is_ranked:
        return ranking.best(((row >> PART_BITS, score) for row, score in kept), limit)
    return ranking.scored_parts(conn, [row for row, _ in kept[: _candidate_count(limit)]], terms, field)


def _candidate_count(limit: int) -> int:
    return max(CANDIDATES_MIN_COUNT, limit + limit // 2)


def _within(conn: Connection, terms: Sequence[Term], field: Field, limit: int) -> dict[int, float]:
    cost = _cost(terms, field.share)
    if field.numbers is not None and min(cost, RANKED_MAX_COUNT) >= SCORED_COST * len(field.numbers):
        return ranking.scored(conn, field.numbers, terms, field)
    if cost <= RANKED_MAX_COUNT:
        return ranking.ranked(conn, any_of(term.text for term in terms), field, limit)
    rows = _candidates(conn, terms, field, _candidate_count(limit))
    return ranking.scored_parts(conn, rows, terms, field)


def _cost(terms: Iterable[Term], share: float) -> float:
    return sum(term.row_count for term in terms) * (share + WALK_SHARE)


def _candidates(conn: Connection, terms: Sequence[Term], field: Field, count: int) -> list[int]:
    """Rows of the index that the rarest words rank first, as many words as may be ranked.

    They have to stand in a row's own texts: so three times as many can be looked for, and what only a neighbour says
    weighs little by itself.
    """
    share = field.share * bm25.totals(conn).own_share
    kept = 1
    while kept < len(terms) and _cost(terms[: kept + 1], share) <= RANKED_MAX_COUNT:
        kept += 1
    rare, common = any_of(term.text for term in terms[:kept]), [term.text for term in terms[kept:]]
    cost = _cost(terms[:kept], share)
    if cost > RANKED_MAX_COUNT:
        # Even the rarest is common. The newest of its rows, and first those with another word beside it.
        floor = ranking.newest_floor(conn, cost, RANKED_MAX_COUNT)
        beside = f"{rare} AND ({any_of(common[:COMPANIONS])})"
        rows = ranking.rank_parts(conn, own(beside), field, count, floor)
        if len(rows) < count:
            rows += ranking.rank_parts(conn, own(rare), field, count, floor)
    else:
        rows = ranking.rank_parts(conn, own(rare), field, count)
        if len(rows) < count and common:
            floor = ranking.newest_floor(conn, _cost(terms[: kept + 1], share), RANKED_MAX_COUNT)
            rows += ranking.rank_parts(conn, own(f"{rare} OR {quoted(common[0])}"), field, count, floor)
    return [rowid for rowid, _ in rows]


def _with_odd(
    conn: Connection, found: dict[int, float], terms: Sequence[Term], odd: Sequence[str], field: Field, limit: int
) -> dict[int, float]:
    added = ranking.allowed(conn, grams.hits(conn, odd), field)
    added = ranking.best(added.items(), max(CANDIDATES_MIN_COUNT, 2 * limit))
    unknown = [no for no in added if no not in found]
    known = found | (ranking.scored(conn, unknown, terms, field) if terms else {})
    return known | {no: known.get(no, 0.0) + score for no, score in added.items()}


def search(
    conn: Connection, words: Words, filters: Filters, visible: Clause, now: Instant, limit: int
) -> tuple[Memory, ...]:
    """Live memories that hold all words of a query, wherever in them: by BM25, then priority, then last update.

    An odd word may be a piece of one of theirs. Of more matches than may be ranked, the newest are.
    """
    if limit < 1 or not (words.terms or words.odd):
        return ()
    field = ranking.field_of(conn, filters, visible, now)
    found = dict(ranking.rank_memories(conn, all_of(words.terms), field, limit, RANKED_MAX_COUNT))
    more = {*_scattered(conn, words.terms, field), *_by_pieces(conn, words, field)} - found.keys()
    if more:
        any_word = any_of(words.terms)
        found |= dict.fromkeys(more, 0.0) | dict(ranking.rank_numbers(conn, any_word, sorted(more), field))
    rows = memories.by_numbers(conn, sorted(found), filters, visible, now)
    order = sorted(rows, key=lambda no: (-found[no], -rows[no].priority, -rows[no].updated_at, rows[no].id))
    return tuple(rows[no] for no in order[:limit])


def _scattered(conn: Connection, texts: Sequence[str], field: Field) -> list[int]:
    """Long texts with each word in some part, the newest of them."""
    terms = bm25.weigh(conn, texts)
    if len(terms) < 2 or len(terms) < sum(1 for tokens in scratch.tokens_of(conn, texts) if tokens):
        return []
    numbers = ranking.parted(conn, quoted(terms[0].text), field, SCATTERED_MAX_COUNT)
    return [no for no in numbers if _holds_all(conn, no, [term.text for term in terms[1:]])]


def _by_pieces(conn: Connection, words: Words, field: Field) -> list[int]:
    if not words.odd:
        return []
    numbers = grams.holding_all(conn, words.odd, SCATTERED_MAX_COUNT)
    allowed = ranking.allowed(conn, dict.fromkeys(numbers, 0.0), field)
    return [no for no in allowed if _holds_all(conn, no, words.even)]


def _holds_all(conn: Connection, no: int, texts: Sequence[str]) -> bool:
    return all(ranking.holds(conn, no, quoted(text)) for text in texts)
