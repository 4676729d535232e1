"""How the nodes of a bench, and whoever writes through them, reach a node: in the clear, or with mutual TLS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio

from aimem.operations.benchnode import BenchPorts
from aimem.operations.pki import ALLOWLIST, AUTHORITY, Pki
from aimem.ports import PeerMaterial, client_context
from aimem.wire import pki

HOST: Final = "127.0.0.1"
_CALLER: Final = "caller"


class Road(Protocol):
    """What a mesh of processes speaks."""

    @property
    def scheme(self) -> str:
        """Of the addresses of nodes."""

    def words(self, name: str) -> tuple[str, ...]:
        """What is added to the command line of a node."""

    async def open(self, port: int) -> trio.abc.Stream:
        """A connection to a node. Raises: OSError; trio.BrokenResourceError."""


class PlainRoad:
    """HTTP as it is."""

    scheme = "http"

    def words(self, name: str) -> tuple[str, ...]:
        """Nothing."""
        return ()

    async def open(self, port: int) -> trio.abc.Stream:
        """A connection over TCP."""
        return await trio.open_tcp_stream(HOST, port)


class CertifiedRoad:
    """Every node shows a certificate of its own, and takes none that is not on the list of all of them.

    Whoever writes through a node shows one, too.
    """

    scheme = "https"

    def __init__(self, folder: Path, material: PeerMaterial) -> None:
        self._folder, self._context = folder, client_context(material)

    def words(self, name: str) -> tuple[str, ...]:
        """The flags of a node that was named when the certificates were made."""
        pair = f"{self._folder / name}.pem", f"{self._folder / name}.key"
        return (
            "--tls-cert", pair[0], "--tls-key", pair[1], "--mtls-allowlist", str(self._folder / ALLOWLIST),
            "--quorum-client-cert", pair[0], "--quorum-client-key", pair[1],
            "--quorum-ca-cert", f"{self._folder / AUTHORITY}.pem",
        )

    async def open(self, port: int) -> trio.abc.Stream:
        """A connection whose handshake is done."""
        stream = trio.SSLStream(
            await trio.open_tcp_stream(HOST, port), self._context, server_hostname=HOST, https_compatible=True
        )
        await stream.do_handshake()
        return stream


async def certified_road(folder: Path, names: Sequence[str], ports: BenchPorts) -> CertifiedRoad:
    """Make certificates for nodes of these names, and for those who write through them, in a new folder `pki`.

    Raises: Unavailable if a file cannot be written.
    """
    folder = folder / "pki"
    make = partial(_make_certificates, folder, names, ports)
    return CertifiedRoad(folder, await ports.threads.run(make, limiter=trio.CapacityLimiter(1)))


def _make_certificates(folder: Path, names: Sequence[str], ports: BenchPorts) -> PeerMaterial:
    """Blocks. Returns: what a caller shows."""
    authority = Pki(folder, ports.files, ports.clock)
    authority.init(pki.InitRequest(name="bench"))
    for name in (*names, _CALLER):
        authority.issue(pki.IssueRequest(name=name, addresses=(HOST,)))
    return PeerMaterial(
        certificate=(folder / f"{_CALLER}.pem").read_bytes(), key=(folder / f"{_CALLER}.key").read_bytes(),
        ca=(folder / f"{AUTHORITY}.pem").read_bytes(),
    )
