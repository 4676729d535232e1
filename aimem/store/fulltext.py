"""Finding memories by their words: BM25 over titles, contents, tags and neighbours, bounded however many there are.

Where the words of a query stand in few rows, FTS5 ranks them all. Where they are common, its rare words find the
candidates, and these are ranked by all words (as MaxScore does: what only common words could bring in ranks low).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aimem.model import Instant, Memory, Words
from aimem.ports import Connection
from aimem.store import bm25, grams, memories, ranking, scratch
from aimem.store.bm25 import Term
from aimem.store.expressions import all_of, any_of, quoted
from aimem.store.filters import Clause, Filters
from aimem.store.grams import count_gramless, index_grams
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

RANKED_MAX_COUNT: Final = 12_000
"""Rows that FTS5 may rank for one query: 1.1 to 1.9 us each."""

WALK_SHARE: Final = 0.1
"""What it costs to pass over a row of another namespace, measured in ranked rows."""

CANDIDATES_MIN_COUNT: Final = 200
"""Rows that the rare words find, to be ranked by all words, at 25 us each: 97 % of the exact top ten are among them."""

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
    if _cost(terms, field) <= RANKED_MAX_COUNT:
        return ranking.ranked(conn, any_of(term.text for term in terms), field, limit)
    if field.numbers is not None:
        return ranking.scored(conn, field.numbers, terms, field)
    rows = _candidates(conn, terms, field, max(CANDIDATES_MIN_COUNT, 2 * limit))
    return ranking.scored_parts(conn, rows, terms, field)


def _cost(terms: Iterable[Term], field: Field) -> float:
    return sum(term.row_count for term in terms) * (field.share + WALK_SHARE)


def _candidates(conn: Connection, terms: Sequence[Term], field: Field, count: int) -> list[int]:
    """Rows of the index that the rarest words rank first, as many words as may be ranked."""
    kept = 1
    while kept < len(terms) and _cost(terms[: kept + 1], field) <= RANKED_MAX_COUNT:
        kept += 1
    rare, common = [term.text for term in terms[:kept]], [term.text for term in terms[kept:]]
    if _cost(terms[:1], field) > RANKED_MAX_COUNT and common:
        # Even the rarest is common: rows with another word beside it come first.
        rows = _newest(conn, f"{quoted(rare[0])} AND ({any_of(common)})", field, count)
        return rows if len(rows) >= count else [*rows, *_newest(conn, any_of(rare), field, count)]
    rows = _newest(conn, any_of(rare), field, count)
    if len(rows) < count and common:
        rows += _newest(conn, any_of([*rare, common[0]]), field, count)
    return rows


def _newest(conn: Connection, match: str, field: Field, count: int) -> list[int]:
    """The best rows for an expression; of more than may be ranked, the newest."""
    floor = ranking.newest_floor(conn, match, field, RANKED_MAX_COUNT)
    return [row for row, _ in ranking.rank_parts(conn, match, field, count, floor)]


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
