"""TLS, server side: OpenSSL behind the interface that Trio knows, with the verification that Python's own cannot do.

`ssl` wants a chain to a known authority and has no say in the handshake. Here one road serves both ways of trust: a
list of fingerprints below an authority, and the list alone with certificates that signed themselves (v0.6.3's).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeVar, TypeVarTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL, crypto

from aimem.model import SECOND_US, Instant
from aimem.ports import certificates
from aimem.ports.clock import Clock
from aimem.ports.material import ClientCertificate, HandshakeFailure, ServerMaterial

CLIENT_SENDS_MAX_BYTES: Final = 65_536
"""Before it is admitted; a hello and a chain of certificates have a few thousand."""
CONTEXT_S: Final = 60
"""How old the time may be at which certificates are judged: OpenSSL takes one a context, which takes 0.2 ms to make."""

_ALPN: Final = b"http/1.1"
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"      # of TLS 1.2; those of 1.3 are all good
_PIECE_BYTES: Final = 65_536
_RECORD_BYTES: Final = 16_384   # of plain text, at most: one is decrypted at a time
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What OpenSSL finds, by its numbers (openssl/x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_BORNE: Final = frozenset({0, 3})
"""No problem, and no list of what was revoked: ours answers for that."""
_BORNE_WITHOUT_AUTHORITY: Final = _BORNE | {2, 18, 19, 20, 21, 27, 28} | {24, 25, 26, 79}
"""Nor a chain to no authority, nor a purpose that one gave it: the list alone says what a certificate is good for."""

_NO_TLS: Final = frozenset({"http request", "https proxy request", "wrong version number", "packet length too long"})
"""In OpenSSL's words, the first record is none."""

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class ServerTls:
    """What this node shows, and whom it admits: makes the handshakes of a listener."""

    def __init__(self, material: ServerMaterial, admits: Callable[[str], bool] | None, clock: Clock) -> None:
        """Prepare.

        Args:
          admits: whether the client with this fingerprint may connect, asked within each handshake; None asks clients
            for no certificate.
          clock: says when certificates are judged.
        Raises: ValueError if the material is no certificate with its key.
        """
        self._chain = x509.load_pem_x509_certificates(material.certificate)
        self._key = _key(material.key)
        authorities = [] if material.client_ca is None else x509.load_pem_x509_certificates(material.client_ca)
        self._authorities = [crypto.X509.from_cryptography(one) for one in authorities]
        self._admits, self._clock = admits, clock
        self._context, self._made_at = self._make_context()

    @property
    def fingerprint(self) -> str:
        """Of what is shown."""
        return certificates.fingerprint(self._chain[0].public_bytes(serialization.Encoding.DER))

    def handshake(self) -> ServerHandshake:
        """One connection's, to be handed to `Secured`."""
        if abs(self._clock.now() - self._made_at) > CONTEXT_S * SECOND_US:
            self._context, self._made_at = self._make_context()
        verdict = None if self._admits is None else _Verdict(self._admits, has_authority=bool(self._authorities))
        return ServerHandshake(self._context, verdict)

    def vouches(self, client: ClientCertificate) -> bool:
        """Whether a client that was admitted earlier would pass now, by dates and authorities; asks no list."""
        if not self._authorities:
            return client.not_after > self._clock.now()
        try:
            # As OpenSSL reads them, which took them in the handshake: what it bears in a certificate beside the leaf,
            # such as a version that there is not, `cryptography` may not.
            leaf, *others = (crypto.load_certificate(crypto.FILETYPE_PEM, pem.encode()) for pem in client.chain)
            crypto.X509StoreContext(self._fill(crypto.X509Store()), leaf, others).verify_certificate()
        except (crypto.X509StoreContextError, crypto.Error):
            return False
        return True

    def _fill(self, store: crypto.X509Store) -> crypto.X509Store:
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)    # an authority may itself be signed by another
        store.set_time(_EPOCH + timedelta(microseconds=self._clock.now()))
        for authority in self._authorities:
            store.add_cert(authority)
        return store

    def _make_context(self) -> tuple[SSL.Context, Instant]:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(_CIPHERS)
        # Nobody comes in by a session of before: each connection proves its key, and the list is asked.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(
            SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)      # an idle connection holds none
        context.set_alpn_select_callback(_choose_protocol)
        try:
            self._show(context)
        except SSL.Error as error:
            # Such as a certificate of its chain with a key too small for anybody to trust.
            raise ValueError(f"OpenSSL does not take it and its key: {', '.join(_reasons(error))}") from error
        store = context.get_cert_store()
        if self._admits is not None and store is not None:
            # OpenSSL asks for a list of what was revoked, and so asks us about each leaf whose chain is good, while an
            # alert can still name the reason: a refusal of what it found in order would be worded "internal error".
            self._fill(store).set_flags(crypto.X509StoreFlags.CRL_CHECK)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        return context, self._clock.now()

    def _show(self, context: SSL.Context) -> None:
        leaf, *others = self._chain
        context.use_certificate(leaf)
        for one in others:
            context.add_extra_chain_cert(one)
        context.use_privatekey(self._key)
        context.check_privatekey()


class _Verdict:
    """What is found out about one client's certificate while OpenSSL verifies it.

    Knows nothing of the connection that it is attached to: a cycle through OpenSSL's memory would outlive it for long.
    """

    def __init__(self, admits: Callable[[str], bool], *, has_authority: bool) -> None:
        self._admits, self.has_authority = admits, has_authority
        self.fingerprint: str | None = None
        self.failure: HandshakeFailure | None = None

    def judge(self, certificate: crypto.X509, problem: int, depth: int) -> bool:
        """Answer OpenSSL, which asks about each problem that it finds, and last about the leaf (problem 0).

        Args:
          depth: 0 for the leaf, above it who signed it.
        """
        if depth == 0 and self.fingerprint is None:
            self.fingerprint = certificates.fingerprint(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))
        self.failure = self._failure(problem, depth) or self.failure
        return self.failure is None

    def _failure(self, problem: int, depth: int) -> HandshakeFailure | None:
        if depth > 0 and not self.has_authority:
            return None         # what else it sent proves nothing, and spoils nothing
        if problem == _EXPIRED:
            return HandshakeFailure.EXPIRED
        if problem == _NOT_YET_VALID:
            return HandshakeFailure.NOT_YET_VALID
        if problem not in (_BORNE if self.has_authority else _BORNE_WITHOUT_AUTHORITY):
            return HandshakeFailure.UNTRUSTED
        is_listed = depth > 0 or (self.fingerprint is not None and self._admits(self.fingerprint))
        return None if is_listed else HandshakeFailure.UNLISTED


class ServerHandshake:
    """One connection's handshake, and its session: see `aimem.ports.secured.Handshake`."""

    def __init__(self, context: SSL.Context, verdict: _Verdict | None) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_accept_state()
        self._connection.set_app_data(verdict)
        self._verdict = verdict
        self._problem: HandshakeFailure | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self._session: _Session | None = None

    @property
    def failure(self) -> HandshakeFailure | None:
        """What was wrong."""
        found = None if self._verdict is None else self._verdict.failure
        return found or self._problem

    @property
    def fingerprint(self) -> str | None:
        """Of the certificate that the client showed."""
        return None if self._verdict is None else self._verdict.fingerprint

    @property
    def tls_version(self) -> int:
        """As in the protocol."""
        return self._connection.get_protocol_version()

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *, server_side: bool, server_hostname: str | None = None
    ) -> _Session:
        """What `trio.SSLStream` asks of a context."""
        self._outgoing = outgoing
        self._session = _Session(self._connection, incoming, outgoing, self._note)
        return self._session

    def release(self) -> None:
        """Give back what OpenSSL holds; nothing else may be asked afterwards, save what was wrong and of whom."""
        if self._session is not None:
            self._session.release()
        del self._connection

    def _note(self, problem: HandshakeFailure) -> None:
        self._problem = problem

    def unsent(self) -> bytes:
        """The alert of a handshake that failed."""
        return b"" if self._outgoing is None else self._outgoing.read()

    def farewell(self) -> bytes:
        """The record that says that no more will come."""
        try:
            self._connection.shutdown()
            return self._connection.bio_read(_PIECE_BYTES)
        except SSL.Error:
            return b""      # the session is broken: there is nothing to say, or nobody to hear it

    def client(self) -> ClientCertificate | None:
        """Who the client is."""
        leaf = self._connection.get_peer_certificate()
        if leaf is None or self._verdict is None:
            return None
        sent = [leaf, *(self._connection.get_peer_cert_chain() or ())]
        try:
            chain = tuple(dict.fromkeys(crypto.dump_certificate(crypto.FILETYPE_PEM, one) for one in sent))
        except crypto.Error as error:
            raise ValueError("is a certificate that cannot be written down") from error
        (found,) = certificates.read_certificates(chain[0])
        return ClientCertificate(
            fingerprint=found.fingerprint, subject=found.subject,
            names=found.names if self._verdict.has_authority else (), not_after=found.not_after,
            chain=tuple(pem.decode() for pem in chain),
        )


class _Session:
    """The part of `ssl.SSLObject` that `trio.SSLStream` uses, on a connection of OpenSSL's in memory."""

    server_side: Literal[True] = True

    def __init__(
        self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO,
        note: Callable[[HandshakeFailure], None],
    ) -> None:
        self._connection, self._incoming, self._outgoing, self._note = connection, incoming, outgoing, note
        self._fed_bytes = 0

    def do_handshake(self) -> None:
        """Go on with it."""
        if self._fed_bytes > CLIENT_SENDS_MAX_BYTES:
            self._note(HandshakeFailure.PROTOCOL)
            raise _failed("the client sends more than a handshake takes")
        self._fed_bytes += self._incoming.pending
        try:
            self._do(self._connection.do_handshake)
        except SSL.Error as error:
            self._flush()
            self._note(_kind(error))
            raise _failed(str(error)) from None
        except ssl.SSLError:
            self._flush()
            raise
        # What OpenSSL would send behind a handshake of 1.3 are tickets, which no option switches off. They are of no
        # use (no session is kept), but are numbered: whatever is sent first takes them along.
        if self.version() != "TLSv1.3":
            self._flush()

    def read(self, max_bytes: int) -> bytes:
        """Decrypt what is there; nothing after the other side's farewell."""
        try:
            pieces = [self._do(self._connection.recv, min(max_bytes, _RECORD_BYTES))]
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            self._flush()
            raise _failed(str(error)) from None
        left = max_bytes - len(pieces[0])
        with contextlib.suppress(SSL.Error):    # whatever it is, the next call says it again
            while left > 0 and len(pieces[-1]) == _RECORD_BYTES:
                pieces.append(self._connection.recv(min(left, _RECORD_BYTES)))
                left -= len(pieces[-1])
        return b"".join(pieces)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Encrypt all of it."""
        try:
            return self._do(self._connection.sendall, data)
        except SSL.Error as error:
            raise _failed(str(error)) from None
        finally:
            self._flush()

    def release(self) -> None:
        """Let go of the connection."""
        del self._connection

    def version(self) -> str:
        """Such as `TLSv1.3`."""
        return self._connection.get_protocol_version_name()

    def _do(self, call: Callable[[*_Arguments], _Result], *args: *_Arguments) -> _Result:
        if data := self._incoming.read():
            self._connection.bio_write(data)
        elif self._incoming.eof:
            self._connection.bio_shutdown()
        try:
            return call(*args)
        except SSL.WantReadError:
            raise ssl.SSLWantReadError from None
        except SSL.SysCallError:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the stream ended without a farewell") from None

    def _flush(self) -> None:
        piece_bytes = _PIECE_BYTES
        with contextlib.suppress(SSL.WantReadError):
            while piece_bytes == _PIECE_BYTES:      # asking for what is not there would cost as much as encrypting
                piece_bytes = self._outgoing.write(self._connection.bio_read(_PIECE_BYTES))


def _verify(connection: SSL.Connection, certificate: crypto.X509, problem: int, depth: int, ok: int) -> bool:
    verdict = connection.get_app_data()
    return isinstance(verdict, _Verdict) and verdict.judge(certificate, 0 if ok else problem, depth)


def _choose_protocol(_: SSL.Connection, offered: list[bytes]) -> bytes | SSL._NoOverlappingProtocols:
    return _ALPN if _ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _failed(words: str) -> ssl.SSLError:
    # With a number, as the standard library's have one: Trio searches the words of an error, which else has none.
    return ssl.SSLError(ssl.SSL_ERROR_SSL, words)


def _reasons(error: SSL.Error) -> list[str]:
    found = error.args[0] if error.args else ()
    return [reason for *_, reason in found] if isinstance(found, list) else []


def _kind(error: SSL.Error) -> HandshakeFailure:
    reasons = _reasons(error)
    if any("did not return a certificate" in reason for reason in reasons):
        return HandshakeFailure.NO_CERTIFICATE
    if any("alert" in reason for reason in reasons):
        return HandshakeFailure.REFUSED_BY_CLIENT
    return HandshakeFailure.NOT_TLS if any(reason in _NO_TLS for reason in reasons) else HandshakeFailure.PROTOCOL


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error      # it has a passphrase, or is of no kind that is known
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("the key is of a kind that TLS has no use for")
    return key
