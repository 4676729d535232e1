"""A mesh that lives through years: its nodes stop, lose files, come back, and what was promised still holds."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import trio

from tests.mesh.hurried import TRIM
from tests.system.members import Mesh, start_all

TRIM_S: Final = 0.5
WAITING_S: Final = 60.0
BULK: Final = 1000
BODY_BYTES: Final = 1_000_000
ROW_BYTES: Final = 300
LOCAL: Final = {"X-Consistency": "local"}
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Years(Mesh):
    """Daemons with W of 2 to which time passes faster.

    Attributes:
      named: the beginning of their names.
    """

    def __init__(
        self, folder: Path, count: int, nursery: trio.Nursery, environ: dict[str, str], named: str = "n"
    ) -> None:
        """Find ports; nothing is started."""
        super().__init__(folder, count, nursery, {TRIM: str(TRIM_S), **environ})
        self.named = named

    def words(self, number: int) -> list[str]:
        [program, module, name, *rest] = super().words(number)
        assert (module, name) == ("-m", "aimem")
        rest[rest.index("--node-name") + 1] = f"{self.named}{number}"
        return [program, module, "tests.mesh.hurried", *rest]


@contextlib.asynccontextmanager
async def years(folder: Path, count: int, named: str = "n", **environ: str) -> AsyncIterator[Years]:
    """A mesh of which all nodes serve, and have met; they are killed with the block."""
    async with trio.open_nursery() as nursery:
        mesh = Years(folder, count, nursery, environ, named)
        await start_all(mesh)
        await met(mesh, range(count))
        yield mesh
        nursery.cancel_scope.cancel()


async def stop(mesh: Mesh, *numbers: int) -> None:
    """Stop nodes as an operator does."""
    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(mesh.processes[number].stop)


async def restart(mesh: Mesh, *numbers: int) -> None:
    """Start nodes that do not run, and wait until they serve."""
    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(mesh.start, number)


def files(mesh: Mesh, number: int) -> list[Path]:
    """All that a node that is stopped keeps: the database, what lies beside it, and its key."""
    db = mesh.db(number)
    return [path for path in db.parent.iterdir() if path.name.startswith(db.name)]


def lose(mesh: Mesh, number: int) -> None:
    """Lose all of it."""
    for path in files(mesh, number):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lose_database(mesh: Mesh, number: int) -> None:
    """Lose the database of a node that is stopped, but not its key."""
    db = mesh.db(number)
    for path in (db, *(db.with_name(db.name + end) for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)


async def met(mesh: Mesh, numbers: Iterable[int]) -> None:
    """Wait until these nodes asked all others once."""
    async with mesh.client() as http:
        for number in numbers:
            (await http.post(f"{mesh.url(number)}/mesh")).raise_for_status()


class Book:
    """What was acknowledged: memories that stand, by their ids, and the ids of deleted ones.

    Attributes:
      doubtful: ids of which the last act was not acknowledged, so that nobody knows.
    """

    def __init__(self, name: str = "t") -> None:
        """Empty; the name is the beginning of its titles, which no two books share."""
        self._name = name
        self.live: dict[str, str] = {}
        self.gone: set[str] = set()
        self.doubtful: set[str] = set()
        self._serial = 0

    async def store(self, mesh: Mesh, number: int, count: int, *, pad: int = 0, consistency: str = "quorum") -> None:
        """Store memories at a node, many at once, each in a write of its own (an import does so), all acknowledged.

        Args:
          pad: further characters of each.
          consistency: which nodes have to have them.
        """
        step = min(BULK, BODY_BYTES // (pad + ROW_BYTES))
        async with mesh.client({"X-Consistency": consistency}) as http:
            for begin in range(0, count, step):
                rows = [self._row(pad) for _ in range(min(step, count - begin))]
                told = await done(http, "POST", f"{mesh.url(number)}/import", {"memories": rows})
                assert not told["errors"], told
                self.live.update((row["id"], row["content"]) for row in rows)

    def _row(self, pad: int) -> dict[str, str]:
        self._serial += 1
        content = f"word w{self._serial} {'-' * pad}"
        # Of this tier nothing expires, however long it takes.
        return {"id": str(uuid.uuid4()), "title": f"{self._name}{self._serial}", "content": content, "tier": "long"}

    async def change(self, mesh: Mesh, number: int, count: int) -> None:
        """Change some memories at a node, and delete as many others."""
        ids = sorted(self.live)
        step = max(1, len(ids) // (2 * count))
        async with mesh.client() as http:
            for memory_id in ids[: 2 * count * step : 2 * step]:
                content = f"{self.live[memory_id]} anew"
                url = f"{mesh.url(number)}/memories/{memory_id}"
                await arrived(http, url)
                await done(http, "PUT", url, {"content": content})
                self.live[memory_id] = content
            for memory_id in ids[step : 2 * count * step : 2 * step]:
                url = f"{mesh.url(number)}/memories/{memory_id}"
                await arrived(http, url)
                await done(http, "DELETE", url)
                del self.live[memory_id]
                self.gone.add(memory_id)

    def faults(self, shown: dict[str, str]) -> list[str]:
        """Where what a node shows is not what was acknowledged."""
        lost = [f"{one} is lost" for one in sorted(self.live.keys() - shown.keys() - self.doubtful)]
        other = [
            f"{one} is {shown[one]!r}, not {content!r}" for one, content in self.live.items()
            if one in shown and one not in self.doubtful and shown[one] != content
        ]
        return [*lost, *other, *(f"{one} was deleted, and is there" for one in sorted(self.gone & shown.keys()))]


async def done(http: httpx.AsyncClient, method: str, url: str, body: object = None) -> dict[str, Any]:
    """Do something until it is acknowledged: after a restart a node has to meet the others first, and a busy one may be
    late. What is done twice is done once; of what was deleted before the answer came, there is nothing left."""
    is_again = False
    with trio.fail_after(WAITING_S):
        while True:
            answer = await http.request(method, url, json=body)
            if is_again and method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
                return {}
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                answer.raise_for_status()
                told: dict[str, Any] = answer.json()
                return told
            is_again = True
            await trio.sleep(0.2)


async def arrived(http: httpx.AsyncClient, url: str) -> None:
    """Wait until a node has what others acknowledged."""
    with trio.fail_after(WAITING_S):
        while True:
            if (await http.get(url)).status_code == httpx.codes.OK:
                return
            await trio.sleep(0.1)


async def shown_by(mesh: Mesh, number: int) -> dict[str, str]:
    """All memories that a node shows, archived ones too: their contents by their ids."""
    shown: dict[str, str] = {}
    cursor: str | None = ""
    async with mesh.client() as http:
        while cursor is not None:
            params = {"limit": str(BULK), **({"cursor": cursor} if cursor else {})}
            page = (await http.get(f"{mesh.url(number)}/export", params=params)).raise_for_status().json()
            shown.update((row["id"], row["content"]) for row in (*page["memories"], *page["archived"]))
            cursor = page.get("next_cursor")
    return shown


async def assert_kept(mesh: Mesh, book: Book, numbers: Iterable[int]) -> None:
    """Each of these nodes shows what was acknowledged and nothing that was deleted."""
    for number in numbers:
        faults = book.faults(await shown_by(mesh, number))
        assert not faults, (number, len(faults), faults[:5])
    await assert_equal(mesh, numbers)


async def assert_equal(mesh: Mesh, numbers: Iterable[int]) -> None:
    """These nodes have the same rows."""
    digests = {number: (await document(mesh, number, digest="true"))["digest"] for number in numbers}
    assert len(set(digests.values())) == 1, digests


async def document(mesh: Mesh, number: int, **params: str) -> dict[str, Any]:
    """The mesh as a node sees it."""
    async with mesh.client() as http:
        found: dict[str, Any] = (await http.get(f"{mesh.url(number)}/mesh", params=params)).raise_for_status().json()
        return found


async def ready(mesh: Mesh, number: int) -> None:
    """Wait until a node is."""
    with trio.fail_after(WAITING_S):
        while True:
            if (await health(mesh, number))["ready"]:
                return
            await trio.sleep(0.2)


async def health(mesh: Mesh, number: int) -> dict[str, Any]:
    """Whether a node is ready, and its warnings."""
    async with mesh.client() as http:
        found: dict[str, Any] = (await http.get(f"{mesh.url(number)}/health")).json()
        return found


async def counted(mesh: Mesh, number: int, name: str, **labels: str) -> float:
    """The sum of all samples of a node's metric that have these labels; 0 without any."""
    async with mesh.client() as http:
        page = (await http.get(f"{mesh.url(number)}/metrics")).raise_for_status().text
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(
        float(value) for found, told, value in _LINE.findall(page)
        if found == name and wanted <= set((told or "").split(","))
    )


async def level(mesh: Mesh, numbers: Sequence[int], patience_s: float = WAITING_S) -> None:
    """Wait until these nodes are ready and know the same writes."""
    with trio.fail_after(patience_s):
        while True:
            documents = [await document(mesh, number) for number in numbers]
            vectors = [one["vector"] for one in documents]
            is_ready = all([(await health(mesh, number))["ready"] for number in numbers])
            if is_ready and all(vector == vectors[0] for vector in vectors):
                return
            await trio.sleep(0.2)


async def trimmed(mesh: Mesh, numbers: Iterable[int], below: int) -> None:
    """Wait until the logs of these nodes have fewer ops than that."""
    for number in numbers:
        await shows(mesh, number, lambda found: found["op_log_count"] < below)


async def alarmed(mesh: Mesh, number: int, words: str) -> None:
    """Wait until a node has an alarm that holds these words."""
    await shows(mesh, number, lambda found: any(words in alarm for alarm in found["alarms"]))


async def shows(mesh: Mesh, number: int, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until a node sees the mesh so."""
    with trio.move_on_after(WAITING_S):
        while True:
            found = await document(mesh, number)
            if is_so(found):
                return
            await trio.sleep(0.2)
    raise AssertionError(f"node {number} still shows {found}")


def copied_while_it_runs(db: Path, target: Path) -> None:
    """A copy as SQLite's own backup makes it: one file, without a log beside it."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
