"""The W of a daemon holds for those, too, who open its database while it does not run and were told none."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem.cli import Attached, Purpose
from aimem.config import Config, load_config
from aimem.errors import Code, Unavailable
from aimem.supervisor import open_client, run_daemon, system_ports
from aimem.wire import CreateMemory, reloading

PEERS = "http://127.0.0.1:9,http://127.0.0.1:19"
MESHED = {"AI_MEMORY_QUORUM_PEERS": PEERS, "AI_MEMORY_QUORUM_WRITES": "3"}
REFUSED = ("a write needs 3 nodes, and no daemon runs on this database that could ask them; nothing was stored: the "
           "daemon of this database served with W = 3: start it, or say --consistency local to write here alone")


class Machine:
    """A folder with a database, and what a process is told there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environ = folder, dict[str, str]()

    def config(self, **environ: str) -> Config:
        flags = {"db": str(self.folder / "m.db"), "port": 0, "tier": "keyword", "agent_id": "alice"}
        return load_config(flags, environ, cwd=self.folder, home=self.folder, etc=self.folder)

    @asynccontextmanager
    async def served(self, **environ: str) -> AsyncIterator[None]:
        """A daemon for the length of the block."""
        self.environ, is_up = environ, trio.Event()
        ports = replace(system_ports(), say=lambda _: is_up.set())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(
                run_daemon, self.config(**environ), ports=ports, environ={},
                reread=lambda: self.config(**self.environ),
            ))
            with trio.fail_after(30):
                await is_up.wait()
            yield
            signal.raise_signal(signal.SIGTERM)

    @asynccontextmanager
    async def attached(self, purpose: Purpose = Purpose.COMMAND, **environ: str) -> AsyncIterator[Attached]:
        async with open_client(self.config(**environ), purpose, ports=system_ports(), environ={}) as attached:
            yield replace(attached, client=attached.client.for_agent("alice"))

    async def reload(self, **environ: str) -> reloading.ReloadAnswer:
        self.environ = environ
        async with self.attached() as attached:
            assert not attached.holder
            return await attached.client.reload()

    async def write(self, title: str, purpose: Purpose = Purpose.COMMAND, **environ: str) -> None:
        async with self.attached(purpose, **environ) as attached:
            assert attached.holder
            await attached.client.remember(CreateMemory(title=title, content="text"))

    async def is_refused(self, purpose: Purpose = Purpose.COMMAND, **environ: str) -> bool:
        """Whether nothing is stored, by that sentence."""
        with pytest.raises(Unavailable) as told:
            await self.write("Refused", purpose, **environ)
        return (told.value.message, told.value.code, told.value.details["outcome"]) == (
            REFUSED, Code.QUORUM_NOT_MET, "not_applied")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_who_was_told_no_other_w_keeps_to_the_daemons(machine: Machine) -> None:
    await machine.write("Before")
    async with machine.served(**MESHED):
        pass
    for told in ({}, {"AI_MEMORY_QUORUM_WRITES": "3"}, {"AI_MEMORY_QUORUM_PEERS": PEERS}):
        for purpose in (Purpose.COMMAND, Purpose.SESSION):
            assert await machine.is_refused(purpose, **told)
    async with machine.attached() as attached:
        assert [one.title for one in (await attached.client.list_memories()).memories] == ["Before"]


async def test_who_says_so_writes_alone(machine: Machine) -> None:
    async with machine.served(**MESHED):
        pass
    one = {"AI_MEMORY_QUORUM_WRITES": "1"}
    for number, told in enumerate(({"AI_MEMORY_CONSISTENCY": "local"}, one, {"AI_MEMORY_QUORUM_PEERS": PEERS, **one})):
        await machine.write(f"Alone {number}", **told)
    assert await machine.is_refused()


async def test_an_answer_that_was_given_before_is_no_promise_of_other_nodes(machine: Machine) -> None:
    request = CreateMemory(title="Harbour", content="Ships sleep here.")
    async with machine.attached() as attached:
        await attached.client.remember(request, key="once")
    async with machine.served(**MESHED):
        pass
    async with machine.attached() as attached:
        with pytest.raises(Unavailable) as told:
            await attached.client.remember(request, key="once")
    assert told.value.details["outcome"] == "indeterminate"


async def test_the_latest_daemon_and_what_it_reads_anew_decide(machine: Machine) -> None:
    async with machine.served():
        assert (await machine.reload(**MESHED)).writes == 3
    assert await machine.is_refused()
    async with machine.served(**MESHED):
        await machine.reload()      # its last peers went: it is alone
    await machine.write("Alone")
    async with machine.served(**MESHED):
        pass
    async with machine.served():
        pass
    await machine.write("Alone again")
