"""A stream over TLS, server side, in the shape of Trio's socket stream; what decides and encrypts is handed in."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

import trio

from aimem.ports.clock import Clock
from aimem.ports.material import ClientCertificate, HandshakeFailure, ServerMaterial

PARTING_S: Final = 1.0
"""For a refused client to read why: while it still sends, closing would reset the connection, and that overtakes the
alert."""
_PIECE_BYTES: Final = 65_536


class Handshake(Protocol):
    """One handshake and the session that it leads to; `trio.SSLStream` takes it for an `ssl.SSLContext`."""

    @property
    def failure(self) -> HandshakeFailure | None:
        """What was wrong, as far as it was TLS that failed and not the connection below it."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """Of the certificate that the client showed, refused or not."""
        ...

    @property
    def tls_version(self) -> int:
        """As in the protocol: 0x0304 for TLS 1.3."""
        ...

    def client(self) -> ClientCertificate | None:
        """Who the client is, after the handshake; None without a certificate. Raises: ValueError if unreadable."""
        ...

    def unsent(self) -> bytes:
        """What is still to be sent to the client: the alert of a handshake that failed."""
        ...

    def farewell(self) -> bytes:
        """The record that says that no more will come; empty where the session is broken."""
        ...

    def release(self) -> None:
        """Give back what OpenSSL holds; nothing may be sent or received afterwards."""
        ...


class ServerSide(Protocol):
    """What this node shows to clients, and whom it admits."""

    @property
    def fingerprint(self) -> str:
        """Of what is shown."""
        ...

    def handshake(self) -> Handshake:
        """One connection's."""
        ...

    def vouches(self, client: ClientCertificate) -> bool:
        """Whether a client that was admitted earlier would pass now, by dates and authorities; asks no list."""
        ...


def open_server_side(material: ServerMaterial, admits: Callable[[str], bool] | None, clock: Clock) -> ServerSide:
    """The machine's TLS. For the arguments and what is raised see `aimem.ports.tls.ServerTls`."""
    # OpenSSL and what reads certificates take 20 ms to load, and few processes serve TLS.
    from aimem.ports.tls import ServerTls

    return ServerTls(material, admits, clock)


class Secured(trio.abc.HalfCloseableStream):
    """A connection that becomes readable and writable with `do_handshake`."""

    def __init__(
        self, transport: trio.SocketStream, handshake: Handshake, retired: trio.Event, shows: str | None = None
    ) -> None:
        """Prepare.

        Args:
          retired: set once others are shown another certificate of ours than was shown here.
          shows: fingerprint of the certificate that this side shows.
        """
        self.socket, self.retired, self.shows = transport.socket, retired, shows
        self.client: ClientCertificate | None = None
        """Who the other side is, once the handshake is done; None if no certificate was asked for."""
        self._transport, self._handshake = transport, handshake
        # Of a context, Trio uses one method. End of file without a farewell is for HTTP to judge: it knows the lengths.
        context = cast(ssl.SSLContext, handshake)
        self._tls = trio.SSLStream(transport, context, server_side=True, https_compatible=True)

    @property
    def fingerprint(self) -> str | None:
        """Of the certificate that the client showed, refused or not."""
        return self._handshake.fingerprint

    @property
    def tls_version(self) -> int:
        """As in the protocol: 0x0304 for TLS 1.3."""
        return self._handshake.tls_version

    async def do_handshake(self) -> HandshakeFailure | None:
        """Find out who is there. Returns: None if the client is admitted, with `client` set; else `part` is next."""
        try:
            await self._tls.do_handshake()
            self.client = self._handshake.client()
        except ValueError:
            return HandshakeFailure.UNTRUSTED
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return self._handshake.failure or HandshakeFailure.GONE
        return None

    def release(self) -> None:
        """Close it as it is, for good.

        What it holds of OpenSSL's would wait for the garbage collector, as Trio's streams refer to themselves: it sees
        a few small objects, where thousands of strangers leave behind a hundred megabytes.
        """
        self.socket.close()
        self._handshake.release()

    async def part(self) -> None:
        """Tell a client that was refused, by an alert, in a second at most; then the connection is to be closed."""
        with trio.move_on_after(PARTING_S), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if alert := self._handshake.unsent():
                await self._transport.send_all(alert)
                await self._transport.send_eof()
                while await self._transport.receive_some(_PIECE_BYTES):
                    pass

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The next bytes; none at the end, said or not."""
        return await self._tls.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; a cancelled one leaves the connection unusable."""
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes bytes."""
        await self._tls.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Say that no more will come; the other side's farewell is not waited for. Nothing else may be sending."""
        if farewell := self._handshake.farewell():
            await self._transport.send_all(farewell)
        await self._transport.send_eof()

    async def aclose(self) -> None:
        """Close it as it is."""
        await self._tls.aclose()
