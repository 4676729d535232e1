"""Which mesh this database belongs to: an id that its nodes share, learned once and then fixed.

Node-local: it is in no op and no digest. A copy of the database has it, so what is put back from one is still of its
mesh, and what is put in the place of another mesh's node is refused by all.
"""

from __future__ import annotations

from typing import Final

from aimem.errors import Code, InvalidRequest
from aimem.ports import Connection
from aimem.store.transaction import Transaction

CLUSTER_CHARS: Final = 32
_HEX: Final = frozenset("0123456789abcdef")

_LOAD = "SELECT value FROM meta WHERE name = 'cluster'"
_LEARN = "INSERT OR IGNORE INTO meta (name, value) VALUES ('cluster', ?)"
_FORGET = "DELETE FROM meta WHERE name = 'cluster'"


def is_cluster(text: str) -> bool:
    """Whether a text can be the id of a mesh: 32 lower-case hex digits."""
    return len(text) == CLUSTER_CHARS and _HEX.issuperset(text)


def load(conn: Connection) -> str:
    """The id; empty while none is known."""
    row = conn.execute(_LOAD).fetchone()
    return "" if row is None else str(row[0])


def learn(transaction: Transaction, cluster: str) -> str:
    """Take an id, where none is known. Returns: the one in force. Raises: InvalidRequest if it is none."""
    if not is_cluster(cluster):
        raise InvalidRequest(
            f"{cluster[:80]!r} is no id of a mesh; it has {CLUSTER_CHARS} lower-case hex digits",
            code=Code.SCHEMA_MISMATCH, field="cluster",
        )
    transaction.conn.execute(_LEARN, (cluster,))
    return load(transaction.conn)


def forget(transaction: Transaction) -> None:
    """Know none: the next one that is learned holds."""
    transaction.conn.execute(_FORGET)
