"""How few rows a reader's conditions leave, and which: by the indexes alone, without a look at the rows.

A namespace, a time and a tag have indexes. Other conditions (tier, author, visibility) have none: of those nobody knows
how much they leave before each row was looked at, which no query over many rows can afford.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Instant, words
from aimem.ports import Connection, SqlValue
from aimem.store import scratch
from aimem.store.expressions import quoted
from aimem.store.filters import Clause, Filters, matching
from aimem.store.parts import PART_BITS

NARROW_MAX_COUNT: Final = 20_000
"""So many rows are put into a set, or named to the index of vectors; of more, candidates are tried one by one."""

EARLIEST: Final = -(2**62)
LATEST: Final = 2**62

_OF_SPACES = (
    "SELECT s.no FROM memory_view AS s WHERE s.state = 'live' AND s.namespace IN (SELECT value FROM json_each(:spaces))"
)
_OF_TIME = (
    "SELECT s.no FROM memory_view AS s WHERE s.state = 'live' AND s.created_at >= :earliest AND s.created_at <= :latest"
)
_OF_TAG = f"SELECT t.rowid >> {PART_BITS} AS no FROM memory_fts AS t WHERE t.memory_fts MATCH :tagged"
_COUNT_OF = "SELECT count(*) FROM ({subset} LIMIT :limit)"

# The few rows that have expired have an index of their own: so the namespaces' alone serves all that these ask for.
_LIVE = (
    "v.state = 'live' AND v.no NOT IN "
    "(SELECT e.no FROM memory_view AS e WHERE e.state = 'live' AND e.expires_at <= :now)"
)
_NAMED = "SELECT v.no FROM memory_view AS v WHERE {where}"
_NAMED_AMONG = "SELECT v.no FROM ({subset}) AS s CROSS JOIN memory_view AS v ON v.no = s.no {join} WHERE {where}"
_WITH_MEMORIES = "CROSS JOIN memories AS m ON m.id = v.id"


class Narrowed(Struct, frozen=True, kw_only=True):
    """The condition that leaves least.

    Attributes:
      subset: a query for the numbers (`no`) of the only rows that can fulfil all conditions.
      size: how many these are.
    """

    subset: Clause
    size: int


def narrowest(conn: Connection, filters: Filters, limit: int = NARROW_MAX_COUNT) -> Narrowed | None:
    """The condition that leaves the fewest rows; None if each leaves more than the limit, or has no index."""
    best: Narrowed | None = None
    for subset in _subsets(conn, filters):
        known: Mapping[str, SqlValue] = {**subset.parameters, "limit": limit + 1}
        row = conn.execute(_COUNT_OF.format(subset=subset.sql), known).fetchone()
        size = cast("int", row[0]) if row else 0
        if size <= limit:
            best, limit = Narrowed(subset=subset, size=size), size
    return best


def _subsets(conn: Connection, filters: Filters) -> Iterator[Clause]:
    if filters.namespaces is not None:
        yield Clause(_OF_SPACES, {"spaces": msgspec.json.encode(filters.namespaces).decode()})
    if filters.since is not None or filters.until is not None:
        earliest = EARLIEST if filters.since is None else filters.since
        latest = LATEST if filters.until is None else filters.until
        yield Clause(_OF_TIME, {"earliest": earliest, "latest": latest})
    if filters.tag is not None:
        tag = words.spaced(filters.tag)
        # A tag of signs alone has no token: no row could be told from another by it.
        if scratch.tokens_of(conn, [tag]) != [()]:
            yield Clause(_OF_TAG, {"tagged": f"tags : {quoted(tag)}"})


def named(
    conn: Connection, filters: Filters, visible: Clause, now: Instant, limit: int = NARROW_MAX_COUNT
) -> frozenset[int] | None:
    """Numbers of all live, visible rows that match; None unless an index says that these are at most `limit`."""
    found = narrowest(conn, filters, limit)
    if found is None:
        return None
    where = Clause(_LIVE, {"now": now}) & visible & matching(filters)
    if where.is_of_view and filters == Filters(namespaces=filters.namespaces):
        sql = _NAMED.format(where=where.sql)
    else:
        join = "" if where.is_of_view else _WITH_MEMORIES
        sql = _NAMED_AMONG.format(subset=found.subset.sql, join=join, where=where.sql)
    rows = conn.execute(sql, {**found.subset.parameters, **where.parameters}).fetchall()
    return frozenset(cast("int", row[0]) for row in rows)
