"""What a database file is made of, and what its live rows alone would need.

*Live data* is the size of a fresh database file into which the same rows are joined (all replicated objects that are
not dead, archived ones too, as a snapshot hands them over), with everything that serves them: the view, the full-text
indexes and their settled segments. It has no tombstones, no log, no events, no notes of what was, and no free pages.
*Tombstones* are the pages of their table in the file itself, *audit* those of its own: both are kept on purpose, the
one for ever, the other for `audit.keep_days`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
from msgspec import Struct

from aimem.service import Node
from aimem.service.words import settle_words
from aimem.store import Transaction, snapshot
from aimem.store.snapshot import SnapshotPage, Told
from tests.nodes import InlineThreads, open_node

PAGE_COUNT = 500
PAGE_BYTES = 4_194_304

_GROUPS = {"memory_fts": "full text", "memory_grams": "full text", "op_entries": "ops", "links": "links"}


class Sizes(Struct, frozen=True, kw_only=True):
    """Bytes of one database.

    Attributes:
      file: the database file; `wal`: its write-ahead log; `beside`: the folder of the vector index.
      free: pages of the file that hold nothing.
      tables: by table, its indexes included; of the full-text indexes together.
    """

    file: int
    wal: int
    beside: int
    free: int
    tables: dict[str, int]

    @property
    def whole(self) -> int:
        """All that the node has on its disk."""
        return self.file + self.wal + self.beside

    @property
    def apart(self) -> int:
        """What is kept on purpose, however much it is."""
        return self.tables.get("tombstones", 0) + self.tables.get("audit", 0)


def sizes_of(db: Path) -> Sizes:
    """Look at a database that a node may have open."""
    conn = apsw.Connection(str(db), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        (free,) = conn.execute("SELECT f.freelist_count * p.page_size FROM pragma_freelist_count f, pragma_page_size p"
                               ).fetchone()
        tables: dict[str, int] = {}
        found = conn.execute(
            "SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat d "
            "LEFT JOIN sqlite_schema s ON s.name = d.name WHERE d.aggregate = TRUE GROUP BY 1"
        )
        for name, size_bytes in found:
            group = _group(str(name))
            tables[group] = tables.get(group, 0) + int(size_bytes)
    finally:
        conn.close()
    beside = db.with_name(db.name + ".vectors")
    return Sizes(
        file=_size(db), wal=_size(db.with_name(db.name + "-wal")), free=int(free), tables=tables,
        beside=sum(map(_size, beside.glob("**/*"))) if beside.exists() else 0,
    )


def _group(table: str) -> str:
    for beginning, group in _GROUPS.items():
        if table.startswith(beginning):
            return group
    return table


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


async def live_sizes(node: Node, folder: Path) -> Sizes:
    """Live data of a node's database: see above."""
    fresh = folder / "live.db"
    async with open_node(fresh, threads=InlineThreads(), name="live") as other:
        rows = [told async for page in _pages(node) for told in page.objects if told.state.dead is None]
        # In the order in which they were made, which is not that of their keys.
        rows.sort(key=lambda told: told.state.born.pack() if told.state.born else b"")
        for at in range(0, len(rows), PAGE_COUNT):
            await other.store.write(_join, rows[at : at + PAGE_COUNT])
        await settle(other)
    found = sizes_of(fresh)
    for path in folder.glob("live.db*"):
        path.unlink()
    return found


async def settle(node: Node) -> None:
    """Have the full-text indexes follow, and their segments merged into one."""
    await settle_words(node)
    await node.store.write(_optimize)


def _optimize(transaction: Transaction) -> None:
    for table in ("memory_fts", "memory_grams"):
        transaction.conn.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")


def _join(transaction: Transaction, objects: list[Told]) -> None:
    snapshot.join_objects(transaction, objects)


async def _pages(node: Node) -> AsyncIterator[SnapshotPage]:
    after = None
    while True:
        page: SnapshotPage = await node.store.read(snapshot.snapshot_page, after, PAGE_COUNT, PAGE_BYTES)
        yield page
        after = page.after
        if after is None:
            return
