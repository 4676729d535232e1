"""Who is refused by TLS is refused before one byte of HTTP is read, soon and cheaply, and counted by the reason."""

from __future__ import annotations

import contextlib
import re
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest
import trio
import trustme
from msgspec import Struct

from aimem.operations.timing import resident_mb
from aimem.supervisor.listeners import choose_socket_path
from tests.pki import Issued, client_context, issue, issue_expired, issue_not_yet, make_ca, self_signed, write_ca
from tests.system.processes import START_S, Process, ask_json, daemon

pytestmark = pytest.mark.slow

HOST: Final = "127.0.0.1"
REQUEST: Final = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
REQUESTS: Final = "ai_memory_http_requests_total"
METRICS: Final = "/api/v1/metrics"
REFUSED: Final = "ai_memory_tls_handshakes_total"
RELOADS: Final = "ai_memory_reloads_total"
LOGGED: Final = "tls.refused"
OK: Final = b"HTTP/1.1 200"
PIECE_BYTES: Final = 65_536
ALERT_BYTES: Final = 16
"""A record with an alert has seven."""
VERSIONS: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
HALF_OPEN: Final = 2_000
HANDSHAKE_S: Final = 10.0
GROWN_MB: Final = 40.0
"""By how much half-open connections may grow a daemon: some 100 kB each for the 256 that are kept, and what the
allocator does not give back."""
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a knock: the plain bytes of an answer, and the alert, if it ended with one."""

    answer: bytes
    alert: str = ""


class Node:
    """A daemon that takes only who is on its list, and its owner's view of it."""

    def __init__(self, db: Path, port: int, process: Process, owner: httpx.AsyncClient) -> None:
        self.db, self.port, self.process, self.owner = db, port, process, owner

    async def knock(self, context: ssl.SSLContext) -> Outcome:
        """Shake hands and ask, the request in one go with the last of the handshake where the version allows."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        answer, has_asked = bytearray(), False
        async with await trio.open_tcp_stream(HOST, self.port) as stream:
            while True:
                try:
                    if not has_asked:
                        tls.do_handshake()
                        tls.write(REQUEST)
                        has_asked = True
                        await _send(stream, outgoing)
                    if not (data := tls.read(PIECE_BYTES)):
                        return Outcome(answer=bytes(answer))
                    answer += data
                except ssl.SSLWantReadError:
                    await _send(stream, outgoing)
                    data = await stream.receive_some(PIECE_BYTES)
                    if data:
                        incoming.write(data)
                    else:
                        incoming.write_eof()
                except ssl.SSLError as error:
                    return Outcome(answer=bytes(answer), alert=error.reason or type(error).__name__)

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric that have these labels; 0 without any."""
        page = (await self.owner.get("/metrics")).raise_for_status().text
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(
            float(value) for found, told, value in _LINE.findall(page)
            if found == name and wanted <= set((told or "").split(","))
        )

    async def heard(self) -> float:
        """How many requests it has read, but those of its owner, who asks for figures alone."""
        return await self.counted(REQUESTS) - await self.counted(REQUESTS, route=METRICS)

    @contextlib.asynccontextmanager
    async def refusing(self, kind: str, by: int = 1) -> AsyncIterator[None]:
        """The block makes this kind of refusal grow by so much, and no request is read in it."""
        before = await self.counted(REFUSED, result=kind)
        async with self.hearing_nothing():
            yield
        assert await self.counted(REFUSED, result=kind) == before + by

    @contextlib.asynccontextmanager
    async def hearing_nothing(self) -> AsyncIterator[None]:
        """No request is read in the block."""
        before = await self.heard()
        yield
        assert await self.heard() == before

    async def reload(self, result: str) -> None:
        """Send SIGHUP, and wait until it came to this: `ok` or `failed`."""
        before = await self.counted(RELOADS, result=result)
        self.process.signal(signal.SIGHUP)
        with trio.fail_after(START_S):
            while True:
                if await self.counted(RELOADS, result=result) > before:
                    return
                await trio.sleep(0.05)

    async def warnings(self) -> list[str]:
        """What health warns of."""
        health = (await self.owner.get("/health")).json()
        return list(health["warnings"])

    def write_list(self, who: Sequence[Issued]) -> None:
        """SIGHUP has it read."""
        self.db.with_name("list.txt").write_text("".join(f"{one.fingerprint}\n" for one in who))


async def _send(stream: trio.SocketStream, outgoing: ssl.MemoryBIO) -> None:
    with contextlib.suppress(trio.BrokenResourceError):     # what it said before it closed is still to be read
        await stream.send_all(outgoing.read())


@contextlib.asynccontextmanager
async def node_with(db: Path, words: Sequence[str]) -> AsyncIterator[Node]:
    """A daemon that is started with these words."""
    transport = httpx.AsyncHTTPTransport(uds=str(choose_socket_path(db, None)))
    async with (
        daemon(db, *words) as (process, url),
        httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1", timeout=START_S) as owner,
    ):
        yield Node(db, int(url.rstrip("/,").rpartition(":")[2]), process, owner)


@contextlib.asynccontextmanager
async def node_of(folder: Path, ca: trustme.CA, listed: Sequence[Issued], *words: str) -> AsyncIterator[Node]:
    """A daemon with a certificate of this authority, and a list of those whom it takes."""
    issue(ca, "localhost", HOST, days=90).write(folder, "server")
    (folder / "list.txt").write_text("".join(f"{one.fingerprint}\n" for one in listed))
    tls = ("--tls-cert", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key",
           "--mtls-allowlist", f"{folder}/list.txt")
    async with node_with(folder / "node.db", (*tls, *words)) as node:
        yield node


Maker = Callable[[trustme.CA], Issued | None]

AMONG_SIGNED: Final[dict[str, tuple[Maker, bool, str]]] = {
    "none": (lambda _: None, False, "no_certificate"),
    "not listed": (lambda ca: issue(ca, "stranger"), False, "unlisted"),
    "expired": (lambda ca: issue_expired(ca, "member"), True, "expired"),
    "not yet valid": (lambda ca: issue_not_yet(ca, "member"), True, "not_yet_valid"),
    "of another authority": (lambda _: issue(make_ca(), "member"), True, "untrusted"),
    "self-signed": (lambda _: self_signed("member"), True, "untrusted"),
}
"""What a client shows; whether it is listed all the same; as what its refusal is counted."""
AMONG_LISTED: Final[dict[str, tuple[Maker, bool, str]]] = {
    "none": (lambda _: None, False, "no_certificate"),
    "not listed": (lambda _: self_signed("stranger"), False, "unlisted"),
    "expired": (lambda _: self_signed("member", days=-1, from_days=-30), True, "expired"),
    "not yet valid": (lambda _: self_signed("member", from_days=1), True, "not_yet_valid"),
}


@pytest.mark.parametrize("signed", [True, False], ids=["by an authority", "by the list alone"])
async def test_who_is_not_let_in_gets_an_alert_and_nothing_that_it_sent_is_read(tmp_path: Path, signed: bool) -> None:
    ca = make_ca()
    cases = AMONG_SIGNED if signed else AMONG_LISTED
    shown = {what: (make(ca), is_listed, kind) for what, (make, is_listed, kind) in cases.items()}
    member = issue(ca, "member") if signed else self_signed("member")
    listed = [one for one, is_listed, _ in shown.values() if one is not None and is_listed]
    words = ("--mtls-ca-cert", str(write_ca(ca, tmp_path))) if signed else ()
    async with node_of(tmp_path, ca, [member, *listed], *words) as node:
        for what, (certificate, _, kind) in shown.items():
            for version in VERSIONS:
                async with node.refusing(kind):
                    outcome = await node.knock(only(version, client_context(ca, certificate, tmp_path)))
                assert (outcome.answer, "ALERT" in outcome.alert) == (b"", True), (what, version, outcome)
        for version in VERSIONS:
            assert (await node.knock(only(version, client_context(ca, member, tmp_path)))).answer.startswith(OK)


def only(version: ssl.TLSVersion, context: ssl.SSLContext) -> ssl.SSLContext:
    """Of this version of TLS, and no other."""
    context.minimum_version = context.maximum_version = version
    return context


async def test_what_our_own_pki_issued_is_let_in_and_what_it_took_off_the_list_is_cut_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki = partial(ask_json, tmp_path / "any.db", "pki")
    where = ("--dir", str(folder))
    await pki("init", *where)
    for name in ("node", "other"):
        await pki("issue", "--name", name, "--dns", "localhost", "--ip", HOST, *where)
    words = (
        "--tls-cert", f"{folder}/node.pem", "--tls-key", f"{folder}/node.key",
        "--mtls-allowlist", f"{folder}/peer-fingerprints.txt", "--mtls-ca-cert", f"{folder}/ca.pem",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / "other.pem", folder / "other.key")
    async with (
        node_with(folder / "node.db", words) as node, await trio.open_tcp_stream(HOST, node.port) as transport
    ):
        stream = trio.SSLStream(transport, context, server_hostname="localhost")
        # A request that is in progress is cut as well: its body is awaited.
        await stream.send_all(b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        await pki("remove", "other", *where)
        assert (await node.knock(context)).answer.startswith(OK)    # nothing changes before it is told
        node.process.signal(signal.SIGHUP)
        with trio.fail_after(START_S), contextlib.suppress(trio.BrokenResourceError):   # an end without a farewell
            assert await stream.receive_some() == b"", "it was answered"
        async with node.refusing("unlisted"):
            assert "ALERT" in (await node.knock(context)).alert


async def test_a_list_that_is_malformed_leaves_the_one_before_it_and_is_told(tmp_path: Path) -> None:
    ca, member = make_ca(), self_signed("member")
    async with node_of(tmp_path, ca, [member]) as node:
        shown = client_context(ca, member, tmp_path)
        assert not await node.warnings()
        for text, wrong in ((f"{'a' * 64}\nno fingerprint\n", "line 2"), ("# nobody\n", "list.txt")):
            (tmp_path / "list.txt").write_text(text)
            await node.reload("failed")
            assert wrong in await node.process.stderr_line("reload.failed")
            assert "SIGHUP" in " ".join(await node.warnings())
            assert (await node.knock(shown)).answer.startswith(OK)
        node.write_list([member])
        await node.reload("ok")
        assert not await node.warnings()


NO_HANDSHAKES: Final = {
    "plain HTTP": REQUEST, "nothing, and an end": b"", "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "SSL 2": b"\x80\x2e\x01\x00\x02", "zeros": bytes(200_000),
    "a record without end": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "a hello of noise": b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + b"\x03" * 16_380,
}


async def test_what_is_no_handshake_is_closed_without_a_word_of_http(tmp_path: Path) -> None:
    ca, member = make_ca(), self_signed("member")
    async with node_of(tmp_path, ca, [member]) as node:
        for what, said in NO_HANDSHAKES.items():
            async with node.hearing_nothing():
                answer = await _told(node.port, said)
            assert b"HTTP" not in answer, what
            assert len(answer) <= ALERT_BYTES, what
        assert await node.counted(REFUSED, result="not_tls") > 0
        assert (await node.knock(client_context(ca, member, tmp_path))).answer.startswith(OK)


async def _told(port: int, said: bytes) -> bytes:
    """What comes back until the connection ends."""
    answer = bytearray()
    async with await trio.open_tcp_stream(HOST, port) as stream:
        with trio.fail_after(HANDSHAKE_S), contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(said)
            await stream.send_eof()
            async for data in stream:
                answer += data
    return bytes(answer)


async def test_a_handshake_that_takes_too_long_is_cut(tmp_path: Path) -> None:
    ca, member = make_ca(), self_signed("member")
    async with node_of(tmp_path, ca, [member]) as node, node.refusing("slow", by=3):
        hello = await _hello(client_context(ca, member, tmp_path))
        async with trio.open_nursery() as nursery:
            for said, pause_s in ((hello, 0.2), (hello, 60.0), (b"", 0.0)):
                nursery.start_soon(_cut, node.port, said, pause_s)


async def _cut(port: int, said: bytes, pause_s: float) -> None:
    """Say it byte by byte, until it is cut, which is when it should be."""
    began = trio.current_time()
    async with await trio.open_tcp_stream(HOST, port) as stream, trio.open_nursery() as nursery:
        async def drip() -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                for byte in said:
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(pause_s)

        nursery.start_soon(drip)
        with trio.fail_after(3 * HANDSHAKE_S), contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
        nursery.cancel_scope.cancel()
    assert HANDSHAKE_S - 0.5 < trio.current_time() - began < HANDSHAKE_S + 5


@pytest.mark.timing
async def test_a_member_gets_in_within_a_second_among_thousands_of_half_open_connections(tmp_path: Path) -> None:
    ca, member = make_ca(), self_signed("member")
    async with node_of(tmp_path, ca, [member]) as node, AsyncExitStack() as opened:
        shown = client_context(ca, member, tmp_path)
        assert (await node.knock(shown)).answer.startswith(OK)
        before_mb, hello = resident_mb(node.process.pid), await _hello(shown)
        took: list[float] = []
        for number in range(HALF_OPEN):
            stream = await opened.enter_async_context(await trio.open_tcp_stream(HOST, node.port))
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(hello[: (0, 5, len(hello))[number % 3]])
            if number % 250 == 249:
                began = trio.current_time()
                assert (await node.knock(shown)).answer.startswith(OK)
                took.append(trio.current_time() - began)
        assert resident_mb(node.process.pid) - before_mb < GROWN_MB
        assert await node.counted(REFUSED, result="crowded_out") > 0
    assert max(took) < 1.0, took


async def _hello(context: ssl.SSLContext) -> bytes:
    """The first bytes of a client."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def test_refusals_are_logged_once_a_minute_for_each_kind(tmp_path: Path) -> None:
    ca, member = make_ca(), self_signed("member")
    async with node_of(tmp_path, ca, [member]) as node:
        for _ in range(5):
            for certificate in (None, self_signed("stranger")):
                assert "ALERT" in (await node.knock(client_context(ca, certificate, tmp_path))).alert
        await node.process.stop()
        lines = [line for line in (await node.process.stderr_rest()).splitlines() if LOGGED in line]
        assert len(lines) == 2, lines
