"""A machine that runs the version before, until somebody brings it up to date."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final  # ASGI apps and messages

import httpx
import trio

from aimem.store import outbound
from tests.older import UNKNOWN_KIND, older_nodes
from tests.sim.machine import Machine
from tests.sim.network import Parcel, is_client
from tests.sim.ports import SPEAKER
from tests.sim.swarm import Fault, Swarm
from tests.sim.trace import Trace

LACKING: Final = (
    f" /api/v1/{UNKNOWN_KIND}s", " /api/v1/kg/invalidate", " /api/v1/import", " /api/v1/sync/push",
    "DELETE /api/v1/links",
)
"""Doors, by the end of a method and a path, that the version before lacks, or that lead to what it does not know."""

SOON: Final = 0.3


class Versions:
    """Who runs which version.

    Attributes:
      older: machines with the version before.
    """

    def __init__(self, swarm: Swarm, machines: Mapping[str, Machine], trace: Trace) -> None:
        self._machines, self._trace = machines, trace
        self.is_mixed = swarm.has(Fault.OLDER)
        self.older = {swarm.rng("versions").choice(swarm.honest)} if self.is_mixed else set()
        for name in self.older:     # its tables would be walked by what it does not know
            machines[name].is_older = True

    def app_of(self, process: Any, parcel: Parcel) -> Any:
        """What takes a request at a process: a client's may be for a door that the version before does not have."""
        asked = f"{parcel.method} {parcel.path}"
        is_new = is_client(parcel.source) and any(door in asked for door in LACKING)
        return _no_door if is_new and parcel.target in self.older else process.app

    async def upgrade_perhaps(self, rng: random.Random) -> None:
        """Bring them up to date, or not yet."""
        await trio.lowlevel.checkpoint()
        if rng.random() < SOON:
            await self.upgrade()

    async def upgrade(self) -> None:
        """Bring every machine up to date: its process ends, the next one is of this version."""
        for name in sorted(self.older):
            process = self._machines[name].running
            conn = None if process is None else process.writer
            self._trace.note("upgrade", name, "?" if conn is None else outbound.held(conn, 1).count)
            # Only then, as what still runs is of the version before.
            await self._machines[name].kill()
            self._machines[name].is_older = False
            self.older.discard(name)


async def _no_door(_: Any, __: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": httpx.codes.NOT_FOUND, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"code": "not_found"}'})


@contextmanager
def mixed_versions(versions: Versions) -> Iterator[None]:
    """Have the older machines be older, inside the block."""
    if not versions.is_mixed:
        yield
        return
    with older_nodes(lambda: SPEAKER.get() in versions.older):
        yield
