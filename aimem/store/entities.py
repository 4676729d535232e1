"""Queries over entities: memories whose `metadata.kind` is `entity`, and the other names that they have."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from aimem.model import Instant, Memory, Namespace, Scope
from aimem.ports import Connection
from aimem.store import memories, rows
from aimem.store.filters import Clause, Filters, live_at, matching

_IS_ENTITY: Final = "m.metadata ->> 'kind' = 'entity'"
_ALIASES_OF: Final = (
    "SELECT alias, min(ordinal) FROM json_each(:ids) AS asked CROSS JOIN aliases a ON a.entity_id = asked.value "
    "WHERE a.present = 1 AND a.born IS NOT NULL GROUP BY alias ORDER BY 2, 1"
)
_BY_ALIAS: Final = (
    f"SELECT {rows.MEMORY_COLUMNS} FROM aliases a JOIN memory_view s ON s.id = a.entity_id "
    "JOIN memory_view v ON v.id = CASE s.state WHEN 'shadow' THEN s.holder ELSE s.id END "
    "JOIN memories m ON m.id = v.id "
    f"WHERE a.alias = :name AND a.present = 1 AND a.born IS NOT NULL AND {_IS_ENTITY} AND "
)
# A title is found by its namespace only, so each namespace is asked: they are few, and each costs one step in an index.
_BY_NAME: Final = (
    "WITH RECURSIVE spaces (name) AS (SELECT min(namespace) FROM memory_view WHERE state = 'live' UNION ALL SELECT "
    "(SELECT min(s.namespace) FROM memory_view s WHERE s.state = 'live' AND s.namespace > spaces.name) FROM spaces "
    f"WHERE spaces.name IS NOT NULL) SELECT {rows.MEMORY_COLUMNS} FROM spaces CROSS JOIN memory_view v "
    "ON v.namespace = spaces.name AND v.title = :name CROSS JOIN memories m ON m.id = v.id "
    f"WHERE {_IS_ENTITY} AND "
)
_NEWEST: Final = " ORDER BY m.created_at DESC, m.id DESC LIMIT 1"


def aliases_of(conn: Connection, entity: Memory, visible: Clause) -> dict[str, int]:
    """The aliases of an entity with their ordinals, in the order in which they came.

    Two nodes may have made it at one time: those of its shadows, as far as they may be seen, are its own.
    """
    owner = entity.author if entity.scope is Scope.PRIVATE else ""
    ids = {entity.id, *memories.ids_of_name(conn, entity.namespace, entity.title, owner, visible)}
    found = conn.execute(_ALIASES_OF, {"ids": msgspec.json.encode(sorted(ids)).decode()})
    return {str(row[0]): cast("int", row[1]) for row in found}


def find_by_alias(
    conn: Connection, name: str, namespace: Namespace | None, now: Instant, visible: Clause
) -> Memory | None:
    """The newest entity that has this alias, else the newest with this title."""
    where = live_at(now) & visible & matching(Filters(namespaces=None if namespace is None else (namespace,)))
    for query in (_BY_ALIAS, _BY_NAME):
        row = conn.execute(f"{query}{where.sql}{_NEWEST}", {**where.parameters, "name": name}).fetchone()
        if row is not None:
            return rows.memory(row)
    return None
