"""Certificates without TLS: what the files of each machine say, and what a node makes of them by its own rules.

A certificate here is its fingerprint. Whoever shows one has its key, and what is presented to an asker was verified:
TLS itself is tried against real daemons. Clients have one of their own, which every list has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aimem.config import NamedFile, TlsConfig
from aimem.errors import Bug
from aimem.model import SECOND_US, Instant, PresentedCertificate
from aimem.ports import ClientCertificate, Clock, Files, ServerMaterial, ServerSide, Threads
from aimem.ports.secured import Handshake
from aimem.service import OwnCertificate, Which
from aimem.supervisor.credentials import Credentials
from aimem.supervisor.trust import Gate
from aimem.supervisor.wallet import Wallet
from tests.nodes import START
from tests.sim.swarm import Certificates, Swarm

CLIENTS: Final = hashlib.sha256(b"clients").hexdigest()
NOT_AFTER: Final = Instant(START + 400 * 86_400 * SECOND_US)
TLS: Final = TlsConfig(allowlist=NamedFile(path=Path("list"), key="tls.mtls_allowlist", origin="--mtls-allowlist"))


class Registry:
    """What is in the files of all machines; a process reads them when it starts, and when it is asked to.

    Attributes:
      shown: by machine, the fingerprint of its certificate.
      outside: who is on no list but its own; empty for nobody.
    """

    def __init__(self, swarm: Swarm) -> None:
        self.kind = swarm.certificates
        self._seed = swarm.seed
        self._made = dict.fromkeys(swarm.names, 1)
        self.shown = {name: self._fingerprint(name) for name in swarm.names}
        self._accepted = {name: {fingerprint} for name, fingerprint in self.shown.items()}
        self.outside = ""

    def listed(self, machine: str) -> frozenset[str]:
        """The list of a machine."""
        inside = [name for name in self._accepted if name != self.outside or name == machine]
        return frozenset({CLIENTS, *(one for name in inside for one in self._accepted[name])})

    def issue(self, name: str) -> str:
        """Make another certificate for a node, and put it on the lists. Returns: its fingerprint."""
        self._made[name] += 1
        fresh = self._fingerprint(name)
        self._accepted[name].add(fresh)
        return fresh

    def retire(self, name: str) -> None:
        """Take off the lists what a node does not show any more."""
        self._accepted[name] = {self.shown[name]}

    def settle(self) -> None:
        """Nobody is outside, and no list has more than what is shown."""
        self.outside = ""
        for name in self._accepted:
            self.retire(name)

    def client(self, name: str, fingerprint: str) -> ClientCertificate:
        """What a handshake says of whoever connects."""
        names = (name,) if self.kind is Certificates.SIGNED else ()
        return ClientCertificate(fingerprint=fingerprint, subject=f"CN={name}", names=names, not_after=NOT_AFTER,
                                 chain=())

    def _fingerprint(self, name: str) -> str:
        return hashlib.sha256(f"{self._seed}/{name}/{self._made[name]}".encode()).hexdigest()


def presented(name: str, fingerprint: str) -> PresentedCertificate:
    """What an asker knows of whoever answered."""
    return PresentedCertificate(fingerprint=fingerprint, names=(name,), not_after=NOT_AFTER)


def tls_scope(client: ClientCertificate) -> Mapping[str, object]:
    """What a request's scope says of its connection, as far as anybody here reads it."""
    return {
        "client_cert_sha256": client.fingerprint, "client_cert_names": client.names,
        "client_cert_not_after": client.not_after,
    }


class SimGate(Gate):
    """The gate, on connections whose handshake is done."""

    def open_side(self) -> ServerSide:
        """Whose certificate holds; nothing expires within a run."""
        return _Side()


class _Side:
    def handshake(self) -> Handshake:
        raise Bug("there are no sockets here")

    def vouches(self, client: ClientCertificate) -> bool:
        return client.not_after == NOT_AFTER


class SimWallet(Wallet):
    """The credentials of one process, of the files of its machine."""

    def __init__(self, registry: Registry, name: str, *, clock: Clock, files: Files, threads: Threads) -> None:
        super().__init__(TLS, clock=clock, files=files, threads=threads)
        self._registry, self._name = registry, name

    @property
    def shown(self) -> str:
        """The certificate that is in use."""
        return self.credentials.own[0].fingerprint

    def read(self, running: frozenset[str] = frozenset()) -> Credentials:
        """What the files say."""
        shown = self._registry.shown[self._name]
        own = tuple(
            OwnCertificate(which=which, fingerprint=shown, subject=f"CN={self._name}", names=(self._name,),
                           not_after=NOT_AFTER)
            for which in (Which.SERVER, Which.CLIENT)
        )
        server = ServerMaterial(certificate=shown.encode(), key=b"")
        return Credentials(server=server, allowlist=self._registry.listed(self._name), own=own)

    def open_gate(self, material: ServerMaterial, allowlist: frozenset[str] | None) -> Gate:
        """The gate of this process."""
        return SimGate(material, allowlist, self._clock)
