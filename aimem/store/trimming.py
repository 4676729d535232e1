"""What leaves the op log: it is a buffer and the outbox, not the state."""

from __future__ import annotations

from typing import Final, cast

from aimem.model import StreamId, Vector
from aimem.ports import Connection
from aimem.store import outbound
from aimem.store.transaction import Transaction

KEPT_COUNT: Final = 10_000
"""The latest ops stay: somebody may read them by position."""
MOST_COUNT: Final = 1_000_000
"""Beyond so many the oldest go, whoever lacks them: that node is brought up by a snapshot."""
BATCH: Final = 1000

_ENDS = "SELECT coalesce(min(position), 0), coalesce(max(position), 0), count(*) FROM ops"
_OLDEST = "SELECT position, stream, seq FROM ops ORDER BY position LIMIT ?"
_DROP = "DELETE FROM ops WHERE position <= ?"


def trim(
    transaction: Transaction, floor: Vector, kept_count: int = KEPT_COUNT, most_count: int = MOST_COUNT
) -> int:
    """Drop the oldest ops that everybody has, a batch at most, and those beyond the bound.

    A log is cut at one place, in its order, so that it stays a gapless end of every stream. While ops are held, which
    their log entries alone know, nothing goes.

    Args:
      floor: what all peers have.
    Returns: how many went.
    """
    conn = transaction.conn
    count = cast("int", conn.execute(_ENDS).fetchone()[2])  # type: ignore[index]
    spare = count - kept_count
    if spare <= 0 or outbound.held(conn, 1).count:
        return 0
    cut, went = 0, 0
    for row in conn.execute(_OLDEST, (min(spare, BATCH),)).fetchall():
        position, stream, seq = cast("tuple[int, str, int]", row)
        if seq > floor.get(StreamId(stream), 0) and count - went <= most_count:
            break
        cut, went = position, went + 1
    if went:
        conn.execute(_DROP, (cut,))
    return went


def oldest_position(conn: Connection) -> int:
    """Where the log begins; 0 for an empty one."""
    return cast("int", conn.execute(_ENDS).fetchone()[0])  # type: ignore[index]
