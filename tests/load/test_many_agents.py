"""Two hundred agents with keys on one node, over real HTTP, under quotas, for a minute.

One process serves and this one asks: two cores suffice. By keyword: what is tried here is the doors, the writer and the
rules of visibility, not the embedder, which is measured in tests/bench.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio

from tests.load.fleet import REQUEST_TIMEOUT_S, Agent, Findings, home_of, name_of
from tests.system.processes import ask, daemon

pytestmark = pytest.mark.slow

AGENTS_COUNT: Final = 200
GREEDY_COUNT: Final = 5
"""Agents that ask for more than their share: quotas are there for them."""
SECONDS: Final = 60.0
THINK_S: Final = 5.0
"""So that all together ask about 40 times a second, which two cores answer at their leisure."""
MEMORIES_MAX: Final = 100
LIMITS: Final = {
    "AI_MEMORY_LIMITS_REQUESTS_PER_SEC": "1", "AI_MEMORY_LIMITS_REQUESTS_BURST": "8",
    "AI_MEMORY_LIMITS_WRITES_PER_MIN": "60", "AI_MEMORY_LIMITS_WRITES_BURST": "8",
    "AI_MEMORY_LIMITS_MEMORIES": str(MEMORIES_MAX), "AI_MEMORY_LIMITS_SPARE_OPERATORS": "true",
}


@asynccontextmanager
async def administering(db: Path, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the first key, an operator's."""
    made = await ask(db, "agents", "key", "add", "root", "--role", "operator")
    assert made.returncode == 0, made.stderr.decode()
    headers = {"X-API-Key": made.stdout.decode().strip()}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=REQUEST_TIMEOUT_S) as http:
        yield http


async def make_fleet(
    stack: AsyncExitStack, admin: httpx.AsyncClient, url: str, findings: Findings
) -> list[Agent]:
    """Agents with a key, a home and a connection each."""
    fleet = []
    for number in range(AGENTS_COUNT):
        made = await admin.post("/agents/keys", json={"agent_id": name_of(number), "home": home_of(number)})
        assert made.status_code == 201, made.text
        # Without TLS there is nothing to verify, and to read the machine's certificates takes as long as 50 requests.
        http = httpx.AsyncClient(base_url=f"{url}/api/v1", verify=False)
        await stack.enter_async_context(http)
        key, is_greedy = made.json()["key"], number < GREEDY_COUNT
        fleet.append(Agent(number, key, http, findings, think_s=THINK_S, is_greedy=is_greedy))
    return fleet


async def own_private(agent: Agent) -> set[str]:
    """The marks of the private memories that an agent finds again."""
    for _ in range(10):
        answer = await agent.ask("again", "GET", "/memories", 200, agent_id=agent.name, limit=200)
        if answer.status_code == 200:
            marks = {mark for one in answer.json()["memories"] for mark in one["tags"]}
            return {mark for mark in marks if mark.startswith("secret_")}
    raise AssertionError(f"{agent.name} was told to wait ten times")


async def server_errors(admin: httpx.AsyncClient) -> list[str]:
    """Lines of the metrics that count answers of 500 and above."""
    page = (await admin.get("/metrics")).text
    return re.findall(r'^ai_memory_http_requests_total\{.*status="5\d\d".*$', page, re.MULTILINE)


async def together(fleet: list[Agent], act: Any, *args: object) -> None:
    """Let all agents do something at once."""
    async with trio.open_nursery() as nursery:
        for agent in fleet:
            nursery.start_soon(act, agent, *args)


async def test_two_hundred_agents_share_a_node_and_none_sees_anothers_private_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db, findings = tmp_path / "memory.db", Findings()
    async with daemon(db, **LIMITS) as (process, url), administering(db, url) as admin, AsyncExitStack() as stack:
        fleet = await make_fleet(stack, admin, url, findings)
        begun = trio.current_time()
        await together(fleet, Agent.work, begun + SECONDS)
        with capsys.disabled():
            print(f"\n{AGENTS_COUNT} agents for {SECONDS:g} s:\n{findings.report(trio.current_time() - begun)}")

        async def look_again(agent: Agent) -> None:
            # What was acknowledged is there, and all that is there was stored by this agent.
            assert await own_private(agent) >= set(agent.kept), agent.name
            assert len(agent.kept) <= MEMORIES_MAX

        await together(fleet, look_again)
        assert await server_errors(admin) == []
        total = (await admin.get("/memories", params={"limit": 1})).json()
        assert (await process.stop()) == 0

    assert total
    assert not [status for status in findings.statuses if status >= 500]
    assert all(agent.kept for agent in fleet)
    # The rules hide what is private, not everything: agents did see what others share.
    assert findings.seen_of_others > AGENTS_COUNT
    assert_quotas_held(fleet, findings)


def assert_quotas_held(fleet: list[Agent], findings: Findings) -> None:
    """Those who ask for more than their share were slowed down, each of them, and hardly anybody else."""
    greedy = {agent.name for agent in fleet if agent.is_greedy}
    assert set(findings.throttled) >= greedy
    patient = sum(count for name, count in findings.throttled.items() if name not in greedy)
    assert patient < sum(findings.throttled[name] for name in greedy)
