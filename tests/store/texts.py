"""Memories for tests of the full-text indexes, and what these have to hold: recomputed from nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aimem.model import AgentId, FieldValue, Instant, Namespace
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.store import LIVE, MEMORY, Filters, Store, Transaction, fulltext, scratch, visible_to
from aimem.store.textindex import index_rows
from tests.nodes import START, principal

NOW = Instant(START + 10**15)
_VOCABULARY = "CREATE VIRTUAL TABLE temp.held USING fts5vocab (main, memory_fts, instance)"
_HELD = "SELECT doc, term, col, offset FROM temp.held ORDER BY 1, 2, 3, 4"
_EXPECTED = "SELECT doc, term, col, offset FROM temp.scratch_tokens ORDER BY 1, 2, 3, 4"
_SIZES = "SELECT sz FROM memory_fts_docsize"
_TOTALS = "SELECT block FROM memory_fts_data WHERE id = 1"
_LIVE = "SELECT no, part_count FROM memory_view WHERE state = 'live'"
_OTHERS = "SELECT count(*) FROM memory_view WHERE state <> 'live' AND (part_count > 0 OR grams <> 'none')"


def fields(content: str, **given: Any) -> dict[str, FieldValue]:
    """All fields of a memory; `at` is its second, `talk` its conversation."""
    at, talk = given.pop("at", 0), given.pop("talk", None)
    namespace, title = given.pop("namespace", "ns"), given.pop("title", None)
    metadata = {} if talk is None else {"conversation_id": talk}
    return {
        "name": (namespace, title) if title else (namespace, f"generated {content[:40]} {at} {given}", True),
        "content": content, "tags": (), "tier": "long", "priority": 5, "confidence": 1.0, "source": "api",
        "scope": None, "metadata": msgspec.json.encode(metadata).decode(), "created_at": START + at * 1_000_000,
        "updated_at": START + at * 1_000_000, "expires_at": None, "lifecycle": LIVE, **given,
    }


def put(transaction: Transaction, texts: Mapping[str, Mapping[str, FieldValue]], author: str = "alice") -> None:
    """Create memories, in one op."""
    entries = [transaction.create(MEMORY, key, AgentId(author), values) for key, values in texts.items()]
    transaction.emit("store", entries)


def change(transaction: Transaction, key: str, **given: FieldValue) -> None:
    transaction.emit("store", [transaction.change(MEMORY, key, given)])


def bury(transaction: Transaction, key: str) -> None:
    transaction.emit("delete", [transaction.bury(MEMORY, key)])


async def hits(store: Store, text: str, limit: int = 100, **given: Any) -> dict[str, float]:
    """Id -> score, the best first."""
    filters = Filters(**{**given, **({"namespaces": tuple(map(Namespace, given["namespaces"]))} if "namespaces" in given
                                     else {})})

    def read(conn: Connection) -> dict[str, float]:
        found = fulltext.hits(conn, parse_query(text), filters, visible_to(principal()), NOW, limit)
        ids = dict(conn.execute("SELECT no, id FROM memory_view").fetchall())
        return {str(ids[no]): score for no, score in found.items()}

    return await store.read(read)


async def search(store: Store, text: str, limit: int = 100) -> Sequence[str]:
    """Ids, the best first."""
    found = await store.read(
        fulltext.search, parse_query(text), Filters(), visible_to(principal()), NOW, limit
    )
    return [str(memory.id) for memory in found]


def check_the_indexes(conn: Connection) -> None:
    """The index of words holds each token of each live row at its place, and nothing else; its counts are true."""
    live = {int(str(no)): int(str(count)) for no, count in conn.execute(_LIVE).fetchall()}
    expected = list(index_rows(conn, live))
    assert {no: len(parts) for no, parts in expected} == live
    assert conn.execute(_OTHERS).fetchall() == [(0,)]
    rowids = [part.rowid for _, parts in expected for part in parts]
    scratch.tokens_of(conn, [])
    conn.executemany(
        "INSERT INTO temp.scratch (rowid, title, content, tags, context) VALUES (?, ?, ?, ?, ?)",
        [(part.rowid, *part.texts) for _, parts in expected for part in parts],
    )
    conn.execute(_VOCABULARY)
    held, wanted = conn.execute(_HELD).fetchall(), conn.execute(_EXPECTED).fetchall()
    assert held == wanted
    sizes = [scratch.varints(bytes(row[0])) for row in conn.execute(_SIZES).fetchall()]  # type: ignore[arg-type]
    totals = [scratch.varints(bytes(row[0])) for row in conn.execute(_TOTALS).fetchall()]  # type: ignore[arg-type]
    assert len(sizes) == len(rowids)
    if sizes:
        assert totals == [[len(sizes), *(sum(column) for column in zip(*sizes, strict=True))]]
