"""A database connection, whoever makes it: what the store relies on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from aimem.ports import Connection, DatabaseError, DatabaseFault, Files, Mode, system_files
from tests.disk import Disk

MAKERS = {"system": system_files, "disk": Disk}
NUMBERS = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :upto) "
    "SELECT max(n) FROM numbers"
)


@pytest.fixture(params=sorted(MAKERS))
def files(request: pytest.FixtureRequest) -> Files:
    return MAKERS[request.param]()


@pytest.fixture
def conn(files: Files, tmp_path: Path) -> Iterator[Connection]:
    made = files.connect(tmp_path / "x.db", Mode.READ_WRITE_CREATE)
    made.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL) STRICT;")
    yield made
    made.close()


def fault(conn: Connection, sql: str, parameters: object = ()) -> DatabaseFault:
    with pytest.raises(DatabaseError) as refused:
        conn.execute(sql, parameters).fetchall()
    assert refused.value.__cause__ is not None
    return refused.value.fault


def rows(conn: Connection) -> list[object]:
    return conn.execute("SELECT a, b FROM t ORDER BY a").fetchall()


def test_values_come_back_as_they_went_in(conn: Connection) -> None:
    values = (None, 0, -(1 << 63), (1 << 63) - 1, 1.5, "ünï\U0001f600", "", b"", b"\x00\xff")
    sql = f"SELECT {', '.join('?' * len(values))}"
    row = conn.execute(sql, values).fetchone()
    assert row == values
    assert [type(value) for value in row] == [type(value) for value in values]
    assert conn.execute("SELECT :b, :a", {"a": 1, "b": "x", "unused": 2}).fetchone() == ("x", 1)


def test_rows_are_tuples_fetched_one_by_one_or_together(conn: Connection) -> None:
    conn.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(4)])
    cursor = conn.execute("SELECT a FROM t ORDER BY a")
    assert cursor.fetchone() == (0,)
    assert cursor.fetchall() == [(1,), (2,), (3,)]
    assert cursor.fetchone() is None
    assert list(conn.execute("SELECT a FROM t WHERE a < :n", {"n": 1})) == [(0,)]


def test_rowcount_counts_changed_rows(conn: Connection) -> None:
    assert conn.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')").rowcount == 2
    assert conn.execute("UPDATE t SET b = 'z' WHERE a > 5").rowcount == 0
    assert conn.execute("SELECT 1").rowcount == -1
    assert conn.execute("DELETE FROM t").rowcount == 2


def test_a_row_returned_by_an_insert_may_be_fetched_before_the_commit(conn: Connection) -> None:
    conn.execute("BEGIN IMMEDIATE")
    assert conn.execute("INSERT INTO t (b) VALUES ('x') RETURNING a").fetchone() == (1,)
    conn.execute("COMMIT")
    assert rows(conn) == [(1, "x")]


def test_nothing_begins_or_ends_a_transaction_but_a_statement_of_ours(conn: Connection) -> None:
    assert not conn.in_transaction
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    assert not conn.in_transaction
    conn.execute("BEGIN IMMEDIATE")
    assert conn.in_transaction
    conn.executescript("CREATE TABLE u (a);\nINSERT INTO t VALUES (2, 'y');")
    conn.executemany("INSERT INTO t VALUES (?, ?)", [(3, "z")])
    assert conn.in_transaction
    conn.execute("ROLLBACK")
    assert not conn.in_transaction
    assert rows(conn) == [(1, "x")]
    assert fault(conn, "SELECT * FROM u") is DatabaseFault.OTHER


def test_a_savepoint_is_rolled_back_alone(conn: Connection) -> None:
    for sql in (
        "BEGIN IMMEDIATE", "SAVEPOINT job", "INSERT INTO t VALUES (1, 'x')", "RELEASE job",
        "SAVEPOINT job", "INSERT INTO t VALUES (2, 'y')", "ROLLBACK TO job", "RELEASE job", "COMMIT",
    ):
        conn.execute(sql)
    assert rows(conn) == [(1, "x")]


@pytest.mark.parametrize("script", [
    "INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (2, 'y');",
    "-- a; comment\nINSERT INTO t\n VALUES (1, 'x');INSERT INTO t VALUES (2, 'y') -- the end",
    "INSERT INTO t VALUES (1, 'x');\n\nINSERT INTO t VALUES (2, 'y');\n-- the end\n",
    "CREATE TRIGGER u AFTER INSERT ON t BEGIN SELECT 1;\n SELECT 2; END; INSERT INTO t VALUES (1, 'x'), (2, 'y');",
])
def test_a_script_runs_statement_by_statement(conn: Connection, script: str) -> None:
    conn.executescript(script)
    assert rows(conn) == [(1, "x"), (2, "y")]


def test_a_semicolon_in_a_text_ends_no_statement(conn: Connection) -> None:
    conn.executescript("INSERT INTO t VALUES (1, 'x; y');")
    assert rows(conn) == [(1, "x; y")]


def test_a_failing_statement_stops_the_script(conn: Connection) -> None:
    with pytest.raises(DatabaseError):
        conn.executescript("INSERT INTO t VALUES (1, 'x');\nINSERT INTO nowhere VALUES (1);\nDELETE FROM t;")
    assert rows(conn) == [(1, "x")]
    with pytest.raises(DatabaseError):
        conn.executescript("INSERT INTO t VALUES (2, 'y'); DELETE FROM")


@pytest.mark.parametrize(("sql", "parameters"), [
    ("INSERT INTO t VALUES (1, 'again')", ()),
    ("INSERT INTO t VALUES (2, NULL)", ()),
    ("INSERT INTO t VALUES (2, ?)", (b"bytes",)),
    ("INSERT INTO t VALUES ('no number', 'x')", ()),
])
def test_a_broken_constraint_leaves_the_transaction_open(conn: Connection, sql: str, parameters: object) -> None:
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    assert fault(conn, sql, parameters) is DatabaseFault.CONSTRAINT
    assert conn.in_transaction
    conn.execute("COMMIT")
    assert rows(conn) == [(1, "x")]


@pytest.mark.parametrize(("sql", "parameters"), [
    ("SELECT * FROM nowhere", ()),
    ("SELECT", ()),
    ("SELECT ?", ()),
    ("SELECT :a", {}),
    ("SELECT json('{')", ()),                                       # "malformed JSON" is no malformed database
    ('SELECT "database or disk is full" FROM "disk I/O error"', ()),
    ("SELECT * FROM f WHERE f MATCH 'full readonly locked \"'", ()),
])
def test_a_statement_that_cannot_run_is_no_fault_of_the_file(conn: Connection, sql: str, parameters: object) -> None:
    conn.execute("CREATE VIRTUAL TABLE f USING fts5 (x)")
    assert fault(conn, sql, parameters) is DatabaseFault.OTHER


def test_a_query_is_stopped_when_it_is_due_and_the_connection_stays_usable(conn: Connection) -> None:
    asked = itertools.count(1)
    conn.execute("BEGIN")
    conn.stop_when(lambda: next(asked) >= 3)
    assert fault(conn, NUMBERS, {"upto": 10_000_000}) is DatabaseFault.INTERRUPTED
    conn.stop_when(None)
    assert conn.in_transaction
    conn.execute("ROLLBACK")
    assert conn.execute(NUMBERS, {"upto": 100_000}).fetchone() == (100_000,)


def test_short_runs_of_one_statement_add_up_until_it_is_asked(conn: Connection) -> None:
    asked = []
    conn.stop_when(lambda: bool(asked.append(1)), every_steps=2_000)
    for number in range(1_000):
        conn.execute("INSERT INTO t VALUES (?, ?)", (number, "x"))
    assert 1 < len(asked) < 100
    conn.stop_when(None)


def test_a_stop_reaches_rows_that_are_still_to_be_fetched(conn: Connection) -> None:
    conn.executemany("INSERT INTO t VALUES (?, ?)", [(i, "x") for i in range(200)])
    cursor = conn.execute("SELECT count(*) FROM t AS a, t AS b, t AS c WHERE a.a + b.a + c.a < a.a GROUP BY a.b")
    conn.stop_when(lambda: True)
    with pytest.raises(DatabaseError) as stopped:
        conn.execute("SELECT a.a, b.a FROM t AS a, t AS b").fetchall()
    assert stopped.value.fault is DatabaseFault.INTERRUPTED
    conn.stop_when(None)
    assert cursor.fetchall() == []


def test_two_connections_see_each_others_commits_and_one_waits_for_no_reader(
    conn: Connection, files: Files, tmp_path: Path
) -> None:
    assert conn.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    reader = files.connect(tmp_path / "x.db", Mode.READ_ONLY)
    reader.execute("BEGIN")
    assert rows(reader) == []
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    assert rows(reader) == []
    reader.execute("ROLLBACK")
    assert rows(reader) == [(1, "x")]
    assert fault(reader, "INSERT INTO t VALUES (2, 'y')") is DatabaseFault.READ_ONLY
    reader.close()


def test_a_second_writer_is_told_that_it_is_busy(conn: Connection, files: Files, tmp_path: Path) -> None:
    conn.execute("PRAGMA journal_mode = WAL")
    other = files.connect(tmp_path / "x.db", Mode.READ_WRITE_CREATE)
    other.execute("PRAGMA busy_timeout = 1")
    conn.execute("BEGIN IMMEDIATE")
    assert fault(other, "BEGIN IMMEDIATE") is DatabaseFault.BUSY
    assert not other.in_transaction
    other.close()


def test_no_room_ends_the_whole_transaction(conn: Connection) -> None:
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    conn.execute("PRAGMA max_page_count = 8").fetchall()
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO t VALUES (2, 'y')")
    assert fault(conn, "INSERT INTO t VALUES (3, ?)", ("x" * 100_000,)) is DatabaseFault.FULL
    assert not conn.in_transaction
    assert rows(conn) == [(1, "x")]


def test_a_created_file_and_its_log_are_the_owners_alone(conn: Connection, tmp_path: Path) -> None:
    conn.execute("PRAGMA journal_mode = WAL").fetchall()
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600,
    }


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("name", ["none/x.db", "file/x.db", "x" * 300])
def test_a_path_that_cannot_be_opened_is_said_so(files: Files, tmp_path: Path, mode: Mode, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseError) as refused:
        files.connect(tmp_path / name, mode)
    assert refused.value.fault is DatabaseFault.CANNOT_OPEN


def test_a_folder_is_no_file_to_open(files: Files, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refused:
        files.connect(tmp_path, Mode.READ_WRITE_CREATE)
    assert refused.value.fault is DatabaseFault.CANNOT_OPEN


def test_a_read_only_connection_creates_nothing(files: Files, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refused:
        files.connect(tmp_path / "none.db", Mode.READ_ONLY)
    assert refused.value.fault is DatabaseFault.CANNOT_OPEN
    assert not list(tmp_path.iterdir())


def test_an_untouched_database_is_read_and_nothing_is_made_beside_it(
    conn: Connection, files: Files, tmp_path: Path
) -> None:
    conn.execute("PRAGMA journal_mode = WAL").fetchall()
    conn.execute("INSERT INTO t VALUES (1, 'x')")
    conn.close()
    before = {path.name for path in tmp_path.iterdir()}
    looking = files.connect(tmp_path / "x.db", Mode.UNTOUCHED)
    assert rows(looking) == [(1, "x")]
    assert fault(looking, "INSERT INTO t VALUES (2, 'y')") is DatabaseFault.READ_ONLY
    looking.close()
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_dangling_link_creates_what_it_points_to(files: Files, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    files.connect(tmp_path / "link.db", Mode.READ_WRITE_CREATE).close()
    assert (tmp_path / "real.db").exists()


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"x" * 4096])
def test_a_file_of_another_kind_is_no_database(files: Files, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    conn = files.connect(tmp_path / "x.db", Mode.READ_WRITE_CREATE)
    assert fault(conn, "PRAGMA user_version") is DatabaseFault.NOT_A_DATABASE
    conn.close()


def test_a_broken_page_is_found_out(conn: Connection, files: Files, tmp_path: Path) -> None:
    conn.executemany("INSERT INTO t VALUES (?, ?)", [(i, "x" * 500) for i in range(100)])
    conn.close()
    content = bytearray((tmp_path / "x.db").read_bytes())
    content[4096 : 3 * 4096] = b"\xa5" * (2 * 4096)
    (tmp_path / "x.db").write_bytes(content)
    again = files.connect(tmp_path / "x.db", Mode.READ_WRITE_CREATE)
    assert fault(again, "SELECT sum(length(b)) FROM t") is DatabaseFault.CORRUPT
    again.close()


def test_an_index_of_words_that_lost_a_page_is_corrupt_too(conn: Connection, files: Files, tmp_path: Path) -> None:
    conn.execute("CREATE VIRTUAL TABLE f USING fts5 (x)")
    conn.execute("INSERT INTO f VALUES ('word')")
    conn.execute("UPDATE f_data SET block = x'ff' WHERE id > 10")
    assert fault(conn, "SELECT * FROM f WHERE f MATCH 'word'") is DatabaseFault.CORRUPT


def test_a_closed_connection_says_so_and_is_closed_twice_without_harm(conn: Connection) -> None:
    conn.close()
    conn.close()
    assert fault(conn, "SELECT 1") is DatabaseFault.OTHER
    with pytest.raises(DatabaseError):
        conn.stop_when(None)
    with pytest.raises(DatabaseError):
        assert conn.in_transaction


def test_statements_that_come_late_are_prepared_once_too(tmp_path: Path) -> None:
    conn = system_files().connect(tmp_path / "x.db", Mode.READ_WRITE_CREATE)
    for number in range(200):       # as an opening, which creates tables and looks at them, runs many only once
        conn.execute(f"SELECT {number}").fetchall()
    prepared = itertools.count()
    conn._db.set_authorizer(lambda *_: next(prepared) * 0)      # SQLite asks it whenever it prepares a statement
    for _ in range(20):
        conn.execute("SELECT 'one'").fetchall()
        conn.execute("SELECT 'other'").fetchall()
    assert next(prepared) == 2
    conn.close()
