"""What only real processes show: signals, exit statuses, locks, and what is left after kill -9."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import trio

from aimem.supervisor.listeners import open_tcp
from tests.system.processes import ask, ask_json, command, daemon, heaps_of, session, started

pytestmark = pytest.mark.slow


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


async def test_daemon_answers_where_it_says_and_ends_calmly_at_sigterm(db: Path) -> None:
    async with daemon(db) as (process, url), httpx.AsyncClient(base_url=url) as http:
        health = (await http.get("/api/v1/health")).json()
        assert health["status"] == "ok" and health["mode"] == "keyword"
        stored = await http.post("/api/v1/memories", json={"title": "Harbour", "content": "Ships sleep here."})
        assert stored.status_code == 201
        assert await process.stop() == 0
    assert not db.with_name("memory.db.sock").exists()
    assert not db.with_name("memory.db-wal").exists() or db.with_name("memory.db-wal").stat().st_size == 0
    assert (await ask_json(db, "list"))["count"] == 1


async def test_every_acknowledged_write_is_there_after_kill(db: Path) -> None:
    acknowledged = []
    async with daemon(db) as (process, url), httpx.AsyncClient(base_url=url) as http:
        for number in range(20):
            answer = await http.post("/api/v1/memories", json={"title": f"Row {number}", "content": "kept"})
            acknowledged.append(answer.json()["id"])
        assert await process.kill() == -9
    assert db.with_name("memory.db.sock").exists()      # left behind, and in nobody's way
    async with daemon(db) as (process, url), httpx.AsyncClient(base_url=url) as http:
        for memory_id in acknowledged:
            assert (await http.get(f"/api/v1/memories/{memory_id}")).status_code == 200
        assert await process.stop() == 0


async def test_second_daemon_says_who_holds_the_database(db: Path) -> None:
    async with daemon(db):
        second = await ask(db, "serve", "--port", "0")
        assert second.returncode == 7
        words = second.stderr.decode()
        assert "is held by process" in words and "(ai-memory serve)" in words and "Traceback" not in words


async def test_a_restore_by_another_name_of_the_database_sees_who_holds_it(db: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(db)
    async with daemon(db):
        assert (await ask(link, "backup", "--to", str(tmp_path / "backups"))).returncode == 0
        refused = await ask(link, "restore", "--from", str(tmp_path / "backups"))
        assert refused.returncode == 7
        assert b"is held by a running process" in refused.stderr
    restored = await ask(link, "restore", "--from", str(tmp_path / "backups"))
    assert restored.returncode == 0
    assert link.is_symlink()
    assert db.is_file()


async def test_command_reaches_the_daemon_by_its_socket(db: Path) -> None:
    async with daemon(db) as (_, url), httpx.AsyncClient(base_url=url) as http:
        stored = await ask_json(db, "store", "--title", "Harbour", "--content", "Ships sleep here.")
        assert (await http.get(f"/api/v1/memories/{stored['id']}")).status_code == 200


async def test_two_sessions_and_a_command_share_one_database(db: Path) -> None:
    async with session(db) as first, session(db) as second:
        mine = await first.tool("memory_store", title="Harbour", content="Ships sleep here.")
        theirs = await second.tool("memory_store", title="Lighthouse", content="It shows the way.")
        found = await ask_json(db, "list")
        assert {row["id"] for row in found["memories"]} == {mine["id"], theirs["id"]}
        assert (await first.tool("memory_get", id=theirs["id"]))["title"] == "Lighthouse"


async def test_session_takes_over_when_the_holder_is_killed(db: Path) -> None:
    async with session(db) as first, session(db) as second:
        kept = await first.tool("memory_store", title="Harbour", content="Ships sleep here.")
        await second.tool("memory_get", id=kept["id"])
        assert await first.kill() == -9
        written = await second.tool("memory_store", title="Lighthouse", content="It shows the way.")
        found = await ask_json(db, "list")      # by the second one's socket
        assert {row["id"] for row in found["memories"]} == {kept["id"], written["id"]}


async def test_session_takes_over_when_the_daemon_stops(db: Path) -> None:
    async with daemon(db) as (process, _), session(db) as agent:
        await agent.tool("memory_store", title="Harbour", content="Ships sleep here.")
        assert await process.stop() == 0
        assert (await agent.tool("memory_list", format="json"))["count"] == 1


async def test_session_ends_when_its_client_goes(db: Path) -> None:
    async with session(db) as agent:
        await agent.tool("memory_store", title="Harbour", content="Ships sleep here.")
        await agent.close_stdin()
        assert await agent.wait() == 0
    assert not db.with_name("memory.db.sock").exists()


async def test_taken_port_public_address_and_bad_paths_are_sentences(db: Path, tmp_path: Path) -> None:
    (taken,) = await open_tcp("127.0.0.1", 0, insecure=False)
    async with taken.socket:
        port = str(taken.socket.socket.getsockname()[1])
        refused = await ask(db, "serve", "--port", port)
        assert refused.returncode == 7 and b"in use" in refused.stderr
    public = await ask(db, "serve", "--host", "0.0.0.0", "--port", "0")
    assert public.returncode == 4 and b"--insecure" in public.stderr
    folder = await ask(tmp_path, "list")
    assert folder.returncode == 2 and b"is a folder" in folder.stderr
    missing = await ask(tmp_path / "no" / "m.db", "list")
    assert missing.returncode == 2 and b"does not exist" in missing.stderr
    (tmp_path / "text.db").write_text("This is no database, and it is long enough to be looked at. " * 50)
    text = await ask(tmp_path / "text.db", "list")
    assert text.returncode == 1
    for done in (refused, public, folder, missing, text):
        assert done.stderr.startswith(b"ai-memory: error: ") and b"Traceback" not in done.stderr


async def test_log_lines_are_json_if_asked_for(db: Path) -> None:
    async with started(command(db, "serve", "--port", "0", "--log-format", "json")) as process:
        await process.stderr_line("listening on")
        process.terminate()
        line = json.loads(await process.stderr_line("signal.stopping"))
        assert line["event"] == "signal.stopping" and line["level"] == "info" and line["signal"] == "SIGTERM"
        assert await process.wait() == 0


async def test_help_loads_neither_trio_nor_a_database(db: Path) -> None:
    async with started([*command(db)[:1], "-X", "importtime", "-m", "aimem", "--help"]) as process:
        loaded = await process.stderr_rest()
        assert await process.wait() == 0
    for name in ("trio", "sqlite3", "pysqlite3", "httpx", "quart", "numpy"):
        assert f"| {name}\n" not in loaded.replace("  ", "")


async def test_a_connection_has_tasks_of_its_own_which_end_with_it(db: Path) -> None:
    async with daemon(db) as (_, url), httpx.AsyncClient(base_url=url) as http:
        before = await tasks_of(http)
        parts = httpx.URL(url)
        async with await trio.open_tcp_stream(parts.host, parts.port or 0) as guest:
            await guest.send_all(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await guest.receive_some()
            assert await tasks_of(http) > before
        with trio.fail_after(30):
            while await tasks_of(http) > before:
                pass


async def test_a_daemon_tells_what_sqlite_holds(db: Path) -> None:
    async with daemon(db) as (_, url), httpx.AsyncClient(base_url=url) as http:
        assert 100_000 < await figure_of(http, "ai_memory_sqlite_bytes") < 10_000_000


async def test_the_threads_of_a_daemon_share_a_heap(db: Path) -> None:
    async with daemon(db) as (process, url), httpx.AsyncClient(base_url=url) as http:
        for path in ("/api/v1/stats", "/api/v1/recall?context=wrote", "/api/v1/memories"):
            (await http.get(path)).raise_for_status()
        assert heaps_of(process.pid) == 0


async def tasks_of(http: httpx.AsyncClient) -> float:
    """The number of its tasks, as a daemon tells it."""
    return await figure_of(http, "ai_memory_tasks")


async def figure_of(http: httpx.AsyncClient, name: str) -> float:
    page = (await http.get("/metrics")).raise_for_status().text
    [told] = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(told.split()[1])
