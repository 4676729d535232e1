"""Queries over memories: one, by name, by prefix, lists, counts, and this node's own notes of access."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from aimem.model import ArchivedMemory, Candidate, Instant, Memory, MemoryId, Namespace
from aimem.ports import Connection, SqlValue
from aimem.store import rows
from aimem.store.filters import Clause, Filters, live_at, matching

LAST_CODE_POINT = "\U0010ffff"

_FROM = f"SELECT {rows.MEMORY_COLUMNS} FROM memory_view v JOIN memories m ON m.id = v.id"
_FROM_RANKED = f"SELECT {rows.MEMORY_COLUMNS} FROM memories m JOIN memory_view v ON v.id = m.id"
_ARCHIVED = f"SELECT {rows.MEMORY_COLUMNS}, m.lifecycle, m.collected FROM memory_view v JOIN memories m ON m.id = v.id"
_BY_PREFIX = "SELECT v.id FROM memory_view v JOIN memories m ON m.id = v.id WHERE v.id >= :low AND v.id < :high"
_RESOLVE = "SELECT CASE state WHEN 'shadow' THEN holder ELSE id END FROM memory_view WHERE id = :id"
_HOLDER_LIVES = (
    "EXISTS (SELECT 1 FROM memory_view h WHERE h.id = :holder AND h.state = 'live' "
    "AND (h.expires_at IS NULL OR h.expires_at > :now))"
)
_OF_NAME = (
    "SELECT v.id FROM memories m JOIN memory_view v ON v.id = m.id WHERE m.namespace = :namespace AND m.title = :title "
    "AND v.owner = :owner AND v.state IN ('live', 'shadow')"
)
_HOLDER_FIRST = " ORDER BY v.state, v.id"
_EXPIRED = (
    "SELECT v.id FROM memory_view v WHERE v.state = 'live' AND v.expires_at <= :now "
    "ORDER BY v.expires_at, v.no LIMIT :limit"
)
_COUNT_EXPIRED = "SELECT count(*) FROM memory_view v WHERE v.state = 'live' AND v.expires_at <= :now"
_TOUCH = (
    "UPDATE memory_view SET access_count = min(access_count + 1, 1000000), last_accessed_at = :now "
    "WHERE id = :id AND state = 'live' RETURNING access_count"
)
_WITH_MEMORIES = "CROSS JOIN memories m ON m.id = v.id"
# From the named rows outwards: left to itself, SQLite prefers to walk along a namespace that holds nearly all rows.
_OF_NUMBERS = "FROM json_each(:numbers) AS j CROSS JOIN memory_view v ON v.no = j.value"
_AMONG = f"SELECT v.no {_OF_NUMBERS}"
_CANDIDATES = f"SELECT {rows.CANDIDATE_COLUMNS}, v.no {_OF_NUMBERS} CROSS JOIN memories m ON m.id = v.id"
_BY_NUMBERS = f"SELECT {rows.MEMORY_COLUMNS}, v.no {_OF_NUMBERS} CROSS JOIN memories m ON m.id = v.id"
_CARRY = "UPDATE memory_view SET access_count = max(access_count, :count) WHERE id = :id"
_ORDER = " ORDER BY m.priority DESC, m.updated_at DESC, m.id"
_IS_KNOWN = (
    "SELECT EXISTS (SELECT 1 FROM memories WHERE id = :id) "
    "OR EXISTS (SELECT 1 FROM tombstones WHERE kind = 'memory' AND key = :id)"
)
_PURGEABLE = (
    "SELECT m.id, m.lifecycle, m.collected FROM memory_view v JOIN memories m ON m.id = v.id WHERE v.state = 'archived'"
)


class Position(Struct, frozen=True, kw_only=True):
    """Where a page of the list ended: the sort key of its last row."""

    priority: int
    updated_at: int
    id: str


def find(conn: Connection, memory_id: MemoryId, now: Instant, visible: Clause) -> Memory | None:
    """The live memory with this id; a shadow's id finds the memory that has the name, or itself if that is hidden."""
    resolved = conn.execute(_RESOLVE, {"id": memory_id}).fetchone()
    if resolved is None:
        return None
    where = live_at(now) & visible & Clause("v.id = :id", {"id": resolved[0]})
    row = conn.execute(f"{_FROM} WHERE {where.sql}", where.parameters).fetchone()
    if row is None and resolved[0] != memory_id:
        where = visible & _shadow_of_live(memory_id, MemoryId(str(resolved[0])), now)
        row = conn.execute(f"{_FROM} WHERE {where.sql}", where.parameters).fetchone()
    return None if row is None else rows.memory(row)


def _shadow_of_live(memory_id: MemoryId, holder: MemoryId, now: Instant) -> Clause:
    """A shadow whose name another memory has, wherever it expired neither: what its author wrote stays readable."""
    return Clause(
        f"v.id = :id AND v.state = 'shadow' AND (v.expires_at IS NULL OR v.expires_at > :now) AND {_HOLDER_LIVES}",
        {"id": memory_id, "holder": holder, "now": now},
    )


def find_archived(conn: Connection, memory_id: MemoryId, visible: Clause) -> ArchivedMemory | None:
    """The archived memory with this id."""
    where = visible & Clause("v.state = 'archived' AND v.id = :id", {"id": memory_id})
    row = conn.execute(f"{_ARCHIVED} WHERE {where.sql}", where.parameters).fetchone()
    return None if row is None else rows.archived(row)


def find_holder(conn: Connection, namespace: Namespace, title: str, owner: str, visible: Clause) -> Memory | None:
    """*The* memory of a name, even if it has expired: until it is collected it keeps the name.

    Args:
      owner: the author, for a private name; "" otherwise.
    """
    where = visible & Clause(
        "v.state = 'live' AND v.namespace = :namespace AND v.title = :title AND v.owner = :owner",
        {"namespace": namespace, "title": title, "owner": owner},
    )
    row = conn.execute(f"{_FROM} WHERE {where.sql}", where.parameters).fetchone()
    return None if row is None else rows.memory(row)


def ids_of_name(
    conn: Connection, namespace: Namespace, title: str, owner: str, visible: Clause
) -> tuple[MemoryId, ...]:
    """The live rows of a name that may be seen, its memory first: what a delete, archive or rename has to name."""
    parameters = {**visible.parameters, "namespace": namespace, "title": title, "owner": owner}
    found = conn.execute(f"{_OF_NAME} AND {visible.sql}{_HOLDER_FIRST}", parameters).fetchall()
    return tuple(MemoryId(str(row[0])) for row in found)


def ids_with_prefix(conn: Connection, prefix: str, now: Instant, visible: Clause, limit: int) -> tuple[MemoryId, ...]:
    """Ids of live memories that begin with these characters, at most `limit`."""
    where = live_at(now) & visible
    # The last code point is a noncharacter: nothing that begins with the prefix lies behind it.
    bounds: dict[str, SqlValue] = {"low": prefix, "high": prefix + LAST_CODE_POINT, "limit": limit}
    sql = f"{_BY_PREFIX} AND {where.sql} ORDER BY v.id LIMIT :limit"
    return tuple(MemoryId(str(row[0])) for row in conn.execute(sql, {**where.parameters, **bounds}))


def is_free_id(conn: Connection, memory_id: MemoryId) -> bool:
    """Whether nothing, alive or dead, has this id."""
    row = conn.execute(_IS_KNOWN, {"id": memory_id}).fetchone()
    return row is not None and row[0] == 0


def page(
    conn: Connection,
    filters: Filters,
    visible: Clause,
    now: Instant,
    *,
    limit: int,
    offset: int,
    after: Position | None,
) -> tuple[Memory, ...]:
    """Live memories by priority, then last update, the greatest first; from behind `after`, skipping `offset`."""
    where = live_at(now) & visible & matching(filters)
    if after is not None:
        where &= Clause(
            "(-m.priority, -m.updated_at, m.id) > (:after_priority, :after_updated, :after_id)",
            {"after_priority": -after.priority, "after_updated": -after.updated_at, "after_id": after.id},
        )
    sql = f"{_FROM_RANKED} WHERE {where.sql}{_ORDER} LIMIT :limit OFFSET :offset"
    found = conn.execute(sql, {**where.parameters, "limit": limit, "offset": offset})
    return tuple(rows.memory(row) for row in found)


def updated_after(conn: Connection, since: Instant | None, where: Clause, limit: int) -> tuple[Memory, ...]:
    """Memories that were changed after a moment, those that waited longest first."""
    if since is not None:
        where &= Clause("m.updated_at > :updated_after", {"updated_after": since})
    sql = f"{_FROM_RANKED} WHERE {where.sql} ORDER BY m.updated_at, m.id LIMIT :limit"
    return tuple(rows.memory(row) for row in conn.execute(sql, {**where.parameters, "limit": limit}))


def archived_page(
    conn: Connection, namespace: Namespace | None, visible: Clause, *, limit: int, offset: int
) -> tuple[ArchivedMemory, ...]:
    """Archived memories, the latest archived first."""
    where = (
        visible
        & Clause("v.state = 'archived'", {})
        & matching(Filters(namespaces=None if namespace is None else (namespace,)))
    )
    order = " ORDER BY coalesce(m.lifecycle ->> 2, m.collected ->> 2) DESC, m.id LIMIT :limit OFFSET :offset"
    found = conn.execute(
        f"{_ARCHIVED} WHERE {where.sql}{order}", {**where.parameters, "limit": limit, "offset": offset}
    )
    return tuple(rows.archived(row) for row in found)


def purgeable(conn: Connection, visible: Clause, archived_before: Instant | None, limit: int) -> tuple[MemoryId, ...]:
    """Archived ids, of all or of those put away before a moment."""
    where = visible
    if archived_before is not None:
        where &= Clause(
            "CASE m.lifecycle ->> 0 WHEN 'archived' THEN m.lifecycle ->> 2 ELSE m.collected ->> 2 END < :before",
            {"before": archived_before},
        )
    found = conn.execute(
        f"{_PURGEABLE} AND {where.sql} ORDER BY v.no LIMIT :limit", {**where.parameters, "limit": limit}
    )
    return tuple(MemoryId(str(row[0])) for row in found)


def expired_ids(conn: Connection, now: Instant, limit: int) -> tuple[MemoryId, ...]:
    """Live rows whose expiry is past, the longest expired first."""
    return tuple(MemoryId(str(row[0])) for row in conn.execute(_EXPIRED, {"now": now, "limit": limit}))


def count_expired(conn: Connection, now: Instant) -> int:
    """How many rows a collection would take."""
    row = conn.execute(_COUNT_EXPIRED, {"now": now}).fetchone()
    return cast("int", row[0]) if row else 0


def note_access(conn: Connection, memory_id: MemoryId, now: Instant) -> int:
    """Count one access of a live memory on this node. Returns: the new count, 0 if it is not live."""
    row = conn.execute(_TOUCH, {"id": memory_id, "now": now}).fetchone()
    return 0 if row is None else cast("int", row[0])


def carry_accesses(conn: Connection, memory_id: MemoryId, count: int) -> None:
    """Give a new memory the accesses that its sources had on this node."""
    conn.execute(_CARRY, {"id": memory_id, "count": count})


def by_numbers(
    conn: Connection, numbers: Sequence[int], filters: Filters, visible: Clause, now: Instant
) -> dict[int, Memory]:
    """Of these rows of the view, those that are live, visible and match: number -> memory."""
    where = live_at(now) & visible & matching(filters)
    found = conn.execute(f"{_BY_NUMBERS} WHERE {where.sql}", {**where.parameters, "numbers": _array(numbers)})
    return {cast("int", row[rows.MEMORY_WIDTH]): rows.memory(row) for row in found.fetchall()}


def candidates(
    conn: Connection, numbers: Sequence[int], filters: Filters, visible: Clause, now: Instant
) -> dict[int, Candidate]:
    """Of these rows of the view, those that are live, visible and match: number -> what ranking looks at."""
    where = live_at(now) & visible & matching(filters)
    found = conn.execute(f"{_CANDIDATES} WHERE {where.sql}", {**where.parameters, "numbers": _array(numbers)})
    return {cast("int", row[rows.CANDIDATE_WIDTH]): rows.candidate(row) for row in found.fetchall()}


def numbers_among(
    conn: Connection, numbers: Sequence[int], filters: Filters, visible: Clause, now: Instant
) -> frozenset[int]:
    """Of these numbers, those of live, visible rows that match."""
    where = live_at(now) & visible & matching(filters)
    sql = f"{_AMONG} {'' if where.is_of_view else _WITH_MEMORIES} WHERE {where.sql}"
    found = conn.execute(sql, {**where.parameters, "numbers": _array(numbers)}).fetchall()
    return frozenset(cast("int", row[0]) for row in found)


def _array(numbers: Sequence[int]) -> str:
    return msgspec.json.encode(numbers).decode()
