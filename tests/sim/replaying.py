"""Idempotence: what nodes sent each other comes once more, and nothing may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
import trio

from aimem.ports import Connection
from tests.sim import checks
from tests.sim.network import Network, Parcel
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher

OWN_LABELS = frozenset({"gc", "extend", "stream"})
"""What nodes write by the clock, whatever they are sent."""

LOOK_S, LOOKS = 0.1, 300


async def replay(
    network: Network, swarm: Swarm, watcher: Watcher, nodes: Callable[[], Mapping[str, Connection]]
) -> None:
    """Send what nodes sent each other once more, in any order."""
    for _ in range(LOOKS):
        if checks.have_converged(nodes()):      # else what is on its way would be taken for logged anew
            break
        await trio.sleep(LOOK_S)
    kept = list(network.kept)
    swarm.rng("replay").shuffle(kept)
    known = {dot for dot in watcher.written if watcher.holders(dot)}    # others were lost with a disk
    before = set(watcher.written)
    lengths = {name: checks.length_of(conn) for name, conn in nodes().items()}
    async with trio.open_nursery() as senders:
        for parcel in kept:
            senders.start_soon(_send_again, network, parcel)
    await trio.sleep(3.0)
    fresh = [written for dot, written in watcher.written.items() if dot not in known]
    for written in fresh:
        if written.op.kind not in OWN_LABELS and written.op.dot not in before:
            watcher.find("idempotence", f"{len(kept)} old messages came again and made {written.op.kind}")
    for name, conn in nodes().items():
        watcher.checks += 1
        if checks.length_of(conn) > lengths.get(name, 0) + len(fresh):
            watcher.find("idempotence", f"{name} logged anew what came again")
    checks.check_model(nodes(), watcher, swarm.rng("model again"))


async def _send_again(network: Network, parcel: Parcel) -> None:
    try:
        with trio.move_on_after(30):
            await network.ask(parcel, None)
    except httpx.TransportError:
        return
