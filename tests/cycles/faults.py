"""What befalls the nodes, one fault a cycle; each ends once all is as before, but for what it left in the files."""

from __future__ import annotations

import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import httpx
import trio
from msgspec import Struct

from tests.cycles.armed import Point
from tests.cycles.machine import Need, clear_filter, fill, filter_packets
from tests.cycles.nodes import COUNT, SMALL_DISK, Nodes, Violated
from tests.cycles.proxy import Manner

POINT_S: Final = 60.0
"""Within which a node comes to a point where it is to end."""
DOWN_S: Final = 0.5
STOPPED_S: Final = 3.0
"""Longer than a node waits for its peers (2 s) until one that hangs counts no more."""
BAD_LINKS_S: Final = 3.0
COMMIT_MS: Final = 2.0
CHECKPOINT_MS: Final = 6.0

FULL_S: Final = 3.0
FILLED_S: Final = 0.02
SKEWED_S: Final = 3.0
SKEW_MAX_S: Final = 10.0
"""Twice the bound of what nodes take from each other; what was written that far ahead is taken so much later."""
LOST_SHARE: Final = 25
NARROW: Final = "20 kbytes/second burst 10 kbytes"

Do = Callable[[Nodes, random.Random, int], Awaitable[int]]
"""What is done to a node, or to one that turns out to be the one. Returns: which it was."""


class Fault(Struct, frozen=True):
    """What is done, and what that needs of the machine."""

    do: Do
    needs: frozenset[Need] = frozenset()


async def kill_any_time(nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGKILL at any moment."""
    await trio.sleep(rng.uniform(0, DOWN_S))
    await nodes.kill(number)
    await restart(nodes, rng, number)
    return number


async def kill_at(point: Point, most: int, nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGKILL at a point that nodes come to by themselves."""
    nodes.arm(number, point, rng.randint(1, most), delay_ms(point, rng))
    await nodes.wait_any_end([number], POINT_S)
    await restart(nodes, rng, number)
    return number


async def kill_joiner_at(point: Point, most: int, nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGKILL at a point of joining the mesh anew: a new stream, and the whole state of a peer."""
    nodes.arm(number, point, rng.randint(1, most))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rejoin, nodes, number)
        await nodes.wait_any_end([number], POINT_S)
    await restart(nodes, rng, number)
    return number


async def kill_giver_at(point: Point, most: int, nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGKILL of the peer that hands a node its whole state; the next one that it asks may be as fast to die."""
    others, count = [other for other in range(COUNT) if other != number], rng.randint(1, most)
    for other in others:
        nodes.arm(other, point, count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rejoin, nodes, number)
        giver = await nodes.wait_any_end(others, POINT_S)
        ended = [other for other in others if not nodes.disarm(other)]
        for other in ended:
            await restart(nodes, rng, other)
    return giver


async def kill_reloading_at(point: Point, nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGKILL while a node takes new certificates."""
    nodes.arm(number, point, 1)
    await nodes.begin_rotation(number)
    await nodes.wait_any_end([number], POINT_S)
    await restart(nodes, rng, number)
    await nodes.end_rotation(number)
    return number


async def pause(nodes: Nodes, rng: random.Random, number: int) -> int:
    """SIGSTOP, and SIGCONT after longer than its peers wait."""
    nodes.processes[number].signal(signal.SIGSTOP)
    await trio.sleep(STOPPED_S + rng.uniform(0, DOWN_S))
    nodes.processes[number].signal(signal.SIGCONT)
    return number


async def spoil_links(manner: Manner, nodes: Nodes, rng: random.Random, number: int) -> int:
    """Some of the links from or to a node are bad."""
    links = nodes.links_of(number)
    for link in rng.sample(links, rng.randint(2, len(links))):
        link.turn(manner)
    await trio.sleep(BAD_LINKS_S)
    nodes.heal_links()
    return number


async def fill_disk(nodes: Nodes, rng: random.Random, _: int) -> int:
    """There is no room left on a node's disk for a while, whatever it gives back."""
    filler = nodes.home(SMALL_DISK) / "filler"
    with trio.move_on_after(FULL_S + rng.uniform(0, DOWN_S)):
        while True:
            fill(filler)
            await trio.sleep(FILLED_S)
    filler.unlink()
    return SMALL_DISK


async def set_clock(sign: int, nodes: Nodes, rng: random.Random, number: int) -> int:
    """A node's clock is wrong for a while, by a step."""
    nodes.set_clock(number, sign * rng.uniform(1, SKEW_MAX_S))
    await trio.sleep(SKEWED_S)
    nodes.set_clock(number, 0)
    return number


async def filter_links(verdict: str, nodes: Nodes, rng: random.Random, number: int) -> int:
    """Packets of some of the links from or to a node, of one direction or both, do not come."""
    links = nodes.links_of(number)
    filter_packets(
        f"ip {end} {link.listen[0]} {verdict}"
        for link in rng.sample(links, rng.randint(2, len(links)))
        for end in rng.sample(("saddr", "daddr"), rng.randint(1, 2))
    )
    await trio.sleep(BAD_LINKS_S)
    clear_filter()
    return number


async def restart(nodes: Nodes, rng: random.Random, number: int) -> None:
    """Start a node that ended, a while after."""
    await trio.sleep(rng.uniform(0, DOWN_S))
    await nodes.start(number)


async def rejoin(nodes: Nodes, number: int) -> None:
    """Have a node join the mesh anew; it may end meanwhile."""
    try:
        async with nodes.owner(number) as http:
            answer = await http.post("/mesh/rejoin", json={})
    except httpx.TransportError:
        return
    if not answer.is_success:
        raise Violated(f"node {number} does not join anew: {answer.text}")


def delay_ms(point: Point, rng: random.Random) -> float:
    """How long after the beginning of what takes a while: somewhere within it."""
    if point in {Point.OWN_IN_COMMIT, Point.TAKEN_IN_COMMIT}:
        return rng.uniform(0.01, COMMIT_MS)
    return rng.uniform(0.01, CHECKPOINT_MS) if point is Point.CHECKPOINT else 0.0


KILLS: Final[dict[str, Fault]] = {
    "kill": Fault(kill_any_time),
    **{f"kill-{point}": Fault(partial(kill_at, point, most)) for point, most in (
        (Point.OWN_BEFORE_COMMIT, 20), (Point.OWN_IN_COMMIT, 20), (Point.OWN_AFTER_COMMIT, 20),
        (Point.OWN_BEFORE_ANSWER, 20), (Point.TAKEN_BEFORE_COMMIT, 20), (Point.TAKEN_IN_COMMIT, 20),
        (Point.TAKEN_AFTER_COMMIT, 20), (Point.TRIM, 3), (Point.SHRINK, 2), (Point.CHECKPOINT, 2),
    )},
    **{f"kill-{point}": Fault(partial(kill_giver_at, point, most)) for point, most in (
        (Point.SNAPSHOT_MADE, 100), (Point.SNAPSHOT_GIVEN, 3),
    )},
    **{f"kill-{point}": Fault(partial(kill_joiner_at, point, most)) for point, most in (
        (Point.SNAPSHOT_KEPT, 2), (Point.SNAPSHOT_JOINED, 3), (Point.SNAPSHOT_ENDED, 1),
        (Point.RENEWAL, 1), (Point.RENEWED, 1),
    )},
    **{f"kill-{point}": Fault(partial(kill_reloading_at, point)) for point in (Point.RELOAD, Point.RELOADED)},
}
"""All ways to die, by their names."""

FAULTS: Final[dict[str, Fault]] = {
    **KILLS,
    "stop": Fault(pause),
    **{f"link-{manner}": Fault(partial(spoil_links, manner)) for manner in Manner if manner is not Manner.PLAIN},
    "disk-full": Fault(fill_disk, frozenset({Need.DISK})),
    "clock-ahead": Fault(partial(set_clock, 1), frozenset({Need.CLOCK})),
    "clock-behind": Fault(partial(set_clock, -1), frozenset({Need.CLOCK})),
    **{f"packets-{name}": Fault(partial(filter_links, verdict), frozenset({Need.NETWORK})) for name, verdict in (
        ("cut", "drop"), ("lost", f"numgen random mod 100 < {LOST_SHARE} drop"),
        ("limited", f"limit rate over {NARROW} drop"),
    )},
}
