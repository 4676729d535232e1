"""Queries for forgetting: the live memories that some words and filters name, and those that one forget put away."""

from __future__ import annotations

import unicodedata
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import ArchivedMemory, Instant, MemoryId, Namespace, Words
from aimem.ports import Connection
from aimem.store import grams, rows
from aimem.store.expressions import any_of, own
from aimem.store.filters import Clause, Filters, live_at, matching
from aimem.store.parts import PART_BITS

ORDINARY: Final = Clause("v.namespace <> '*' AND substr(v.namespace, 1, 1) <> '_'", {})
"""Rows outside of the system's namespaces."""

PIECES_MAX_COUNT: Final = 20_000
"""Rows that may hold one odd word, at most; each is read."""

_NAMED = "SELECT v.id, v.namespace, v.title, v.owner, m.tier FROM memory_view v JOIN memories m ON m.id = v.id"
_COUNT = "SELECT count(*) FROM memory_view v JOIN memories m ON m.id = v.id"
_HOLD_WORDS = f"v.no IN (SELECT f.rowid >> {PART_BITS} FROM memory_fts AS f WHERE f.memory_fts MATCH :match)"
_HOLD_PIECES = "v.no IN (SELECT value FROM json_each(:pieces))"
_TEXTS = (
    "SELECT v.no, m.title, m.content, m.tags FROM json_each(:numbers) AS n CROSS JOIN memory_view v ON v.no = n.value "
    "JOIN memories m ON m.id = v.id"
)
_ARCHIVED_FOR = (
    f"SELECT {rows.MEMORY_COLUMNS}, m.lifecycle, m.collected FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE v.state = 'archived' AND m.lifecycle ->> 1 = :reason"
)


class Named(Struct, frozen=True, kw_only=True):
    """A memory by its name; `owner` is the author if the name is private to it, else empty."""

    id: MemoryId
    namespace: Namespace
    title: str
    owner: str
    tier: str


def holding_any(conn: Connection, words: Words) -> Clause:
    """Rows that hold at least one of these words in their own texts. An odd word has to stand there as it is."""
    pieces = sorted({no for word in words.odd for no in _holding(conn, word)})
    parts = [_HOLD_PIECES] if words.odd else []
    parts += [_HOLD_WORDS] if words.even else []
    return Clause(
        f"({' OR '.join(parts) or '0'})",
        {"match": own(any_of(words.even)), "pieces": msgspec.json.encode(pieces).decode()},
    )


def _holding(conn: Connection, word: str) -> list[int]:
    numbers = grams.holding_all(conn, [word], PIECES_MAX_COUNT)
    found = conn.execute(_TEXTS, {"numbers": msgspec.json.encode(numbers).decode()})
    return [cast("int", no) for no, *texts in found if any(word in _folded(cast("str", text)) for text in texts)]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def to_forget(
    conn: Connection, filters: Filters, words: Words | None, visible: Clause, now: Instant, limit: int
) -> tuple[int, tuple[Named, ...]]:
    """Live memories that match, those of the system's namespaces left out.

    Args:
      words: of which one has to occur; None for no such condition.
    Returns: how many there are, and the first `limit` of them, those first that came here first.
    """
    where = live_at(now) & visible & matching(filters) & ORDINARY
    if words is not None:
        where &= holding_any(conn, words)
    count = conn.execute(f"{_COUNT} WHERE {where.sql}", where.parameters).fetchone()
    found = conn.execute(f"{_NAMED} WHERE {where.sql} ORDER BY v.no LIMIT :limit", {**where.parameters, "limit": limit})
    named = tuple(
        Named(
            id=MemoryId(str(row[0])), namespace=Namespace(str(row[1])), title=str(row[2]), owner=str(row[3]),
            tier=str(row[4]),
        )
        for row in found
    )
    return cast("int", count[0]) if count else 0, named


def archived_for(conn: Connection, reason: str, visible: Clause, limit: int) -> tuple[ArchivedMemory, ...]:
    """Archived memories that were put away with exactly this reason, oldest first."""
    found = conn.execute(
        f"{_ARCHIVED_FOR} AND {visible.sql} ORDER BY v.no LIMIT :limit",
        {**visible.parameters, "reason": reason, "limit": limit},
    )
    return tuple(rows.archived(row) for row in found)
