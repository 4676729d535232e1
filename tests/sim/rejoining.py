"""What an operator does whose disk is in doubt: a node begins a new stream and fetches everything from a peer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import httpx
import trio

from aimem.api import Transport
from tests.sim.machine import Machine
from tests.sim.network import Network
from tests.sim.swarm import Swarm
from tests.sim.trace import Trace

PATIENCE_S: Final = 10.0


class Rejoining:
    """Has machines join their mesh anew.

    Attributes:
      asked: the machines that were asked to, as often as they were.
    """

    def __init__(self, swarm: Swarm, machines: Mapping[str, Machine], network: Network, trace: Trace) -> None:
        self._machines, self._network, self._trace = machines, network, trace
        self._honest = swarm.honest
        self.asked: list[str] = []

    async def rejoin(self, rng: random.Random) -> None:
        """Ask one of them, at its socket."""
        name = rng.choice(self._honest)
        body = {"forget_cluster": rng.random() < 0.5}
        if self._machines[name].running is None:
            await trio.lowlevel.checkpoint()
            return
        self.asked.append(name)
        way = self._network.transport("c owner", door=Transport.UNIX)
        async with httpx.AsyncClient(transport=way, timeout=None) as http:
            try:
                with trio.move_on_after(PATIENCE_S):
                    answer = await http.post(f"http://{name}/api/v1/mesh/rejoin", json=body)
                    self._trace.note("rejoin", name, answer.status_code)
            except httpx.TransportError:
                return      # whatever became of it
