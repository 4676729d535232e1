"""Databases that are not their node's: another node's copy, a copy that runs beside it, one that somebody edited."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.mesh.years import (
    Book,
    Years,
    alarmed,
    assert_kept,
    copied_while_it_runs,
    document,
    files,
    level,
    lose_database,
    met,
    restart,
    shown_by,
    shows,
    stop,
    years,
)
from tests.system.processes import ask

pytestmark = pytest.mark.slow

NODES: Final = (0, 1, 2)
COPY: Final = 3
CONFLICT, OK = 6, 0


async def test_the_database_of_another_node_makes_nobody_that_node_and_loses_nothing(tmp_path: Path) -> None:
    book = Book()
    async with years(tmp_path, 3) as mesh:
        for number in NODES:
            await book.store(mesh, number, 20)
        copied_while_it_runs(mesh.db(1), tmp_path / "copy")
        for number in NODES:
            await book.change(mesh, number, 5)
        before = {number: await document(mesh, number) for number in NODES}
        await stop(mesh, 2)
        lose_database(mesh, 2)
        shutil.copy(tmp_path / "copy", mesh.db(2))
        await restart(mesh, 2)
        await level(mesh, NODES)
        await assert_kept(mesh, book, NODES)
        for number in NODES:
            await book.store(mesh, number, 10)
            await book.change(mesh, number, 5)
        await level(mesh, NODES)
        await assert_kept(mesh, book, NODES)
        after = {number: await document(mesh, number) for number in NODES}
        assert [after[number]["node"] for number in NODES] == ["n0", "n1", "n2"]
        # The one that had it goes on in a stream of its own, as it would with an old copy; the other as before.
        assert [after[number]["stream"] == before[number]["stream"] for number in NODES] == [True, True, False]
        assert not [one["alarms"] for one in after.values() if one["alarms"]]


async def test_the_database_of_another_mesh_is_refused_by_both_sides_and_nothing_of_it_is_taken(tmp_path: Path) -> None:
    here, there = Book("here"), Book("there")
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    async with years(tmp_path / "ours", 2) as ours:
        # Where names are the same in both, nodes do not get so far as to speak of meshes: their keys are not believed.
        async with years(tmp_path / "theirs", 2, "other") as theirs:
            await there.store(theirs, 0, 10)
            await level(theirs, (0, 1))
            await shows(theirs, 1, lambda found: found["cluster"] != "")
            copied_while_it_runs(theirs.db(1), tmp_path / "copy")
        await here.store(ours, 0, 10)
        await shows(ours, 0, lambda found: found["cluster"] != "")
        cluster = (await document(ours, 0))["cluster"]
        await stop(ours, 1)
        lose_database(ours, 1)
        shutil.copy(tmp_path / "copy", ours.db(1))
        await restart(ours, 1)
        for number in (0, 1):
            await alarmed(ours, number, "another mesh")
        assert set(await shown_by(ours, 0)) == set(here.live)
        assert set(await shown_by(ours, 1)) == set(there.live)
        assert (await document(ours, 0))["cluster"] == cluster

        await stop(ours, 1)
        lose_database(ours, 1)
        await restart(ours, 1)
        await level(ours, (0, 1))
        await here.store(ours, 1, 10)
        await level(ours, (0, 1))
        await assert_kept(ours, here, (0, 1))
        for number in (0, 1):
            await shows(ours, number, lambda found: found["cluster"] == cluster and not found["alarms"])


async def test_a_copy_that_runs_beside_its_original_takes_nothing_from_it_and_becomes_a_node_once_it_has_its_own_key(
    tmp_path: Path
) -> None:
    book = Book()
    async with trio.open_nursery() as nursery:
        mesh = Years(tmp_path, 4, nursery, {})
        await restart(mesh, *NODES)
        await met(mesh, NODES)
        await book.store(mesh, 1, 30)
        await stop(mesh, 1)
        for path in files(mesh, 1):
            target = path.with_name(path.name.replace("n1.", "n3."))
            shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)
        await restart(mesh, 1, COPY)
        for number in NODES:
            await alarmed(mesh, number, str(mesh.ports[COPY]))
        # Both write at once, in whatever stream each of them believes to be its own.
        async with trio.open_nursery() as writing:
            for number in (1, COPY):
                writing.start_soon(book.store, mesh, number, 10)
        for number in (0, 2):
            await book.store(mesh, number, 10)
            await book.change(mesh, number, 5)
        await level(mesh, (*NODES, COPY))
        await assert_kept(mesh, book, (*NODES, COPY))
        for number in NODES:
            await alarmed(mesh, number, "two nodes run as 'n1'")

        await stop(mesh, COPY)
        mesh.db(COPY).with_name(f"{mesh.db(COPY).name}.node").unlink()
        await restart(mesh, COPY)
        await book.store(mesh, COPY, 10)
        await book.store(mesh, 1, 10)
        await level(mesh, (*NODES, COPY))
        await assert_kept(mesh, book, (*NODES, COPY))
        for number in (*NODES, COPY):
            await shows(mesh, number, lambda found: found["agreement"] == "agreed")
            found = await document(mesh, number)
            assert found["node"] == f"n{number}"
            # That a stream has two histories, if both wrote the same number at once, stays on record.
            assert not [alarm for alarm in found["alarms"] if "two histories" not in alarm]
        nursery.cancel_scope.cancel()


async def test_verify_names_what_was_flipped_or_edited_behind_a_nodes_back_and_repair_gets_it_back(
    tmp_path: Path
) -> None:
    book = Book()
    async with years(tmp_path, 3) as mesh:
        await book.store(mesh, 0, 30, pad=40)
        await book.change(mesh, 1, 5)
        await level(mesh, NODES)
        await stop(mesh, 2)
        flipped, edited, lost, *_ = sorted(book.live)
        [revived, *_] = sorted(book.gone)
        flip(mesh.db(2), book.live[flipped])
        with contextlib.closing(sqlite3.connect(mesh.db(2))) as conn, conn:
            conn.execute("UPDATE memories SET content = 'by hand' WHERE id = ?", [edited])
            conn.execute("DELETE FROM memories WHERE id = ?", [lost])
            assert conn.execute("DELETE FROM tombstones WHERE key = ?", [revived]).rowcount == 1
        await restart(mesh, 2)
        await level(mesh, NODES)

        status, found = await verified(mesh, 2)
        assert status == CONFLICT
        for one in found:
            assert {named["key"] for named in one["objects"]} == {flipped, edited, lost, revived}, one
        status, found = await verified(mesh, 2, "--repair")
        assert (status, found[0]["verdict"], found[0]["repaired"]) == (OK, "repaired", 4), found
        for number in NODES:
            assert (await verified(mesh, number))[0] == OK
        await assert_kept(mesh, book, NODES)


def flip(db: Path, content: str) -> None:
    """Flip one bit of a text, in every place of the file that has it whole, but for the log of writes."""
    data, at, text = bytearray(db.read_bytes()), 0, content.encode()
    with contextlib.closing(sqlite3.connect(db)) as conn:
        [(count,)] = conn.execute("SELECT count(*) FROM memories WHERE content = ?", [content])
        assert count == 1
    found = 0
    while (at := data.find(text, at)) >= 0:
        # An entry of the log is JSON: there the text stands in quotation marks.
        if data[at - 1 : at] != b'"':
            data[at] ^= 1
            found += 1
        at += len(text)
    assert found
    db.write_bytes(data)


async def verified(mesh: Years, number: int, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """What the command finds: its exit status and what it says of each peer."""
    done = await ask(mesh.db(number), "mesh", "verify", *words, "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) == 2, done.stderr.decode()
    return done.returncode, found
