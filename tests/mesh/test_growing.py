"""A mesh of real processes that grows and shrinks while it runs: by the verbs, and by SIGHUP."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.system.members import free_ports
from tests.system.processes import Process, ask, command, started

pytestmark = pytest.mark.slow

NAMES = ("n0", "n1", "n2")


class Fleet:
    """Daemons with a configuration file each; each is alone at first."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, dict[str, Process]()
        self.urls = {
            name: f"http://127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)
        }

    def db(self, name: str) -> Path:
        return self.folder / f"{name}.db"

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for name in NAMES:
                port = self.urls[name].rpartition(":")[2]
                self.file(name).write_text(
                    f'# {name}\nport = {port}\n\n[mesh]  # as told\nnode_name = "{name}"\ncatchup_interval_secs = 1\n'
                )
                words = [*command(self.db(name), "serve"), "--config", str(self.file(name))]
                self.processes[name] = await stack.enter_async_context(started(words))
                await self.processes[name].stderr_line("listening on")
            yield

    async def say(self, name: str, *words: str, status: int = 0) -> str:
        """Run a command on a node's machine. Returns: what it prints on either stream."""
        done = await ask(self.db(name), *words, "--config", str(self.file(name)))
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return (done.stdout or done.stderr).decode()

    async def seen(self, name: str) -> dict[str, Any]:
        """The mesh as a node sees it."""
        found: dict[str, Any] = json.loads(await self.say(name, "mesh", "status", "--json"))
        return found

    async def wait_agreed(self, *names: str) -> None:
        """Wait until these know of the same members, and all that the others know."""
        with trio.fail_after(60):
            while True:
                views = [await self.seen(name) for name in names]
                digests = {view["digest"] for view in views}
                if {view["agreement"] for view in views} == {"agreed"} and len(digests) == 1:
                    return


async def test_nodes_alone_become_a_mesh_that_grows_shrinks_and_fetches_everything_again(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    async with fleet.running():
        await fleet.say("n0", "store", "-T", "before", "-c", "text")
        await fleet.say("n0", "mesh", "add", fleet.urls["n1"], "--quorum-writes", "2")
        await fleet.say("n1", "mesh", "add", fleet.urls["n0"], "--quorum-writes", "2")
        await fleet.wait_agreed("n0", "n1")
        told = json.loads(await fleet.say("n0", "mesh", "add", fleet.urls["n2"], "--json"))
        assert (told["in_force"], told["members"], told["writes"]) == (True, 3, 2)
        assert told["say"][0] == {"node": "n1", "command": f"ai-memory mesh add {fleet.urls['n2']}"}
        await fleet.say("n1", "mesh", "add", fleet.urls["n2"])
        # The new one is told by hand and by signal, as somebody may who keeps its files elsewhere.
        with fleet.file("n2").open("a") as stream:
            stream.write(f'quorum_peers = "{fleet.urls["n0"]},{fleet.urls["n1"]}"\nquorum_writes = 2\n')
        fleet.processes["n2"].signal(signal.SIGHUP)
        await fleet.processes["n2"].stderr_line("members.read")
        await fleet.wait_agreed(*NAMES)
        assert "before" in await fleet.say("n2", "list")
        await fleet.say("n2", "store", "-T", "of the third", "-c", "text")
        stream_before = (await fleet.seen("n1"))["stream"]
        assert "ready" in await fleet.say("n1", "mesh", "rejoin")
        assert (await fleet.seen("n1"))["stream"] != stream_before
        for name in ("n0", "n1"):
            await fleet.say(name, "mesh", "remove", "n2")
        await fleet.wait_agreed("n0", "n1")
        await fleet.say("n0", "store", "-T", "without the third", "-c", "text")
        assert "of the third" in await fleet.say("n1", "list")
        assert fleet.file("n0").read_text().startswith(f'# n0\nport = {fleet.urls["n0"].rpartition(":")[2]}\n\n[mesh]')


async def test_what_is_wrong_with_the_members_leaves_a_daemon_and_its_file_as_they_were(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    async with fleet.running():
        await fleet.say("n0", "mesh", "add", fleet.urls["n1"], "--quorum-writes", "2")
        before = fleet.file("n0").read_text()
        [nobody] = free_ports(1)
        for words, status, expected in (
            (("add", f"http://127.0.0.1:{nobody}"), 7, "does not answer as a member"),
            (("add", fleet.urls["n0"].replace("127.0.0.1", "localhost")), 6, "leads to this node itself"),
            (("add", fleet.urls["n1"]), 6, "a peer already"), (("remove", "n7"), 5, "no peer has the name"),
            (("add", fleet.urls["n2"], "--quorum-writes", "9"), 2, "quorum_writes is 9"),
        ):
            assert expected in await fleet.say("n0", "mesh", *words, status=status)
            assert fleet.file("n0").read_text() == before
        twice = f'quorum_peers = "{fleet.urls["n1"]},{fleet.urls["n1"]}"\n'
        fleet.file("n0").write_text(f"[mesh]\n{twice}")
        fleet.processes["n0"].signal(signal.SIGHUP)
        await fleet.processes["n0"].stderr_line(" twice")
        fleet.file("n0").write_text(before)
        view = await fleet.seen("n0")
        assert [peer["url"] for peer in view["peers"]] == [fleet.urls["n1"]]
        assert any("names" in alarm and "twice" in alarm for alarm in view["alarms"])
        fleet.processes["n0"].signal(signal.SIGHUP)
        await fleet.processes["n0"].stderr_line("members.read")
        assert not any("twice" in alarm for alarm in (await fleet.seen("n0"))["alarms"])
