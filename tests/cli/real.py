"""A runtime whose nodes are real: services, store and HTTP surface, within the test's process."""

from __future__ import annotations

import io
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import trio
from msgspec.structs import replace

from aimem import operations
from aimem.api import make_app
from aimem.cli import Attached, Purpose, Surroundings, main
from aimem.client import Client
from aimem.config import Config
from aimem.model import new_memory_id
from aimem.service import Node
from aimem.supervisor import examining, system_ports
from aimem.supervisor.inprocess import InProcessTransport
from aimem.wire import doctor
from tests.cli.fakes import FakeRuntime, Outcome, Stream
from tests.nodes import START, FakeClock, InlineThreads, open_node, seeded_chance

T = TypeVar("T")


class RealRuntime(FakeRuntime):
    """Opens the node of the configured database for each command."""

    def __init__(self, machine: RealMachine) -> None:
        super().__init__(lambda request: httpx.Response(500))
        self.machine, self.wall_clock = machine, machine.clock

    @asynccontextmanager
    async def open_client(self, config: Config, purpose: Purpose) -> AsyncIterator[Attached]:
        self.purposes.append(purpose)
        self.machine.opened_count += 1
        chance = seeded_chance(self.machine.opened_count)
        async with open_node(config.store.db, clock=self.machine.clock, chance=chance, threads=InlineThreads()) as node:
            transport = InProcessTransport(make_app(node, config.api))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=600) as http:
                client = Client(http, new_key=partial(new_memory_id, chance.rng))
                yield Attached(client=client, holder=True, db=config.store.db)

    def run_doctor(
        self, reread: Callable[[], Config], agent_of: Callable[[Config], str | None]
    ) -> doctor.DoctorOut:
        """Looks at this machine, but for its clock."""
        ports = replace(system_ports(), clock=self.machine.clock)
        return trio.run(operations.run_doctor, examining.doctor_ports(ports, {}, agent_of), reread)

    def run(self, async_fn: Callable[..., Awaitable[T]], *args: object) -> T:
        return trio.run(async_fn, *args)


class RealMachine:
    """A folder in which command lines are run against real databases."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.clock = FakeClock(START)
        self.opened_count = 0
        self.environ: dict[str, str] = {}

    def run(self, *argv: str, stdin: bytes = b"") -> Outcome:
        runtime = RealRuntime(self)
        out, err = Stream(), Stream()
        around = Surroundings(
            stdin=io.BytesIO(stdin), stdout=out, stderr=err, cwd=self.cwd, home=self.cwd, host="box", pid=1,
            environ={
                "AI_MEMORY_NO_CONFIG": "1", "AI_MEMORY_AGENT_ID": "tester", "AI_MEMORY_TIER": "keyword",
                "AI_MEMORY_DB": "memory.db", **self.environ},
            program=("/bin/ai-memory",), now=self.clock.now, rng=lambda: random.Random(1))
        return Outcome(main(argv, runtime, around), out.getvalue(), err.getvalue(), runtime)

    def visit(self, act: Callable[[Node], Awaitable[object]]) -> None:
        """Do something to the node that no verb does."""

        async def visited() -> None:
            async with open_node(self.cwd / "memory.db", clock=self.clock, threads=InlineThreads()) as node:
                await act(node)

        trio.run(visited)

    def json(self, *argv: str, stdin: bytes = b"") -> Any:
        done = self.run("--json", *argv, stdin=stdin)
        assert done.status == 0, done.err
        return json.loads(done.out)
