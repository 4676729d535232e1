"""Ways to nodes that lead nowhere: wrong addresses, refused certificates, ended keys, other versions and programs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aimem import __version__
from aimem.errors import InvalidRequest
from aimem.wire import console
from aimem_tui.doors import open_doors
from tests.system.members import free_ports
from tests.tui.daemons import Daemon, serving
from tests.tui.live import looking_at, until

pytestmark = pytest.mark.slow

OTHER_VERSION = """
import runpy, aimem
aimem.__version__ = "9.9.9"
runpy.run_module("aimem", run_name="__main__")
"""


def door(url: str) -> list[console.DoorIn]:
    return [console.DoorIn(name=url, url=url)]


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that answers everything with these bytes; its address."""
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def test_an_address_where_nothing_listens() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with looking_at(door(url), size=(80, 24)) as (_, pilot):
        await until(pilot, "✖ offline", f"nothing listens at {url}", "ai-memory serve")


@pytest.mark.parametrize(("answer", "what"), [
    (http(b"<html>\x1b[2Jhello</html>", "text/html"), "is not understood"),
    (http(json.dumps({"status": "ok"}).encode()), "is not understood"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot reach"),
], ids=["page", "other-version", "ssh"])
async def test_something_else_answers(answer: bytes, what: str) -> None:
    async with answering(answer) as url, looking_at(door(url), size=(100, 30)) as (_, pilot):
        await until(pilot, "✖", what)


async def test_a_daemon_of_another_version_is_seen_and_said_to_be_one(tmp_path: Path) -> None:
    with serving([Daemon(tmp_path / "x.db", program=("-c", OTHER_VERSION))]) as [daemon]:
        async with looking_at(door(daemon.url), size=(80, 24)) as (_, pilot):
            await until(pilot, "▲ warning", "9.9.9", f"9.9.9 and this console is {__version__}: give both the same")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    """A daemon that lets in who is on its list alone; with the folder of certificates."""
    folder = tmp_path_factory.mktemp("tls")
    for words in (("init",), ("issue", "--name", "one", "--ip", "127.0.0.1"), ("issue", "--name", "visitor")):
        subprocess.run([sys.executable, "-m", "aimem", "pki", *words, "--dir", str(folder / "pki")], check=True,
                       capture_output=True)
    pki = folder / "pki"
    words = ("--tls-cert", str(pki / "one.pem"), "--tls-key", str(pki / "one.key"),
             "--mtls-allowlist", str(pki / "peer-fingerprints.txt"), "--quorum-ca-cert", str(pki / "ca.pem"))
    with serving([Daemon(folder / "x.db", *words)]) as [daemon]:
        yield daemon, pki


async def test_a_certificate_that_is_not_believed_one_that_is_missing_and_one_that_is_let_in(
    certified: tuple[Daemon, Path]
) -> None:
    daemon, pki = certified
    async with looking_at(door(daemon.url), size=(100, 30)) as (_, pilot):
        await until(pilot, "✖ refused", "is not believed", "--ca-cert")
    async with looking_at(door(daemon.url), size=(100, 30), ca_cert=str(pki / "ca.pem")) as (_, pilot):
        await until(pilot, "✖ refused", "turned us away", "--client-cert")
    files = {"ca_cert": str(pki / "ca.pem"), "client_cert": str(pki / "visitor.pem"),
             "client_key": str(pki / "visitor.key")}
    async with looking_at(door(daemon.url), size=(100, 30), **files) as (_, pilot):
        await until(pilot, "● ok", "396d")
    plain = daemon.url.replace("https:", "http:")
    async with looking_at(door(plain), size=(100, 30)) as (_, pilot):
        await until(pilot, "✖ offline")


async def test_a_key_that_is_missing_expired_revoked_or_no_operators(tmp_path: Path) -> None:
    with serving([Daemon(tmp_path / "x.db")]) as [daemon]:
        added = subprocess.run(
            [sys.executable, "-m", "aimem", "--db", str(daemon.db), "agents", "key", "add", "ops", "--role", "operator",
             "--json"], check=True, capture_output=True)
        operator = json.loads(added.stdout)["key"]
        agent = daemon.ask("POST", "/agents/keys", {"agent_id": "bob"}, agent="ops", **{"X-API-Key": operator})
        ending = daemon.ask("POST", "/agents/keys", {"agent_id": "eve", "ttl_secs": 1}, agent="ops",
                            **{"X-API-Key": operator})
        async with looking_at(door(daemon.url), size=(100, 30)) as (_, pilot):
            await until(pilot, "no entry", "--key")
        async with looking_at(door(daemon.url), size=(80, 24), key=ending["key"]) as (_, pilot):
            await until(pilot, "no entry", "expired", "make another with `ai-memory agents key add`")
        async with looking_at(door(daemon.url), size=(100, 30), key=operator) as (_, pilot):
            await until(pilot, "● ok")
        async with looking_at(door(daemon.url), size=(100, 30), key=agent["key"]) as (_, pilot):
            await until(pilot, "no entry", "operator")
        daemon.ask("DELETE", f"/agents/keys/{agent['key_id']}", agent="ops", **{"X-API-Key": operator})
        async with looking_at(door(daemon.url), size=(100, 30), key=agent["key"]) as (_, pilot):
            await until(pilot, "no entry", "agents key add")


@pytest.mark.parametrize("field", ["ca_cert", "client_cert"])
def test_files_that_are_no_certificates_are_told_before_the_screen_opens(field: str, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    for path in (tmp_path / "x.pem", tmp_path / "missing.pem"):
        request = console.ConsoleRequest(doors=tuple(door("https://127.0.0.1:1")), **{field: str(path)})
        with pytest.raises(InvalidRequest, match=rf"--{field.replace('_', '-')} .* cannot be used"):
            open_doors(request)
