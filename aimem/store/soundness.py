"""Whether a database is what it should be, and a copy of it at one moment. Both only read.

What is looked at: SQLite's own structures and its full-text indexes; that rows, names, words and vectors belong
together; that each stream's ops are one chain up to the head that is known, signed there by its key; that the audit is
whole. A digest of the replicated state says whether two databases hold the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.errors import Corrupt
from aimem.model import Dot, Stamp, StreamId, chain_hash, stream_id
from aimem.ports import Connection, DatabaseError, DatabaseFault, Files, Mode, Row, is_signed
from aimem.store import auditcheck, digests, headproofs, oplog, schema
from aimem.store.faults import translate, translated
from aimem.store.parts import PART_BITS

FINDINGS_MAX: Final = 5
"""Findings that a check names; there may be more."""
_ROUND: Final = 10_000

_BEGIN, _END = "BEGIN", "ROLLBACK"
_COPY = "VACUUM INTO :path"
_INTEGRITY = f"PRAGMA integrity_check({FINDINGS_MAX:d})"
_FOREIGN_KEYS = "PRAGMA foreign_key_check"
_COUNT_ROWS = "SELECT count(*) FROM memories"
_COUNT_LIVE = "SELECT count(*) FROM memory_view WHERE state = 'live'"
_UNSEEN = (
    "SELECT m.id FROM memories m WHERE NOT EXISTS (SELECT 1 FROM memory_view v WHERE v.id = m.id) LIMIT :limit"
)
_COUNT_PARTS = "SELECT coalesce(sum(part_count), 0) FROM memory_view"
_UNEQUAL_PARTS = (
    "SELECT v.id FROM memory_view v WHERE v.part_count <> (SELECT count(*) FROM memory_fts_docsize d "
    f"WHERE d.id >= v.no << {PART_BITS:d} AND d.id < (v.no + 1) << {PART_BITS:d}) LIMIT :limit"
)
_STRAY_PARTS = (
    "SELECT d.id FROM memory_fts_docsize d "
    f"WHERE NOT EXISTS (SELECT 1 FROM memory_view v WHERE v.no = d.id >> {PART_BITS:d}) LIMIT :limit"
)
_UNEQUAL_GRAMS = (
    "SELECT v.id FROM memory_view v WHERE (v.grams = 'held') <> "
    "EXISTS (SELECT 1 FROM memory_grams_docsize d WHERE d.id = v.no) AND v.grams <> 'due' LIMIT :limit"
)
_COUNT_VECTORS = "SELECT count(*) FROM embeddings"
_MISSING_VECTORS = (
    "SELECT v.id FROM memory_view v WHERE v.state = 'live' AND v.is_embedded = 1 AND NOT EXISTS ("
    "SELECT 1 FROM embeddings e WHERE e.text_hash = v.text_hash "
    "AND e.model = (SELECT value FROM meta WHERE name = 'embedding_model')) LIMIT :limit"
)
_ODD_VECTORS = (
    "SELECT model FROM embeddings GROUP BY model "
    "HAVING min(length(vector)) <> max(length(vector)) OR min(length(vector)) = 0 OR min(length(vector)) % 2 <> 0"
)
_OPS = (
    "SELECT position, stream, seq, hlc, kind, previous, signature FROM ops WHERE position > 0 ORDER BY stream, seq"
)
_ENTRIES = "SELECT data FROM op_entries WHERE position = ? ORDER BY ordinal"
_DAMAGE: Final = frozenset({DatabaseFault.CORRUPT, DatabaseFault.IO, DatabaseFault.NOT_A_DATABASE, DatabaseFault.OTHER})


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at: how many of it there are, and what is wrong, in sentences."""

    name: str
    count: int
    findings: tuple[str, ...] = ()


class Examined(Struct, frozen=True, kw_only=True):
    """What a database is.

    Attributes:
      version: of its schema; of an older one only SQLite's own structures are looked at.
      memories: those that are live.
      digest: of the replicated state; empty where it cannot be read, or the schema is an older one.
    """

    version: int
    checks: tuple[Check, ...]
    memories: int = 0
    digest: str = ""

    @property
    def findings(self) -> tuple[str, ...]:
        """All that is wrong."""
        return tuple(finding for check in self.checks for finding in check.findings)


def copy_into(files: Files, db: Path, target: Path) -> None:
    """Write a database as it is at one moment into a file (0600) of its own; its node may serve meanwhile.

    Raises: Unavailable, storage_full too; Corrupt.
    """
    with translated(db):
        conn = files.connect(db, Mode.READ_ONLY)
    try:
        with translated(db):
            _wants_schema(conn, db)
        with translated(target):
            files.write_durably(target, b"")    # SQLite fills an empty file, and makes one for everybody to read
        try:
            conn.execute(_COPY, {"path": str(target)})
        except DatabaseError as error:
            raise translate(error, db if error.fault in _DAMAGE else target) from error
    finally:
        conn.close()


def examine(files: Files, db: Path) -> Examined:
    """Look at all of a database, as it is at one moment; nothing is left beside it that was not there.

    Raises: Corrupt if it is none of ours, or cannot be read at all; Unavailable.
    """
    before = _resting(db)
    if before is not None:
        try:
            found = _examine_as(files, db, Mode.UNTOUCHED)
        except Corrupt:
            if _resting(db) == before:
                raise
        else:
            if _resting(db) == before:
                return found
    return _examine_as(files, db, Mode.READ_ONLY)     # somebody writes it


def _resting(db: Path) -> tuple[int, int, int] | None:
    """What tells a file that nobody wrote meanwhile; None where there is a log of one that may be written."""
    if any(db.with_name(db.name + suffix).exists() for suffix in ("-wal", "-journal")):
        return None
    with translated(db):
        found = db.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _examine_as(files: Files, db: Path, mode: Mode) -> Examined:
    with translated(db):
        conn = files.connect(db, mode)
        try:
            version = _wants_schema(conn, db)
            conn.execute(_BEGIN)
            try:
                return _examine(conn, version)
            finally:
                if conn.in_transaction:
                    conn.execute(_END)
        finally:
            conn.close()


def _wants_schema(conn: Connection, db: Path) -> int:
    version = schema.recognise(conn, db)
    if version == 0:
        raise Corrupt(f"{db} is empty: nothing was ever stored in it, or it was cut off")
    return version


def _examine(conn: Connection, version: int) -> Examined:
    structure = _run("structure", conn, _COUNT_ROWS, _structure)
    if version < schema.SCHEMA_VERSION:
        count = 0 if structure.findings else _number(conn, _COUNT_LIVE)
        return Examined(version=version, checks=(structure,), memories=count)
    checks = (
        structure,
        _run("names", conn, _COUNT_LIVE, lambda conn: _named(conn, _UNSEEN, "memory {} is in no view of names")),
        _run("words", conn, _COUNT_PARTS, _words),
        _run("vectors", conn, _COUNT_VECTORS, _vectors),
        _log(conn),
        _audit(conn),
    )
    if any(check.findings for check in checks):
        return Examined(version=version, checks=checks)
    return Examined(version=version, checks=checks, memories=_number(conn, _COUNT_LIVE), digest=digests.digest(conn))


def _run(name: str, conn: Connection, counts: str, find: Callable[[Connection], Iterator[str]]) -> Check:
    count = 0
    findings: list[str] = []
    try:
        findings = list(find(conn))
        count = _number(conn, counts)
    except DatabaseError as error:
        findings.append(_unreadable(name, error))
    return Check(name=name, count=count, findings=tuple(findings[:FINDINGS_MAX]))


def _unreadable(name: str, error: DatabaseError) -> str:
    if error.fault not in _DAMAGE:
        raise error
    return f"{name} cannot be read: {error}"


def _number(conn: Connection, query: str) -> int:
    row = conn.execute(query).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _named(conn: Connection, query: str, sentence: str) -> Iterator[str]:
    for row in conn.execute(query, {"limit": FINDINGS_MAX}).fetchall():
        yield sentence.format(row[0])


def _structure(conn: Connection) -> Iterator[str]:
    for row in conn.execute(_INTEGRITY).fetchall():
        if row != ("ok",):
            yield str(row[0])
    for row in islice(conn.execute(_FOREIGN_KEYS), FINDINGS_MAX):
        yield f"a row of {row[0]!s} refers to one of {row[2]!s} that is not there"


def _words(conn: Connection) -> Iterator[str]:
    yield from _named(conn, _UNEQUAL_PARTS, "memory {} has other rows in the index of words than are noted")
    yield from _named(conn, _STRAY_PARTS, "row {} of the index of words is no memory's")
    yield from _named(conn, _UNEQUAL_GRAMS, "memory {} and the index of character groups do not agree")


def _vectors(conn: Connection) -> Iterator[str]:
    yield from _named(conn, _MISSING_VECTORS, "memory {} is noted as embedded, and has no vector")
    for row in conn.execute(_ODD_VECTORS).fetchall():
        yield f"vectors of the model {row[0]!s} are of several lengths, or of none that they can have"


def _log(conn: Connection) -> Check:
    """Each stream's ops are one chain that ends at the head which is known, signed there by the stream's key."""
    count = 0
    findings: list[str] = []
    try:
        for stream, rows in groupby(conn.execute(_OPS), key=lambda row: StreamId(str(row[1]))):
            found, checked_count = _chain(conn, stream, rows)
            count += checked_count
            if found is not None:
                findings.append(f"stream {stream}: {found}")
    except DatabaseError as error:
        findings.append(_unreadable("log", error))
    return Check(name="log", count=count, findings=tuple(findings[:FINDINGS_MAX]))


def _chain(conn: Connection, stream: StreamId, rows: Iterator[Row]) -> tuple[str | None, int]:
    """What breaks the chain of one stream, if anything does, and how many of its ops hold."""
    end: tuple[int, bytes] | None = None
    signature, count = b"", 0
    for row in rows:
        position, _, seq, hlc, kind, previous, signature = cast("tuple[int, str, int, int, str, bytes, bytes]", row)
        expected = (1, oplog.GENESIS) if seq == 1 else None if end is None else (end[0] + 1, end[1])
        if expected is not None and (seq, previous) != expected:
            return f"op {seq} does not follow the one before it", count
        entries = tuple(cast("bytes", data) for data, in conn.execute(_ENTRIES, (position,)).fetchall())
        try:
            end = seq, chain_hash(Dot(stream, seq), Stamp(hlc, stream), kind, entries, previous)
        except (msgspec.MsgspecError, ValueError):
            return f"op {seq} cannot be read", count
        count += 1
    head = oplog.head(conn, stream)
    if end is None or head is None or (head.seq, head.chain_hash) != end:
        return f"its head is not op {0 if end is None else end[0]}, or that op is another one", count
    key = headproofs.public_key(conn, stream)
    if key is not None and not is_signed(key, end[1], signature):
        return f"op {end[0]} is not signed by its key", count
    return None, count


def _audit(conn: Connection) -> Check:
    """Its chain of hashes, from the checkpoint on, which a stream that is known here has to have signed."""
    count = 0
    findings: list[str] = []
    try:
        cut = auditcheck.checkpoint(conn)
        signer = StreamId("") if cut is None else _signer_of(cut)
        begin = None
        if cut is not None and oplog.head(conn, signer) is None:
            findings.append("the checkpoint is signed by no stream that is known here")
        while not findings:
            found = auditcheck.check(conn, signer, begin, _ROUND)
            count, begin = count + found.row_count, found.end
            if found.finding is not None:
                findings.append(f"row {found.finding.seq} is {found.finding.damage}")
            if found.is_whole:
                break
    except DatabaseError as error:
        findings.append(_unreadable("audit", error))
    return Check(name="audit", count=count, findings=tuple(findings))


def _signer_of(cut: auditcheck.Checkpoint) -> StreamId:
    try:
        return stream_id(bytes.fromhex(cut.public_key))
    except ValueError:
        return StreamId("")
