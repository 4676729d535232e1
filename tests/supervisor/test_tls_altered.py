"""Certificates that no tool would make: each ends its own handshake at most, whatever its bytes are."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL, crypto

from aimem.ports import HandshakeFailure, system_clock
from aimem.ports.tls import ServerHandshake, ServerTls
from aimem.supervisor.trust import Gate
from tests.pki import Issued, issue, make_ca, self_signed
from tests.supervisor.test_tls import serving

CA = make_ca()
SERVER = issue(CA, "localhost")
VERSION = b"\xa0\x03\x02\x01"
"""Before the version of a certificate; 2 stands for the third, which all have."""
ROUNDS = 400


@pytest.fixture(autouse=True)
def unwarned() -> Iterator[None]:
    """Of numbers below nothing one is warned, and of the only way to show what `cryptography` does not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        warnings.filterwarnings("ignore", "Passing pyOpenSSL X509 objects", DeprecationWarning)
        yield


def altered(der: bytes, rng: random.Random) -> bytes:
    data = bytearray(der)
    for _ in range(rng.choice([1, 1, 2, 3])):
        data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), 0, 4, 5, 255])
    return bytes(data)


def of_no_version(der: bytes) -> bytes:
    assert der.count(VERSION + b"\x02") == 1
    return der.replace(VERSION + b"\x02", VERSION + b"\x05")


def showing(member: Issued, ders: list[bytes], over: socket.socket | None = None) -> SSL.Connection | None:
    """A client that shows these, the leaf first, with the key of a member; None if OpenSSL itself cannot."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    key = serialization.load_pem_private_key(member.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    try:
        leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in ders)
        context.use_certificate(leaf)
        for one in others:
            context.add_extra_chain_cert(one)
        context.use_privatekey(key)
    except (SSL.Error, crypto.Error):
        return None
    client = SSL.Connection(context, over)
    client.set_connect_state()
    client.set_alpn_protos([b"http/1.1"])
    return client


def shake(client: SSL.Connection, server: ServerHandshake) -> bool:
    """Both sides in memory. Returns: whether the server admits the client; all that it raises is of TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = server.wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(6):
        with contextlib.suppress(SSL.Error):
            client.do_handshake()
        with contextlib.suppress(SSL.Error):
            incoming.write(client.bio_read(65_536))
        try:
            session.do_handshake()
            return True
        except ssl.SSLWantReadError:
            client.bio_write(outgoing.read())
        except ssl.SSLError:
            return False
    raise AssertionError("a handshake without end")


def chains(member: Issued, seed: int) -> Iterator[list[bytes]]:
    rng = random.Random(seed)
    yield [of_no_version(member.der)]
    yield [member.der, of_no_version(SERVER.der)]
    for _ in range(ROUNDS):
        yield [altered(member.der, rng)] if rng.random() < 0.6 else [member.der, altered(SERVER.der, rng)]


@pytest.mark.parametrize("has_authority", [True, False])
def test_whatever_is_shown_is_admitted_or_refused_and_judged_again(has_authority: bool) -> None:
    member = issue(CA, "node-a") if has_authority else self_signed("node-a")
    tls = ServerTls(SERVER.serves(CA if has_authority else None), lambda _: True, system_clock())
    results = {True: 0, False: 0}
    for ders in chains(member, 7):
        client = showing(member, ders)
        if client is None:
            continue
        handshake, found = tls.handshake(), None
        if shake(client, handshake):
            with contextlib.suppress(ValueError):
                found = handshake.client()
        results[found is not None] += 1
        if found is not None:
            assert found.fingerprint == handshake.fingerprint
            assert isinstance(tls.vouches(found), bool)
    assert min(results.values()) > 20, results


async def test_listed_certificate_that_nobody_can_read_is_refused_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    member = self_signed("node-a")
    strange = of_no_version(member.der)
    with pytest.raises(x509.InvalidVersion):
        x509.load_der_x509_certificate(strange)

    def knock(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as raw:
            client = showing(member, [strange], raw)
            assert client is not None
            with contextlib.suppress(SSL.Error):
                client.do_handshake()
                client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                return client.recv(100)
        return b""

    fingerprint = Issued(certificate=ssl.DER_cert_to_PEM_cert(strange).encode(), key=member.key).fingerprint
    caplog.set_level(logging.INFO)
    async with serving(Gate(SERVER.serves(), frozenset({fingerprint}), system_clock())) as served:
        assert await trio.to_thread.run_sync(knock, served.port) == b""
        counts = served.server.counts
        assert served.count(HandshakeFailure.UNTRUSTED) == 1
        assert (counts.accepted, counts.failed, served.app.scopes) == (0, 0, [])
    assert not [record for record in caplog.records if record.exc_info]


async def test_new_list_cuts_off_whoever_is_no_longer_on_it_whatever_certificates_others_sent_along(
    tmp_path: Path,
) -> None:
    member, removed = issue(CA, "node-a"), issue(CA, "node-b")
    gate = Gate(SERVER.serves(CA), frozenset({member.fingerprint, removed.fingerprint}), system_clock())
    tls, cut = ServerTls(SERVER.serves(CA), lambda _: True, system_clock()), list[str]()
    with contextlib.ExitStack() as both:
        for name, one in (("member", member), ("removed", removed)):
            client, handshake = showing(one, [one.der, of_no_version(SERVER.der)]), tls.handshake()
            assert client is not None and shake(client, handshake)
            both.enter_context(gate.entered(handshake.client(), lambda name=name: cut.append(name)))
        assert gate.replace(SERVER.serves(CA), frozenset({member.fingerprint})).dropped_count == 1
    assert cut == ["removed"]
