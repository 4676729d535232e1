"""The two ways to have a node: be a daemon, or attach to a database for a while."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import trio

from aimem import __version__
from aimem.cli import Attached, Purpose
from aimem.client import Client
from aimem.config import Config, TlsConfig
from aimem.errors import Bug, Code, InvalidRequest
from aimem.model import new_memory_id
from aimem.ports import LockHeld
from aimem.store import NodeLock
from aimem.supervisor.attach import FIRST_PAUSE_S, LONGEST_PAUSE_S, PATIENCE_S, Attachment, NodeTransport
from aimem.supervisor.children import pause_s
from aimem.supervisor.control import Control
from aimem.supervisor.groups import unwrapped
from aimem.supervisor.notify import Notifier
from aimem.supervisor.outside import Extent, Ports
from aimem.supervisor.place import Holder, Place, Role, held, locate, make_default_folder, read_hint, take
from aimem.supervisor.signals import run_hangups, run_signals

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

    from aimem.supervisor.tree import Running
    from aimem.supervisor.wallet import Wallet

log = logging.getLogger(__name__)

KEY_HEADER: Final = "X-API-Key"
LEAVE_GRACE_S: Final = 5.0      # for requests of other processes when this one, the holder, leaves
CLIENT_TIMEOUT: Final = httpx.Timeout(120.0, connect=5.0)   # the node bounds a request; this catches one that hangs

CONSISTENCY_HEADER: Final = "X-Consistency"

_EXTENTS: Final = {
    Purpose.COMMAND: Extent(embeds=False, curates=False),
    Purpose.RECALL: Extent(embeds=True, curates=False),
    Purpose.SESSION: Extent(embeds=True, curates=True, exchanges=True),
}


@contextlib.asynccontextmanager
async def open_client(
    config: Config, purpose: Purpose, *, ports: Ports, environ: Mapping[str, str]
) -> AsyncIterator[Attached]:
    """Reach the node of the configured database, becoming it if nobody holds the lock; leave it with the block.

    A holder that ends is replaced without the caller's doing. Within the block the node of this process, if there is
    one, serves others on the Unix socket.
    Raises: AimemError; in the block also what ends a node of this process.
    """
    place = _prepare(config, environ)
    async with _leaving(_Local(config, purpose, ports, place)) as local:
        attachment = Attachment(
            files=ports.files, place=place, role=Role.SESSION if purpose is Purpose.SESSION else Role.COMMAND,
            rng=ports.chance.rng, start_node=local.start,
        )
        transport = NodeTransport(attachment)
        key = config.identity.agent_key
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", timeout=CLIENT_TIMEOUT,
            headers=_wishes(config) | ({} if key is None else {KEY_HEADER: key}),
        ) as http:
            await attachment.road()     # so that trouble is told before the first request
            client = Client(http, new_key=partial(new_memory_id, ports.chance.rng))
            yield Attached(client=client, holder=attachment.is_holder, db=place.db, hint=attachment.hint)


def _wishes(config: Config) -> dict[str, str]:
    """What holds for every request of this process."""
    return {} if config.consistency is None else {CONSISTENCY_HEADER: config.consistency}


class _Local:
    """The node of this process, once it has become the holder."""

    def __init__(self, config: Config, purpose: Purpose, ports: Ports, place: Place) -> None:
        self._config, self._extent, self._ports, self._place = config, _EXTENTS[purpose], ports, place
        self._control = Control()
        self._running: Running | None = None
        # It serves the Unix socket alone, and so needs nothing that a server shows.
        self._tls = TlsConfig(
            client_cert=config.tls.client_cert, client_key=config.tls.client_key, peers_ca=config.tls.peers_ca
        ) if self._extent.exchanges else TlsConfig()
        self._hearing = trio.CancelScope()
        self.nursery: trio.Nursery | None = None

    async def start(self, lock: NodeLock) -> ASGIFramework:
        """Run a node under this lock, on the Unix socket alone."""
        if self.nursery is None:
            lock.release()
            raise Bug("a node was asked for outside its block")
        # Loaded only here: most commands find a node that runs already, and these rooms take half a second.
        from aimem.supervisor.furnish import plan_node
        from aimem.supervisor.tree import run_node

        try:
            # Only the holder needs them: a session beside a daemon must not fail by the daemon's files.
            wallet = _open_wallet(self._tls, self._ports)
        except BaseException:
            lock.release()
            raise
        plan = plan_node(self._config, self._ports, self._place, self._extent, self._control, wallet)
        running: Running = await self.nursery.start(partial(
            run_node, plan, lock=lock, place=self._place, tcp=None, grace_s=LEAVE_GRACE_S, control=self._control,
            rng=self._ports.chance.rng,
        ))
        self._running = running
        return running.app

    async def hear_hangups(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Until it leaves: also while another process is the holder, as this one may become it."""
        with self._hearing:
            if self._tls == TlsConfig():
                task_status.started()
            else:
                await run_hangups(self._control, task_status=task_status)

    async def leave(self) -> None:
        """End it calmly: others may be waiting for answers."""
        self._control.stop.set()
        self._hearing.cancel()
        if self._running is not None:
            await self._running.ended.wait()


@contextlib.asynccontextmanager
async def _leaving(local: _Local) -> AsyncIterator[_Local]:
    with unwrapped():
        async with trio.open_nursery() as nursery:
            local.nursery = nursery
            await nursery.start(local.hear_hangups)
            try:
                yield local
            finally:
                with trio.move_on_after(LEAVE_GRACE_S * 2, shield=True):
                    await local.leave()


async def run_daemon(
    config: Config, *, ports: Ports, environ: Mapping[str, str], reread: Callable[[], Config] | None = None
) -> None:
    """Be the node of the configured database, on TCP and on the Unix socket, until SIGTERM or SIGINT; then drain.

    Args:
      reread: the configuration as a start would read it now, for SIGHUP; blocks. Raises: InvalidRequest.
    Raises: Unavailable if another process holds the database or the port; Denied, InvalidRequest, Corrupt.
    """
    from aimem.supervisor.furnish import plan_node
    from aimem.supervisor.tree import run_node

    _refuse_key_of_agent(config)
    wallet = _open_wallet(config.tls, ports)
    place, control, notifier = _prepare(config, environ), Control(), Notifier(environ)
    grace_s = config.api.shutdown_grace_s
    with unwrapped():
        async with trio.open_nursery() as nursery:
            await nursery.start(run_signals, control)
            notifier.starting(f"opening {place.db}")
            lock = await _take_patiently(ports, place)
            extent = Extent(embeds=True, curates=True, exchanges=True, is_daemon=True)
            plan = plan_node(config, ports, place, extent, control, wallet, reread, notifier)
            running: Running = await nursery.start(partial(
                run_node, plan, lock=lock, place=place, tcp=config.api, grace_s=grace_s, control=control,
                rng=ports.chance.rng, gate=None if wallet is None else wallet.gate,
            ))
            ports.say(_readiness(running, place.db))
            notifier.ready(f"serving on {', '.join(running.urls)}")
            nursery.start_soon(notifier.run_watchdog, plan.still_s)
            await control.stop.wait()
            notifier.stopping(grace_s=grace_s)
            await running.ended.wait()
            nursery.cancel_scope.cancel()
    log.info("node.ended", extra={"restarts": dict(control.tally.restarts)})


def _open_wallet(tls: TlsConfig, ports: Ports) -> Wallet | None:
    """The certificates that are named, checked before anything else begins. Raises: InvalidRequest(config_invalid)."""
    if tls == TlsConfig():
        return None
    from aimem.supervisor.wallet import Wallet

    wallet = Wallet(tls, clock=ports.clock, files=ports.files, threads=ports.threads)
    wallet.load()
    return wallet


def _refuse_key_of_agent(config: Config) -> None:
    """An agent's key is what a client presents: a daemon that took it for its own would ask nobody for any."""
    if config.identity.agent_key is not None:
        raise InvalidRequest(
            "api_key is an agent's key (aim_...): those are for clients; give the daemon one of its own, or none",
            code=Code.CONFIG_INVALID, field="api_key",
        )


async def _take_patiently(ports: Ports, place: Place) -> NodeLock:
    """Take the lock, waiting for a command to end: it holds the database for a moment only."""
    holder, attempt = Holder(text="another process"), 0
    with trio.move_on_after(PATIENCE_S):
        while True:
            try:
                return take(ports.files, place, Role.DAEMON)
            except LockHeld as error:
                holder = read_hint(error.hint)
            if holder.role is not Role.COMMAND:
                break
            attempt += 1
            await trio.sleep(pause_s(attempt, ports.chance.rng, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S))
    raise held(place, holder)


def _prepare(config: Config, environ: Mapping[str, str]) -> Place:
    make_default_folder(config.store.db, environ)
    return locate(config.store.db, environ)


def _readiness(running: Running, db: Path) -> str:
    return f"ai-memory {__version__} listening on {', '.join(running.urls)} (db {db}, {running.about})"
