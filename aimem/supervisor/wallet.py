"""What this node shows and whom it lets in, while it runs: loaded at the start, and anew whenever SIGHUP asks."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

import trio

from aimem.config import TlsConfig
from aimem.errors import Code, InvalidRequest
from aimem.ports import Clock, Files, ServerMaterial, Threads
from aimem.service import Papers
from aimem.supervisor.credentials import Credentials, load_credentials
from aimem.supervisor.secured import PeerTls
from aimem.supervisor.trust import Gate, Replaced

log = logging.getLogger(__name__)

NAMED_CHARS: Final = 16     # of a fingerprint, in a line of the log
NAMED_MAX: Final = 16


class Wallet:
    """The credentials in use.

    Attributes:
      papers: what services know of them.
      peer_tls: how peers are asked.
      gate: whom TCP is served to; None without TLS.
    """

    def __init__(self, tls: TlsConfig, *, clock: Clock, files: Files, threads: Threads) -> None:
        """Prepare, with nothing in it; see `load`."""
        self._tls, self._clock, self._files, self._threads = tls, clock, files, threads
        self._limiter = trio.CapacityLimiter(1)
        self.credentials = Credentials()
        self.papers = Papers()
        self.peer_tls = PeerTls(self.papers.seen)
        self.gate: Gate | None = None

    @property
    def is_used(self) -> bool:
        """Whether any file is named."""
        return self._tls != TlsConfig()

    def load(self) -> None:
        """Read the files for the first time. Blocks. Raises: InvalidRequest(config_invalid)."""
        found = self.read()
        self.peer_tls.replace(found.peers)
        if found.server is not None:
            try:
                self.gate = self.open_gate(found.server, found.allowlist)
            except ValueError as error:
                named = "" if self._tls.cert is None else f"{self._tls.cert.path}: "
                raise InvalidRequest(
                    f"--tls-cert: {named}{error}", code=Code.CONFIG_INVALID, field="tls.cert"
                ) from error
        self._keep(found)

    async def reload(self) -> None:
        """Read them anew and use them, all or none. Raises: InvalidRequest; then what was in use stays so."""
        running = frozenset(one.fingerprint for one in self.credentials.own)
        try:
            found = await self._threads.run(partial(self.read, running), limiter=self._limiter)
            replaced = None
            if self.gate is not None and found.server is not None:
                replaced = self.gate.replace(found.server, found.allowlist)
            self.peer_tls.replace(found.peers)      # it was tried when the files were read
            if found.allowlist != self.credentials.allowlist:
                # A peer whose certificate was taken off the list may have another, and shows it on new connections.
                self.peer_tls.renew()
        except ValueError as error:
            raise InvalidRequest(str(error), code=Code.CONFIG_INVALID) from error
        self._tell(found, replaced)
        self._keep(found)

    def read(self, running: frozenset[str] = frozenset()) -> Credentials:
        """What the files hold now. For the argument and what is raised see `load_credentials`. Blocks."""
        return load_credentials(self._tls, self._files, self._clock.now(), running)

    def open_gate(self, material: ServerMaterial, allowlist: frozenset[str] | None) -> Gate:
        """Raises: ValueError if the material is no certificate with its key."""
        return Gate(material, allowlist, self._clock)

    def _keep(self, found: Credentials) -> None:
        self.credentials = found
        self.papers.listed_count = None if found.allowlist is None else len(found.allowlist)
        self.papers.renew(found.own)

    def _tell(self, found: Credentials, replaced: Replaced | None) -> None:
        held = {one.fingerprint for one in self.credentials.own}
        told: dict[str, object] = {
            "new_certificates": ",".join(one.which.value for one in found.own if one.fingerprint not in held) or "none",
        }
        if replaced is not None:
            told |= {
                "added_count": len(replaced.added), "removed_count": len(replaced.removed),
                "cut_count": replaced.dropped_count,
                "removed": ",".join(sorted(one[:NAMED_CHARS] for one in replaced.removed)[:NAMED_MAX]) or "none",
            }
        log.info("reload.done", extra=told)
