"""What operators do where a machine lost its key, or ran as another one: they say on the others that it is itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import httpx
import trio

from aimem.api import Transport
from tests.sim.machine import Machine
from tests.sim.network import Network

LOOK_S: Final = 2.0


async def look_after(
    is_suspect: Callable[[str], bool], machines: Mapping[str, Machine], network: Network
) -> None:
    """Again and again, on each machine: whether somebody waits there who is who it says.

    Args:
      is_suspect: whether a node of this name may have another key than others know.
    """
    way = network.transport("c owner", door=Transport.UNIX)
    async with httpx.AsyncClient(transport=way, timeout=None) as http:
        while True:
            await trio.sleep(LOOK_S)
            for name in sorted(machines) if any(map(is_suspect, machines)) else ():
                with trio.move_on_after(LOOK_S):
                    await _look_at(http, name, is_suspect, machines)


async def _look_at(
    http: httpx.AsyncClient, name: str, is_suspect: Callable[[str], bool], machines: Mapping[str, Machine]
) -> None:
    try:
        document = await http.get(f"http://{name}/api/v1/mesh")
        for one in document.json().get("untrusted", ()) if document.status_code == httpx.codes.OK else ():
            if is_suspect(one["node"]) and one["key"] == _key(machines[one["node"]]):
                body = {"node": one["node"], "key": one["key"]}
                await http.post(f"http://{name}/api/v1/mesh/trust", json=body)
    except (httpx.TransportError, ValueError):
        pass        # next time


def _key(machine: Machine) -> str:
    """Which key a machine has now, as its operator reads it there."""
    process = machine.running
    if process is None or process.store is None:
        return ""
    return process.store.identity.signer.public_key.hex()
