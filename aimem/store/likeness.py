"""Memories whose words are like a new title's: a hint beside each store, so it may cost next to nothing.

Frequent words are passed over: they make nothing alike, and reading the rows that hold them is what would cost. What
recall would rank (`fulltext.hits`) is found here too, as long as the words of the title stand in few rows; identifiers
count as the words that they are made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, cast

import msgspec

from aimem.model import Instant, MemoryId, Namespace, Words, words
from aimem.ports import Connection, SqlValue
from aimem.store import bm25
from aimem.store.expressions import quoted
from aimem.store.filters import Clause, Filters, live_at, matching
from aimem.store.grams import GRAM_WEIGHT
from aimem.store.parts import PART_BITS

POSTINGS_MAX_COUNT: Final = 150
"""Rows that one look-up may rank, at some 2 us each: a millisecond at most, with the rest, in a store of 100,000."""

ASKED_MAX_COUNT: Final = 12
"""Words of a title that are looked at, and pieces of its odd words: 40 us each, whatever the size of the store."""

_COUNT_WORDS = (
    "SELECT j.value, (SELECT count(*) FROM (SELECT 1 FROM memory_fts WHERE memory_fts MATCH j.value LIMIT :most)) "
    "FROM json_each(:asked) AS j"
)
_COUNT_GRAMS = (
    "SELECT j.value, (SELECT count(*) FROM (SELECT 1 FROM memory_grams WHERE memory_grams MATCH j.value LIMIT :most)) "
    "FROM json_each(:asked) AS j"
)
_RANK = (
    f"SELECT v.no, v.id, -bm25(memory_fts, {', '.join(map(str, bm25.WEIGHTS.values()))}) FROM memory_fts AS f "
    f"CROSS JOIN memory_view AS v ON v.no = f.rowid >> {PART_BITS} LEFT JOIN memories AS m ON m.id = v.id "
    "WHERE memory_fts MATCH :match AND "
)
_HOLDING = (
    "SELECT v.no, v.id FROM memory_grams AS g CROSS JOIN memory_view AS v ON v.no = g.rowid "
    "LEFT JOIN memories AS m ON m.id = v.id WHERE memory_grams MATCH :match AND "
)
_LAST = "SELECT coalesce(max(no), 0) FROM memory_view"


def like(
    conn: Connection, title: Words, namespace: Namespace, visible: Clause, now: Instant, limit: int
) -> tuple[MemoryId, ...]:
    """Live memories of a namespace that share telling words with a title, the likest first.

    Words that stand in many rows (`POSTINGS_MAX_COUNT`, all words together) are left out, the most frequent first, and
    so is what no row holds; of a title of such words nothing is like. Bounded whatever the store's size.
    """
    where = live_at(now) & visible & matching(Filters(namespaces=(namespace,)))
    scores: dict[tuple[int, MemoryId], float] = defaultdict(float)
    rare = _rare(conn, _COUNT_WORDS, map(quoted, title.terms))
    if rare:
        for no, id_, score in conn.execute(_RANK + where.sql, {**where.parameters, "match": " OR ".join(rare)}):
            place = cast("int", no), MemoryId(cast("str", id_))
            scores[place] = max(cast("float", score), scores[place])  # a long text is as good as its best part
    for place, score in _by_pieces(conn, title, where):
        scores[place] += score
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0][0]))
    return tuple(id_ for (_, id_), _ in best[:limit])


def _rare(conn: Connection, count: str, expressions: Iterable[str]) -> dict[str, int]:
    """Those that together stand in few rows, the rarest first: expression -> rows."""
    asked = list(dict.fromkeys(expressions))[:ASKED_MAX_COUNT]
    known: dict[str, SqlValue] = {"asked": msgspec.json.encode(asked).decode(), "most": POSTINGS_MAX_COUNT + 1}
    found = cast("list[tuple[str, int]]", conn.execute(count, known).fetchall()) if asked else []
    rare, left = {}, POSTINGS_MAX_COUNT
    for expression, row_count in sorted(found, key=lambda pair: (pair[1], pair[0])):
        left -= row_count
        if left < 0:
            break
        if row_count:
            rare[expression] = row_count
    return rare


def _by_pieces(conn: Connection, title: Words, where: Clause) -> Iterator[tuple[tuple[int, MemoryId], float]]:
    """What shares pairs of characters of an unspaced script; rows that the task has not cut up yet have none."""
    runs = [word for word in title.odd if words.is_unspaced(word)]
    grams = (quoted(gram) + " *" * (len(gram) == 1) for word in runs for gram in words.grams_asked(word))
    rare = _rare(conn, _COUNT_GRAMS, grams) if runs else {}
    whole = cast("int", row[0]) if rare and (row := conn.execute(_LAST).fetchone()) else 0
    for expression, row_count in rare.items():
        weight = GRAM_WEIGHT * bm25.inverse_frequency(row_count, max(whole, row_count))
        for no, id_ in conn.execute(_HOLDING + where.sql, {**where.parameters, "match": expression}):
            yield (cast("int", no), MemoryId(cast("str", id_))), weight
