"""How each node stands when all is quiet: of one mesh, ready, with nothing held and nothing left undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import httpx
import trio

from aimem.ports import Connection
from aimem.store import cluster, outbound
from tests.sim.history import read_answer
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher

LOOKS: Final = 10
LOOK_S: Final = 3.0


def check_one_mesh(nodes: Mapping[str, Connection], watcher: Watcher) -> None:
    """All nodes that know of which mesh they are are of the same one."""
    known = {name: cluster.load(conn).cluster for name, conn in sorted(nodes.items())}
    watcher.checks += len(known)
    if len({found for found in known.values() if found}) > 1:
        watcher.find("cluster", f"there are several meshes: {known}")


async def check_standing(
    http: httpx.AsyncClient, swarm: Swarm, nodes: Callable[[], Mapping[str, Connection]], watcher: Watcher
) -> None:
    """Before long each is ready, knows of which mesh it is and who its members are, and holds no op."""
    for name in swarm.honest:
        said: list[str] = []
        for _ in range(LOOKS):
            said = await _said_against(http, name, swarm, nodes())
            if not said:
                break
            await trio.sleep(LOOK_S)
        watcher.checks += 4
        for text in said:
            watcher.find("standing", f"{name} {text}, {LOOKS * LOOK_S:g} s after all was quiet")
    check_one_mesh(nodes(), watcher)


async def _said_against(
    http: httpx.AsyncClient, name: str, swarm: Swarm, nodes: Mapping[str, Connection]
) -> list[str]:
    if name not in nodes:
        return ["does not serve"]
    found = []
    if outbound.held(nodes[name], 1).count:
        found.append("holds ops that it cannot apply")
    health = read_answer((await http.get(f"http://{name}/api/v1/health")).content)
    if health.get("ready") is not True:
        found.append(f"is not ready: {health.get('warnings')}")
    if swarm.member_lies:
        return found        # who keeps silent about it keeps the others from knowing
    mesh = read_answer((await http.get(f"http://{name}/api/v1/mesh")).content)
    if not mesh.get("cluster"):
        found.append("does not know of which mesh it is")
    if mesh.get("agreement") != "agreed" or mesh.get("members") != swarm.nodes:
        found.append(f"was told of {mesh.get('members')} members; its peers: {mesh.get('agreement')}")
    return found
