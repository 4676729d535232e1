"""Messages are lost, late, doubled and cut off as they are between machines."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
import trio

from tests.sim.certificates import Registry
from tests.sim.lies import PUSH, lie
from tests.sim.network import Network, random_cuts
from tests.sim.ports import Power
from tests.sim.scheduler import run_seeded
from tests.sim.swarm import Swarm, roll
from tests.sim.trace import Trace

CALM = msgspec.structs.replace(
    roll(1), loss=0.0, breaks=0.0, lies=0.0, duplicates=0.0, leaves_late=0.0, delay_s=0.01,
)
SLOW = "/slow"
WORK_S = 2.0


class Server:
    """A process that answers everything, some of it slowly."""

    def __init__(self, name: str, nursery: trio.Nursery) -> None:
        self.name, self.nursery, self.power = name, nursery, Power()
        self.begun, self.ended = 0, 0
        self.running = self

    def spawn(self, fn: Callable[..., Any], *args: Any) -> bool:
        if self.power.is_dead:
            return False
        self.nursery.start_soon(fn, *args)
        return True

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        if scope["path"] == SLOW:
            await trio.sleep(WORK_S)
        self.ended += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": (await receive())["body"]})


Story = Callable[[Network, Server, httpx.AsyncClient], Awaitable[None]]


def tell(story: Story, swarm: Swarm = CALM) -> None:
    """Run a story between a client and one server named n0."""

    async def main() -> None:
        machines: dict[str, Any] = {}
        network = Network(swarm, Trace(), machines, Registry(swarm))
        async with trio.open_nursery() as nursery:
            network.nursery = nursery
            machines["n0"] = Server("n0", nursery)
            async with httpx.AsyncClient(transport=network.transport("n1"), timeout=None) as http:
                await story(network, machines["n0"], http)
            nursery.cancel_scope.cancel()

    run_seeded(1, main)


def test_an_answer_comes_back() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        answer = await http.post("http://n0/x", content=b"hello")
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert trio.current_time() > 0

    tell(story)


def test_the_work_goes_on_when_the_caller_has_gone() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        with trio.move_on_after(WORK_S / 2):
            await http.get(f"http://n0{SLOW}")
        assert (server.begun, server.ended) == (1, 0)
        await trio.sleep(WORK_S)
        assert server.ended == 1

    tell(story)


def test_an_answer_may_be_lost_and_the_work_done() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        network.cut.add(("n0", "n1"))
        with trio.move_on_after(5) as scope:
            await http.get("http://n0/x")
        assert scope.cancelled_caught
        assert server.ended == 1

    tell(story)


def test_a_request_may_be_lost() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        network.cut.add(("n1", "n0"))
        with pytest.raises(httpx.ReadTimeout):
            await http.get("http://n0/x")
        assert server.begun == 0

    tell(story)


def test_losses_come_at_their_rate_until_the_weather_is_fine() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        arrived = [await network.travel("n1", "n0") for _ in range(500)]
        assert 250 < arrived.count(True) < 450
        network.is_calm = True
        assert all([await network.travel("n1", "n0") for _ in range(50)])

    tell(story, msgspec.structs.replace(CALM, loss=0.3))


def test_a_message_may_break_off() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        lengths = {len((await http.post("http://n0/x", content=b"hello")).content) for _ in range(50)}
        assert lengths == {0, 1, 2, 3}      # it broke off twice
        network.is_calm = True
        assert (await http.post("http://n0/x", content=b"hello")).content == b"hello"

    tell(story, msgspec.structs.replace(CALM, breaks=1.0))


def test_what_nodes_say_may_be_changed_and_what_clients_say_may_not() -> None:
    swarm = msgspec.structs.replace(CALM, lies=1.0)

    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        bodies = {(await http.post("http://n0/x", content=b"hello")).content for _ in range(30)}
        assert b"hello" not in bodies
        assert len(bodies) > 3
        async with httpx.AsyncClient(transport=network.transport("c1"), timeout=None) as client:
            assert (await client.post("http://n0/x", content=b"hello")).content == b"hello"
        network.is_calm = True
        assert (await http.post("http://n0/x", content=b"hello")).content == b"hello"

    tell(story, swarm)


def test_a_lie_about_ops_is_still_a_message() -> None:
    same = {"stream": "s", "hlc": 1, "kind": "store", "entries": ["word"], "signature": "x"}
    ops = [{**same, "seq": seq} for seq in (1, 2, 3)]
    told = {"protocol": 1, "ops": ops}
    body, rng = msgspec.json.encode(told), CALM.rng("lies")
    headers = (b"content-encoding", b"gzip"), (b"x", b"y")
    lied = [lie(rng, PUSH, headers, gzip.compress(body), None) for _ in range(200)]
    assert all(headers == ((b"x", b"y"),) for headers, _ in lied)
    changed = [msgspec.json.decode(data) for _, data in lied if data.startswith(b'{"protocol":') and b'"ops"' in data]
    assert len(changed) > 60
    for name in ("kind", "hlc", "entries", "signature", "seq"):
        assert any([op[name] for op in one["ops"]] != [op[name] for op in ops] for one in changed)


def test_a_message_may_arrive_twice() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        await http.get("http://n0/x")
        await trio.sleep(30)
        assert server.ended == 2

    tell(story, msgspec.structs.replace(CALM, duplicates=1.0))


def test_a_stopped_process_answers_once_it_goes_on() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        server.power.pause()

        async def resume() -> None:
            await trio.sleep(10)
            server.power.resume()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(resume)
            assert (await http.get("http://n0/x")).status_code == 200
        assert trio.current_time() >= 10

    tell(story)


def test_a_dead_process_takes_no_connection() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        server.power.die()
        with pytest.raises(httpx.ConnectError):
            await http.get("http://n0/x")
        with pytest.raises(httpx.ConnectError):
            await http.get("http://nobody/x")

    tell(story)


def test_clogged_links_let_everything_through_later() -> None:
    async def story(network: Network, server: Server, http: httpx.AsyncClient) -> None:
        network.clogged["n1", "n0"] = trio.current_time() + 4
        assert (await http.get("http://n0/x")).status_code == 200
        assert trio.current_time() >= 4

    tell(story)


def test_partitions_cut_whole_sides_and_single_directions() -> None:
    rng, names = CALM.rng("cuts"), ["n0", "n1", "n2", "n3"]
    seen = [random_cuts(rng, names) for _ in range(100)]
    assert all(one != other for cuts in seen for one, other in cuts)
    assert any(all((b, a) in cuts for a, b in cuts) for cuts in seen if cuts)
    assert any(any((b, a) not in cuts for a, b in cuts) for cuts in seen if cuts)
