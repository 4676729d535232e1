"""Snapshots that are not what they should be: none of it is taken, a person is told, and a sound peer is asked next."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
from msgspec.structs import replace

from aimem.errors import Gone
from aimem.wire import copies
from tests.mesh.givers import BAD, SOUND, Givers, giving
from tests.mesh.years import WAITING_S, counted, document, health, ready, shown_by, shows
from tests.system.members import Mesh, start_all
from tests.system.processes import command

pytestmark = pytest.mark.slow

ROWS: Final = 200
"""Of 8 kB each: more than one chunk."""
_DONE: Final = re.compile(r"(\d+) of (\d+) objects are done")
FAILED: Final = "ai_memory_mesh_snapshots_failed_total"


class Newcomers(Mesh):
    """Daemons that know nobody but the two that give."""

    def words(self, number: int) -> list[str]:
        return command(
            self.db(number), "serve", "--port", str(self.ports[number]), "--quorum-peers", ",".join(self.strangers),
            "--quorum-writes", "2", "--node-name", f"n{number}", "--catchup-interval-secs", "1",
        )


@asynccontextmanager
async def newcomers(folder: Path, count: int, givers: Givers) -> AsyncIterator[Newcomers]:
    """So many empty nodes, all of which serve; they are killed with the block."""
    async with trio.open_nursery() as nursery:
        mesh = Newcomers(folder, count, nursery, {}, (givers.url(BAD), givers.url(SOUND)))
        await start_all(mesh)
        yield mesh
        nursery.cancel_scope.cancel()


Fault = Callable[[copies.SnapshotRequest, copies.SnapshotAnswer], copies.SnapshotAnswer]


def manifest_with(**changed: object) -> Fault:
    """A manifest that says something else; the chunks are as they are."""

    def alter(_: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
        manifest = answer.manifest
        return answer if manifest is None else replace(answer, manifest=replace(manifest, **changed))

    return alter


def cut_short(_: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
    return replace(answer, chunk=answer.chunk[:-10])


def flipped(_: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
    return replace(answer, chunk=answer.chunk[:-1] + bytes(byte ^ 1 for byte in answer.chunk[-1:]))


def ends_after_one(request: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
    if request.chunk > 0:
        raise Gone("that snapshot is gone")
    return answer


def huge(_: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
    manifest = answer.manifest
    if manifest is None:
        return answer
    chunks = tuple(replace(chunk, bytes=1 << 40) for chunk in manifest.chunks)
    return replace(answer, manifest=replace(manifest, chunks=chunks))


def other_objects(request: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
    """Every chunk lacks an object, and the manifest says so of each; but not of all objects together."""
    manifest = answer.manifest
    if manifest is None:
        return answer
    chunks = tuple(replace(chunk, objects=max(0, chunk.objects - 1)) for chunk in manifest.chunks)
    return replace(answer, manifest=replace(manifest, chunks=chunks))


FAULTS: Final[tuple[tuple[str, Fault], ...]] = (
    ("truncated", cut_short), ("altered", flipped), ("cluster", manifest_with(cluster="0" * 32)),
    ("schema", manifest_with(schema=1000)), ("format", manifest_with(format=1000)),
    ("digest", other_objects), ("size", huge), ("answered", ends_after_one),
)
"""What is wrong with what each newcomer gets first, and the word under which it is counted."""


async def test_a_bad_snapshot_is_refused_counted_and_told_and_the_next_sound_peer_is_asked(tmp_path: Path) -> None:
    (tmp_path / "givers").mkdir()
    async def alter(
        node: str, request: copies.SnapshotRequest, answer: copies.SnapshotAnswer
    ) -> copies.SnapshotAnswer:
        return FAULTS[int(node.removeprefix("n"))][1](request, answer)

    async with giving(tmp_path / "givers", ROWS, alter) as givers, newcomers(tmp_path, len(FAULTS), givers) as mesh:
        for number, (word, _) in enumerate(FAULTS):
            await failed(mesh, number, word)
            vector = (await document(mesh, number))["vector"]
            assert list(vector.values()) == [1], (word, vector)     # its own beginning, and nothing else
            assert not await shown_by(mesh, number), word       # nor what came whole before the end
        givers.shut.clear()
        for number in range(len(FAULTS)):
            await shows(mesh, number, lambda found: max(found["vector"].values()) > ROWS)
            assert await shown_by(mesh, number) == await shown_by(mesh, 0)
        assert givers.given[SOUND] > 0


async def test_one_snapshot_is_joined_at_a_time_and_after_a_crash_from_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "givers").mkdir()
    may_go_on, asked = trio.Event(), list[int]()

    async def alter(_: str, request: copies.SnapshotRequest, answer: copies.SnapshotAnswer) -> copies.SnapshotAnswer:
        if answer.chunk:
            asked.append(request.chunk)
        if request.chunk == 1:
            await may_go_on.wait()
        return answer

    async with giving(tmp_path / "givers", ROWS, alter) as givers, newcomers(tmp_path, 1, givers) as mesh:
        await shows(mesh, 0, lambda found: (found.get("joining") or {}).get("chunk") == 1)
        givers.shut.clear()
        await shows(mesh, 0, lambda found: [one["state"] for one in found["peers"]] == ["reachable"] * 2)
        before = await health(mesh, 0)
        assert not before["ready"]
        [(done, of)] = _DONE.findall(" ".join(before["warnings"]))
        assert 0 < int(done) < int(of), before["warnings"]
        assert givers.given[SOUND] == 0
        await mesh.processes[0].kill()
        givers.shut.add(SOUND)
        may_go_on.set()
        await mesh.start(0)
        await shows(mesh, 0, lambda found: max(found["vector"].values()) > ROWS)
        await ready(mesh, 0)
        assert await counted(mesh, 0, "ai_memory_mesh_snapshots_resumed_total") == 1
        assert (asked, givers.given[SOUND]) == ([0, 1, 1], 0)
        assert len(await shown_by(mesh, 0)) == ROWS


async def failed(mesh: Mesh, number: int, reason: str) -> None:
    """Wait until a snapshot was refused for this reason."""
    with trio.move_on_after(WAITING_S):
        while True:
            if await counted(mesh, number, FAILED, reason=reason):
                return
            await trio.sleep(0.2)
    async with mesh.client() as http:
        page = (await http.get(f"{mesh.url(number)}/metrics")).text
    told = [line for line in page.splitlines() if FAILED in line]
    raise AssertionError(f"no snapshot was refused for {reason}: {told}, {await document(mesh, number)}")
