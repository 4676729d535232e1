"""Real daemons with mutual TLS, as the command line names its files."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests import pki
from tests.system.members import Mesh, settled, start_all
from tests.system.processes import ask, ask_json, command, daemon, started

pytestmark = pytest.mark.slow

CA = pki.make_ca()
LOOK_S = 30.0
PATIENCE_MS = "10000"
"""For acknowledgements: what is refused here is not to be the fault of a busy machine."""


class Secured(Mesh):
    """Daemons that know each other by certificates of one authority, and let nobody else in."""

    def __init__(self, folder: Path, count: int, nursery: trio.Nursery) -> None:
        super().__init__(folder, count, nursery, {})
        self.certificates = [pki.issue(CA, f"n{number}", "127.0.0.1") for number in range(count)]
        pki.write_ca(CA, folder)
        for number in range(count):
            self.write(number)
        self.list(*self.certificates)

    def write(self, number: int) -> None:
        self.certificates[number].write(self.folder, f"n{number}")

    def list(self, *listed: pki.Issued) -> None:
        (self.folder / "list").write_text("".join(f"sha256:{one.fingerprint}\n" for one in listed))

    def url(self, number: int) -> str:
        return f"https://127.0.0.1:{self.ports[number]}/api/v1"

    def client(self, headers: dict[str, str] | None = None, timeout: float = 60) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=self.context(self.certificates[0]))

    def context(self, shown: pki.Issued | None) -> ssl.SSLContext:
        folder = self.folder / "client"
        folder.mkdir(exist_ok=True)
        return pki.client_context(CA, shown, folder)

    def words(self, number: int) -> list[str]:
        words = [word.replace("http://", "https://") for word in super().words(number)]
        cert, key, ca = (str(self.folder / name) for name in (f"n{number}.pem", f"n{number}.key", "ca.pem"))
        return [
            *words, "--tls-cert", cert, "--tls-key", key, "--mtls-allowlist", str(self.folder / "list"),
            "--quorum-client-cert", cert, "--quorum-client-key", key, "--quorum-ca-cert", ca,
            "--tier", "keyword", "--quorum-timeout-ms", PATIENCE_MS,
        ]

    async def reload(self, number: int) -> None:
        self.processes[number].signal(signal.SIGHUP)

    async def document(self, number: int) -> dict[str, Any]:
        """What a node says of the mesh, by its Unix socket: no certificate is needed there."""
        done = await ask(self.db(number), "mesh", "status", "--json")
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@asynccontextmanager
async def secured(folder: Path, count: int) -> AsyncIterator[Secured]:
    async with trio.open_nursery() as nursery:
        mesh = Secured(folder, count, nursery)
        await start_all(mesh)
        yield mesh
        nursery.cancel_scope.cancel()


async def store(http: httpx.AsyncClient, mesh: Mesh, number: int, title: str) -> int:
    """Store, again while too few nodes are in reach: just started, one may not have been asked since the other came."""
    with trio.fail_after(LOOK_S):
        while True:
            answer = await http.post(f"{mesh.url(number)}/memories", json={"title": title, "content": "text"})
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer.status_code


async def test_two_daemons_exchange_by_mutual_tls_and_show_it(tmp_path: Path) -> None:
    async with secured(tmp_path, 2) as mesh, mesh.client() as http:
        assert await store(http, mesh, 0, "one") == 201
        assert await store(http, mesh, 1, "two") == 201
        await settled(mesh)
        document = await mesh.document(0)
        assert {one["which"] for one in document["certificates"]} == {"server", "client", "quorum_ca"}
        [peer] = document["peers"]
        assert (peer["state"], peer["certificate"]["fingerprint"]) == ("reachable", mesh.certificates[1].fingerprint)
        shown = (await ask(mesh.db(0), "mesh", "status")).stdout.decode()
        assert "expires in 29 days" in shown
        for nobody in (None, pki.issue(CA, "stranger"), pki.self_signed("n1")):
            async with httpx.AsyncClient(verify=mesh.context(nobody)) as stranger:
                with pytest.raises(httpx.TransportError):
                    await stranger.get(f"{mesh.url(1)}/health")
        async with httpx.AsyncClient() as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get(f"{mesh.url(1)}/health".replace("https", "http"))


async def test_certificates_are_exchanged_and_a_peer_removed_while_all_goes_on(tmp_path: Path) -> None:
    async with secured(tmp_path, 3) as mesh, mesh.client() as http:
        assert await store(http, mesh, 0, "before") == 201
        old = list(mesh.certificates)
        for number in (1, 2):
            mesh.certificates[number] = pki.issue(CA, f"n{number}", "127.0.0.1")
            mesh.write(number)
        mesh.list(old[0], *mesh.certificates[1:])
        for number in range(3):
            await mesh.reload(number)
        await settled(mesh)
        assert await store(http, mesh, 1, "between") == 201
        mesh.list(*mesh.certificates[:2])       # the third is removed
        for number in (0, 1):
            await mesh.reload(number)
        with trio.fail_after(LOOK_S):
            while not await refused_by_all(mesh, 2):    # a command each time, which takes a while
                pass
        assert await store(http, mesh, 0, "after") == 201
        (tmp_path / "list").write_text("nonsense\n")
        await mesh.reload(0)
        with trio.fail_after(LOOK_S):
            while not (await mesh.document(0))["alarms"]:
                pass
        assert await store(http, mesh, 0, "still") == 201
        health = (await http.get(f"{mesh.url(0)}/health")).json()
        assert any("not read anew" in warning for warning in health["warnings"])
        metrics = (await http.get(f"{mesh.url(0)}/metrics")).text
        assert 'ai_memory_reloads_total{result="failed"} 1' in metrics


async def refused_by_all(mesh: Secured, number: int) -> bool:
    peers = (await mesh.document(number))["peers"]
    return all("refused our certificate" in peer["last_error"] for peer in peers)


async def test_a_new_certificate_is_shown_and_named_to_the_others_and_no_write_is_refused_meanwhile(
    tmp_path: Path,
) -> None:
    async with secured(tmp_path, 2) as mesh, mesh.client() as http, trio.open_nursery() as nursery:
        assert await store(http, mesh, 0, "before") == 201
        old, new = mesh.certificates[1], pki.issue(CA, "n1", "127.0.0.1")
        before = await shown_as(mesh, old)
        refused: list[str] = []

        async def write() -> None:
            for number in count():
                answer = await http.post(f"{mesh.url(0)}/memories", json={"title": f"{number}", "content": "text"})
                refused.extend([] if answer.status_code == 201 else [answer.text])

        nursery.start_soon(write)
        mesh.list(*mesh.certificates, new)
        for number in range(2):
            await mesh.reload(number)
            await reloaded(http, mesh, number, 1)
        mesh.certificates[1] = new
        mesh.write(1)
        await mesh.reload(1)
        after = await shown_as(mesh, new)
        nursery.cancel_scope.cancel()
    assert refused == []
    # The naming of it, and nothing else, as all that was stored was stored on the other node.
    stream = before["stream"]
    assert (after["stream"], after["vector"][stream]) == (stream, before["vector"][stream] + 1)


async def reloaded(http: httpx.AsyncClient, mesh: Secured, number: int, times: int) -> None:
    """Wait until a node has read its files anew so often."""
    said = f'ai_memory_reloads_total{{result="ok"}} {times}'
    with trio.fail_after(LOOK_S):
        while said not in (await http.get(f"{mesh.url(number)}/metrics")).text:
            pass


async def shown_as(mesh: Secured, certificate: pki.Issued) -> dict[str, Any]:
    """The second node as the first one sees it, once it shows this certificate there, names it, and knows it itself."""
    wanted = certificate.fingerprint
    with trio.fail_after(LOOK_S):
        while True:     # a command each time, which takes a while
            peer: dict[str, Any]
            [peer] = await ask_json(mesh.db(0), "mesh", "peers")
            shown = peer["certificate"] or {"fingerprint": ""}
            if (shown["fingerprint"], peer["named"]) == (wanted, [wanted]) and wanted in peer["fingerprints"]:
                break
    own = {one["which"]: one["fingerprint"] for one in (await mesh.document(1))["certificates"]}
    assert (own["server"], own["client"]) == (wanted, wanted)
    return peer


async def test_a_node_that_only_fetches_shows_its_certificate_and_never_skips_a_check(tmp_path: Path) -> None:
    async with secured(tmp_path, 2) as mesh, mesh.client() as http:
        assert await store(http, mesh, 0, "one") == 201
        visitor = pki.issue(CA, "visitor")
        visitor.write(tmp_path, "visitor")
        mesh.list(*mesh.certificates, visitor)
        await mesh.reload(0)
        peer = mesh.url(0).removesuffix("/api/v1")
        cert, key, ca = (str(tmp_path / name) for name in ("visitor.pem", "visitor.key", "ca.pem"))
        new = tmp_path / "new.db"
        words = command(new, "sync-daemon", "--peers", peer, "--interval", "1", "--client-cert", cert, "--client-key",
                        key, "--ca-cert", ca)
        async with started(words) as process:
            await process.stdout_line("is reachable")
            process.signal(signal.SIGHUP)
            await process.stderr_line("were read anew")
            (tmp_path / "ca.pem").write_text("nothing")
            process.signal(signal.SIGHUP)
            await process.stderr_line("ca.pem is no PEM file")
            assert await process.stop() == 0
        for more, status, said in (
            (["--client-cert", cert], 2, b"--client-cert is given without --client-key"),
            (["--client-cert", key, "--client-key", key], 2, b"holds no certificate"),
            (["--insecure-skip-server-verify"], 2, b"always verified"),
        ):
            refused = await ask(new, "sync-daemon", "--peers", peer, *more)
            assert (refused.returncode, said in refused.stderr) == (status, True), refused.stderr


class SelfSigned(Secured):
    """Servers of one authority, whose clients signed their certificates themselves."""

    def __init__(self, folder: Path, count: int, nursery: trio.Nursery, client_ca: str) -> None:
        super().__init__(folder, count, nursery)
        self.client_ca = client_ca
        self.clients = [pki.self_signed(f"n{number}") for number in range(count)]
        for number, one in enumerate(self.clients):
            one.write(folder, f"client{number}")
        (folder / "clients.pem").write_bytes(b"".join(one.certificate for one in self.clients))
        self.list(*self.clients)

    def client(self, headers: dict[str, str] | None = None, timeout: float = 60) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=self.context(self.clients[0]))

    def words(self, number: int) -> list[str]:
        words, own = super().words(number), {"cert": "pem", "key": "key"}
        for flag, suffix in own.items():
            words[words.index(f"--quorum-client-{flag}") + 1] = str(self.folder / f"client{number}.{suffix}")
        return [*words, "--mtls-ca-cert", self.client_ca]


@pytest.mark.parametrize("client_ca", ["none", "clients.pem"])
async def test_servers_of_an_authority_let_clients_in_that_signed_themselves(tmp_path: Path, client_ca: str) -> None:
    async with trio.open_nursery() as nursery:
        mesh = SelfSigned(tmp_path, 2, nursery, client_ca if client_ca == "none" else str(tmp_path / client_ca))
        await start_all(mesh)
        async with mesh.client() as http:
            assert await store(http, mesh, 0, "one") == 201
            assert await store(http, mesh, 1, "two") == 201
            await settled(mesh)
        [peer] = (await mesh.document(0))["peers"]
        assert set(peer["fingerprints"]) == {mesh.certificates[1].fingerprint, mesh.clients[1].fingerprint}
        for nobody in (None, pki.issue(CA, "n1"), pki.self_signed("n1")):
            async with httpx.AsyncClient(verify=mesh.context(nobody)) as stranger:
                with pytest.raises(httpx.TransportError):
                    await stranger.get(f"{mesh.url(1)}/health")
        nursery.cancel_scope.cancel()


async def test_a_fault_in_a_file_ends_the_start_with_status_2_and_a_sentence(tmp_path: Path) -> None:
    cert, _ = pki.issue(CA, "n0").write(tmp_path, "n0")
    old_cert, old_key = pki.issue_expired(CA, "n0").write(tmp_path, "old")
    for words, said in (
        (("--tls-cert", cert), "--tls-cert is given without --tls-key"),
        (("--tls-cert", old_cert, "--tls-key", old_key), f"--tls-cert: {old_cert} expired on"),
        (("--tls-cert", cert, "--tls-key", old_key), f"--tls-key: {old_key} is not the key of {cert}"),
        (("--mtls-allowlist", cert), "--mtls-allowlist is given without --tls-cert"),
    ):
        refused = await ask(tmp_path / "m.db", "serve", "--port", "0", *map(str, words))
        assert refused.returncode == 2
        assert said in refused.stderr.decode()
        assert not (tmp_path / "m.db").exists()


async def test_a_session_beside_a_daemon_does_not_fail_by_files_that_are_the_daemons(tmp_path: Path) -> None:
    cert, key = pki.issue_expired(CA, "n0").write(tmp_path, "old")
    environ = {
        "AI_MEMORY_TLS_CERT": str(cert), "AI_MEMORY_TLS_KEY": str(key), "AI_MEMORY_QUORUM_CLIENT_CERT": str(cert),
        "AI_MEMORY_QUORUM_CLIENT_KEY": str(key), "AI_MEMORY_TIER": "keyword",
    }
    db = tmp_path / "m.db"
    async with daemon(db, "--tier", "keyword"):
        async with started(command(db, "mcp"), **environ) as process:
            await process.call(
                "initialize", protocolVersion="2025-06-18", capabilities={},
                clientInfo={"name": "test", "version": "1"})
            assert await process.stop() == 0
        done = await ask(db, "list", **environ)
        assert done.returncode == 0, done.stderr
    async with started(command(db, "mcp"), **environ) as process:
        assert f"AI_MEMORY_QUORUM_CLIENT_CERT: {cert} expired on" in await process.stderr_rest()
        assert await process.wait() == 2
    plain = {name: value for name, value in environ.items() if "CLIENT" not in name}
    assert (await ask(db, "list", **plain)).returncode == 0
    async with started(command(db, "mcp"), **plain) as process:
        await process.call(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"})
        assert await process.stop() == 0


async def test_tls_alone_serves_everybody_and_any_address_by_name(tmp_path: Path) -> None:
    cert, key = pki.issue(CA, "localhost").write(tmp_path, "n0")
    folder = tmp_path / "client"
    folder.mkdir()
    words = ("--tls-cert", str(cert), "--tls-key", str(key), "--host", "localhost", "--tier", "keyword")
    async with daemon(tmp_path / "m.db", *words) as (process, url):
        assert url.startswith("https://")
        async with httpx.AsyncClient(verify=pki.client_context(CA, None, folder)) as http:
            port = httpx.URL(url.rstrip(",")).port
            answer = await http.get(f"https://localhost:{port}/api/v1/health")
            assert answer.json()["status"] == "ok"
        assert await process.stop() == 0
