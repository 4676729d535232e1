"""Queries over keys of agents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, AgentKey, Instant, Role
from aimem.ports import Connection, Row

_COLUMNS: Final = "key_id, agent_id, secret_hash, role, home, author, created_at, expires_at, revoked_at"
_KEYS: Final = f"SELECT {_COLUMNS} FROM agent_keys WHERE born IS NOT NULL"
_WANTED: Final = "(:agent_id IS NULL OR agent_id = :agent_id)"
_PAGE: Final = f"{_KEYS} AND {_WANTED} ORDER BY agent_id, created_at, key_id LIMIT :limit OFFSET :offset"
_COUNT: Final = f"SELECT count(*) FROM agent_keys WHERE born IS NOT NULL AND {_WANTED}"
_ONE: Final = f"{_KEYS} AND key_id = :key_id"
_VALID: Final = "(revoked_at IS NULL OR revoked_at > :since) AND (expires_at IS NULL OR expires_at > :since)"
_SINCE: Final = f"{_KEYS} AND {_VALID}"
_VALID_OF: Final = f"{_KEYS} AND {_WANTED} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
_COUNT_VALID: Final = (
    "SELECT count(*), count(*) FILTER (WHERE agent_id = :agent_id) FROM agent_keys "
    "WHERE born IS NOT NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
)
_ANY: Final = "SELECT 1 FROM agent_keys WHERE born IS NOT NULL LIMIT 1"
_ROLES: Final = (Role.AGENT, Role.OPERATOR)


class KeyPage(Struct, frozen=True, kw_only=True):
    """Some of the keys.

    Attributes:
      unreadable_count: rows of this page that are damaged, or of a role that this version does not know: they let
        nobody in.
      total: all keys that match.
    """

    keys: tuple[AgentKey, ...]
    unreadable_count: int
    total: int


def exist(conn: Connection) -> bool:
    """Whether any key was ever made: those that ended count too."""
    return conn.execute(_ANY).fetchone() is not None


def page(conn: Connection, agent_id: AgentId | None, limit: int, offset: int) -> KeyPage:
    """Keys, of one agent or of all, by agent and age."""
    given = {"agent_id": agent_id, "limit": limit, "offset": offset}
    rows = conn.execute(_PAGE, given).fetchall()
    total = conn.execute(_COUNT, {"agent_id": agent_id}).fetchone()
    keys = tuple(_read(rows))
    return KeyPage(keys=keys, unreadable_count=len(rows) - len(keys), total=cast("int", total[0]) if total else 0)


def find(conn: Connection, key_id: str) -> AgentKey | None:
    """A key, whether it is valid or not."""
    return next(_read(conn.execute(_ONE, {"key_id": key_id})), None)


def since(conn: Connection, moment: Instant) -> tuple[AgentKey, ...]:
    """Keys that were valid after a moment."""
    return tuple(_read(conn.execute(_SINCE, {"since": moment})))


def valid_of(conn: Connection, agent_id: AgentId, now: Instant) -> tuple[AgentKey, ...]:
    """Keys that let an agent in now."""
    return tuple(_read(conn.execute(_VALID_OF, {"agent_id": agent_id, "now": now})))


def count_valid(conn: Connection, agent_id: AgentId, now: Instant) -> tuple[int, int]:
    """How many keys are valid now: in all, and of one agent."""
    row = conn.execute(_COUNT_VALID, {"agent_id": agent_id, "now": now}).fetchone()
    return (0, 0) if row is None else (cast("int", row[0]), cast("int", row[1]))


def _read(rows: Iterable[Row]) -> Iterator[AgentKey]:
    for row in rows:
        names = ("key_id", "agent_id", "secret_hash", "role", "home", "created_by", "created_at", "expires_at")
        values = dict(zip((*names, "revoked_at"), row, strict=True))
        try:
            key = msgspec.convert(values, AgentKey)
        except msgspec.ValidationError:
            continue
        if key.role in _ROLES:
            yield key
