"""Which mesh this database belongs to: an id that its nodes share, learned once and then fixed.

Node-local: it is in no op and no digest. A copy of the database has it, so what is put back from one is still of its
mesh, and what is put in the place of another mesh's node is refused by all.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.errors import Code, InvalidRequest
from aimem.ports import Connection
from aimem.store.transaction import Transaction

CLUSTER_BYTES: Final = 16
_CHARS: Final = 2 * CLUSTER_BYTES
_HEX: Final = frozenset("0123456789abcdef")

_LOAD = "SELECT value FROM meta WHERE name = ?"
_LEARN = "INSERT OR IGNORE INTO meta (name, value) VALUES ('cluster', ?)"
_PROPOSE = (
    "INSERT INTO meta (name, value) VALUES ('cluster_proposed', ?) "
    "ON CONFLICT (name) DO UPDATE SET value = min(value, excluded.value)"
)
_FORGET = "DELETE FROM meta WHERE name IN ('cluster', 'cluster_proposed')"
_FORGET_PROPOSED = "DELETE FROM meta WHERE name = 'cluster_proposed'"


class Belonging(Struct, frozen=True, kw_only=True):
    """What is known of the id; both are 32 hex digits, or empty.

    Attributes:
      cluster: the id.
      proposed: while there is none, what it is to be as soon as all members say so; kept across restarts, and replaced
        by lesser ones alone.
    """

    cluster: str = ""
    proposed: str = ""


def check_cluster(text: str) -> None:
    """See that a text can be the id of a mesh. Raises: InvalidRequest(schema_mismatch)."""
    if len(text) != _CHARS or not _HEX.issuperset(text):
        raise InvalidRequest(
            f"{text[:80]!r} is no id of a mesh; it has {_CHARS} lower-case hex digits", code=Code.SCHEMA_MISMATCH,
            field="cluster",
        )


def load(conn: Connection) -> Belonging:
    """What is known."""
    found = [conn.execute(_LOAD, (name,)).fetchone() for name in ("cluster", "cluster_proposed")]
    cluster, proposed = ("" if row is None else str(row[0]) for row in found)
    return Belonging(cluster=cluster, proposed=proposed)


def learn(transaction: Transaction, cluster: str) -> Belonging:
    """Take an id, where none is known. Returns: what is known then. Raises: InvalidRequest if it is none."""
    check_cluster(cluster)
    transaction.conn.execute(_LEARN, (cluster,))
    transaction.conn.execute(_FORGET_PROPOSED)
    return load(transaction.conn)


def settle(transaction: Transaction, proposed: str) -> Belonging:
    """Have the id be what was proposed, if that still is. Returns: what is known then."""
    if load(transaction.conn) == Belonging(proposed=proposed):
        learn(transaction, proposed)
    return load(transaction.conn)


def propose(transaction: Transaction, proposed: str) -> Belonging:
    """Take what an id is to be, where none is known and nothing lesser is proposed.

    Returns: what is known then. Raises: InvalidRequest if it is none.
    """
    check_cluster(proposed)
    if not load(transaction.conn).cluster:
        transaction.conn.execute(_PROPOSE, (proposed,))
    return load(transaction.conn)


def forget(transaction: Transaction) -> Belonging:
    """Know nothing: the next id that is learned holds."""
    transaction.conn.execute(_FORGET)
    return load(transaction.conn)
