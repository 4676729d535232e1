"""The audit: who did what on this node, and what was refused. Rows are only ever added, each bound to the one before.

A row's hash is SHA-256 over the hash before it and the row's columns as one JSON array (ai-memory-audit(1) says how, so
that anybody can compute it). Old rows go only behind a checkpoint that this node signs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Instant
from aimem.ports import Connection, Row

GENESIS: Final = bytes(32)
"""What the first row's hash is bound to."""

ALLOWED: Final = "allowed"
DENIED: Final = "denied"
ASKED: Final = "asked"
"""Decisions."""

ROW_FORMAT: Final = "aimem.audit.1"
_COLUMNS: Final = "at, agent_id, credential, action, decision, namespace, target, rule, version, count, detail"
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_LAST_CHECKPOINT = "SELECT seq, hash FROM audit_checkpoints ORDER BY seq DESC LIMIT 1"
# Not the last row's: where the last rows were taken away, the gap must stay to be seen.
_COUNTED = "SELECT seq FROM sqlite_sequence WHERE name = 'audit'"
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
    found = conn.execute(_LAST).fetchone() or conn.execute(_LAST_CHECKPOINT).fetchone()
    last = Mark(0, GENESIS) if found is None else mark_of(found)
    counted = conn.execute(_COUNTED).fetchone()
    return last if counted is None else Mark(max(last.seq, cast("int", counted[0])), last.hash)


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
