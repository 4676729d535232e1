"""Streams of which two histories were written: closed here, and whose rows were joined since.

Nobody takes ops of such a stream any more, so nodes that had different ones join each other's rows instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from aimem.model import Evidence, StreamId
from aimem.ports import Connection
from aimem.store import headproofs, inbound
from aimem.store.transaction import Transaction

JOINED_MAX: Final = 64
"""Nodes that are remembered for one stream; beyond them rows are joined once more than needed."""

_CLOSE = "INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)"
_JOINED = "SELECT value FROM meta WHERE name = ?"
_NOTE_JOINED = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

Shown = Mapping[StreamId, Evidence]
"""Closed stream -> what shows it to others; nothing for those that were closed before there was evidence."""

Closed = Mapping[StreamId, frozenset[StreamId]]
"""Closed stream -> the nodes, by the streams that they write, whose rows were joined since they knew it closed."""


def load(conn: Connection) -> Closed:
    """All closed streams."""
    return {stream: _joined(conn, stream) for stream in inbound.closed_streams(conn)}


def close(transaction: Transaction, streams: Iterable[StreamId], evidence: Shown, reason: str) -> None:
    """Take no more ops of these, and keep what shows others why."""
    for stream in streams:
        transaction.conn.execute(_CLOSE, (f"closed:{stream}", reason))
    headproofs.keep_evidence(transaction.conn, evidence)


def note_joined(transaction: Transaction, joined: Closed) -> Closed:
    """Remember whose rows were joined. Returns: for the same streams all that is remembered now."""
    noted = {}
    for stream, nodes in joined.items():
        known = sorted(_joined(transaction.conn, stream) - nodes)
        kept = [*known[:max(0, JOINED_MAX - len(nodes))], *sorted(nodes)][:JOINED_MAX]
        transaction.conn.execute(_NOTE_JOINED, (f"joined:{stream}", msgspec.json.encode(kept).decode()))
        noted[stream] = frozenset(kept)
    return noted


def _joined(conn: Connection, stream: StreamId) -> frozenset[StreamId]:
    row = conn.execute(_JOINED, (f"joined:{stream}",)).fetchone()
    return frozenset() if row is None else frozenset(msgspec.json.decode(str(row[0]), type=list[StreamId]))
