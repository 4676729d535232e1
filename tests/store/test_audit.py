"""The audit's chain: what is done to its rows is found."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.model import Instant, StreamId, stream_id
from aimem.ports import Connection, Mode, system_files
from aimem.ports.chance import SeededChance
from aimem.store import AuditRow, Transaction, audit, auditcheck
from aimem.store.audit import AuditFilters, Mark
from aimem.store.auditcheck import Checked, Damage, Finding
from aimem.store.identity import sidecar_path
from tests.nodes import START, open_store

ROWS: Final = 12
TEXTS: Final = ("agent_id", "credential", "action", "decision", "namespace", "target", "rule", "version", "detail")


def row(number: int, **fields: object) -> AuditRow:
    made = AuditRow(
        at=Instant(START + number * 1_000_000), agent_id=f"agent-{number % 3}", credential="open", action="store",
        decision="allowed", namespace=f"acme/team-{number % 2}", target=f"id-{number}", version=f"s:{number}",
    )
    return msgspec.structs.replace(made, **fields)


def append(transaction: Transaction, rows: Sequence[AuditRow]) -> Mark | None:
    return audit.append(transaction.conn, rows)


def fail_after_append(transaction: Transaction) -> None:
    append(transaction, [row(99)])
    raise ValueError("this job is rolled back")


def tamper(transaction: Transaction, sql: str) -> None:
    transaction.conn.execute(sql)


def prune(transaction: Transaction, before_seq: int | None, before: Instant | None = None) -> auditcheck.Pruned:
    return auditcheck.prune(
        transaction, stream_id(transaction.signer.public_key), row(0, action="audit_prune", agent_id="root"),
        before=before, before_seq=before_seq, limit=1000,
    )


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an audit of some rows; whoever changes it takes that back."""
    db = tmp_path_factory.mktemp("audit") / "a.db"

    async def fill() -> None:
        async with open_store(db) as store:
            await store.write(append, [row(number) for number in range(ROWS)])

    trio.run(fill)
    return db


@pytest.fixture
def conn(schema: Path) -> Iterator[Connection]:
    opened = system_files().connect(schema, Mode.READ_WRITE_CREATE)
    opened.execute("BEGIN")
    yield opened
    opened.execute("ROLLBACK")
    opened.close()


def stream_of(conn: Connection) -> str:
    return str(conn.execute("SELECT stream FROM stream_facts").fetchone()[0])  # type: ignore[index]


def checked(conn: Connection, begin: Mark | None = None, limit: int = 1000) -> Checked:
    return auditcheck.check(conn, StreamId(stream_of(conn)), begin, limit)


def test_an_untouched_audit_is_whole(conn: Connection) -> None:
    found = checked(conn)
    assert (found.finding, found.is_whole, found.row_count) == (None, True, ROWS)
    assert found.end == audit.head(conn)


def test_an_empty_audit_is_whole(conn: Connection) -> None:
    conn.execute("DELETE FROM audit")
    conn.execute("DELETE FROM sqlite_sequence WHERE name = 'audit'")
    assert checked(conn).is_whole


def test_portions_join_into_the_whole(conn: Connection) -> None:
    first = checked(conn, limit=5)
    second = checked(conn, first.end, limit=5)
    third = checked(conn, second.end, limit=5)
    assert [(part.row_count, part.is_whole) for part in (first, second, third)] == [(5, False), (5, False), (2, True)]


@settings(max_examples=40, deadline=None)
@given(seq=st.integers(1, ROWS), column=st.sampled_from(TEXTS), text=st.text(st.characters(codec="utf-8"), max_size=9))
def test_any_edit_of_a_text_is_found(schema: Path, seq: int, column: str, text: str) -> None:
    opened = system_files().connect(schema, Mode.READ_WRITE_CREATE)
    opened.execute("BEGIN")
    try:
        (before,) = opened.execute(f"SELECT {column} FROM audit WHERE seq = ?", (seq,)).fetchone() or ()
        opened.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (text, seq))
        if text != before:
            assert checked(opened).finding == Finding(seq, Damage.CHANGED)
    finally:
        opened.execute("ROLLBACK")
        opened.close()


@pytest.mark.parametrize("column", ["at", "count"])
def test_any_edit_of_a_number_is_found(conn: Connection, column: str) -> None:
    conn.execute(f"UPDATE audit SET {column} = {column} + 1 WHERE seq = 7")
    assert checked(conn).finding == Finding(7, Damage.CHANGED)


def test_a_text_that_becomes_null_is_found(conn: Connection) -> None:
    conn.execute("UPDATE audit SET target = NULL WHERE seq = 7")
    assert checked(conn).finding == Finding(7, Damage.CHANGED)


def test_an_edit_with_its_hash_made_anew_is_found_at_the_next_row(conn: Connection) -> None:
    (before,) = audit.after(conn, 6, 1)
    forged = msgspec.structs.replace(before.row, agent_id="somebody")
    previous = audit.hash_at(conn, 6) or b""
    conn.execute(
        "UPDATE audit SET agent_id = 'somebody', hash = ? WHERE seq = 7", (audit.row_hash(previous, 7, forged),)
    )
    assert checked(conn).finding == Finding(8, Damage.CHANGED)


@pytest.mark.parametrize("seq", range(1, ROWS + 1))
def test_any_deletion_is_found(conn: Connection, seq: int) -> None:
    conn.execute("DELETE FROM audit WHERE seq = ?", (seq,))
    assert checked(conn).finding == Finding(seq, Damage.MISSING)


def test_deletions_of_the_last_rows_are_found_after_new_ones_too(conn: Connection) -> None:
    conn.execute("DELETE FROM audit WHERE seq > 9")
    audit.append(conn, [row(50)])
    assert checked(conn).finding == Finding(10, Damage.MISSING)


@settings(max_examples=30, deadline=None)
@given(pair=st.lists(st.integers(1, ROWS), min_size=2, max_size=2, unique=True), moves_hash=st.booleans())
def test_any_swap_is_found(schema: Path, pair: list[int], *, moves_hash: bool) -> None:
    first, second = sorted(pair)
    opened = system_files().connect(schema, Mode.READ_WRITE_CREATE)
    opened.execute("BEGIN")
    try:
        if moves_hash:
            for old, new in ((first, 1000), (second, first), (1000, second)):
                opened.execute("UPDATE audit SET seq = ? WHERE seq = ?", (new, old))
        else:
            columns = ", ".join((*TEXTS, "at", "count"))
            select = f"SELECT {columns} FROM audit WHERE seq = ?"
            rows = {seq: opened.execute(select, (seq,)).fetchone() for seq in pair}
            places = ", ".join(f"{name} = ?" for name in (*TEXTS, "at", "count"))
            for seq, other in ((first, second), (second, first)):
                opened.execute(f"UPDATE audit SET {places} WHERE seq = ?", (*(rows[other] or ()), seq))
        assert checked(opened).finding == Finding(first, Damage.REORDERED, second)
    finally:
        opened.execute("ROLLBACK")
        opened.close()


def test_an_end_that_was_noted_elsewhere_finds_a_history_made_anew(conn: Connection) -> None:
    noted = audit.head(conn)
    conn.execute("DELETE FROM audit WHERE seq >= 5")
    conn.execute("UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit'")
    audit.append(conn, [row(number) for number in range(90, 90 + ROWS)])
    assert checked(conn).is_whole, "of a history that was written anew the chain itself knows nothing"
    assert checked(conn, noted).finding == Finding(noted.seq, Damage.CHANGED)


async def test_a_job_that_is_rolled_back_leaves_the_chain_whole(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(0), row(1)])
        with pytest.raises(ValueError, match="rolled back"):
            await store.write(fail_after_append)
        await store.write(append, [row(2)])

        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert (found.is_whole, found.row_count, found.finding) == (True, 3, None)


async def test_pruning_leaves_a_signed_checkpoint_and_a_row_that_tells_of_it(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        pruned = (await store.write(prune, 6)).value

        assert (pruned.row_count, pruned.more, pruned.finding) == (5, False, None)
        cut = await store.read(auditcheck.checkpoint)
        assert cut is not None
        assert (cut.mark.seq, cut.row_count, cut.made_by) == (5, 5, "root")
        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert (found.first.seq, found.row_count, found.is_whole) == (5, ROWS - 5 + 1, True)
        (last,) = await store.read(audit.page, AuditFilters(), 1)
        assert (last.row.action, last.row.count, last.row.agent_id) == ("audit_prune", 5, "root")

        assert (await store.write(prune, None, Instant(START + 8_000_000))).value.row_count == 3
        again = await store.read(auditcheck.checkpoint)
        assert again is not None
        assert (again.mark.seq, again.row_count) == (8, 8)


@pytest.mark.parametrize(
    "change",
    ["row_count = 1", "made_by = 'somebody'", "made_at = 1", "seq = 4", "public_key = 'x'", "signature = x'00'"],
)
async def test_a_checkpoint_that_was_touched_is_forged(tmp_path: Path, change: str) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        await store.write(prune, 6)
        await store.write(tamper, f"UPDATE audit_checkpoints SET {change}")

        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert found.finding is not None
        assert found.finding.damage is Damage.FORGED


async def test_a_checkpoint_of_another_key_is_forged(tmp_path: Path) -> None:
    other = SeededChance(random.Random(1), random.Random(2)).new_signer()

    def forge(transaction: Transaction) -> None:
        cut = auditcheck.checkpoint(transaction.conn)
        assert cut is not None
        forged = msgspec.structs.replace(cut, public_key=other.public_key.hex())
        transaction.conn.execute(
            "UPDATE audit_checkpoints SET public_key = ?, signature = ?",
            (forged.public_key, other.sign(forged.signed_bytes())),
        )

    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        await store.write(prune, 6)
        await store.write(forge)

        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert found.finding == Finding(5, Damage.FORGED)


async def test_without_its_checkpoint_the_rows_before_are_missing(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        await store.write(prune, 6)
        await store.write(tamper, "DELETE FROM audit_checkpoints")

        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert found.finding == Finding(1, Damage.MISSING)


async def test_nothing_that_is_damaged_is_signed(tmp_path: Path) -> None:
    async with open_store(tmp_path / "a.db") as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        await store.write(tamper, "UPDATE audit SET count = 7 WHERE seq = 4")
        pruned = (await store.write(prune, 9)).value

        assert (pruned.row_count, pruned.finding) == (3, Finding(4, Damage.CHANGED))
        assert (await store.write(prune, 9)).value.row_count == 0
        assert len(await store.read(audit.page, AuditFilters(), 100)) == ROWS - 3 + 1


async def test_a_checkpoint_of_an_earlier_stream_of_this_node_holds(tmp_path: Path) -> None:
    """A restored or copied database goes on in a new stream, which names the one before."""
    db = tmp_path / "a.db"
    async with open_store(db) as store:
        await store.write(append, [row(number) for number in range(ROWS)])
        await store.write(prune, 6)
        old = store.stream

    def forget_own_stream(transaction: Transaction) -> None:
        transaction.conn.execute("DELETE FROM streams WHERE stream = ?", (old,))

    async with open_store(db) as store:
        await store.write(forget_own_stream)
    assert sidecar_path(db).exists()
    async with open_store(db) as store:
        assert store.stream != old
        found = await store.read(auditcheck.check, store.stream, None, 100)
        assert (found.is_whole, found.finding) == (True, None)


def test_a_page_has_the_rows_that_fit_the_latest_first(conn: Connection) -> None:
    def seqs(filters: AuditFilters, limit: int = 100) -> list[int]:
        return [entry.mark.seq for entry in audit.page(conn, filters, limit)]

    assert seqs(AuditFilters(), 3) == [12, 11, 10]
    assert seqs(AuditFilters(before=3)) == [2, 1]
    assert seqs(AuditFilters(agent_id="agent-1")) == [11, 8, 5, 2]
    assert seqs(AuditFilters(namespace="acme")) == list(range(12, 0, -1))
    assert seqs(AuditFilters(namespace="acme/team-1", since=Instant(START + 9_000_000))) == [12, 10]
    assert seqs(AuditFilters(until=Instant(START + 1_000_000), action="store", decision="allowed")) == [2, 1]
    assert seqs(AuditFilters(namespace="acm")) == seqs(AuditFilters(decision="denied")) == []
