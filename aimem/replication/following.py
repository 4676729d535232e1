"""Tasks that each peer has one of: they come and go with the peers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer


async def run_for_peers(mesh: Mesh, run: Callable[[Peer], Awaitable[None]]) -> None:
    """Run a task for each peer as long as it is one, until cancelled."""
    running: dict[Peer, trio.CancelScope] = {}
    async with trio.open_nursery() as nursery:
        while True:
            changed = mesh.next_members
            for peer in [peer for peer in running if peer not in mesh.peers]:
                running.pop(peer).cancel()
            for peer in mesh.peers:
                if peer not in running:
                    running[peer] = trio.CancelScope()
                    nursery.start_soon(_run_one, run, peer, running[peer])
            await changed.wait()


async def _run_one(run: Callable[[Peer], Awaitable[None]], peer: Peer, scope: trio.CancelScope) -> None:
    with scope:
        await run(peer)


def following(peers: tuple[Peer, ...], last: Peer | None) -> Peer | None:
    """Whose turn it is behind the last one, round and round; None if there are none."""
    if not peers:
        return None
    return peers[(peers.index(last) + 1) % len(peers)] if last in peers else peers[0]
