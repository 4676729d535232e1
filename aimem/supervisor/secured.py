"""Connections to peers that speak TLS: secured, and what their failures are called."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

import trio

from aimem.model import PresentedCertificate
from aimem.ports import PeerMaterial, client_context
from aimem.replication import NotSecured

_UNKNOWN_CA: Final = "its certificate was signed by nobody who is trusted here (--quorum-ca-cert)"
_VERIFY: Final = {
    9: "its certificate is not valid yet; is a clock wrong?", 10: "its certificate has expired", 18: _UNKNOWN_CA,
    19: _UNKNOWN_CA, 20: _UNKNOWN_CA, 21: _UNKNOWN_CA,
}
"""By the number of OpenSSL's X509_V_ERR."""
_OTHER_NAME: Final = frozenset({62, 64})
_REFUSALS: Final = {
    "CERTIFICATE_EXPIRED": "it refused our certificate: it has expired, or has not begun by its clock",
    "UNKNOWN_CA": "it refused our certificate: it is not on its list (--mtls-allowlist), or signed by nobody it knows",
    "CERTIFICATE_REQUIRED": "it wants a certificate of ours (--quorum-client-cert)",
    "BAD_CERTIFICATE": "it refused our certificate", "CERTIFICATE_REVOKED": "it refused our certificate",
    "CERTIFICATE_UNKNOWN": "it refused our certificate; is it on its --mtls-allowlist?",
    "ACCESS_DENIED": "it refused our certificate; is it on its --mtls-allowlist?",
    "UNSUPPORTED_CERTIFICATE": "it refused our certificate: it is not made for clients",
    "HANDSHAKE_FAILURE": "it refused the TLS handshake; does it want a certificate of ours (--quorum-client-cert)?",
}
_PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG",
                           "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"})


class PeerTls:
    """How peers with TLS are asked: may be replaced at any time, for all connections that are made from then on.

    Attributes:
      seen: the last certificate that each server showed, by `host:port` in lower case.
      edition: rises when connections made before are to be made anew.
    """

    def __init__(self, seen: dict[str, PresentedCertificate] | None = None) -> None:
        """Prepare, with nothing to show and trusting whom the machine trusts; nothing is loaded yet."""
        self.seen: dict[str, PresentedCertificate] = {} if seen is None else seen
        self.edition = 0
        self._material = PeerMaterial()
        self._context: ssl.SSLContext | None = None
        self._watchers: set[Callable[[], None]] = set()

    @property
    def context(self) -> ssl.SSLContext:
        """What connections are made with. Raises: ValueError if the material cannot be used."""
        if self._context is None:
            self._context = client_context(self._material)
        return self._context

    def replace(self, material: PeerMaterial) -> None:
        """Use other material, unless it is the same. Raises: ValueError, and goes on with what there was."""
        if material == self._material:
            return
        self._context, self._material = client_context(material), material
        self.renew()

    def renew(self) -> None:
        """Make all connections anew: what servers showed on those there are may not be what they show now."""
        self.edition += 1
        for tell in self._watchers:
            tell()

    def watch(self, tell: Callable[[], None]) -> None:
        """Have each replacement told."""
        self._watchers.add(tell)

    def leave(self, tell: Callable[[], None]) -> None:
        """Have it told no more."""
        self._watchers.discard(tell)


async def secure(
    stream: trio.SocketStream, context: ssl.SSLContext, name: str
) -> tuple[trio.SSLStream[trio.SocketStream], PresentedCertificate]:
    """Shake hands, verify the certificate and that it is for the name.

    Raises: NotSecured with the reason; the stream is the caller's to close then.
    """
    secured = trio.SSLStream(stream, context, server_hostname=name, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        raise NotSecured(
            failure_of(error, name) or "it closed the connection in the middle of the TLS handshake"
        ) from error
    return secured, _presented(secured)


def failure_of(error: trio.BrokenResourceError, name: str) -> str:
    """What TLS has against a connection, in words; empty if it has nothing, and the connection just broke.

    A server of TLS 1.3 judges a certificate of ours after our handshake has ended: so this also reads what a first
    request met.
    """
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in _OTHER_NAME:
            return f"its certificate is not for the name {name[:200]}"
        return _VERIFY.get(cause.verify_code, f"its certificate does not hold: {cause.verify_message}")
    if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLEOFError):
        return ""
    reason = cause.reason or ""
    if reason in _PLAIN:
        return "it does not speak TLS there"
    for alert, words in _REFUSALS.items():
        if reason.endswith("ALERT_" + alert):
            return words
    return f"TLS failed: {reason.lower().replace('_', ' ') or type(cause).__name__}"


def _presented(secured: trio.SSLStream[trio.SocketStream]) -> PresentedCertificate:
    from aimem.ports import certificates  # slow to load; a node without TLS needs none of it

    try:
        found = certificates.read_der(secured.getpeercert(binary_form=True))
    except ValueError as error:
        raise NotSecured("its certificate cannot be read") from error
    return PresentedCertificate(fingerprint=found.fingerprint, names=found.names, not_after=found.not_after)
