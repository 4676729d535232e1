"""Certificates and lists in the simulated network: who gets in, who does not, and what a list that changes does."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from aimem.wire import MeshDocument
from tests.sim.papers import Papers
from tests.sim.scheduler import run_seeded
from tests.sim.swarm import Certificates, Swarm, roll
from tests.sim.trace import Trace
from tests.sim.world import World

pytestmark = pytest.mark.slow

PAIR = msgspec.structs.replace(
    roll(1, nodes=2), quorum=2, loss=0.0, breaks=0.0, lies=0.0, duplicates=0.0, leaves_late=0.0, commit_s=0.001,
    clock_drift=0.0, clock_offset_s=0.0, secured=False, has_model=False, compare_s=None, faults=(),
    certificates=Certificates.LISTED,
)
SETTLED_S = 12.0
Story = Callable[[World, httpx.AsyncClient, trio.Nursery], Awaitable[None]]


def tell(folder: Path, story: Story, swarm: Swarm = PAIR) -> None:
    """Run a story with nodes that serve and have met."""

    async def main() -> None:
        world = World(swarm, 10.0, folder, Trace())
        async with trio.open_nursery() as nursery:
            world.network.nursery = nursery
            for machine in world.machines.values():
                await machine.start(nursery)
            await trio.sleep(SETTLED_S)
            async with httpx.AsyncClient(transport=world.network.transport("c0"), timeout=None) as http:
                await story(world, http, nursery)
            for machine in world.machines.values():
                if machine.process is not None:
                    machine.process.power.die()
            nursery.cancel_scope.cancel()
        assert not world.watcher.found

    run_seeded(swarm.seed, main)


async def store(http: httpx.AsyncClient, name: str, title: str, consistency: str = "quorum") -> int:
    body = msgspec.json.encode({"title": title, "content": f"about {title}"})
    headers = {"Content-Type": "application/json", "X-Consistency": consistency}
    with trio.move_on_after(30):
        return (await http.post(f"http://{name}/api/v1/memories", content=body, headers=headers)).status_code
    return 0


async def mesh_of(http: httpx.AsyncClient, name: str) -> dict[str, object]:
    answer: dict[str, object] = (await http.get(f"http://{name}/api/v1/mesh")).json()
    return answer


async def rotated(papers: Papers, names: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(papers.rotate_one, name, random.Random(name))


async def has(http: httpx.AsyncClient, name: str, title: str) -> bool:
    answer = (await http.get(f"http://{name}/api/v1/memories", params={"limit": "200"})).json()
    return title in {memory["title"] for memory in answer["memories"]}


@asynccontextmanager
async def outside(world: World, name: str) -> AsyncIterator[None]:
    """A node is off all other lists, inside the block."""
    papers = world.nemesis.papers
    papers.registry.outside = name
    papers.settle_lists()
    await trio.sleep(1)
    world.watcher.shun(name)
    yield
    papers.settle()


def test_nodes_that_list_each_other_are_a_mesh_that_certificates_open(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        assert (await mesh_of(http, "n0"))["mesh_access"] == "mtls"
        assert await store(http, "n0", "one") == 201

    tell(tmp_path, story)


def test_whoever_shows_what_is_on_no_list_does_not_get_in(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        world.nemesis.papers.registry.shown["n1"] = "0" * 64
        await world.machines["n1"].kill()
        await world.machines["n1"].start(nursery)
        way = world.network.transport("n1", world.machines["n1"].process)
        with pytest.raises(httpx.ConnectError):
            await way.handle_async_request(httpx.Request("GET", "http://n0/api/v1/mesh"))

    tell(tmp_path, story)


def test_a_node_that_was_given_anothers_certificate_is_refused_by_that_one_too(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        shown = world.nemesis.papers.registry.shown
        shown["n1"] = shown["n0"]
        await world.machines["n1"].kill()
        await world.machines["n1"].start(nursery)
        await trio.sleep(60)
        document = msgspec.convert(await mesh_of(http, "n0"), MeshDocument)
        [met] = [peer for peer in document.peers if peer.node == "n1"]
        assert "shows the certificate of this node, 'n0'" in met.last_error
        assert met.state == "untrusted"
        assert shown["n0"] not in met.fingerprints

    tell(tmp_path, story)


@pytest.mark.parametrize("kind", [Certificates.LISTED, Certificates.SIGNED])
def test_a_node_that_lost_its_key_is_believed_for_its_certificate_alone(tmp_path: Path, kind: Certificates) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        assert await store(http, "n0", "one") == 201
        await world.machines["n1"].lose()
        await world.machines["n1"].start(nursery)
        await trio.sleep(SETTLED_S)
        assert await store(http, "n0", "two") == 201
        assert await store(http, "n1", "three") == 201

    tell(tmp_path, story, msgspec.structs.replace(PAIR, certificates=kind))


def test_without_certificates_a_node_that_lost_its_key_needs_an_operator(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        await world.machines["n1"].lose()
        await world.machines["n1"].start(nursery)
        await trio.sleep(SETTLED_S)
        assert await store(http, "n0", "two") == 503
        untrusted = (await mesh_of(http, "n0"))["untrusted"]
        assert isinstance(untrusted, list)
        assert [one["node"] for one in untrusted] == ["n1"]

    tell(tmp_path, story, msgspec.structs.replace(PAIR, certificates=Certificates.NONE))


def test_certificates_may_change_one_after_the_other(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        for name in ("n0", "n1"):
            await world.nemesis.papers.rotate_one(name, random.Random(name))
            assert await store(http, "n0", f"after {name}") == 201

    tell(tmp_path, story)


def test_certificates_may_change_while_nodes_do_not_hear_of_each_other(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        world.network.cut |= {("n0", "n1"), ("n1", "n0")}
        await rotated(world.nemesis.papers, ["n0", "n1"])
        await rotated(world.nemesis.papers, ["n0", "n1"])
        world.network.cut.clear()
        await trio.sleep(60)
        assert await store(http, "n0", "one") == 201

    tell(tmp_path, story)


def test_nothing_passes_between_the_mesh_and_whoever_is_off_its_lists(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        assert await store(http, "n0", "one") == 201
        async with outside(world, "n1"):
            assert await store(http, "n0", "two") == 503
            assert await store(http, "n1", "three") == 503
            # Those two may not have been applied at all. These are, and each node would send what it has.
            assert await store(http, "n0", "here", "local") == 201
            assert await store(http, "n1", "there", "local") == 201
            await trio.sleep(SETTLED_S)
            assert (await has(http, "n0", "here"), await has(http, "n1", "here")) == (True, False)
            assert (await has(http, "n0", "there"), await has(http, "n1", "there")) == (False, True)
            assert not await has(http, "n1", "two")
            assert not await has(http, "n0", "three")
        await trio.sleep(SETTLED_S)
        for title in ("here", "there"):
            assert await has(http, "n0", title)
            assert await has(http, "n1", title)
        for title in ("two", "three"):
            assert await has(http, "n0", title) is await has(http, "n1", title)
        assert await store(http, "n0", "four") == 201

    tell(tmp_path, story)


def test_a_node_that_starts_anew_tells_nothing_to_whoever_is_off_its_list(tmp_path: Path) -> None:
    async def story(world: World, http: httpx.AsyncClient, nursery: trio.Nursery) -> None:
        assert await store(http, "n0", "one") == 201
        async with outside(world, "n1"):
            assert await store(http, "n0", "two") == 503
            await world.machines["n0"].kill()
            await world.machines["n0"].start(nursery)
            await trio.sleep(SETTLED_S)
            assert await store(http, "n0", "three") == 503
            await trio.sleep(SETTLED_S)
            assert not await has(http, "n1", "two")
            assert not await has(http, "n1", "three")

    tell(tmp_path, story)
