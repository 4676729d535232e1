"""A node of fakes: a store that only counts, an app of a few lines, and a trace of what began and ended."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import trio

from aimem.config import ApiConfig
from aimem.errors import AimemError
from aimem.ports import system_files
from aimem.supervisor.children import Child, OnFailure
from aimem.supervisor.control import Control
from aimem.supervisor.place import Place, Role, locate, take
from aimem.supervisor.tree import Inside, Plan, Running, run_node
from aimem.supervisor.trust import Gate
from tests.supervisor.serving import answer


class LittleNode:
    """What a node is made of, with the steps of its life written down."""

    def __init__(self, folder: Path, name: str = "node") -> None:
        self.place: Place = locate(folder / "m.db", {})
        self.name = name
        self.control = Control()
        self.trace: list[str] = []
        self.entered, self.gate = trio.Event(), trio.Event()
        self.failure: AimemError | None = None
        self.fail = trio.Event()
        self.answered = 0

    @property
    def has_ended(self) -> bool:
        """Whether every child that began has ended."""
        began, ended = ({step[1:] for step in self.trace if step[0] == sign} for sign in "+-")
        return began == ended

    async def service(self, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        """A child: waits for the end, or fails when told to."""
        self.trace.append(f"+{name}")
        try:
            task_status.started()
            await self.fail.wait()
            if self.failure is not None and name == "store":
                raise self.failure
            await trio.sleep_forever()
        finally:
            self.trace.append(f"-{name}")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """`/wait` holds its request until the gate is open; everything says whose node answered."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/wait":
            self.entered.set()
            await self.gate.wait()
        self.answered += 1
        transport = scope["extensions"]["aimem.transport"]
        await answer(send, 200, f"{self.name} {transport}".encode())

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self.trace.append("+app")
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:
            self.trace.append("-app")
        await send({"type": "lifespan.shutdown.complete"})

    def plan(self) -> Plan:
        """The tree of it."""
        return Plan(store=self._child("store", OnFailure.END_NODE), still_s=lambda: 0.0, furnish=self._furnish)

    async def _furnish(self) -> Inside:
        children = (self._child("touches", OnFailure.RESTART), self._child("curator", OnFailure.RESTART))
        return Inside(app=self.app, children=children, about="no recall", watch=lambda server: None)

    def _child(self, name: str, on_failure: OnFailure) -> Child:
        return Child(name=name, run=partial(self.service, name), on_failure=on_failure)

    async def run(
        self, *, tcp: ApiConfig | None = None, grace_s: float = 30, lock: Any = None,
        gate: Gate | None = None, task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take the lock and run."""
        lock = lock or take(system_files(), self.place, Role.DAEMON)
        await run_node(
            self.plan(), lock=lock, place=self.place, tcp=tcp, grace_s=grace_s, control=self.control,
            rng=random.Random(1), gate=gate, task_status=task_status,
        )

    async def start(self, nursery: trio.Nursery, lock: Any) -> Any:
        """Run under a lock that was taken already; its app."""
        running: Running = await nursery.start(partial(self.run, lock=lock))
        return running.app
