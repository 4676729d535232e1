"""Databases that have the number of a schema and an early form of it: what they lack, and what is to be done about it.

Schemas 1 and 3 were in use before they had their last form. No later one may change under its number.
"""

from __future__ import annotations

from typing import Final

from aimem.model import ObjectState
from aimem.ports import Connection
from aimem.store.dialogue import dialogue_of
from aimem.store.kinds import MEMORY
from aimem.store.objects import load_objects

FIRST: Final = "0001.sql"
THIRD: Final = "0003.sql"

_BATCH: Final = 256
_VIEW_COLUMNS = "SELECT count(*) FROM pragma_table_info('memory_view') WHERE name = 'part_count'"
_LATER_INDEXES = "SELECT count(*) FROM sqlite_schema WHERE name IN ('audit_agent', 'memories_author')"
_TALKS = (
    "SELECT v.id, v.namespace FROM memory_view v JOIN memories m ON m.id = v.id "
    "WHERE v.state <> 'unborn' AND instr(m.metadata, 'conversation_id') ORDER BY v.id"
)
_SET_DIALOGUE = "UPDATE memory_view SET dialogue = ? WHERE id = ?"


def scripts_for(conn: Connection, version: int) -> list[str]:
    """The scripts of `sql/forms` that a database of ours (not an empty one) needs; none once it was opened by us."""
    needed = [FIRST] if _count(conn, _VIEW_COLUMNS) == 0 else []
    # The third migration makes the indexes itself.
    return [*needed, THIRD] if version >= 3 and _count(conn, _LATER_INDEXES) < 2 else needed


def show_dialogues(conn: Connection) -> None:
    """Note which memories belong to which conversation, behind `FIRST`, which cannot tell. Raises: DatabaseError."""
    talks = [(str(memory_id), str(namespace)) for memory_id, namespace in conn.execute(_TALKS).fetchall()]
    for begin in range(0, len(talks), _BATCH):
        batch = talks[begin : begin + _BATCH]
        states: dict[str, ObjectState] = load_objects(conn, MEMORY, [memory_id for memory_id, _ in batch])
        conn.executemany(
            _SET_DIALOGUE, [(dialogue_of(states[memory_id], namespace), memory_id) for memory_id, namespace in batch]
        )


def _count(conn: Connection, query: str) -> int:
    row = conn.execute(query).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0
