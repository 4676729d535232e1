"""Writes that lost a field to one that did not know of them: kept on each node, shown, never part of the state."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Struct

from aimem.model import FieldValue, Instant, Stamp, unpack_stamp
from aimem.ports import Connection

_NEWEST = "SELECT kind, key, field, stamp, value, noted_at FROM conflicts ORDER BY noted_at DESC, stamp DESC LIMIT ?"
_COUNT = "SELECT count(*) FROM conflicts"


class Lost(Struct, frozen=True, kw_only=True):
    """One losing write."""

    kind: str
    key: str
    field: str
    stamp: Stamp
    value: FieldValue
    noted_at: Instant


def newest(conn: Connection, limit: int) -> tuple[Lost, ...]:
    """The last ones that were noted."""
    found = []
    for row in conn.execute(_NEWEST, (limit,)):
        kind, key, field, stamp, value, noted_at = cast("tuple[str, str, str, bytes, str, int]", row)
        found.append(Lost(
            kind=kind, key=key, field=field, stamp=unpack_stamp(stamp),
            value=msgspec.json.decode(value, type=FieldValue), noted_at=Instant(noted_at),
        ))
    return tuple(found)


def count(conn: Connection) -> int:
    """How many there are."""
    row = conn.execute(_COUNT).fetchone()
    return cast("int", row[0]) if row else 0
