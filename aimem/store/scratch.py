"""A temporary full-text table of each reader: the index's own tokenizer, for texts that are not in the index.

Its rows vanish with the read that wrote them, since a read ends in a rollback.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec
from msgspec import Struct

from aimem.ports import Connection, SqlValue

_CREATE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.scratch USING fts5 "
    "(title, content, tags, context, content = '', tokenize = 'porter unicode61')"
)
_CREATE_TOKENS = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.scratch_tokens USING fts5vocab (temp, scratch, instance)"
_CLEAR = "INSERT INTO temp.scratch (scratch) VALUES ('delete-all')"
_PUT = "INSERT INTO temp.scratch (rowid, title, content, tags, context) VALUES (?, ?, ?, ?, ?)"
_TOKENS = "SELECT doc, term FROM temp.scratch_tokens ORDER BY doc, offset"
_INSTANCES = (
    "SELECT term, doc, col, offset FROM temp.scratch_tokens WHERE term IN (SELECT value FROM json_each(:terms))"
)
_SIZES = "SELECT id, sz FROM temp.scratch_docsize"

Texts = tuple[str, str, str, str]
"""Title, content, tags and context of a row."""


class Instance(Struct, frozen=True):
    """One token where it stands: number of the text, column, offset in the column."""

    token: str
    text: int
    column: str
    offset: int


def create(conn: Connection) -> None:
    """Make the tables, once for each connection that reads."""
    conn.execute(_CREATE)
    conn.execute(_CREATE_TOKENS)


def tokens_of(conn: Connection, terms: Iterable[str]) -> list[tuple[str, ...]]:
    """The tokens of each term, as the index has them: stemmed, folded; none for a term without a letter or digit."""
    asked = list(terms)
    _fill(conn, [("", term, "", "") for term in asked])
    found: list[list[str]] = [[] for _ in asked]
    for no, token in conn.execute(_TOKENS):
        found[cast("int", no)].append(cast("str", token))
    return [tuple(tokens) for tokens in found]


def tokens_of_text(conn: Connection, text: str) -> list[str]:
    """The tokens of a text, in order."""
    _fill(conn, [("", text, "", "")])
    return [cast("str", row[1]) for row in conn.execute(_TOKENS).fetchall()]


def sizes_of(conn: Connection, texts: Iterable[Texts]) -> list[int]:
    """How many tokens each text has."""
    sizes = [0] * _fill(conn, texts)
    for no, packed in conn.execute(_SIZES).fetchall():
        sizes[cast("int", no)] = sum(varints(cast("bytes", packed)))
    return sizes


def instances(conn: Connection, texts: Iterable[Texts], tokens: Iterable[str]) -> list[Instance]:
    """Where in texts the asked tokens stand; texts are numbered as they come."""
    _fill(conn, texts)
    asked: SqlValue = msgspec.json.encode(sorted(set(tokens))).decode()
    return [
        Instance(cast("str", row[0]), cast("int", row[1]), cast("str", row[2]), cast("int", row[3]))
        for row in conn.execute(_INSTANCES, {"terms": asked}).fetchall()
    ]


def varints(packed: bytes) -> list[int]:
    """Numbers in SQLite's variable length, seven bits a byte (what FTS5 packs stays far below eight bytes)."""
    numbers, value = [], 0
    for byte in packed:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    return numbers


def pack_varints(numbers: Iterable[int]) -> bytes:
    """The inverse of `varints`."""
    packed = bytearray()
    for number in numbers:
        low = [number & 0x7F]
        while number := number >> 7:
            low.append(number & 0x7F | 0x80)
        packed += bytes(reversed(low))
    return bytes(packed)


def _fill(conn: Connection, texts: Iterable[Texts]) -> int:
    numbered = [(no, *columns) for no, columns in enumerate(texts)]
    conn.execute(_CLEAR)
    conn.executemany(_PUT, numbered)
    return len(numbered)
