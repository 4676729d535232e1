"""The index of grams: odd words (unspaced scripts, identifiers) found by their pieces.

Its hits count like words: an identifier as one, a run of n characters as about n/2, both at half a word's weight, so
that a whole word found by the index of words stays the better hit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from aimem.model import words
from aimem.ports import Connection
from aimem.store.bm25 import inverse_frequency
from aimem.store.expressions import quoted
from aimem.store.transaction import Transaction

GRAM_WEIGHT: Final = 0.5
IDENTIFIER_SHARE_MIN: Final = 0.6
"""An identifier that shares less than this of the asked one's grams (by their weight) is another identifier."""

QUERY_GRAMS_MAX_COUNT: Final = 64
GRAM_POSTINGS_MAX_COUNT: Final = 10_000
"""Rows that one query may read of the index, rarest grams first; each costs about 0.7 us."""

DUE_LOOKED_AT: Final = 128
"""Rows that the task has not come to yet are read one by one: these many, the newest."""

_DUE_TEXTS = (
    "SELECT v.no, CASE m.title_generated WHEN 1 THEN '' ELSE m.title END, m.content, m.tags "
    "FROM memory_view v JOIN memories m ON m.id = v.id WHERE v.grams = 'due' "
)
_OLDEST_DUE = f"{_DUE_TEXTS} ORDER BY v.no LIMIT :limit"
_NEWEST_DUE = f"{_DUE_TEXTS} AND v.state = 'live' ORDER BY v.no DESC LIMIT :limit"
_COUNT_DUE = "SELECT count(*) FROM (SELECT 1 FROM memory_view WHERE grams = 'due' LIMIT :limit)"
_TAKE_OUT = "DELETE FROM memory_grams WHERE rowid = ?"
_PUT_IN = "INSERT INTO memory_grams (rowid, grams) VALUES (?, ?)"
_NOTE = "UPDATE memory_view SET grams = ? WHERE no = ?"
_LAST = "SELECT max(no) FROM memory_view"
_COUNT = "SELECT doc FROM memory_gram_terms WHERE term = :gram"
_COUNT_FIRST = (
    "SELECT coalesce(sum(doc), 0) FROM (SELECT doc FROM memory_gram_terms WHERE term >= :gram AND term < :beyond)"
)
_ROWS = "SELECT rowid FROM memory_grams WHERE memory_grams MATCH :match ORDER BY rowid DESC LIMIT :limit"


def index_grams(transaction: Transaction, limit: int) -> int:
    """Bring the index of grams up to at most `limit` rows that owe it. Returns: how many; 0 when none does."""
    conn = transaction.conn
    due = conn.execute(_OLDEST_DUE, {"limit": limit}).fetchall()
    for no, *texts in due:
        found = _grams_of_texts(cast("list[str]", texts))
        conn.execute(_TAKE_OUT, (no,))
        if found:
            conn.execute(_PUT_IN, (no, " ".join(sorted(found))))
        conn.execute(_NOTE, ("held" if found else "none", no))
    return len(due)


def count_gramless(conn: Connection, limit: int) -> int:
    """Rows that the index of grams has not caught up with, counted up to a limit."""
    row = conn.execute(_COUNT_DUE, {"limit": limit}).fetchone()
    return cast("int", row[0]) if row else 0


def _grams_of_texts(texts: Sequence[str]) -> set[str]:
    return {gram for text in texts for word in words.odd_words(text) for gram in words.grams_of(word)}


def hits(conn: Connection, odd: Sequence[str]) -> dict[int, float]:
    """Rows of the view that share grams with odd words, alive or not: number -> score, on the scale of BM25."""
    asked = {word: words.grams_asked(word) for word in odd}
    grams = list(dict.fromkeys(gram for found in asked.values() for gram in found))[:QUERY_GRAMS_MAX_COUNT]
    weights = _weights(conn, grams)
    rows = _rows(conn, weights)
    for no, texts in _due(conn):
        held = _grams_of_texts(texts)
        for gram, numbers in rows.items():
            if _is_held(gram, held):
                numbers.add(no)
            else:
                numbers.discard(no)
    return _score(asked, {gram: weight for gram, (_, weight) in weights.items() if gram in rows}, rows)


def holding_all(conn: Connection, odd: Sequence[str], limit: int) -> list[int]:
    """Rows of the view with all grams of all odd words, alive or not, the newest of them."""
    grams = list(dict.fromkeys(gram for word in odd for gram in words.grams_asked(word)))[:QUERY_GRAMS_MAX_COUNT]
    match = " AND ".join(_match(gram) for gram in grams)
    found = {cast("int", row[0]) for row in conn.execute(_ROWS, {"match": match, "limit": limit})}
    for no, texts in _due(conn):
        held = _grams_of_texts(texts)
        if all(_is_held(gram, held) for gram in grams):
            found.add(no)
        else:
            found.discard(no)
    return sorted(found)


def _match(gram: str) -> str:
    return quoted(gram) + (" *" if len(gram) == 1 else "")


def _is_held(gram: str, held: Iterable[str]) -> bool:
    return gram in held or (len(gram) == 1 and any(other.startswith(gram) for other in held))


def _due(conn: Connection) -> list[tuple[int, list[str]]]:
    found = conn.execute(_NEWEST_DUE, {"limit": DUE_LOOKED_AT}).fetchall()
    return [(cast("int", no), cast("list[str]", texts)) for no, *texts in found]


def _weights(conn: Connection, grams: Iterable[str]) -> dict[str, tuple[int, float]]:
    """For each gram, the rarest first: in how many rows it stands, and what that tells."""
    last = conn.execute(_LAST).fetchone()
    whole = cast("int", last[0]) if last and last[0] else 0
    found = {}
    for gram in grams:
        sql, known = _COUNT, {"gram": gram}
        if len(gram) == 1:
            sql, known = _COUNT_FIRST, {"gram": gram, "beyond": chr(ord(gram) + 1)}
        row = conn.execute(sql, known).fetchone()
        count = cast("int", row[0]) if row else 0
        found[gram] = count, inverse_frequency(count, max(whole, count))
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def _rows(conn: Connection, weights: Mapping[str, tuple[int, float]]) -> dict[str, set[int]]:
    """The rows of each gram, as far as they may be read; of a gram that is too common there is no set."""
    rows: dict[str, set[int]] = {}
    left = GRAM_POSTINGS_MAX_COUNT
    for gram, (count, _) in weights.items():
        if left > 0:
            found = conn.execute(_ROWS, {"match": _match(gram), "limit": left}) if count else ()
            rows[gram] = {cast("int", row[0]) for row in found}
            left -= count
    return rows


def _score(
    asked: Mapping[str, Sequence[str]], weights: Mapping[str, float], rows: Mapping[str, set[int]]
) -> dict[int, float]:
    scores: dict[int, float] = defaultdict(float)
    for word, found in asked.items():
        shares: dict[int, float] = defaultdict(float)
        known = [gram for gram in found if gram in weights]
        for gram in known:
            for no in rows.get(gram, ()):
                shares[no] += weights[gram]
        if words.is_unspaced(word):
            for no, weight in shares.items():
                scores[no] += GRAM_WEIGHT * weight
            continue
        whole, best = sum(weights[gram] for gram in known), max((weights[gram] for gram in known), default=0.0)
        for no, weight in shares.items():
            if weight >= IDENTIFIER_SHARE_MIN * whole:
                scores[no] += GRAM_WEIGHT * best * weight / whole
    return dict(scores)
