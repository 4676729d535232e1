"""What SIGHUP, and `POST /api/v1/mesh/reload`, have read anew: the members of the mesh, and certificates.

All or nothing: the configuration is read and checked first, then the files of TLS; only then is anything used.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from msgspec.structs import asdict

from aimem.config import Config
from aimem.errors import InvalidRequest
from aimem.ports import Threads
from aimem.replication import Mesh
from aimem.service import Membership
from aimem.supervisor.control import Control
from aimem.supervisor.meshing import mesh_settings
from aimem.supervisor.notify import Notifier
from aimem.supervisor.outside import Extent
from aimem.supervisor.wallet import Wallet
from aimem.wire import reloading

log = logging.getLogger(__name__)

_OTHERS: Final = frozenset({"mesh", "told", "notices"})
"""Of a configuration: what holds at once, or tells of it."""
_LATER: Final = ("node_name", "embedding_grace_s")
"""Of the mesh: what holds from the next start on."""


class Reloader:
    """Reads anew what may change while a node runs.

    Attributes:
      membership: what services know of it.
    """

    def __init__(
        self, config: Config, wallet: Wallet, *, mesh: Mesh | None, extent: Extent, threads: Threads,
        note: Callable[[int], Awaitable[None]] | None = None, reread: Callable[[], Config] | None = None,
        say: Callable[[str], None] | None = None, notifier: Notifier | None = None,
    ) -> None:
        """Prepare.

        Args:
          note: leaves W in the database.
          reread: the configuration as a start would read it now; it blocks. Raises: InvalidRequest. None where the
            caller made it up: then certificates alone are read anew.
          say: tells the operator what came of it, where nothing is logged.
          notifier: hears when it begins, and what came of it.
        """
        self._started, self._wallet, self._mesh, self._extent = config, wallet, mesh, extent
        self._note = note
        self._threads, self._reread, self._say = threads, reread, say or (lambda _: None)
        self._notifier = notifier or Notifier({})
        self._turn, self._limiter = trio.Lock(), trio.CapacityLimiter(1)
        self.membership = Membership(told=reloading.told_out(config.told))
        if reread is not None:
            self.membership.reread = self.read_anew

    async def reload(self) -> None:
        """As `read_anew`; what is wrong is in the log, in health and in the mesh's alarms."""
        try:
            await self.read_anew()
        except InvalidRequest as error:
            self._say(f"ai-memory: nothing was read anew: {error}")

    async def read_anew(self) -> None:
        """Read everything anew and use it. Raises: InvalidRequest(config_invalid); then all is as before."""
        async with self._turn:
            with self._notifier.reloading():
                await self._read_and_use()
        self._say("ai-memory: certificates, keys and lists were read anew")

    async def _read_and_use(self) -> None:
        papers = self._wallet.papers
        try:
            found = None if self._reread is None else await self._threads.run(self._reread, limiter=self._limiter)
            if self._wallet.is_used:
                await self._wallet.reload()
        except InvalidRequest as error:
            papers.failed += 1
            papers.failure = error.message
            log.error("reload.failed", extra={"reason": error.message})  # noqa: TRY400  # that is the whole story
            raise
        papers.reloaded += 1
        papers.failure = ""
        if found is not None:
            self._use(found)
            if self._note is not None:
                await self._note(found.mesh.writes)

    def _use(self, found: Config) -> None:
        known, mesh = self.membership, self._mesh
        known.told, known.restart = reloading.told_out(found.told), changed(self._started, found)
        known.notices = tuple(notice for notice in found.notices if notice not in self._started.notices)
        if mesh is None:
            return
        before = {peer.url for peer in mesh.peers}
        mesh.replace_members(mesh_settings(found.mesh, self._extent))
        after = {peer.url for peer in mesh.peers}
        for url in before - after:
            mesh.road.forget(url)
        self._wallet.papers.keep_seen(after)
        log.info("members.read", extra={
            "added": ",".join(sorted(after - before)) or "none", "removed": ",".join(sorted(before - after)) or "none",
            "members": mesh.rule.members, "writes": mesh.rule.writes,
            "next_start": ",".join(known.restart) or "none",
        })
        for sentence in (*known.notices, *known.told.overruled):
            log.warning("members.note", extra={"note": sentence})


def changed(started: Config, found: Config) -> tuple[str, ...]:
    """What of a configuration is another one now, and holds from the next start on: the names of its parts."""
    before, after = asdict(started), asdict(found)
    parts = [name for name in before if name not in _OTHERS and before[name] != after[name]]
    later = [f"mesh.{name}" for name in _LATER if getattr(started.mesh, name) != getattr(found.mesh, name)]
    return (*parts, *later)


async def run_reload(
    reloader: Reloader, control: Control, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Have everything read anew each time that it is asked for."""
    task_status.started()
    while True:
        await control.wait_reload()
        await reloader.reload()
