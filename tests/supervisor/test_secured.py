"""Peers with TLS: always verified, and what went wrong is said in words."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from aimem.model import SERVER_CERTIFICATE, PresentedCertificate
from aimem.ports import PeerMaterial
from aimem.replication import NotSecured
from aimem.supervisor.links import Links
from aimem.supervisor.secured import PeerTls
from tests import pki

CA, OTHER_CA = pki.make_ca(), pki.make_ca()
SERVER = pki.issue(CA, "localhost", "127.0.0.1", days=20)
CLIENT = pki.issue(CA, "node-a")
OPEN: list[Links] = []
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every request with `ok`, over TLS."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.context, self.port, self.shown = context, 0, list[bytes | None]()

    async def serve(self, stream: trio.SocketStream) -> None:
        wrapped: trio.abc.Stream = stream
        if self.context is not None:
            secured = trio.SSLStream(stream, self.context, server_side=True, https_compatible=True)
            try:
                await secured.do_handshake()
            except trio.BrokenResourceError:
                # Trio does not send the alert that says why.
                alert = secured._outgoing.read()
                if alert:
                    await stream.send_all(alert)
                await stream.aclose()
                return
            self.shown.append(secured.getpeercert(binary_form=True))
            wrapped = secured
        try:
            data = b""
            while piece := await wrapped.receive_some(65536):
                data += piece
                if data.endswith(b"\r\n\r\n"):
                    data = b""
                    await wrapped.send_all(OK)
        except trio.BrokenResourceError:
            pass
        await trio.aclose_forcefully(wrapped)


def context(folder: Path, issued: pki.Issued = SERVER, client_ca: bytes | None = None) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(*issued.write(folder, issued.fingerprint))
    if client_ca is not None:
        found.verify_mode = ssl.CERT_REQUIRED
        found.load_verify_locations(cadata=client_ca.decode())
    return found


@asynccontextmanager
async def served(tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    server = Server(tls)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, server.serve, 0)
        server.port = listeners[0].socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


def links(material: PeerMaterial | None = None) -> tuple[Links, PeerTls]:
    tls = PeerTls()
    tls.replace(material or PeerMaterial(ca=pki.ca_pem(CA)))
    OPEN.append(Links(tls))
    return OPEN[-1], tls


@pytest.fixture(autouse=True)
async def none_stays_open() -> AsyncIterator[None]:
    yield
    while OPEN:
        await OPEN.pop().aclose()


async def ask(ways: Links, port: int, host: str = "localhost", scheme: str = "https") -> httpx.Response:
    answer = await ways.handle_async_request(httpx.Request("GET", f"{scheme}://{host}:{port}/"))
    try:
        await answer.aread()
    finally:
        await answer.aclose()
    return answer


async def fault(ways: Links, port: int, host: str = "localhost") -> str:
    with pytest.raises(NotSecured) as caught, trio.fail_after(10):
        await ask(ways, port, host)
    return str(caught.value)


async def test_a_verified_server_is_asked_on_one_connection_and_named_in_its_answers(tmp_path: Path) -> None:
    ways, tls = links()
    async with served(context(tmp_path)) as server:
        for host in ("localhost", "127.0.0.1"):
            for _ in range(2):
                shown = (await ask(ways, server.port, host)).extensions[SERVER_CERTIFICATE]
                assert isinstance(shown, PresentedCertificate)
                assert (shown.fingerprint, shown.names) == (SERVER.fingerprint, ("localhost", "127.0.0.1"))
        assert server.shown == [None, None]
        assert set(tls.seen) == {f"localhost:{server.port}", f"127.0.0.1:{server.port}"}


async def test_our_certificate_is_shown(tmp_path: Path) -> None:
    ways, _ = links(CLIENT.asks(CA))
    async with served(context(tmp_path, client_ca=pki.ca_pem(CA))) as server:
        await ask(ways, server.port)
        assert server.shown == [CLIENT.der]


async def test_a_plain_answer_names_no_certificate() -> None:
    ways, _ = links()
    async with served(None) as server:
        assert SERVER_CERTIFICATE not in (await ask(ways, server.port, scheme="http")).extensions


@pytest.mark.parametrize(("issued", "expected"), [
    (pki.issue_expired(CA, "localhost"), "its certificate has expired"),
    (pki.issue_not_yet(CA, "localhost"), "its certificate is not valid yet"),
    (pki.issue(CA, "node-b"), "its certificate is not for the name localhost"),
    (pki.issue(CA, "10.0.0.1"), "its certificate is not for the name localhost"),
    (pki.issue(OTHER_CA, "localhost"), "signed by nobody who is trusted here"),
    (pki.self_signed("localhost"), "signed by nobody who is trusted here"),
], ids=["expired", "not yet", "other name", "other address", "other authority", "self-signed"])
async def test_a_server_that_cannot_be_verified_is_not_asked(
    tmp_path: Path, issued: pki.Issued, expected: str
) -> None:
    ways, tls = links()
    async with served(context(tmp_path, issued)) as server:
        assert expected in await fault(ways, server.port)
        assert not tls.seen


async def test_an_address_is_verified_as_one(tmp_path: Path) -> None:
    ways, _ = links()
    async with served(context(tmp_path, pki.issue(CA, "localhost"))) as server:
        assert "is not for the name 127.0.0.1" in await fault(ways, server.port, "127.0.0.1")


async def test_the_machines_authorities_do_not_help_where_some_are_named(tmp_path: Path) -> None:
    ways, _ = links(PeerMaterial())
    async with served(context(tmp_path)) as server:
        assert "signed by nobody who is trusted here" in await fault(ways, server.port)


async def test_a_self_signed_server_that_is_named_as_an_authority_is_believed(tmp_path: Path) -> None:
    own = pki.self_signed("localhost")
    ways, _ = links(PeerMaterial(ca=own.certificate))
    async with served(context(tmp_path, own)) as server:
        assert (await ask(ways, server.port)).status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_our_certificate_is_not_asked_twice(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    tls = context(tmp_path, client_ca=pki.ca_pem(CA))
    tls.minimum_version = tls.maximum_version = version
    for material, expected in (
        (PeerMaterial(ca=pki.ca_pem(CA)), "a certificate of ours"),
        (pki.issue(OTHER_CA, "node-a").asks(CA), "is not on its list (--mtls-allowlist), or signed by nobody it knows"),
        (pki.issue_expired(CA, "node-a").asks(CA), "it refused our certificate"),
    ):
        ways, _ = links(material)
        async with served(tls) as server:
            assert expected in await fault(ways, server.port)


async def test_a_server_without_tls_is_called_one() -> None:
    ways, _ = links()
    async with served(None) as server:

        async def plain(stream: trio.SocketStream) -> None:
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        server.serve = plain  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, plain, 0)
            assert await fault(ways, listeners[0].socket.getsockname()[1]) == "it does not speak TLS there"
            nursery.cancel_scope.cancel()


async def test_a_plain_question_to_a_server_of_tls_is_a_connection_that_broke(tmp_path: Path) -> None:
    ways, _ = links()
    async with served(context(tmp_path)) as server:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)), trio.fail_after(10):
            await ask(ways, server.port, scheme="http")


async def test_one_that_closes_in_the_middle_of_the_handshake_is_told() -> None:
    ways, _ = links()

    async def close(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, close, 0)
        assert "in the middle of the TLS handshake" in await fault(ways, listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def test_new_material_closes_what_is_kept_and_holds_for_what_comes(tmp_path: Path) -> None:
    ways, tls = links(CLIENT.asks(CA))
    new = pki.issue(CA, "node-a")
    async with served(context(tmp_path, client_ca=pki.ca_pem(CA))) as server:
        await ask(ways, server.port)
        tls.replace(CLIENT.asks(CA))        # the same: nothing is given up
        await ask(ways, server.port)
        tls.replace(new.asks(CA))
        await ask(ways, server.port)
        assert server.shown == [CLIENT.der, new.der]
        under_way = await ways.handle_async_request(httpx.Request("GET", f"https://localhost:{server.port}/"))
        tls.replace(CLIENT.asks(CA))
        assert await under_way.aread() == b"ok"     # a request under way ends as it began
        await under_way.aclose()
        await ask(ways, server.port)
        assert server.shown == [CLIENT.der, new.der, CLIENT.der]
        with pytest.raises(ValueError):
            tls.replace(PeerMaterial(ca=b"nothing"))
        await ask(ways, server.port)
        assert len(server.shown) == 3
    await ways.aclose()


async def test_when_all_is_renewed_what_is_kept_is_closed_and_what_is_under_way_not_kept(tmp_path: Path) -> None:
    ways, tls = links()
    async with served(context(tmp_path)) as server:
        await ask(ways, server.port)
        tls.renew()
        under_way = await ways.handle_async_request(httpx.Request("GET", f"https://localhost:{server.port}/"))
        assert len(server.shown) == 2
        tls.renew()
        assert await under_way.aread() == b"ok"
        await under_way.aclose()
        await ask(ways, server.port)
        assert len(server.shown) == 3
