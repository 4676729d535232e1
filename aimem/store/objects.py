"""Many rows at once: one statement reads or writes those of a kind, where one by one each would take its own.

Values are bound one by one, so that each arrives as it is, whatever characters an op carries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aimem.model import ObjectState
from aimem.ports import Connection, Row
from aimem.store.fields import Kind, SqlValue
from aimem.store.kinds import KINDS, UPSERT, read_state, row_of, stamp_of

_SIZES: Final = (1, 8, 64, 256)
"""Values of one statement: few sizes, so that few statements are prepared. The last value fills up what is left."""


def any_of(sql: str) -> Mapping[int, str]:
    """Statements that end with `column IN (…)`, for `rows_of_any`, from one that ends with the column."""
    return {size: f"{sql} IN ({', '.join('?' * size)})" for size in _SIZES}


def rows_of_any(
    conn: Connection, statements: Mapping[int, str], first: Sequence[SqlValue], values: Collection[str]
) -> Iterator[Row]:
    """The rows that have any of these values.

    Args:
      first: values of the parameters before those of the list.
    """
    asked = list(values)
    while asked:
        size = next((size for size in _SIZES if size >= len(asked)), _SIZES[-1])
        part, asked = asked[:size], asked[size:]
        yield from conn.execute(statements[size], (*first, *part, *[part[-1]] * (size - len(part)))).fetchall()


_TOMBSTONES: Final = any_of("SELECT key, stamp FROM tombstones WHERE kind = ? AND key")
_OBJECTS: Final = {
    kind.name: any_of(
        f"SELECT {', '.join(kind.key_columns + kind.columns)} FROM {kind.table} WHERE {kind.key_columns[0]}"
    )
    for kind in KINDS.values() if len(kind.key_columns) == 1
}


def load_objects(conn: Connection, kind: Kind, keys: Iterable[str]) -> dict[str, ObjectState]:
    """Objects of a kind with one key column, as known; `ObjectState()` where nothing is."""
    found = dict.fromkeys(keys, ObjectState())
    asked = tuple(found)
    for row in rows_of_any(conn, _OBJECTS[kind.name], (), asked):
        found[str(row[0])] = read_state(kind, row[1:])
    for key, stamp in rows_of_any(conn, _TOMBSTONES, (kind.name,), asked):
        found[str(key)] = ObjectState(dead=stamp_of(stamp))
    return found


def save_objects(conn: Connection, states: Mapping[tuple[str, str], ObjectState]) -> None:
    """Write joined states of objects that are not dead, by (kind, key). Raises: ValueError, DatabaseError."""
    rows = defaultdict[str, list[tuple[SqlValue, ...]]](list)
    for (kind, key), state in states.items():
        rows[kind].append(row_of(KINDS[kind], key, state))
    for kind, found in rows.items():
        conn.executemany(UPSERT[kind], found)
