"""What SQLite says of itself."""

from __future__ import annotations

import _ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from aimem.ports import Mode, sqlite

ROW_BYTES = 3_000
ROWS = 2_000


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    sqlite._ask_memory_used.cache_clear()
    yield
    sqlite._ask_memory_used.cache_clear()


def used() -> int:
    told = sqlite.memory_used_bytes()
    assert told is not None
    return told


def test_memory_in_use_holds_what_a_connection_has_read_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    conn = sqlite.open_sqlite(path, Mode.READ_WRITE_CREATE)
    conn.execute("CREATE TABLE t (x)")
    conn.executemany("INSERT INTO t VALUES (?)", ((b"x" * ROW_BYTES,) for _ in range(ROWS)))
    conn.close()
    before = used()
    conn = sqlite.open_sqlite(path, Mode.READ_ONLY)
    conn.execute("PRAGMA cache_size = -32768").fetchall()
    conn.execute("SELECT sum(length(x || '')) FROM t").fetchall()
    assert path.stat().st_size < used() - before < 1.2 * path.stat().st_size
    conn.close()
    assert abs(used() - before) < ROW_BYTES


@pytest.mark.parametrize("library", ["/nowhere.so", _ctypes.__file__])
def test_a_library_that_does_not_tell_is_no_error(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "driver", SimpleNamespace(__file__=library))
    assert sqlite.memory_used_bytes() is None
