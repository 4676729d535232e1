"""TLS on the socket: who gets in, who is told why not, and that no stranger's byte reaches HTTP."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from cryptography.x509.oid import ExtendedKeyUsageOID

from aimem.model import Instant
from aimem.ports import system_clock
from aimem.supervisor.http import HttpServer
from aimem.supervisor.listeners import Scheme, open_tcp
from aimem.supervisor.trust import Gate
from tests.pki import Issued, client_context, issue, issue_expired, issue_not_yet, make_ca, self_signed
from tests.supervisor.serving import answer, get

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BELOW_CA = "a list below an authority"
LIST_ALONE = "the list alone"


class Authority:
    """The certificates of these tests: making them takes long, so they are made once."""

    def __init__(self) -> None:
        self.ca, self.other = make_ca(), make_ca()
        self.server = issue(self.ca, "localhost", "127.0.0.1")
        self.member = issue(self.ca, "node-a")
        self.folder = Path(tempfile.mkdtemp())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority()
    made.folder = tmp_path_factory.mktemp("pki")
    return made


class SettableClock:
    """The clock port, moved by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> Instant:
        return Instant(system_clock().now() + int(self.ahead_s * 1e6))


class App:
    """Says what it was asked, and waits at /wait."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.entered = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["path"] == "/wait":
            self.entered.set()
            await trio.sleep_forever()
        body = b"x" * 3_000_000 if scope["path"] == "/much" else b""
        while scope["path"] == "/echo":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await answer(send, 200, body + b"ok")


class Served:
    """A server with TLS on loopback."""

    def __init__(self, app: App, server: HttpServer, port: int) -> None:
        self.app, self.server, self.port = app, server, port
        self.stop, self.ended = trio.Event(), trio.Event()

    def count(self, result: str) -> int:
        """Handshakes that ended so."""
        return dict(self.server.counts.handshakes)[result]

    async def connect(self) -> trio.SocketStream:
        """Below TLS."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def secure(self, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
        """As a client that knows the server's name."""
        raw = await self.connect()
        stream = trio.SSLStream(raw, context, server_hostname="localhost", https_compatible=True)
        try:
            with trio.fail_after(30):
                await stream.do_handshake()
        except BaseException:
            raw.socket.close()
            raise
        return stream

    async def ask(self, context: ssl.SSLContext, request: bytes) -> bytes:
        """Handshake and request in one go, and what comes back; raises what TLS or the socket says."""
        async with await self.secure(context) as stream:
            await stream.send_all(request)
            return await read_all(stream)


async def read_all(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    received = bytearray()
    with trio.fail_after(30):
        while data := await stream.receive_some(65536):
            received += data
    return bytes(received)


@contextlib.asynccontextmanager
async def serving(gate: Gate, **options: Any) -> AsyncIterator[Served]:
    """The end of the block stops the server and waits for its end."""
    app = App()
    server = HttpServer(app, gate=gate, **options)
    listeners = await open_tcp("127.0.0.1", 0, insecure=False, scheme=Scheme.HTTPS)
    served = Served(app, server, listeners[0].socket.socket.getsockname()[1])

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        await server.run(
            listeners, stop=served.stop, hurry=trio.Event(), state={}, grace_s=5, task_status=task_status
        )
        served.ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield served
        served.stop.set()
        with trio.fail_after(30):
            await served.ended.wait()


def gate_of(pki: Authority, trust: str, *listed: Issued, clock: SettableClock | None = None) -> Gate:
    material = pki.server.serves(pki.ca if trust == BELOW_CA else None)
    return Gate(material, frozenset(one.fingerprint for one in listed), clock or SettableClock())


def context_of(pki: Authority, shows: Issued | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = client_context(pki.ca, shows, pki.folder)
    if version is not None:
        context.maximum_version = context.minimum_version = version
    return context


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trust", [BELOW_CA, LIST_ALONE])
async def test_member_gets_in_and_the_scope_says_who_it_is(
    pki: Authority, trust: str, version: ssl.TLSVersion
) -> None:
    async with serving(gate_of(pki, trust, pki.member)) as served:
        assert (await served.ask(context_of(pki, pki.member, version), get("/"))).endswith(b"ok")
        (scope,) = served.app.scopes
        assert scope["scheme"] == "https"
        tls = scope["extensions"]["tls"]
        assert tls["client_cert_sha256"] == pki.member.fingerprint
        assert tls["client_cert_names"] == (("node-a",) if trust == BELOW_CA else ())
        assert tls["tls_version"] == version and tls["client_cert_error"] is None
        assert ssl.PEM_cert_to_DER_cert(tls["client_cert_chain"][0]) == pki.member.der
        assert "node-a" in tls["client_cert_name"]
        assert served.count("done") == 1 and served.server.counts.accepted == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_self_signed_certificate_gets_in_by_the_list_alone(pki: Authority, version: ssl.TLSVersion) -> None:
    selfish = self_signed("node-b", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    async with serving(gate_of(pki, LIST_ALONE, selfish)) as served:
        assert (await served.ask(context_of(pki, selfish, version), get("/"))).endswith(b"ok")


async def test_without_a_list_clients_need_no_certificate(pki: Authority) -> None:
    async with serving(Gate(pki.server.serves(), None, SettableClock())) as served:
        assert (await served.ask(context_of(pki, None), get("/"))).endswith(b"ok")
        tls = served.app.scopes[0]["extensions"]["tls"]
        assert tls["client_cert_sha256"] is None and tls["client_cert_chain"] == ()


def stranger(pki: Authority, kind: str) -> Issued | None:
    match kind:
        case "unlisted":
            return issue(pki.ca, "node-z")
        case "expired":
            return issue_expired(pki.ca, "node-a")
        case "not yet valid":
            return issue_not_yet(pki.ca, "node-a")
        case "of another authority":
            return issue(pki.other, "node-a")
        case "self-signed":
            return self_signed("node-a")
        case "self-signed and expired":
            return self_signed("node-a", days=-1, from_days=-2)
        case "for servers alone":
            return for_servers_alone(pki.ca)
        case _:
            return None


def for_servers_alone(ca: trustme.CA) -> Issued:
    return self_signed("node-a", usage=ExtendedKeyUsageOID.SERVER_AUTH)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("trust", "kind", "counted", "alert"), [
    (BELOW_CA, "none", "no_certificate", "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"),
    (BELOW_CA, "unlisted", "unlisted", "UNKNOWN_CA"),
    (BELOW_CA, "expired", "expired", "CERTIFICATE_EXPIRED"),
    (BELOW_CA, "not yet valid", "not_yet_valid", "BAD_CERTIFICATE"),
    (BELOW_CA, "of another authority", "untrusted", "UNKNOWN_CA"),
    (BELOW_CA, "self-signed", "untrusted", "UNKNOWN_CA"),
    (LIST_ALONE, "none", "no_certificate", "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"),
    (LIST_ALONE, "unlisted", "unlisted", "UNKNOWN_CA"),
    (LIST_ALONE, "expired", "expired", "CERTIFICATE_EXPIRED"),
    (LIST_ALONE, "self-signed and expired", "expired", "CERTIFICATE_EXPIRED"),
])
async def test_stranger_is_refused_by_an_alert_before_a_byte_of_http_is_read(
    pki: Authority, trust: str, kind: str, counted: str, alert: str, version: ssl.TLSVersion
) -> None:
    shown = stranger(pki, kind)
    listed = [pki.member] + ([] if shown is None or kind == "unlisted" else [shown])
    async with serving(gate_of(pki, trust, *listed)) as served:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await served.ask(context_of(pki, shown, version), get("/") * 50)
        assert isinstance(caught.value.__cause__, ssl.SSLError), caught.value.__cause__
        assert any(word in str(caught.value.__cause__.reason) for word in alert.split("|"))
        assert served.count(counted) == 1 and served.count("done") == 0
        assert served.app.scopes == [] and served.server.counts.accepted == 0
        assert (await served.ask(context_of(pki, pki.member, version), get("/"))).endswith(b"ok")
