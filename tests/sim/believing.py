"""Whom nodes believe: under the name of an honest node nobody's key speaks but its own."""

from __future__ import annotations

from collections.abc import Mapping

from aimem.ports import Connection
from aimem.replication.proof import stream_of
from aimem.store import pins
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher


def check_pins(nodes: Mapping[str, Connection], swarm: Swarm, watcher: Watcher) -> None:
    """Look at every key that every node remembers under the name of an honest one."""
    for name, conn in sorted(nodes.items()):
        known = pins.load(conn)
        for node in swarm.honest:
            for key in known[node].keys if node in known else ():
                watcher.checks += 1
                owner = watcher.seals.owners.get(stream_of(key))
                if owner != node:
                    watcher.find("believed", f"{name} believes a key of {owner} to be one of {node}")
