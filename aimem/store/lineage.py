"""Which streams one node wrote one after the other, as far as their keys show it.

What an opening op only says counts for nothing: a member could name another node's stream, and with it what that one
decides on. So the stream before has to have signed for the key of the one after it; that follows from the op alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from aimem.model import PREDECESSOR_MAX_CHARS, StreamId, read_predecessor, stream_id
from aimem.ports import Connection, is_signed

LINE_MAX: Final = 4_096
"""As many streams as a node knows."""
_KEY_CHARS: Final = 64

_FACTS: Final = "SELECT predecessor, public_key FROM stream_facts WHERE stream = ? AND born IS NOT NULL"


def line_of(conn: Connection, stream: StreamId) -> tuple[StreamId, ...]:
    """A stream and those that came before it on the same node, the latest first."""
    line = [stream]
    while len(line) < LINE_MAX:
        before = _predecessor(conn, line[-1])
        if before is None or before in line:
            break
        line.append(before)
    return tuple(line)


def _predecessor(conn: Connection, stream: StreamId) -> StreamId | None:
    row = conn.execute(_FACTS, (stream,)).fetchone()
    said, key = (None, None) if row is None else row
    if said is None or key is None or len(str(said)) > PREDECESSOR_MAX_CHARS or len(str(key)) != _KEY_CHARS:
        return None
    return _shown(str(said), str(key), stream)


@lru_cache(maxsize=LINE_MAX)
def _shown(said: str, key: str, stream: StreamId) -> StreamId | None:
    """The stream before, remembered: it is asked for with every vote, and a signature takes a while."""
    try:
        own = bytes.fromhex(key)
    except ValueError:
        return None
    return read_predecessor(said, own, is_signed) if stream_id(own) == stream else None
