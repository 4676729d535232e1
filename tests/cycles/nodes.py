"""Four daemons that show each other certificates; what one asks another goes over a link that can be bad."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

import trio

from aimem.ports import sqlite
from tests.cycles.armed import ARMED, Point
from tests.cycles.machine import Need, clock_environment, small_disk
from tests.cycles.proxy import Link, Manner
from tests.cycles.tether import tether
from tests.mesh.certified import _MACHINE, DAYS, HOSTS, NAMES, CertifiedMesh
from tests.pki import issue
from tests.system.members import start_all
from tests.system.processes import Process, environment

COUNT: Final = len(NAMES)
SMALL_DISK: Final = COUNT - 1
"""The node whose disk fills up soon, where a fault needs one."""
LISTENING: Final = b"listening on"
START_S: Final = 180.0
LEVEL_S: Final = 120.0
"""More than any of it takes on a machine that has little time for us."""
PAGE: Final = 1000


class Violated(Exception):
    """A promise did not hold."""


class Nodes(CertifiedMesh):
    """See above.

    Attributes:
      PROGRAM: the module that is run.
      links: by the numbers of who asks and who is asked.
      expected: nodes that may end now.
      died: nodes that ended though nobody expected it, and their exit status.
    """

    PROGRAM: ClassVar = "tests.cycles.armed"

    def __init__(self, folder: Path, nursery: trio.Nursery, needs: frozenset[Need], tied: int) -> None:
        """Prepare.

        Args:
          tied: what the nodes have as their stdin.
        """
        super().__init__(folder, nursery)
        self._needs, self._tied = needs, tied
        port = self.ports[0]
        self.links = {
            (one, other): Link((f"127.0.8.{10 * one + other + 1}", port), (HOSTS[NAMES[other]], port))
            for one in range(COUNT) for other in range(COUNT) if one != other
        }
        self.expected: set[int] = set()
        self.died: dict[int, int] = {}
        self._ended: dict[int, trio.Event] = {}
        for number, name in enumerate(NAMES):
            seen = {NAMES[other]: link.listen[0] for (one, other), link in self.links.items() if one == number}
            text = _MACHINE.format(name=name, hosts={**seen, name: HOSTS[name]})
            (self.home(number) / "sitecustomize.py").write_text(text)
            self.set_clock(number, 0)

    def words(self, number: int) -> list[str]:
        [program, module, _, *rest] = super().words(number)
        return [program, module, self.PROGRAM, *rest]

    def surroundings(self, number: int) -> dict[str, str]:
        clock = clock_environment(self._clock(number)) if Need.CLOCK in self._needs else {}
        # Whoever runs this may have settings of their own.
        own = {"AI_MEMORY_NO_CONFIG": "1", ARMED: str(self.armed(number))}
        return {**super().surroundings(number), **clock, **own}

    def _clock(self, number: int) -> Path:
        return self.folder / f"{NAMES[number]}.clock"

    def set_clock(self, number: int, ahead_s: float) -> None:
        """Have a node's wall clock be so far from the machine's."""
        self._clock(number).write_text(f"{ahead_s:+.3f}\n")

    def armed(self, number: int) -> Path:
        """The file that arms a node."""
        return self.home(number) / "armed"

    def arm(self, number: int, point: Point, count: int, delay_ms: float = 0.0) -> None:
        """Have a node end at a point."""
        self.expected.add(number)
        self.armed(number).write_text(f"{point} {count} {delay_ms}")

    def disarm(self, number: int) -> bool:
        """Have it go on. Returns: False if it came to its point before."""
        try:
            self.armed(number).unlink()
        except FileNotFoundError:
            return False
        self.expected.discard(number)
        return True

    async def run_links(self) -> None:
        """Have all links listen."""
        for link in self.links.values():
            await self.nursery.start(link.run)

    async def _run(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        """Run a node to its end; what it says goes into a file beside its folder."""
        self._ended[number] = trio.Event()
        process = await trio.lowlevel.open_process(
            self.words(number), stdin=self._tied, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**environment(), **self.surroundings(number)},
        )
        self.processes[number] = Process(process)
        try:
            with (self.folder / f"{NAMES[number]}.log").open("ab", buffering=0) as log:
                await self._said(process, log, task_status)
            status = await process.wait()
        finally:
            process.kill()      # nothing, if it has ended
            with trio.CancelScope(shield=True):
                await process.wait()
        self._ended[number].set()
        if number not in self.expected:
            self.died[number] = status

    async def _said(self, process: trio.Process, log: Any, task_status: trio.TaskStatus[None]) -> None:
        said, is_serving = b"", False
        assert process.stderr is not None
        async for data in process.stderr:
            log.write(data)
            said = b"" if is_serving else said + data
            if LISTENING in said:
                is_serving = True
                task_status.started()
        if not is_serving:
            raise Violated(f"a node did not start: {said.decode(errors='replace')[-2000:]}")

    async def start(self, number: int) -> None:
        """Start a node, once it has ended, and wait until it serves."""
        with trio.fail_after(START_S):
            if number in self._ended:
                await self._ended[number].wait()
            await super().start(number)
        self.expected.discard(number)

    async def kill(self, number: int) -> None:
        """SIGKILL, and its end."""
        self.expected.add(number)
        self.processes[number].signal(signal.SIGKILL)
        await self._ended[number].wait()

    async def wait_any_end(self, numbers: Iterable[int], patience_s: float) -> int:
        """Wait until one of some nodes ends. Raises: Violated if none does for so long."""
        found: list[int] = []
        with trio.move_on_after(patience_s):
            async with trio.open_nursery() as nursery:

                async def wait(number: int) -> None:
                    await self._ended[number].wait()
                    found.append(number)
                    nursery.cancel_scope.cancel()

                for number in numbers:
                    nursery.start_soon(wait, number)
        if not found:
            raise Violated(f"none of the nodes {list(numbers)} came to its point within {patience_s:g} s")
        return found[0]

    async def begin_rotation(self, number: int) -> None:
        """Put new certificates into a node's files, and the client's on the lists of the others; then tell it so."""
        others = [other for other in range(COUNT) if other != number]
        old, self.members[number] = self.members[number], issue(self._authority, NAMES[number], days=DAYS)
        await self._list_on(others, [*self.members.values(), old])
        self._install(number)
        self.processes[number].signal(signal.SIGHUP)

    async def end_rotation(self, number: int) -> None:
        """Take the old ones off the lists."""
        await self._list_on([other for other in range(COUNT) if other != number], self.members.values())

    def links_of(self, number: int) -> list[Link]:
        """Those over which a node asks and is asked."""
        return [link for ends, link in self.links.items() if number in ends]

    def heal_links(self) -> None:
        for link in self.links.values():
            link.turn(Manner.PLAIN)

    async def document(self, number: int, **params: str) -> dict[str, Any]:
        """The mesh as a node sees it."""
        async with self.owner(number) as http:
            found: dict[str, Any] = (await http.get("/mesh", params=params)).raise_for_status().json()
            return found

    async def level(self) -> list[dict[str, Any]]:
        """Wait until all nodes are ready and know the same writes.

        Returns: the mesh as each sees it then, with its digest. Raises: Violated.
        """
        found: list[dict[str, Any]] = []
        with trio.move_on_after(LEVEL_S):
            while True:
                are_ready = [await self._is_ready(number) for number in range(COUNT)]
                found = [await self.document(number, digest="true") for number in range(COUNT)]
                # A node may write something by itself while others are asked: then all of them are asked again.
                again = [await self.document(number) for number in range(COUNT)]
                if all(are_ready) and all(one["vector"] == found[0]["vector"] for one in (*found, *again)):
                    return found
                await trio.sleep(0.1)
        raise Violated(f"the nodes did not come level within {LEVEL_S:g} s: {found}")

    async def _is_ready(self, number: int) -> bool:
        """Whether a node is, once it has asked all others."""
        async with self.owner(number) as http:
            has_asked = (await http.post("/mesh")).is_success       # else it was too busy within its deadline
            return has_asked and bool((await http.get("/health")).json()["ready"])

    async def shown(self, number: int) -> dict[str, str]:
        """All memories that a node shows: texts by ids."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        async with self.owner(number) as http:
            while cursor is not None:
                params = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
                page = (await http.get("/export", params=params)).raise_for_status().json()
                found.update((row["id"], row["content"]) for row in (*page["memories"], *page["archived"]))
                cursor = page.get("next_cursor")
        return found

    async def unsound(self, number: int) -> list[str]:
        """What SQLite finds wrong with a node's file."""
        return await trio.to_thread.run_sync(unsound, self.db(number))


def unsound(db: Path) -> list[str]:
    """What SQLite finds wrong with a file, also one that is in use."""
    with contextlib.closing(sqlite.sqlite.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        found = [str(row[0]) for row in conn.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


@contextlib.asynccontextmanager
async def nodes(folder: Path, needs: Iterable[Need] = ()) -> AsyncIterator[Nodes]:
    """A mesh with W of 2 whose nodes all serve; they are killed with the block.

    Args:
      needs: what faults need; the machine has it.
    """
    wanted = frozenset(needs)
    with contextlib.ExitStack() as stack:
        if Need.DISK in wanted:
            stack.enter_context(small_disk(folder / NAMES[SMALL_DISK]))
        tied = stack.enter_context(tether())
        async with trio.open_nursery() as nursery:
            mesh = Nodes(folder, nursery, wanted, tied)
            await mesh.run_links()
            await start_all(mesh)
            await mesh.level()
            yield mesh
            mesh.expected |= set(range(COUNT))
            nursery.cancel_scope.cancel()
