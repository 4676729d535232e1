"""TLS on the socket: who gets in, who is told why not, and that no stranger's byte reaches HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
from cryptography.x509.oid import ExtendedKeyUsageOID
from trio.testing import MockClock

from aimem.model import Instant
from aimem.ports import system_clock
from aimem.supervisor.handshakes import HandshakeBounds
from aimem.supervisor.http import HttpServer
from aimem.supervisor.listeners import Scheme, open_tcp
from aimem.supervisor.trust import Gate
from tests.pki import Issued, client_context, issue, issue_expired, issue_not_yet, make_ca, self_signed
from tests.supervisor.serving import answer, get, keep

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BELOW_CA = "a list below an authority"
LIST_ALONE = "the list alone"


class Authority:
    """The certificates of these tests: making them takes long, so they are made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.other = make_ca(), make_ca()
        self.server = issue(self.ca, "localhost", "127.0.0.1")
        self.member = issue(self.ca, "node-a")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


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
        body = b"x" * {"/much": 3_000_000, "/flood": 40_000_000}.get(scope["path"], 0)
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

    async def again(self, context: ssl.SSLContext, session: Any) -> trio.SSLStream[trio.SocketStream]:
        """As one that was there before; the handshake is still to be done."""
        raw = await self.connect()
        stream = trio.SSLStream(raw, context, server_hostname="localhost", https_compatible=True)
        if session is not None:
            stream.session = session
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


async def test_self_signed_certificate_may_be_its_own_authority(pki: Authority) -> None:
    leaf = self_signed("node-b")
    material = msgspec.structs.replace(pki.server.serves(), client_ca=leaf.certificate)
    async with serving(Gate(material, frozenset({leaf.fingerprint}), SettableClock())) as served:
        assert (await served.ask(context_of(pki, leaf), get("/"))).endswith(b"ok")
        assert served.app.scopes[0]["extensions"]["tls"]["client_cert_names"] == ("node-b",)


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
        case _:
            return None


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


async def test_certificate_that_signs_for_servers_alone_is_none_of_a_client_below_an_authority(
    pki: Authority,
) -> None:
    # The list of authorities may hold the leaf itself: it is trusted then, and its purpose still counts.
    leaf = self_signed("node-a", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    material = msgspec.structs.replace(pki.server.serves(), client_ca=leaf.certificate)
    async with serving(Gate(material, frozenset({leaf.fingerprint}), SettableClock())) as served:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await served.ask(context_of(pki, leaf), get("/"))
        assert "UNSUPPORTED_CERTIFICATE" in str(caught.value.__cause__)
        assert served.count("untrusted") == 1


@pytest.mark.parametrize("sent", [get("/") * 100, b"\x00" * 200, b"SSH-2.0-OpenSSH_9.9\r\n" * 9])
async def test_what_is_not_tls_is_refused_at_once(pki: Authority, sent: bytes) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        async with await served.connect() as stream:
            await stream.send_all(sent)
            await stream.send_eof()
            received = bytearray()
            with trio.fail_after(5), contextlib.suppress(trio.BrokenResourceError):
                while data := await stream.receive_some():
                    received += data
        assert not received or received[0] == 0x15     # at most an alert; no answer of HTTP
        assert served.count("not_tls") == 1 and served.app.scopes == []


async def test_old_version_is_refused(pki: Authority) -> None:
    context = context_of(pki, pki.member)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)     # it is old: that is what is tried
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        with pytest.raises(trio.BrokenResourceError):
            await served.ask(context, get("/"))
        assert served.count("protocol") == 1 and served.app.scopes == []


async def test_client_that_does_not_trust_this_server_is_counted_as_such(pki: Authority) -> None:
    context = client_context(pki.other, pki.member, pki.folder)

    def shake(port: int) -> None:   # Trio's client would not send its alert
        with (
            socket.create_connection(("127.0.0.1", port)) as raw, pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(raw, server_hostname="localhost")

    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        await trio.to_thread.run_sync(shake, served.port)
        await until(lambda: served.count("refused_by_client") == 1)


async def test_client_that_leaves_is_counted_as_gone(pki: Authority) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        await (await served.connect()).aclose()
        await until(lambda: served.count("gone") == 1 and served.server.counts.shaking == 0)


async def test_hello_without_end_is_cut(pki: Authority) -> None:
    # Records of a handshake whose message says that it has 16 MB.
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\x00" * 16_380
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served, await served.connect() as stream:
        with trio.fail_after(5), contextlib.suppress(trio.BrokenResourceError):
            for _ in range(1_000):
                await stream.send_all(record)
        await until(lambda: served.count("protocol") == 1 and served.server.counts.shaking == 0)


async def test_slow_handshake_is_cut_at_its_bound(pki: Authority, autojump_clock: MockClock) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        async with await served.connect() as silent:
            began = trio.current_time()
            assert await silent.receive_some() == b""
            assert trio.current_time() - began == pytest.approx(10, abs=0.5)
        assert served.count("slow") == 1 and served.server.counts.shaking == 0


async def test_crowd_of_half_open_connections_does_not_lock_a_member_out(pki: Authority) -> None:
    bounds = HandshakeBounds(handshakes_max=8)
    gate = gate_of(pki, BELOW_CA, pki.member)
    async with serving(gate, handshake_bounds=bounds, connections_max=4) as served, contextlib.AsyncExitStack() as kept:
        crowd = [await kept.enter_async_context(await served.connect()) for _ in range(40)]
        with trio.fail_after(5):
            assert (await served.ask(context_of(pki, pki.member), get("/"))).endswith(b"ok")
            for oldest in crowd[:30]:
                assert await oldest.receive_some() == b""
        assert served.server.counts.shaking == 7 and served.count("crowded_out") == 33
        assert served.server.counts.refused == 0


async def test_crowd_crowds_out_itself_and_not_who_comes_from_elsewhere(pki: Authority) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    async with (
        serving(gate, handshake_bounds=HandshakeBounds(handshakes_max=8)) as served,
        await trio.open_tcp_stream("127.0.0.1", served.port, local_address="127.0.0.2") as raw,
        contextlib.AsyncExitStack() as kept,
    ):
        await until(lambda: served.server.counts.shaking == 1)
        for _ in range(40):
            await kept.enter_async_context(await served.connect())
        await until(lambda: served.count("crowded_out") == 33)
        stream = trio.SSLStream(
            raw, context_of(pki, pki.member), server_hostname="localhost", https_compatible=True
        )
        assert (await ask_on(stream)).endswith(b"ok")


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_address_of_either_family_is_served(pki: Authority, host: str) -> None:
    server, stop = HttpServer(App(), gate=gate_of(pki, BELOW_CA, pki.member)), trio.Event()
    (listener,) = await open_tcp(host, 0, insecure=False, scheme=Scheme.HTTPS)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.run, [listener], stop=stop, hurry=stop, state={}, grace_s=1))
        port = listener.socket.socket.getsockname()[1]
        async with trio.SSLStream(
            await trio.open_tcp_stream(host, port), context_of(pki, pki.member), server_hostname="localhost",
            https_compatible=True,
        ) as stream:
            assert (await ask_on(stream)).endswith(b"ok")
        stop.set()


async def test_removed_client_is_cut_at_once_and_others_stay(pki: Authority) -> None:
    other = issue(pki.ca, "node-b")
    gate = gate_of(pki, BELOW_CA, pki.member, other)
    async with (
        serving(gate) as served,
        await served.secure(context_of(pki, other)) as idle,
        await served.secure(context_of(pki, other)) as busy,
        await served.secure(context_of(pki, pki.member)) as stays,
    ):
        for stream in (idle, stays):
            await stream.send_all(keep("/"))
            await stream.receive_some()
        await busy.send_all(get("/wait"))
        await served.app.entered.wait()
        replaced = gate.replace(pki.server.serves(pki.ca), frozenset({pki.member.fingerprint}))
        assert replaced.removed == {other.fingerprint} and replaced.dropped_count == 2 and not replaced.added
        with trio.fail_after(5):
            for stream in (idle, busy):
                assert await read_all(stream) == b""
            await stays.send_all(get("/"))
            assert b"ok" in await read_all(stays)
        with pytest.raises(trio.BrokenResourceError):
            await served.ask(context_of(pki, other), get("/"))
        gate.replace(pki.server.serves(pki.ca), frozenset({pki.member.fingerprint, other.fingerprint}))
        assert (await served.ask(context_of(pki, other), get("/"))).endswith(b"ok")


async def test_list_that_is_replaced_while_hands_are_shaken_decides(pki: Authority) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    async with serving(gate) as served, await served.connect() as raw:
        await until(lambda: served.server.counts.shaking == 1)
        gate.replace(pki.server.serves(pki.ca), frozenset({"0" * 64}))
        stream = trio.SSLStream(
            raw, context_of(pki, pki.member), server_hostname="localhost", https_compatible=True
        )
        with pytest.raises(trio.BrokenResourceError):
            await ask_on(stream)
        assert served.count("unlisted") == 1 and served.app.scopes == []


async def test_authority_that_is_replaced_takes_its_clients_with_it(pki: Authority) -> None:
    new = issue(pki.other, "node-a")
    gate = gate_of(pki, BELOW_CA, pki.member, new)
    both = frozenset({pki.member.fingerprint, new.fingerprint})
    async with serving(gate) as served, await served.secure(context_of(pki, pki.member)) as old:
        await old.send_all(keep("/"))
        await old.receive_some()
        assert gate.replace(pki.server.serves(pki.ca), both).dropped_count == 0
        assert gate.replace(pki.server.serves(pki.other), both).dropped_count == 1
        assert await read_all(old) == b""
        assert (await served.ask(context_of(pki, new), get("/"))).endswith(b"ok")
        assert gate.replace(pki.server.serves(), both).dropped_count == 0


async def test_new_certificate_is_shown_to_whoever_comes_next(pki: Authority) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    renewed = issue(pki.ca, "localhost")
    async with serving(gate) as served, await served.secure(context_of(pki, pki.member)) as before:
        gate.replace(renewed.serves(pki.ca), gate.allowlist)
        async with await served.secure(context_of(pki, pki.member)) as after:
            assert before.getpeercert(binary_form=True) == pki.server.der
            assert after.getpeercert(binary_form=True) == renewed.der
        await before.send_all(get("/"))
        assert (await read_all(before)).endswith(b"ok")


@pytest.mark.parametrize("wrong", ["key", "certificate", "authority"])
async def test_material_that_does_not_fit_changes_nothing(pki: Authority, wrong: str) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    good = pki.server.serves(pki.ca)
    bad = {
        "key": msgspec.structs.replace(good, key=pki.member.key),
        "certificate": msgspec.structs.replace(good, certificate=b"-----BEGIN CERTIFICATE-----\nAAAA\n"),
        "authority": msgspec.structs.replace(good, client_ca=b"none"),
    }[wrong]
    async with serving(gate) as served:
        with pytest.raises(ValueError):
            gate.replace(bad, frozenset())
        assert gate.allowlist == {pki.member.fingerprint}
        assert (await served.ask(context_of(pki, pki.member), get("/"))).endswith(b"ok")


@pytest.mark.parametrize("version", VERSIONS)
async def test_session_of_before_lets_nobody_in(pki: Authority, version: ssl.TLSVersion) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    context = context_of(pki, pki.member, version)
    async with serving(gate) as served:
        async with await served.secure(context) as first:
            await first.send_all(keep("/"))
            await first.receive_some()
            session = first.session
        async with await served.again(context, session) as second:
            await second.send_all(get("/"))
            assert not second.session_reused
        gate.replace(pki.server.serves(pki.ca), frozenset({"0" * 64}))
        again = await served.again(context, session)
        with pytest.raises(trio.BrokenResourceError):
            await ask_on(again)
        await trio.aclose_forcefully(again)
        assert served.count("unlisted") == 1


async def test_certificates_are_judged_by_the_clock_port(pki: Authority) -> None:
    clock = SettableClock()
    gate = gate_of(pki, LIST_ALONE, pki.member, clock=clock)
    async with serving(gate) as served:
        clock.ahead_s = 40 * 86_400
        with pytest.raises(trio.BrokenResourceError):
            await served.ask(context_of(pki, pki.member), get("/"))
        assert served.count("expired") == 1
        clock.ahead_s = -40 * 86_400
        with pytest.raises(trio.BrokenResourceError):
            await served.ask(context_of(pki, pki.member), get("/"))
        assert served.count("not_yet_valid") == 1


async def test_connection_ends_with_its_certificate(pki: Authority, autojump_clock: MockClock) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        began = trio.current_time()
        async with await served.secure(context_of(pki, pki.member)) as stream:
            await stream.send_all(keep("/wait"))
            assert await read_all_patiently(stream) == b""
            assert trio.current_time() - began == pytest.approx(30 * 86_400, abs=60)


@pytest.mark.parametrize("version", VERSIONS)
async def test_large_bodies_pass_both_ways(pki: Authority, version: ssl.TLSVersion) -> None:
    body = bytes(range(256)) * 8_000
    request = f"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        context = context_of(pki, pki.member, version)
        async with await served.secure(context) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, request + body)
            assert (await read_all(stream)).endswith(body + b"ok")
        assert (await served.ask(context, get("/much"))).count(b"x") >= 3_000_000


async def test_end_is_said_and_no_reset_overtakes_an_early_answer(pki: Authority) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n"
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        raw = await served.connect()
        # Not compatible with HTTPS: an end that nobody said would be an error.
        async with trio.SSLStream(raw, context_of(pki, pki.member), server_hostname="localhost") as stream:
            await stream.send_all(head + b"z" * 500_000)
            assert (await read_all(stream)).endswith(b"ok")


async def test_idle_connection_is_told_that_it_ends(pki: Authority, autojump_clock: MockClock) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        raw = await served.connect()
        async with trio.SSLStream(raw, context_of(pki, pki.member), server_hostname="localhost") as stream:
            began = trio.current_time()
            assert await stream.receive_some() == b""
            assert trio.current_time() - began == pytest.approx(75, abs=1)


async def test_slow_head_is_answered(pki: Authority, autojump_clock: MockClock) -> None:
    async with (
        serving(gate_of(pki, BELOW_CA, pki.member)) as served,
        await served.secure(context_of(pki, pki.member)) as stream,
    ):
        await stream.send_all(b"GET / HTT")
        assert (await read_all(stream)).startswith(b"HTTP/1.1 408")


async def test_peer_that_does_not_read_is_cut_in_time(pki: Authority, autojump_clock: MockClock) -> None:
    async with (
        serving(gate_of(pki, BELOW_CA, pki.member)) as served,
        await served.secure(context_of(pki, pki.member)) as stream,
    ):
        await stream.send_all(get("/flood"))
        await until(lambda: bool(served.app.scopes))
        await trio.sleep(600)   # 10 s for a piece, and the kernel may take some pieces late
        assert served.server.counts.open == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_does_not_decrypt_ends_its_connection_and_is_no_fault_of_ours(
    pki: Authority, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        context = context_of(pki, pki.member)
        context.minimum_version = context.maximum_version = version
        for noise in (b"GET / HTTP/1.0\r\n\r\n", b"\x17\x03\x03\x00\x20" + bytes(32), bytes(64)):
            stream = await served.secure(context)
            await stream.transport_stream.send_all(noise)
            await until(lambda: served.server.counts.open == 0)
            stream.transport_stream.socket.close()
        assert not [record for record in caplog.records if record.levelname == "ERROR"]
        assert (await served.ask(context, get("/"))).endswith(b"ok")


async def test_many_requests_share_one_connection(pki: Authority) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        transport = httpx.AsyncHTTPTransport(verify=context_of(pki, pki.member))
        async with httpx.AsyncClient(transport=transport, base_url=f"https://localhost:{served.port}") as http:
            for _ in range(5):
                assert (await http.get("/")).text == "ok"
        assert served.count("done") == 1 and len(served.app.scopes) == 5


async def test_who_asks_without_a_pause_sees_a_new_certificate_with_the_next_request_but_one(pki: Authority) -> None:
    gate = gate_of(pki, BELOW_CA, pki.member)
    renewed = issue(pki.ca, "localhost")
    async with serving(gate) as served:
        transport = httpx.AsyncHTTPTransport(verify=context_of(pki, pki.member))
        async with httpx.AsyncClient(transport=transport, base_url=f"https://localhost:{served.port}") as http:
            assert "connection" not in (await http.get("/")).headers
            gate.replace(pki.server.serves(pki.ca), gate.allowlist)     # the list was read anew
            assert "connection" not in (await http.get("/")).headers
            gate.replace(renewed.serves(pki.ca), gate.allowlist)
            last = await http.get("/")
            assert (last.text, last.headers["connection"], served.count("done")) == ("ok", "close", 1)
            after = await http.get("/")
            assert ("connection" in after.headers, served.count("done")) == (False, 2)
            shown = after.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert shown == renewed.der


async def test_stop_ends_handshakes_at_once(pki: Authority) -> None:
    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served, await served.connect() as silent:
        await until(lambda: served.server.counts.shaking == 1)
        served.stop.set()
        with trio.fail_after(2):
            assert await silent.receive_some() == b""
            await served.ended.wait()
        assert served.count("stopped") == 1


async def test_refusals_are_logged_once_a_minute_with_their_count(
    pki: Authority, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aimem.supervisor.handshakes")
    unlisted = issue(pki.ca, "node-z")

    async def refused(count: int) -> None:
        for _ in range(count):
            with pytest.raises(trio.BrokenResourceError):
                await served.ask(context_of(pki, unlisted), get("/"))

    async with serving(gate_of(pki, BELOW_CA, pki.member)) as served:
        await refused(3)
        await trio.sleep(61)
        await refused(2)
        await trio.sleep(61)
        await refused(1)
    lines = [vars(record) for record in caplog.records if record.message == "tls.refused"]
    # The first at once, the others at the end of a minute; the last one's has not ended.
    assert [(line["reason"], line["count"]) for line in lines] == [("unlisted", 1), ("unlisted", 2), ("unlisted", 2)]
    assert {line["fingerprint"] for line in lines} == {unlisted.fingerprint[:16]}


async def test_server_without_a_gate_closes_what_wants_tls(pki: Authority) -> None:
    server, stop = HttpServer(App()), trio.Event()
    (listener,) = await open_tcp("127.0.0.1", 0, insecure=False, scheme=Scheme.HTTPS)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.run, [listener], stop=stop, hurry=stop, state={}, grace_s=1))
        async with await trio.open_tcp_stream("127.0.0.1", listener.socket.socket.getsockname()[1]) as stream:
            assert await stream.receive_some() == b""
        stop.set()


async def ask_on(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    """Handshake, request and what comes back."""
    with trio.fail_after(5):
        await stream.send_all(get("/"))
        return await read_all(stream)


async def until(is_so: Callable[[], bool]) -> None:
    """Yield to the server until something is so."""
    with trio.fail_after(5):
        while not is_so():
            await trio.lowlevel.checkpoint()


async def read_all_patiently(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    """Without a bound: for virtual time."""
    received = bytearray()
    while data := await stream.receive_some(65536):
        received += data
    return bytes(received)
