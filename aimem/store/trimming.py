"""What leaves the op log: it is a buffer and the outbox, not the state."""

from __future__ import annotations

from typing import Final, cast

from msgspec import Struct
from msgspec.structs import replace

from aimem.model import Instant, StreamId, Vector, after, hlc_at
from aimem.ports import Connection
from aimem.store import headproofs, heldops
from aimem.store.transaction import Transaction

BATCH: Final = 250
BATCH_BYTES: Final = 256 << 10
"""What one transaction drops at most: writes that came meanwhile wait for its end."""

DAY_S: Final = 86_400.0

KEPT_SHARE: Final = 0.005
"""Of the database: entries have as much again around them."""

_SIZE = (
    "SELECT (SELECT count(*) FROM ops WHERE position > 0), "
    "(SELECT coalesce(sum(length(data)), 0) FROM op_entries WHERE position > 0)"
)
_OLDEST = (
    "SELECT position, stream, seq, hlc, "
    "(SELECT coalesce(sum(length(data)), 0) FROM op_entries e WHERE e.position = ops.position) "
    "FROM ops WHERE position > 0 ORDER BY position LIMIT ?"
)
_DROP = "DELETE FROM ops WHERE position > 0 AND position <= ?"


class LogBounds(Struct, frozen=True, kw_only=True):
    """How much of the op log is kept.

    Attributes:
      kept_count, kept_bytes: the latest ops stay though everybody has them, as somebody may read them by position: so
        many, and of more than these bytes fewer.
      most_count, most_bytes, most_days: beyond these the oldest go, whoever lacks them: that node is brought up by a
        snapshot. Bytes are those of the ops' entries.
    """

    kept_count: int = 10_000
    kept_bytes: int = 512 << 10
    most_count: int = 1_000_000
    most_bytes: int = 1 << 30
    most_days: float = 30.0

    def fitted(self, database_bytes: int) -> LogBounds:
        """The same for a database of that size: of a larger one more is kept though everybody has it."""
        return replace(self, kept_bytes=max(self.kept_bytes, int(KEPT_SHARE * database_bytes)))

    def horizon(self, now: Instant) -> int:
        """The clock value of the oldest op that is kept."""
        return hlc_at(max(Instant(0), after(now, -self.most_days * DAY_S)))


class LogSize(Struct, frozen=True, kw_only=True):
    """What the log holds; bytes are those of the ops' entries."""

    count: int = 0
    bytes: int = 0


def log_size(conn: Connection) -> LogSize:
    """Look at the whole log: half a second for a million ops."""
    count, size_bytes = cast("tuple[int, int]", conn.execute(_SIZE).fetchone())
    return LogSize(count=count, bytes=size_bytes)


def trim(transaction: Transaction, floor: Vector, size: LogSize, bounds: LogBounds) -> LogSize:
    """Drop the oldest ops that everybody has, a batch at most, and those beyond the bounds.

    A log is cut at one place, in its order, so that it stays a gapless end of every stream. What is held is set aside,
    as nothing else knows what is in it.

    Args:
      floor: what all peers have.
      size: of the log, as of a moment ago: what was written since is dropped the next time.
    Returns: what is left; `size` if nothing went.
    """
    conn = transaction.conn
    horizon = bounds.horizon(transaction.now)
    cut, left, dropped_bytes = 0, size, 0
    for row in conn.execute(_OLDEST, (min(size.count, BATCH),)):
        position, stream, seq, hlc, size_bytes = cast("tuple[int, str, int, int, int]", row)
        is_over = left.count > bounds.kept_count or left.bytes > bounds.kept_bytes
        is_spare = is_over and seq <= floor.get(StreamId(stream), 0)
        is_beyond = left.count > bounds.most_count or left.bytes > bounds.most_bytes or hlc < horizon
        if not (is_spare or is_beyond) or dropped_bytes > BATCH_BYTES:
            break
        cut, dropped_bytes = position, dropped_bytes + size_bytes
        left = LogSize(count=left.count - 1, bytes=max(0, left.bytes - size_bytes))
    if cut:
        headproofs.keep_up_to(conn, cut)
        heldops.set_aside_up_to(conn, cut)
        conn.execute(_DROP, (cut,))
    return left
