"""Four real nodes on loopback, agents that write through all of them, a kill, a stop: and no promise is broken."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio

from tests.mesh.conftest import Scale
from tests.mesh.fleet import ASKED, JUDGE, WAITING_MAX, Agent, Judge, home_of, name_of
from tests.mesh.ledger import Fate, Ledger, Shown
from tests.system.members import Mesh, running, settled
from tests.system.processes import ask

pytestmark = pytest.mark.slow

SHARED: Final = "the key that the nodes share"
OPERATOR: Final = {"X-API-Key": SHARED}
DECIDING_S: Final = 60.0
PAGE: Final = 200


async def test_what_was_acknowledged_stands_what_was_deleted_is_gone_and_what_was_approved_happened_once(
    tmp_path: Path, scale: Scale, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger()
    async with running(tmp_path, 4, AI_MEMORY_API_KEY=SHARED) as mesh, AsyncExitStack() as stack:
        # A vote is never waited for by whoever asks: there is room for all that can be asked in a minute.
        to_judge, waiting = trio.open_memory_channel[str](WAITING_MAX)
        judge, agents = await make_fleet(mesh, ledger, scale.agents, to_judge)
        for caller in (judge, *agents):
            stack.push_async_callback(caller.http.aclose)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(judge.work, waiting)
            async with to_judge:
                await write_while_nodes_fail(mesh, agents, scale)
        await decided(mesh, ledger)
        document = await settled(mesh, OPERATOR)
        shown = [await shown_by(mesh.url(number), judge) for number in range(4)]
    with capsys.disabled():
        print(f"\n{scale.agents} agents for {scale.writing_s:g} s:\n{ledger.report()}")
    assert not ledger.surprises
    assert not [fault for number, one in enumerate(shown) for fault in ledger.faults(f"n{number}", one)]
    assert len({one.digest for one in shown}) == 1
    assert not document["alarms"], document
    assert_enough_happened(ledger, scale)


async def make_fleet(
    mesh: Mesh, ledger: Ledger, count: int, to_judge: trio.MemorySendChannel[str]
) -> tuple[Judge, list[Agent]]:
    """Everybody with a key of their own, and a place where what they do has to be approved."""
    urls = [mesh.url(number) for number in range(len(mesh.ports))]
    # The first key is made by the owner of the database; from then on everybody shows one.
    first = await ask(mesh.db(0), "agents", "key", "add", "root", "--role", "operator")
    assert first.returncode == 0, first.stderr.decode()
    async with httpx.AsyncClient(base_url=urls[0], headers=OPERATOR, timeout=60) as http:
        async def key_of(agent_id: str, home: str) -> str:
            made = await http.post("/agents/keys", json={"agent_id": agent_id, "home": home})
            assert made.status_code == 201, made.text
            return str(made.json()["key"])

        judge = Judge(JUDGE, await key_of(JUDGE, "fleet"), urls, ledger)
        agents = [
            Agent(number, await key_of(name_of(number), home_of(number)), urls, ledger, to_judge)
            for number in range(count)
        ]
        policy = {"namespace": "asked", "governance": {"write": "approve", "approver": {"agent": JUDGE}}}
        answer = await http.post("/namespaces", json=policy)
        assert answer.is_success, answer.text
    await settled(mesh, OPERATOR)
    return judge, agents


async def write_while_nodes_fail(mesh: Mesh, agents: list[Agent], scale: Scale) -> None:
    """Let everybody write; kill one node and start it again, and stop another for a while."""
    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        for agent in agents:
            nursery.start_soon(agent.work, began + scale.writing_s)

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

        nursery.start_soon(kill)
        nursery.start_soon(stop)


async def decided(mesh: Mesh, ledger: Ledger) -> None:
    """Wait until every action that was voted on has its outcome, as its home may have been away."""
    voted = {pending_id for pending_id, question in ledger.questions.items() if question.vote}
    async with httpx.AsyncClient(base_url=mesh.url(0), headers=OPERATOR, timeout=60) as http:
        with trio.fail_after(DECIDING_S):
            while any(status == "pending" for key, status in (await pending_at(http)).items() if key in voted):
                (await http.post("/mesh")).raise_for_status()
                await trio.sleep(0.5)


async def shown_by(url: str, judge: Judge) -> Shown:
    """Everything that a node shows to an operator, and the judge's inbox to the judge."""
    async with httpx.AsyncClient(base_url=url, headers=OPERATOR, timeout=60) as http:
        exported = (await http.get("/export")).raise_for_status().json()
        live = {memory["id"]: memory for memory in exported["memories"]}
        pending = await pending_at(http)
        subscriptions = await all_of(http, "/subscriptions", "subscriptions")
        messages = await all_of(judge.http, f"{url}/inbox", "messages")
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
