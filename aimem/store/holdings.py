"""How much of the store is one agent's."""

from __future__ import annotations

from typing import cast

from aimem.model import AgentId, Instant
from aimem.ports import Connection
from aimem.store.filters import UNRESERVED, live_at

_HELD = (
    "SELECT count(*), coalesce(sum(octet_length(m.content)), 0) FROM memories m JOIN memory_view v ON v.id = m.id "
    "WHERE m.author = :author AND {where}"
)


def held_by(conn: Connection, author: AgentId, now: Instant) -> tuple[int, int]:
    """Live memories of an author outside the program's own namespaces (messages lie there), and their content's bytes.

    As many steps as the author has rows.
    """
    where = live_at(now) & UNRESERVED
    row = conn.execute(_HELD.format(where=where.sql), {**where.parameters, "author": author}).fetchone()
    return cast("tuple[int, int]", row) if row else (0, 0)
