"""Queries over what links say at a time: the present validity of each, and its earlier ones.

A row shows if, and only if, both ends of its link do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Instant, MemoryId, Namespace, Relation
from aimem.ports import Connection, Row, SqlValue
from aimem.store.filters import Clause
from aimem.store.linkage import both_ends

# Another version may have written into `past` what we cannot read: whatever is no list of two moments is passed over.
_SPANS: Final = (
    "SELECT l.source_id, l.target_id, l.relation, l.created_at, l.valid_from, l.valid_until, l.observed_by, "
    "l.ended ->> 0 AS ended_by, l.ended ->> 1 AS reason, 1 AS is_current "
    "FROM json_each(:ids) AS asked CROSS JOIN links l ON l.source_id = asked.value "
    "WHERE l.present = 1 AND l.born IS NOT NULL UNION ALL "
    "SELECT l.source_id, l.target_id, l.relation, l.created_at, p.value ->> 0, p.value ->> 1, p.value ->> 2, "
    "p.value ->> 3, p.value ->> 4, 0 "
    "FROM json_each(:ids) AS asked CROSS JOIN links l ON l.source_id = asked.value "
    "CROSS JOIN json_each(CASE WHEN json_valid(l.past) THEN l.past ELSE '[]' END) AS p "
    "WHERE l.present = 1 AND l.born IS NOT NULL AND l.past IS NOT NULL AND CASE p.type WHEN 'array' "
    "THEN typeof(p.value ->> 0) = 'integer' AND typeof(p.value ->> 1) = 'integer' ELSE 0 END"
)
_SHOWN: Final = (
    "SELECT l.source_id, l.target_id, l.relation, l.valid_from, l.valid_until, l.observed_by, l.ended_by, l.reason, "
    f"l.is_current, mt.title, mt.namespace FROM ({_SPANS}) AS l "
    "CROSS JOIN memory_view vs ON vs.id = l.source_id CROSS JOIN memory_view vt ON vt.id = l.target_id "
    "CROSS JOIN memories ms ON ms.id = vs.id CROSS JOIN memories mt ON mt.id = vt.id WHERE "
)
_ORDER: Final = (
    " ORDER BY l.valid_from, l.created_at, l.source_id, l.target_id, l.relation, l.is_current LIMIT :limit"
)


class Span(Struct, frozen=True, kw_only=True):
    """One validity of one link, with what its target is called.

    Attributes:
      is_current: false for an earlier validity of a link that was stated anew.
    """

    source_id: MemoryId
    target_id: MemoryId
    relation: Relation
    valid_from: Instant
    valid_until: Instant | None
    observed_by: AgentId | None
    ended_by: AgentId | None
    reason: str | None
    is_current: bool
    title: str
    namespace: Namespace


def began_between(since: Instant | None, until: Instant | None) -> Clause:
    """Validities that began in a time, both bounds inclusive."""
    where = Clause("1", {})
    if since is not None:
        where &= Clause("l.valid_from >= :since", {"since": since})
    if until is not None:
        where &= Clause("l.valid_from <= :until", {"until": until})
    return where


def holding_at(moment: Instant) -> Clause:
    """Validities that hold at a moment."""
    return Clause("l.valid_from <= :at AND (l.valid_until IS NULL OR l.valid_until > :at)", {"at": moment})


def standing() -> Clause:
    """Of each link that was not taken back the last validity, ended or not."""
    return Clause("l.is_current = 1", {})


def stated_by(agents: Sequence[AgentId]) -> Clause:
    """Validities that one of these agents stated."""
    return Clause(
        "l.observed_by IN (SELECT value FROM json_each(:agents))", {"agents": msgspec.json.encode(agents).decode()}
    )


def spans_from(
    conn: Connection, ids: Sequence[MemoryId], where: Clause, now: Instant, visible: Clause, limit: int
) -> tuple[Span, ...]:
    """Validities of links that begin at one of these memories, the earliest first, at most `limit`."""
    condition = where & both_ends(now, visible)
    asked: dict[str, SqlValue] = {"ids": msgspec.json.encode(list(ids)).decode(), "limit": limit}
    found = conn.execute(f"{_SHOWN}{condition.sql}{_ORDER}", {**condition.parameters, **asked})
    return tuple(_span(row) for row in found)


def _span(row: Row) -> Span:
    return Span(
        source_id=MemoryId(cast("str", row[0])),
        target_id=MemoryId(cast("str", row[1])),
        relation=Relation(cast("str", row[2])),
        valid_from=Instant(cast("int", row[3])),
        valid_until=None if row[4] is None else Instant(cast("int", row[4])),
        observed_by=None if row[5] is None else AgentId(str(row[5])),
        ended_by=AgentId(str(row[6])) if row[6] else None,
        reason=str(row[7]) if row[7] else None,
        is_current=bool(row[8]),
        title=cast("str", row[9]),
        namespace=Namespace(cast("str", row[10])),
    )
