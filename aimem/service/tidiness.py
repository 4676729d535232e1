"""Figures of the upkeep of a database."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from aimem.service.samples import Sample
from aimem.store import Store


class Tidiness(Struct):
    """What the upkeep did since the start, and what it saw when it last looked.

    Attributes:
      dropped: rows by the table that they left, as it was beyond its bound.
      freed_bytes: given back by the file; `free_bytes`: that it still has free.
    """

    dropped: dict[str, int] = field(default_factory=dict)
    freed_bytes: int = 0
    free_bytes: int = 0


def upkeep_samples(store: Store, done: Tidiness) -> Iterator[Sample]:
    """What an operator may see of it."""
    gauges = (
        ("ai_memory_db_free_bytes", "Bytes of the database file that hold nothing.", done.free_bytes),
        ("ai_memory_wal_bytes", "Size of the write-ahead log.", store.wal_bytes),
    )
    for name, text, value in gauges:
        yield Sample(name=name, help=text, kind="gauge", value=float(value))
    yield Sample(
        name="ai_memory_db_freed_bytes", help="Bytes that the database file gave back.", kind="counter",
        value=float(done.freed_bytes),
    )
    for table, count in sorted(done.dropped.items()):
        yield Sample(
            name="ai_memory_notes_dropped", help="Rows dropped because their table had reached its bound of bytes.",
            kind="counter", value=float(count), labels=(("table", table),),
        )
