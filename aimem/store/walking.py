"""The replicated rows in one fixed order: kind by kind, each by key, and the dead ones last.

Both the snapshot and the comparison of two nodes go over them piece by piece, so that no read takes long and nothing is
kept in memory; a place in that order is what they hand to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.ports import Connection, Row
from aimem.store.fields import Kind
from aimem.store.kinds import KINDS

TOMBSTONES: Final = "tombstones"
_TABLES: Final = (*KINDS, TOMBSTONES)
_RANKS: Final = {table: rank for rank, table in enumerate(_TABLES)}
_WIDTHS: Final = {**{kind.name: len(kind.key_columns) for kind in KINDS.values()}, TOMBSTONES: 2}


def _select_after(kind: Kind) -> str:
    keys = ", ".join(kind.key_columns)
    marks = ", ".join("?" * len(kind.key_columns))
    return (
        f"SELECT {', '.join(kind.key_columns + kind.columns)} FROM {kind.table} WHERE ({keys}) > ({marks}) "
        f"ORDER BY {keys} LIMIT ?"
    )


_AFTER: Final = {
    **{kind.name: _select_after(kind) for kind in KINDS.values()},
    TOMBSTONES: "SELECT kind, key, stamp FROM tombstones WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?",
}
_COUNTS: Final = " + ".join(
    f"(SELECT count(*) FROM {table})" for table in (*(kind.table for kind in KINDS.values()), TOMBSTONES)
)


class Place(Struct, array_like=True, frozen=True):
    """Behind a row: the name of its kind (or `tombstones`), and its key."""

    table: str
    key: tuple[str, ...]


def walk(conn: Connection, after: Place | None, limit: int) -> Iterator[tuple[str, Row]]:
    """At most so many rows behind a place: the table, and the row with its key first.

    Raises: InvalidRequest for a place that is none.
    """
    begin = 0 if after is None else _rank(after)
    for table in _TABLES[begin:]:
        key = after.key if after is not None and after.table == table else ("",) * _WIDTHS[table]
        for row in conn.execute(_AFTER[table], (*key, limit)):
            yield table, row
            limit -= 1
        if limit <= 0:
            return


def place_of(table: str, row: Row) -> Place:
    """Where a row stands."""
    return Place(table, tuple(str(part) for part in row[: _WIDTHS[table]]))


def key_width(table: str) -> int:
    """How many of a row's first columns are its key. Raises: KeyError."""
    return _WIDTHS[table]


def is_behind(place: Place, other: Place | None) -> bool:
    """Whether a place comes after another; none comes after the end, which is None. Raises: InvalidRequest."""
    # SQLite compares texts by their UTF-8 bytes, which is the order of code points.
    return other is not None and (_rank(place), place.key) > (_rank(other), other.key)


def count_objects(conn: Connection) -> int:
    """All replicated rows."""
    row = conn.execute(f"SELECT {_COUNTS}").fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def check_place(place: Place) -> None:
    """Make sure that it is one. Raises: InvalidRequest."""
    _rank(place)


def _rank(place: Place) -> int:
    if len(place.key) != _WIDTHS.get(place.table):
        raise _no_place()
    return _RANKS[place.table]


def place_text(place: Place) -> str:
    """A place as text."""
    return msgspec.json.encode(place).decode()


def parse_place(text: str) -> Place:
    """Inverse of place_text. Raises: InvalidRequest."""
    try:
        place = msgspec.json.decode(text, type=Place)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise _no_place() from None
    _rank(place)
    return place


def _no_place() -> InvalidRequest:
    return InvalidRequest("that is no place among the objects; begin again without one", field="after")
