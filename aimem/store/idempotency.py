"""Answers that were given under an `Idempotency-Key`, so that a retry is answered, not repeated.

The answer to a bulk store of a thousand memories has 100 KiB, of which packing leaves a quarter.
"""

from __future__ import annotations

import zlib
from typing import Final, cast

from msgspec import Struct

from aimem.model import Instant
from aimem.ports import Connection
from aimem.store.transaction import Transaction

_FIND = "SELECT request_hash, answer, stream || ':' || seq FROM idempotency WHERE scope = ? AND key = ?"
_NOTE = "INSERT INTO idempotency (scope, key, request_hash, stream, seq, answer, noted_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
_DROP = (
    "DELETE FROM idempotency WHERE (scope, key) IN "
    "(SELECT scope, key FROM idempotency WHERE noted_at < :before ORDER BY noted_at LIMIT :limit)"
)

PACKED_FROM_BYTES: Final = 1024
_PACKED: Final = b"x"      # how zlib begins; an answer as it is begins as JSON does


class Answered(Struct, frozen=True, kw_only=True):
    """An earlier answer: for which request, what, and the version that it wrote (if any)."""

    request_hash: bytes
    answer: bytes
    version: str | None


def find(conn: Connection, scope: str, key: str) -> Answered | None:
    """The answer given under this key."""
    row = conn.execute(_FIND, (scope, key)).fetchone()
    if row is None:
        return None
    return Answered(
        request_hash=cast("bytes", row[0]), answer=_unpacked(cast("bytes", row[1])), version=cast("str | None", row[2])
    )


def note(transaction: Transaction, scope: str, key: str, request_hash: bytes, answer: bytes) -> None:
    """Keep the answer of this transaction, with the dot of its last op."""
    dot = transaction.dots[-1] if transaction.dots else None
    transaction.conn.execute(
        _NOTE,
        (
            scope,
            key,
            request_hash,
            None if dot is None else dot.stream,
            None if dot is None else dot.seq,
            zlib.compress(answer, 1) if len(answer) >= PACKED_FROM_BYTES else answer,
            transaction.now,
        ),
    )


def _unpacked(kept: bytes) -> bytes:
    return zlib.decompress(kept) if kept[:1] == _PACKED else kept


def drop_older(transaction: Transaction, before: Instant, limit: int) -> int:
    """Forget answers noted before a moment, at most `limit`. Returns: how many."""
    return transaction.conn.execute(_DROP, {"before": before, "limit": limit}).rowcount
