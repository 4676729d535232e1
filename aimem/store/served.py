"""The W that a daemon served this database with last, for whoever opens it without one.

Node-local: it is in no op and no digest. A copy of the database has it.
"""

from __future__ import annotations

from typing import Final

from aimem.ports import Connection
from aimem.store.transaction import Transaction

ALONE: Final = 1

_LOAD = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'served_writes'"
_NOTE = (
    "INSERT INTO meta (name, value) VALUES ('served_writes', CAST(? AS TEXT)) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_FORGET = "DELETE FROM meta WHERE name = 'served_writes'"


def served_writes(conn: Connection) -> int:
    """So many nodes had to have a write; 1 where none ever served it with more."""
    row = conn.execute(_LOAD).fetchone()
    return ALONE if row is None else int(row[0] or ALONE)


def note_served(transaction: Transaction, writes: int) -> None:
    """Have that be so many from now on."""
    if writes > ALONE:
        transaction.conn.execute(_NOTE, (writes,))
    else:
        transaction.conn.execute(_FORGET)
