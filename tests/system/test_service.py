"""A real daemon and the socket of a service manager: ready, beats, reloads, a hang, the end."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trio

from tests import pki
from tests.packaging.units import FOLDER
from tests.system.processes import Process, ask, ask_json, command, daemon, started

pytestmark = pytest.mark.slow
BEAT_S = 0.2


class Manager:
    """Hears what a daemon says to its service manager."""

    def __init__(self, address: Path) -> None:
        self._inbox = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = str(address)
        self.environ = {"NOTIFY_SOCKET": self._address, "WATCHDOG_USEC": str(int(BEAT_S * 2e6))}

    async def open(self) -> None:
        await self._inbox.bind(self._address)

    def close(self) -> None:
        self._inbox.close()

    async def next(self, *, seconds: float = 60) -> str:
        """The next message, whatever it is."""
        with trio.fail_after(seconds):
            return (await self._inbox.recv(4096)).decode()

    async def says(self, words: str) -> str:
        """The first message from here on that begins with these words; beats before it are passed over."""
        while True:
            message = await self.next()
            if message.startswith(words):
                return message
            assert message == "WATCHDOG=1", message

    async def is_silent(self, words: str, *, seconds: float) -> bool:
        """Whether nothing that begins with these words comes for so long."""
        with trio.move_on_after(seconds):
            while not (await self._inbox.recv(4096)).decode().startswith(words):
                pass
            return False
        return True


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    manager = Manager(tmp_path / "notify")
    await manager.open()
    yield manager
    manager.close()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@contextlib.asynccontextmanager
async def able_to_hang(db: Path, what: str, manager: Manager) -> AsyncIterator[tuple[Process, str]]:
    """A daemon in which something hangs from SIGUSR1 on."""
    words = [sys.executable, "-m", "tests.system.hanging", what, "--db", str(db), "serve", "--port", "0"]
    async with started(words, **manager.environ) as process:
        line = await process.stderr_line("listening on")
        yield process, line.split("listening on ")[1].split()[0]


async def test_the_manager_hears_ready_once_it_serves_then_beats_and_then_the_end(db: Path, manager: Manager) -> None:
    async with daemon(db, **manager.environ) as (process, url), httpx.AsyncClient(base_url=url) as http:
        assert await manager.next() == f"STATUS=opening {db}"
        assert (await manager.next()).split("\n") == ["READY=1", f"STATUS=serving on {url}", f"MAINPID={process.pid}"]
        assert (await http.get("/api/v1/health")).status_code == 200
        for _ in range(3):
            assert await manager.next(seconds=10) == "WATCHDOG=1"
        process.terminate()
        assert (await manager.says("STOPPING=1")).split("\n")[1:] == ["STATUS=draining", "EXTEND_TIMEOUT_USEC=90000000"]
        assert await process.wait() == 0


async def test_a_reload_is_waited_for_and_its_failure_is_told(db: Path, manager: Manager, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[mesh]\nquorum_writes = 1\n")
    async with daemon(db, "--config", str(config), **manager.environ) as (process, url):
        await manager.next()
        assert (await manager.next()).startswith("READY=1")
        done = await ask(db, "mesh", "reload", "--config", str(config))
        assert (done.returncode, done.stdout) == (0, b"read anew: 1 member, writes wait for 1 node\n")
        assert "MONOTONIC_USEC=" in await manager.says("RELOADING=1")
        assert await manager.says("READY=1") == f"READY=1\nSTATUS=serving on {url}"
        config.write_text("[mesh]\nquorum_rights = 1\n")
        process.signal(signal.SIGHUP)
        await manager.says("RELOADING=1")
        told = await manager.says("READY=1")
        assert "nothing was read anew: " in told and "quorum_rights is an unknown key" in told
        failed = await ask(db, "mesh", "reload")
        assert failed.returncode == 2 and "quorum_rights is an unknown key" in failed.stderr.decode()
        assert await process.stop() == 0


async def test_a_loop_that_hangs_does_not_beat_and_its_abort_tells_where(db: Path, manager: Manager) -> None:
    async with able_to_hang(db, "loop", manager) as (process, _):
        await manager.next()
        await manager.says("READY=1")
        await manager.says("WATCHDOG=1")
        process.signal(signal.SIGUSR1)
        assert await went_silent(manager)
        process.signal(signal.SIGABRT)
        said = await process.stderr_rest()
        assert "Fatal Python error: Aborted" in said and "hanging.py" in said
        assert await process.wait() == -signal.SIGABRT


async def test_nobody_beats_for_a_writer_that_hangs_while_the_loop_goes_on(db: Path, manager: Manager) -> None:
    async with able_to_hang(db, "writer", manager) as (process, url), httpx.AsyncClient(base_url=url) as http:
        await manager.next()
        await manager.says("READY=1")
        await manager.says("WATCHDOG=1")
        process.signal(signal.SIGUSR1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store_in_vain, http)
            told = await manager.says("STATUS=")
            assert told.startswith("STATUS=the writer has hung for ")
            assert await manager.is_silent("WATCHDOG=1", seconds=5 * BEAT_S)
            assert (await http.get("/metrics")).status_code == 200
            nursery.cancel_scope.cancel()


async def store_in_vain(http: httpx.AsyncClient) -> None:
    """Nobody answers, until the caller gives up."""
    await http.post("/api/v1/memories", json={"title": "Harbour", "content": "Ships sleep here."}, timeout=60)


async def went_silent(manager: Manager) -> bool:
    """Whether the beats end, but for those that were on their way."""
    await manager.is_silent("", seconds=BEAT_S)
    return await manager.is_silent("", seconds=5 * BEAT_S)


@pytest.mark.parametrize("signed", [True, False])
async def test_a_daemon_with_mutual_tls_lives_under_the_calls_that_its_unit_leaves_it(
    db: Path, tmp_path: Path, signed: bool
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    ca = pki.make_ca()
    issued = pki.issue(ca, "localhost", "127.0.0.1")
    cert, key = issued.write(tmp_path, "node")
    pki.write_ca(ca, tmp_path)
    (tmp_path / "list").write_text(f"sha256:{issued.fingerprint}\n")
    words = [sys.executable, "-m", "tests.system.sandbox", str(FOLDER / "ai-memory.service")]
    words += command(db, "serve", "--port", "0", "--tls-cert", str(cert), "--tls-key", str(key), "--mtls-allowlist")
    words += [str(tmp_path / "list"), "--mtls-ca-cert", str(tmp_path / "ca.pem") if signed else "none"]
    async with started(words) as process:
        url = (await process.stderr_line("listening on")).split("listening on ")[1].split()[0]
        verify = pki.client_context(ca, issued, tmp_path)
        async with httpx.AsyncClient(base_url=url, verify=verify) as http:
            stored = await http.post("/api/v1/memories", json={"title": "Harbour", "content": "Ships sleep here."})
            assert stored.status_code == 201
        assert (await ask_json(db, "list"))["count"] == 1
        assert await process.stop() == 0


async def test_the_calls_that_a_unit_refuses_are_refused(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (apt install systemd)")
    unit = tmp_path / "x.service"
    unit.write_text("[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@file-system\n")
    words = [sys.executable, "-m", "tests.system.sandbox", str(unit), sys.executable, "-c", "import os; os.listdir()"]
    async with started(words) as process:
        assert await process.wait() != 0
