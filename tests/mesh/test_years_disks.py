"""Disks that die and databases that are put back: nothing acknowledged is lost, nothing deleted comes back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mesh.certified import certified
from tests.mesh.years import (
    LOCAL,
    Book,
    assert_kept,
    copied_while_it_runs,
    document,
    done,
    files,
    health,
    level,
    lose,
    lose_database,
    met,
    restart,
    shows,
    stop,
    years,
)
from tests.system.members import Mesh
from tests.system.processes import ask_json

pytestmark = pytest.mark.slow

NODES: Final = (0, 1, 2)


async def test_a_node_without_its_database_gets_everything_back_under_its_key_or_once_a_person_trusts_it(
    tmp_path: Path
) -> None:
    book = Book()
    async with years(tmp_path, 3) as mesh:
        for number in NODES:
            await book.store(mesh, number, 40)
        await book.change(mesh, 2, 10)
        before = await document(mesh, 2)
        await stop(mesh, 2)
        lose_database(mesh, 2)
        await book.change(mesh, 0, 5)
        await restart(mesh, 2)
        await level(mesh, NODES)
        await assert_kept(mesh, book, NODES)
        after = await document(mesh, 2)
        assert after["stream"] != before["stream"]
        assert not after["alarms"]

        await stop(mesh, 2)
        lose(mesh, 2)
        await book.change(mesh, 1, 5)
        await restart(mesh, 2)
        for number in (0, 1):
            await refused(mesh, number, "n2")
        assert not (await health(mesh, 2))["ready"]
        for number in (0, 1):
            await ask_json(mesh.db(number), "mesh", "trust", "n2")
        await level(mesh, NODES)
        await book.store(mesh, 2, 20)
        await met(mesh, NODES)
        await assert_kept(mesh, book, NODES)
        assert not (await document(mesh, 0))["alarms"]


async def test_a_node_that_lost_its_disk_and_still_has_its_certificate_needs_nobodys_word(tmp_path: Path) -> None:
    book, members = Book(), (0, 1, 2, 3)
    async with certified(tmp_path) as mesh:
        for number in members:
            await book.store(mesh, number, 20)
        await stop(mesh, 3)
        lose(mesh, 3)
        await book.change(mesh, 0, 10)
        await restart(mesh, 3)
        await level(mesh, members)
        await book.change(mesh, 3, 5)
        await level(mesh, members)
        await assert_kept(mesh, book, members)
        assert not (await document(mesh, 0))["alarms"]


async def refused(mesh: Mesh, number: int, name: str) -> None:
    """Wait until a node says that somebody comes under a name with another key."""
    await shows(mesh, number, lambda found: name in {one["node"] for one in found["untrusted"]})


async def test_a_database_put_back_from_any_old_copy_loses_nothing_and_revives_nothing(tmp_path: Path) -> None:
    book = Book()
    async with years(tmp_path, 3) as mesh:
        await book.store(mesh, 0, 60)
        # With the key and all, of a node that is stopped.
        await stop(mesh, 0)
        everything = kept(mesh, 0, tmp_path / "everything")
        await restart(mesh, 0)
        await written_on(mesh, book)
        await put_back(mesh, 0, everything)
        await written_on(mesh, book)
        # The database alone, of a node that runs.
        alone = tmp_path / "alone"
        alone.mkdir()
        copied_while_it_runs(mesh.db(1), alone / "n1.db")
        await written_on(mesh, book)
        await stop(mesh, 1)
        lose_database(mesh, 1)
        shutil.copy(alone / "n1.db", mesh.db(1))
        await written_on(mesh, book, by=0)
        await restart(mesh, 1)
        await level(mesh, NODES)
        await written_on(mesh, book)
        assert_not_forked([await document(mesh, number) for number in NODES])
        # The same without any key.
        await stop(mesh, 1)
        lose(mesh, 1)
        shutil.copy(alone / "n1.db", mesh.db(1))
        await restart(mesh, 1)
        for number in (0, 2):
            await refused(mesh, number, "n1")
            await ask_json(mesh.db(number), "mesh", "trust", "n1")
        await level(mesh, NODES)
        await written_on(mesh, book)
        # Put back, and written to before it meets anybody.
        await stop(mesh, 0, 1, 2)
        replace(mesh, 0, everything)
        await restart(mesh, 0)
        lonely = await lonely_writes(mesh, 0, 3)
        await restart(mesh, 1, 2)
        await level(mesh, NODES)
        book.live.update(lonely)
        await written_on(mesh, book)


async def written_on(mesh: Mesh, book: Book, by: int | None = None) -> None:
    """Write and delete at every node that runs, or at one of them, and see that all is as it should be."""
    for number in NODES if by is None else (by,):
        await book.store(mesh, number, 10)
        await book.change(mesh, number, 5)
    if by is None:
        await level(mesh, NODES)
        await assert_kept(mesh, book, NODES)


def kept(mesh: Mesh, number: int, folder: Path) -> Path:
    """Copy all files of a node that is stopped."""
    folder.mkdir()
    for path in files(mesh, number):
        shutil.copytree(path, folder / path.name) if path.is_dir() else shutil.copy2(path, folder / path.name)
    return folder


def replace(mesh: Mesh, number: int, folder: Path) -> None:
    """Put copied files in the place of those of a node that is stopped."""
    lose(mesh, number)
    for path in folder.iterdir():
        target = mesh.db(number).parent / path.name
        shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)


async def put_back(mesh: Mesh, number: int, folder: Path) -> None:
    await stop(mesh, number)
    replace(mesh, number, folder)
    await restart(mesh, number)
    await level(mesh, NODES)


async def lonely_writes(mesh: Mesh, number: int, count: int) -> dict[str, str]:
    """What a node that sees no other stores for itself alone."""
    made = {}
    async with mesh.client(LOCAL) as http:
        for one in range(count):
            body = {"title": f"lonely {one}", "content": f"lonely {one}", "tier": "long"}
            told = await done(http, "POST", f"{mesh.url(number)}/memories", body)
            made[str(told["id"])] = body["content"]
    return made


def assert_not_forked(documents: list[dict[str, Any]]) -> None:
    assert not [one["forks"] for one in documents if one["forks"]]
