"""Who may connect over TLS: what this node shows, whom it lists, and who is in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import trio
from msgspec import Struct

from aimem.model import SECOND_US
from aimem.ports import ClientCertificate, Clock, Secured, ServerMaterial, ServerSide, open_server_side

TLS_EXTENSION: Final = "tls"    # of ASGI scopes, with keys of our own beside the specification's


class Replaced(Struct, frozen=True, kw_only=True):
    """What a new list and new certificates changed.

    Attributes:
      added, removed: fingerprints.
      dropped_count: open connections whose client is no longer admitted; they are cut.
    """

    added: frozenset[str]
    removed: frozenset[str]
    dropped_count: int


class Gate:
    """The TLS side of a node's listeners. Its material and its list may be replaced at any time.

    Both are bounded by whoever loads them; the connections by the server whose they are.
    """

    def __init__(self, material: ServerMaterial, allowlist: frozenset[str] | None, clock: Clock) -> None:
        """Prepare.

        Args:
          allowlist: fingerprints of the clients that may connect; None asks clients for no certificate.
        Raises: ValueError if the material is no certificate with its key.
        """
        self._clock = clock
        self._material, self._allowlist = material, allowlist
        self._side, self._retired = self.open_side(), trio.Event()
        self.edition = 0
        """Rises with each `replace`: a handshake that began and ended in one needs no second look."""
        self._open: dict[Callable[[], None], ClientCertificate | None] = {}

    @property
    def allowlist(self) -> frozenset[str] | None:
        """Who may connect now; None: anybody."""
        return self._allowlist

    def secure(self, transport: trio.SocketStream) -> Secured:
        """A connection by what is shown and listed now; its handshake is still to be done."""
        return Secured(transport, self._side.handshake(), self._retired, self._side.fingerprint)

    def replace(self, material: ServerMaterial, allowlist: frozenset[str] | None) -> Replaced:
        """Show and list this from now on, and cut at once whoever is no longer admitted, requests in progress included.

        The others stay, and are told once they are `retired` as another certificate was shown to them.
        Raises: ValueError if the material is no certificate with its key; nothing has changed then.
        """
        before = self._material, self._allowlist
        self._material, self._allowlist = material, allowlist
        try:
            self._side = self.open_side()
        except ValueError:
            self._material, self._allowlist = before
            raise
        self.edition += 1
        if material.certificate != before[0].certificate:
            self._retired.set()
            self._retired = trio.Event()
        outside = [drop for drop, client in self._open.items() if not self.admits(client)]
        for drop in outside:
            drop()
        old, new = before[1] or frozenset(), allowlist or frozenset()
        return Replaced(added=new - old, removed=old - new, dropped_count=len(outside))

    def admits(self, client: ClientCertificate | None) -> bool:
        """Whether a connection with this certificate may be open now."""
        if self._allowlist is None:
            return True
        return client is not None and client.fingerprint in self._allowlist and self._side.vouches(client)

    @contextlib.contextmanager
    def entered(self, client: ClientCertificate | None, drop: Callable[[], None]) -> Iterator[float]:
        """Keep a connection in mind while it is open.

        Args:
          drop: cuts it; called by `replace`.
        Yields: when its certificate expires, by Trio's clock.
        """
        self._open[drop] = client
        try:
            left_s = float("inf") if client is None else (client.not_after - self._clock.now()) / SECOND_US
            yield trio.current_time() + left_s
        finally:
            del self._open[drop]

    def open_side(self) -> ServerSide:
        """What meets connections from now on. Raises: ValueError."""
        return open_server_side(self._material, None if self._allowlist is None else self._lists, self._clock)

    def _lists(self, fingerprint: str) -> bool:
        return self._allowlist is None or fingerprint in self._allowlist


def tls_extension(secured: Secured) -> dict[str, Any]:      # values of ASGI extensions are of any type
    """What a request's scope says of its connection: the specification's keys, and what a peer's identity takes.

    `client_cert_sha256` is None without a certificate, `client_cert_names` are those that an authority of ours vouched
    for, `client_cert_not_after` is an Instant or None, and `server_cert_sha256` is of what this node showed.
    """
    client = secured.client
    return {
        "server_cert": None,
        "client_cert_chain": () if client is None else client.chain,
        "client_cert_name": None if client is None else client.subject,
        "client_cert_error": None,
        "tls_version": secured.tls_version,
        "cipher_suite": None,
        "client_cert_sha256": None if client is None else client.fingerprint,
        "client_cert_names": () if client is None else client.names,
        "server_cert_sha256": secured.shows,
        "client_cert_not_after": None if client is None else client.not_after,
    }
