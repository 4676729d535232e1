"""The audit: who did what on this node, and what was refused. Rows are only ever added, each bound to the one before.

A row's hash is SHA-256 over the hash before it and the row's columns as one JSON array (ai-memory-audit(1) says how, so
that anybody can compute it). Old rows go only behind a checkpoint that this node signs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, cast  # Any: columns of a row, which its table types

import msgspec
from msgspec import Struct

from aimem.model import Instant
from aimem.ports import Connection, Row, SqlValue

GENESIS: Final = bytes(32)
"""What the first row's hash is bound to."""

ALLOWED: Final = "allowed"
DENIED: Final = "denied"
ASKED: Final = "asked"
"""Decisions."""

ROW_FORMAT: Final = "aimem.audit.1"
_COLUMNS: Final = "at, agent_id, credential, action, decision, namespace, target, rule, version, count, detail"
# With the last number ever given, not only the last row: where the last rows were taken away, the gap must stay to be
# seen.
_LAST = (
    "SELECT seq, hash, (SELECT seq FROM sqlite_sequence WHERE name = 'audit') FROM audit ORDER BY seq DESC LIMIT 1"
)
_LAST_CHECKPOINT = "SELECT seq, hash FROM audit_checkpoints ORDER BY seq DESC LIMIT 1"
_COUNTED = "SELECT seq FROM sqlite_sequence WHERE name = 'audit'"
_ENTRY: Final = f"seq, hash, {_COLUMNS}"
_PAGE = f"SELECT {_ENTRY} FROM audit WHERE {{where}} ORDER BY seq DESC LIMIT :limit"
_AFTER = f"SELECT {_ENTRY} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
_HASH_AT = "SELECT hash FROM audit WHERE seq = ?"
_CONDITIONS: Final = {
    "agent_id": "agent_id = :agent_id",
    "action": "action = :action",
    "decision": "decision = :decision",
    # Below it: from "path/" up to but not including "path0", the character after the slash.
    "namespace": "(namespace = :namespace OR (namespace >= :namespace || '/' AND namespace < :namespace || '0'))",
    "since": "at >= :since",
    "until": "at <= :until",
    "before": "seq < :before",
}
_INSERT = f"INSERT INTO audit (seq, {_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class AuditRow(Struct, frozen=True, kw_only=True):
    """One thing that happened, or so many alike. Never memory text, keys or secrets.

    Attributes:
      at: when; of several alike, the first.
      agent_id: who, or who it said it was.
      credential: how it got in (model.Credential).
      action: what it did or wanted: an op's label, or what a door refused.
      decision: allowed, denied or asked.
      namespace, target: where and to what (an id), as far as there is one.
      rule: what decided, as `NAMESPACE: VERB=LEVEL` or a name.
      version: of the last op that was written (`stream:seq`).
      count: how many alike this row stands for.
      detail: further words.
    """

    at: Instant
    agent_id: str
    credential: str
    action: str
    decision: str
    namespace: str | None = None
    target: str | None = None
    rule: str | None = None
    version: str | None = None
    count: int = 1
    detail: str | None = None


class Mark(Struct, frozen=True):
    """A place in the chain: the row that was last there, and its hash."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


def append(conn: Connection, rows: Sequence[AuditRow]) -> Mark | None:
    """Add rows at the end of the chain. The end is read here, so that a job that is rolled back leaves it whole.

    Returns: the new end; None if there was nothing to add.
    """
    if not rows:
        return None
    end = head(conn)
    for row in rows:
        end = Mark(end.seq + 1, row_hash(end.hash, end.seq + 1, row))
        conn.execute(_INSERT, (end.seq, *columns(row), end.hash))
    return end


def head(conn: Connection) -> Mark:
    """The end of the chain: the number of the last row that was ever added, and the hash that the next is bound to."""
    row = conn.execute(_LAST).fetchone()
    if row is not None:
        seq, hashed, given = cast("tuple[int, bytes, int | None]", row)
        return Mark(max(seq, given or 0), hashed)
    cut = conn.execute(_LAST_CHECKPOINT).fetchone()
    last = Mark(0, GENESIS) if cut is None else mark_of(cut)
    return Mark(max(last.seq, counted(conn)), last.hash)


class AuditFilters(Struct, frozen=True, kw_only=True):
    """What a reader narrows the audit to; None means no condition.

    Attributes:
      namespace: this one, and what lies below it.
      since, until: bounds of `at`, inclusive.
      before: only rows with a smaller number.
    """

    agent_id: str | None = None
    action: str | None = None
    decision: str | None = None
    namespace: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    before: int | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """A row where it stands in the chain."""

    mark: Mark
    row: AuditRow


def page(conn: Connection, filters: AuditFilters, limit: int) -> tuple[Entry, ...]:
    """Rows that fit, the latest first."""
    asked = [name for name in _CONDITIONS if getattr(filters, name) is not None]
    where = " AND ".join(("1", *(_CONDITIONS[name] for name in asked)))
    values: dict[str, SqlValue] = {name: getattr(filters, name) for name in asked}
    found = conn.execute(_PAGE.format(where=where), {**values, "limit": limit})
    return tuple(entry_of(row) for row in found)


def after(conn: Connection, seq: int, limit: int) -> tuple[Entry, ...]:
    """The rows behind a number, the first first."""
    return tuple(entry_of(row) for row in conn.execute(_AFTER, (seq, limit)))


def hash_at(conn: Connection, seq: int) -> bytes | None:
    """The hash of a row; None if it is not there."""
    row = conn.execute(_HASH_AT, (seq,)).fetchone()
    return None if row is None else cast("bytes", row[0])


def counted(conn: Connection) -> int:
    """The number of the last row that was ever added."""
    row = conn.execute(_COUNTED).fetchone()
    return 0 if row is None else cast("int", row[0])


def row_hash(previous: bytes, seq: int, row: AuditRow) -> bytes:
    """What binds a row to its number and to all rows before it. 32 bytes."""
    return hashlib.sha256(previous + msgspec.json.encode([ROW_FORMAT, seq, *columns(row)])).digest()


def columns(row: AuditRow) -> tuple[str | int | None, ...]:
    """A row's values in the order of its hash and of its table."""
    return (
        row.at, row.agent_id, row.credential, row.action, row.decision, row.namespace, row.target, row.rule,
        row.version, row.count, row.detail,
    )


def mark_of(row: Row) -> Mark:
    """A mark from (seq, hash)."""
    return Mark(cast("int", row[0]), cast("bytes", row[1]))


def entry_of(row: Row) -> Entry:
    """An entry from seq, hash and the columns of a row."""
    at, agent_id, credential, action, decision, *some, count, detail = cast("tuple[Any, ...]", row[2:])
    namespace, target, rule, version = some
    return Entry(
        mark=mark_of(row),
        row=AuditRow(
            at=Instant(at), agent_id=agent_id, credential=credential, action=action, decision=decision,
            namespace=namespace, target=target, rule=rule, version=version, count=count, detail=detail,
        ),
    )
