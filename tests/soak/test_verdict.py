"""What grows is found, whatever it is and however slowly; what only moves is not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from aimem.config import StoreConfig
from aimem.ports import Mode, sqlite
from aimem.store import schema
from tests.soak.made import (
    Change,
    changed,
    flat,
    more_database,
    more_files,
    more_memory,
    more_queued,
    more_sockets,
    more_sqlite,
    more_tasks,
    more_threads,
)
from tests.soak.verdict import (
    CACHES_KIB,
    CONNECTION_KIB,
    FEWEST,
    MEMORY_KIB_AN_HOUR,
    PAGE_SHARE,
    grown,
    kept,
    sqlite_kib,
    undecided,
)

AT_REST = 5
ROW_BYTES, ROWS = 3_000, 10_000
LEAKS: dict[str, tuple[Change, str, float]] = {
    "memory": (more_memory, "memory", 1.5 * MEMORY_KIB_AN_HOUR), "sockets": (more_sockets, "handles", 12),
    "files": (more_files, "handles", 12), "database": (more_database, "database handles", 12),
    "threads": (more_threads, "threads", 12), "tasks": (more_tasks, "tasks", 20),
    "queued": (more_queued, "queued", 60),
}
"""What leaks, under which name it has to be found, and how much of it in an hour is found whatever else moves."""


@pytest.mark.parametrize("seed", range(5))
def test_a_node_that_only_breathes_is_flat(seed: int) -> None:
    for samples in (flat(seed=seed), flat(count=40, seed=seed)):
        assert not [*grown(samples)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("leak", LEAKS)
def test_a_slow_leak_is_found_under_its_name(leak: str, seed: int) -> None:
    change, name, an_hour = LEAKS[leak]
    [found] = grown(changed(flat(seed=seed), change, lambda share: an_hour * share))
    assert found.startswith(f"node-a: {name} grew from ")


def test_what_sqlite_holds_is_not_the_memory_that_has_to_stay_level() -> None:
    filling = changed(flat(), more_sqlite, lambda share: 20_480 * share)
    assert not [*grown(filling)]
    [found] = grown(changed(filling, more_memory, lambda share: 1.5 * MEMORY_KIB_AN_HOUR * share))
    assert found.startswith("node-a: memory grew from ")


@pytest.mark.parametrize("mib", [1, 20, 100])
def test_sqlite_may_hold_what_its_connections_may_keep_of_a_file_and_no_more(mib: int) -> None:
    samples = [replace(one, db_bytes=one.wal_bytes + (mib << 20)) for one in flat()]
    most_kib = sqlite_kib(samples[0])
    assert not [*grown([replace(one, sqlite_bytes=int(1024 * most_kib)) for one in samples])]
    [found] = grown([replace(one, sqlite_bytes=int(1024 * most_kib) + 1024) for one in samples])
    assert found.startswith("node-a: SQLite holds ")


@pytest.mark.parametrize("cache_kib", [4 * 1024, 16 * 1024, 64 * 1024])
def test_the_pages_that_a_connection_has_read_are_within_their_share(cache_kib: int, tmp_path: Path) -> None:
    """And not so far within it that it bounds nothing."""
    conn = sqlite.open_sqlite(tmp_path / "memory.db", Mode.READ_WRITE_CREATE)
    conn.execute(f"PRAGMA cache_size = -{cache_kib}").fetchall()
    before = used_kib()
    conn.execute("BEGIN")
    conn.execute("CREATE TABLE t (x)")
    conn.executemany("INSERT INTO t VALUES (?)", ((b"x" * ROW_BYTES,) for _ in range(ROWS)))
    conn.execute("COMMIT")
    conn.execute("SELECT sum(length(x || '')) FROM t").fetchall()
    most_kib = PAGE_SHARE * min(cache_kib, (tmp_path / "memory.db").stat().st_size / 1024)
    assert 0.8 * most_kib < used_kib() - before < most_kib + CONNECTION_KIB
    conn.close()


def test_the_caches_are_those_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with contextlib.closing(sqlite.open_sqlite(path, Mode.READ_WRITE_CREATE)) as conn:
        schema.prepare_writer(conn, path)
        [[writer]] = conn.execute("PRAGMA cache_size").fetchall()
        schema.prepare_reader(conn)
        [[reader]] = conn.execute("PRAGMA cache_size").fetchall()
    assert (-int(str(writer)), *[-int(str(reader))] * StoreConfig(db=path).reader_count) == CACHES_KIB


def used_kib() -> float:
    told = sqlite.memory_used_bytes()
    assert told is not None
    return told / 1024


@pytest.mark.parametrize("leak", LEAKS)
def test_what_grows_while_a_node_warms_up_and_then_stays_is_no_leak(leak: str) -> None:
    change, _, an_hour = LEAKS[leak]
    assert not [*grown(changed(flat(), change, lambda share: 10 * an_hour * min(share, 0.25)))]


@pytest.mark.parametrize("begin", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_step_that_goes_back_is_no_leak(leak: str, begin: float) -> None:
    change, _, an_hour = LEAKS[leak]
    assert not [*grown(changed(flat(), change, lambda share: 10 * an_hour * (begin < share < begin + 0.1)))]


def test_too_few_samples_or_too_short_a_time_say_so_and_decide_nothing() -> None:
    assert undecided([]) == f"0 samples are too few: {FEWEST} are the least"
    assert "too few" in undecided(flat(count=FEWEST - 1))
    assert undecided(flat(count=FEWEST, every_s=1.0)) == "23 s are too short: 240 s are the least"
    assert undecided(flat(count=FEWEST)) == ""
    with pytest.raises(ValueError, match="too few"):
        list(grown(flat(count=FEWEST - 1)))


@pytest.mark.parametrize("leak", set(LEAKS) - {"memory"})
def test_what_an_idle_node_has_kept_is_found(leak: str) -> None:
    change, name, _ = LEAKS[leak]
    still = [replace(one, process=replace(one.process, sockets=30, threads=5), tasks=70) for one in flat(AT_REST)]
    assert not [*kept(still, [change(one, 3) for one in still])]
    [found] = kept(still, [change(one, 17) for one in still])
    assert found.startswith(f"node-a: {name} at rest were ")
