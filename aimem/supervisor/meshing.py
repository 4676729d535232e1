"""A node's part in its mesh: what it is called, its peers, and the task that talks with them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from aimem.config import NO_PEERS_NOTICE, Config, MeshConfig
from aimem.errors import Unavailable
from aimem.replication import Mesh, MeshSettings, PeerRoad, Trust, run_mesh
from aimem.store import Store, served, trimming
from aimem.supervisor.children import Child, OnFailure
from aimem.supervisor.outside import Extent, Ports
from aimem.supervisor.secured import PeerTls

CLOSE_GRACE_S: Final = 1.0


def node_name(config: Config) -> str:
    """What this node is called in the mesh."""
    return config.mesh.node_name or host_name(config)


def host_name(config: Config) -> str:
    """The host's name, if it may be told."""
    return "node" if config.identity.anonymize else os.uname().nodename or "node"


def mesh_settings(config: MeshConfig, extent: Extent) -> MeshSettings:
    """What a mesh is told by a configuration."""
    return MeshSettings(
        peers=config.peers, writes=config.writes, timeout_s=config.timeout_s, interval_s=config.interval_s,
        serves=extent.exchanges, compare_s=config.compare_s,
        log=trimming.LogBounds(most_bytes=config.op_log_max_bytes, most_days=config.op_log_max_days),
    )


async def note_writes(store: Store, writes: int) -> None:
    """Leave a daemon's W in the database, for those who open it while no daemon runs."""
    if writes != store.served_writes:
        with contextlib.suppress(Unavailable):      # a full disk: the W before stays, until the next start or reload
            await store.write(served.note_served, writes)
            store.served_writes = writes


async def settle_writes(config: Config, extent: Extent, store: Store) -> int:
    """Have a daemon's W noted.

    Returns: for any other process W of the daemon before, if nobody told it one of its own; else 1.
    """
    if extent.is_daemon:
        await note_writes(store, config.mesh.writes)
        return 1
    is_told = bool(config.told.writes_by) and NO_PEERS_NOTICE not in config.notices
    return 1 if is_told or config.mesh.writes > 1 else store.served_writes


def make_mesh(
    config: Config, ports: Ports, store: Store, extent: Extent, tls: PeerTls, trust: Trust
) -> Mesh | None:
    """The peers, also for a process that does not talk with them: its writes may need them all the same.

    Who would talk with them has a mesh also while there are none: it may be told of some while it runs.
    """
    settings = mesh_settings(config.mesh, extent)
    if not settings.peers and not settings.serves:
        return None
    if settings.serves and config.mesh.node_name not in (None, store.node_name):
        # Most often the files are a copy of another node's: whoever started it hears that before it has written.
        ports.say(
            f"ai-memory: warning: this database is that of node {store.node_name!r}, which goes on under that name: "
            f"node_name {config.mesh.node_name!r} names new databases only. If it is a copy of another node's, stop "
            "it, take its file DB.node away, and start it again"
        )
    road = _open_road(config, ports, tls, trust)
    return Mesh(settings, store, clock=ports.clock, rng=ports.chance.rng, road=road)


def mesh_children(
    config: Config, ports: Ports, mesh: Mesh | None, tls: PeerTls, trust: Trust
) -> tuple[Child, ...]:
    """What is to run for the mesh."""
    if mesh is None or not mesh.settings.serves:
        return ()
    run = partial(_run_mesh, mesh, partial(_open_road, config, ports, tls, trust))
    return (Child(name="mesh", run=run, on_failure=OnFailure.RESTART),)


def _open_road(config: Config, ports: Ports, tls: PeerTls, trust: Trust) -> PeerRoad:
    # The shared key, or an operator's, which once agents have keys opens the same doors.
    return PeerRoad(ports.open_peers(tls), trust, api_key=config.api.api_key or config.identity.agent_key)


async def _run_mesh(
    mesh: Mesh, open_road: Callable[[], PeerRoad], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Exchange with all peers, over connections of its own each time that it is started."""
    mesh.road = open_road()
    try:
        await run_mesh(mesh, task_status=task_status)
    finally:
        with trio.move_on_after(CLOSE_GRACE_S, shield=True):
            await mesh.road.aclose()
