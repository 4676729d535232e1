"""Four real nodes on loopback, agents that write through all of them, a kill, a stop: and no promise is broken."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
from msgspec import Struct

from tests.mesh.conftest import Scale
from tests.mesh.fleet import ASKED, JUDGE, WAITING_MAX, Agent, Judge, home_of, name_of
from tests.mesh.ledger import Fate, Ledger, Shown
from tests.system.members import Mesh, running, settled
from tests.system.processes import ask_json

# httpx leaves the body of a request that is given up while it is sent to the garbage collector.
GIVEN_UP = "ignore:Async generator 'httpx._content.ByteStream:ResourceWarning"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(GIVEN_UP)]

SHARED: Final = "the key that the nodes share"
DECIDING_S: Final = 60.0
PAGE: Final = 200

Meanwhile = Callable[[float, trio.Event], Awaitable[None]]
"""What happens beside the writing, which began at this time and lasts until it is done; the event is set once all nodes
run again."""


async def test_what_was_acknowledged_stands_what_was_deleted_is_gone_and_what_was_approved_happened_once(
    tmp_path: Path, scale: Scale, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nothing_else(_: float, __: trio.Event) -> None:
        pass

    async with running(tmp_path, 4, AI_MEMORY_API_KEY=SHARED) as mesh, fleet_of(mesh, scale.agents) as fleet:
        await write_while_nodes_fail(mesh, fleet, scale, nothing_else)
        shown = await what_all_show(mesh, fleet)
    assert_kept(fleet.ledger, shown, scale, capsys)


class Fleet(Struct, frozen=True, kw_only=True):
    """Who writes, who decides, whom an operator is, and what all of them were told."""

    operator: dict[str, str]
    judge: Judge
    agents: list[Agent]
    ledger: Ledger
    to_judge: trio.MemorySendChannel[str]
    waiting: trio.MemoryReceiveChannel[str]


@asynccontextmanager
async def fleet_of(mesh: Mesh, count: int) -> AsyncIterator[Fleet]:
    """Everybody with a key of their own, and a place where what they do has to be approved."""
    ledger = Ledger()
    # A vote is never waited for by whoever asks: there is room for all that can be asked in a minute.
    to_judge, waiting = trio.open_memory_channel[str](WAITING_MAX)
    # The first key is made by the owner of the database; from then on everybody shows one.
    first = await ask_json(mesh.db(0), "agents", "key", "add", "root", "--role", "operator")
    operator = {"X-API-Key": str(first["key"])}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(mesh.client(operator))

        async def key_of(agent_id: str, home: str) -> str:
            made = await http.post(f"{mesh.url(0)}/agents/keys", json={"agent_id": agent_id, "home": home})
            assert made.status_code == 201, made.text
            return str(made.json()["key"])

        judge = Judge(JUDGE, await key_of(JUDGE, "fleet"), mesh, ledger)
        agents = [
            Agent(number, await key_of(name_of(number), home_of(number)), mesh, ledger, to_judge)
            for number in range(count)
        ]
        for caller in (judge, *agents):
            await stack.enter_async_context(caller.http)
        policy = {"namespace": "asked", "governance": {"write": "approve", "approver": {"agent": JUDGE}}}
        answer = await http.post(f"{mesh.url(0)}/namespaces", json=policy)
        assert answer.is_success, answer.text
        await settled(mesh, operator)
        yield Fleet(
            operator=operator, judge=judge, agents=agents, ledger=ledger, to_judge=to_judge, waiting=waiting
        )


async def write_while_nodes_fail(mesh: Mesh, fleet: Fleet, scale: Scale, meanwhile: Meanwhile) -> None:
    """Let everybody write and decide; kill one node and start it again, and stop another for a while."""
    async with trio.open_nursery() as deciding:
        deciding.start_soon(fleet.judge.work, fleet.waiting)
        async with fleet.to_judge, trio.open_nursery() as nursery:
            began, is_over = trio.current_time(), trio.Event()
            for agent in fleet.agents:
                nursery.start_soon(agent.work, is_over)

            async def kill() -> None:
                await trio.sleep(scale.killed_at_s)
                await mesh.processes[1].kill()
                await trio.sleep_until(began + scale.restarted_at_s)
                await mesh.start(1)

            async def stop() -> None:
                await trio.sleep(scale.stopped_at_s)
                mesh.processes[2].signal(signal.SIGSTOP)
                await trio.sleep(scale.stopped_s)
                mesh.processes[2].signal(signal.SIGCONT)

            all_run = trio.Event()
            async with trio.open_nursery() as happening:
                happening.start_soon(meanwhile, began, all_run)
                async with trio.open_nursery() as failing:
                    failing.start_soon(kill)
                    failing.start_soon(stop)
                all_run.set()
                await trio.sleep_until(began + scale.writing_s)
            is_over.set()


async def what_all_show(mesh: Mesh, fleet: Fleet) -> list[Shown]:
    """What each node shows, once everything is decided and all are equal; nothing is alarming then."""
    await decided(mesh, fleet)
    document = await settled(mesh, fleet.operator)
    assert not document["alarms"], document
    return [await shown_by(mesh, number, fleet) for number in range(len(mesh.ports))]


def assert_kept(ledger: Ledger, shown: list[Shown], scale: Scale, capsys: pytest.CaptureFixture[str]) -> None:
    """What agents were told is so on every node, and no node shows anything else than the others."""
    with capsys.disabled():
        print(f"\n{scale.agents} agents for {scale.writing_s:g} s:\n{ledger.report()}")
    assert not ledger.surprises
    assert not [fault for number, one in enumerate(shown) for fault in ledger.faults(f"n{number}", one)]
    assert len({one.digest for one in shown}) == 1
    assert_enough_happened(ledger, scale)


async def decided(mesh: Mesh, fleet: Fleet) -> None:
    """Wait until every action that was voted on has its outcome, as its home may have been away."""
    voted = {pending_id for pending_id, question in fleet.ledger.questions.items() if question.vote}
    async with mesh.client(fleet.operator) as http:
        http.base_url = mesh.url(0)
        with trio.fail_after(DECIDING_S):
            while any(status == "pending" for key, status in (await pending_at(http)).items() if key in voted):
                (await http.post("/mesh")).raise_for_status()
                await trio.sleep(0.5)


async def shown_by(mesh: Mesh, number: int, fleet: Fleet) -> Shown:
    """Everything that a node shows to an operator, and the judge's inbox to the judge."""
    async with mesh.client(fleet.operator) as http:
        http.base_url = mesh.url(number)
        exported = (await http.get("/export")).raise_for_status().json()
        live = {memory["id"]: memory for memory in exported["memories"]}
        pending = await pending_at(http)
        subscriptions = await all_of(http, "/subscriptions", "subscriptions")
        messages = await all_of(fleet.judge.http, f"{mesh.url(number)}/inbox", "messages")
        return Shown(
            live=live, archived={memory["id"]: memory for memory in exported["archived"]},
            links=frozenset((one["source_id"], one["target_id"], one["relation"]) for one in exported["links"]),
            policies={
                one["namespace"]: json.loads(one["governance"])["write"]
                for one in exported["namespaces"] if one["governance"]
            },
            agents={one["agent_id"]: one["capabilities"] for one in exported["agents"]},
            pending=pending, subscriptions=frozenset(one["id"] for one in subscriptions),
            messages=frozenset(one["id"] for one in messages), digest=exported["digest"],
            titles=Counter(memory["title"] for memory in live.values() if memory["namespace"] == ASKED),
        )


async def pending_at(http: httpx.AsyncClient) -> dict[str, str]:
    """The status of every action that a node knows."""
    return {one["id"]: one["status"] for one in await all_of(http, "/pending", "pending")}


async def all_of(http: httpx.AsyncClient, path: str, name: str) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await http.get(path, params={"limit": PAGE, "offset": len(found)})
        page = answer.raise_for_status().json()[name]
        found += page
        if not page:
            return found


def assert_enough_happened(ledger: Ledger, scale: Scale) -> None:
    """A run in which little was acknowledged would prove little."""
    fates = Counter(row.fate for row in ledger.rows.values())
    assert fates[Fate.LIVE] > 2 * scale.agents, fates
    assert min(fates[Fate.GONE], fates[Fate.ARCHIVED]) > 0, fates
    votes = Counter(question.vote for question in ledger.questions.values())
    assert min(votes["approved"], votes["rejected"]) > 0, votes
    assert all((ledger.links, ledger.policies, ledger.subscriptions, ledger.messages, ledger.registered)), ledger
    assert len(ledger.unknown) < len(ledger.rows) // 10, ledger.report()
