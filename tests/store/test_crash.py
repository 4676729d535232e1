"""Promise P1 when the power goes: whatever was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct
from msgspec.structs import astuple

from aimem.errors import AimemError, Corrupt
from aimem.model import AgentId, Lifetimes, chain_hash
from aimem.ports import Connection, Mode, system_files
from aimem.service.drafts import creation_fields, draft_of
from aimem.store import MEMORY, STREAM, Store, Transaction, oplog, writer
from aimem.store.kinds import all_objects
from aimem.store.view import judge_names, name_of
from aimem.wire import CreateMemory
from tests.disk import Disk
from tests.nodes import FakeClock, InlineThreads, open_store, principal, seeded_chance

CALLERS, WRITES = 4, 6
LOG_PAGES = 60
SHOWN = (
    "SELECT id, state, holder, namespace, title, owner, expires_at, text_hash, dialogue, created_at "
    "FROM memory_view ORDER BY id"
)
FOUND = "SELECT v.id FROM memory_fts f JOIN memory_view v ON v.no = f.rowid >> 6 WHERE memory_fts MATCH ? ORDER BY v.id"


class Told(Struct):
    """What callers were told of their writes: acknowledged, not applied, unknown."""

    stored: set[str]
    refused: set[str]
    unknown: set[str]


@pytest.fixture(autouse=True)
def same_order_of_tasks(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Trio's scheduler draws from the seed too, so that a failure can be replayed."""
    run = trio._core._run
    monkeypatch.setattr(run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    run._r.seed(request.node.name)
    yield
    run._r.seed()


def put_pair(transaction: Transaction, key: str) -> None:
    """One write of two ops: a memory, and one whose name the next writer of this caller takes too."""
    for half in ("a", "b"):
        request = CreateMemory(title=f"{half} of {key[:2]}", content=f"{half} word{key}", namespace="ns", scope="team")
        draft = draft_of(request, principal(), transaction.now, Lifetimes())
        fields = creation_fields(draft, f"{key}-{half}", transaction.now)
        transaction.emit("store", [transaction.create(MEMORY, f"{key}-{half}", AgentId("alice"), fields)])


def bury_half(transaction: Transaction, key: str) -> None:
    transaction.emit("delete", [transaction.bury(MEMORY, f"{key}-b")])


async def call(store: Store, name: str, told: Told) -> None:
    """One caller: pairs, and after each the end of the second half of the one before."""
    for number in range(WRITES):
        key = f"{name}{number}"
        for done, fn, target in ((key, put_pair, key), (f"-{name}{number - 1}", bury_half, f"{name}{number - 1}")):
            if number == 0 and fn is bury_half:
                continue
            try:
                await store.write(fn, target)
            except AimemError as error:
                is_unknown = isinstance(error, Corrupt) and error.details.get("outcome") == "indeterminate"
                (told.unknown if is_unknown else told.refused).add(done)
                return
            told.stored.add(done)


async def live(db: Path, disk: Disk, seed: int) -> Told:
    """Write until all is written or the disk fails."""
    told = Told(set(), set(), set())
    chance = seeded_chance(seed)
    try:
        async with (
            open_store(
                db, files=disk, threads=InlineThreads(), chance=chance, clock=FakeClock(), group_count=3
            ) as store,
            trio.open_nursery() as callers,
        ):
            for number in range(CALLERS):
                callers.start_soon(call, store, f"c{number}", told)
    except* (AimemError, OSError):
        pass  # the daemon would end here
    return told


def ids_of(done: str) -> set[str]:
    return {f"{done}-a", f"{done}-b"}


def check_the_chain(conn: Connection) -> int:
    """Every stream's ops are chained without a gap, signed, and end at its head. Returns: how many ops."""
    keys = {key: str(state.fields["public_key"].value) for key, state in all_objects(conn, STREAM)}
    ends: dict[str, tuple[int, bytes]] = {}
    ops = [op for _, op in oplog.read_after(conn, 0, 100_000)]
    for op in ops:
        seq, previous = ends.get(op.dot.stream, (0, oplog.GENESIS))
        assert (op.dot.seq, op.previous) == (seq + 1, previous)
        chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(keys[op.dot.stream])).verify(op.signature, chained)
        ends[op.dot.stream] = op.dot.seq, chained
    heads = {stream: oplog.head(conn, stream) for stream in oplog.vector(conn)}
    assert {stream: (head.seq, head.chain_hash) for stream, head in heads.items() if head} == ends
    return len(ops)


def check_the_view(conn: Connection) -> None:
    """The view and the index of words say what the objects say, recomputed from nothing."""
    by_name: dict[object, list[object]] = {}
    objects = all_objects(conn, MEMORY)
    for key, state in objects:
        by_name.setdefault(name_of(state), []).append((key, state))
    seen = [row for rows in by_name.values() for row in judge_names(rows)]
    expected = sorted(astuple(row) for row in seen)
    assert conn.execute(SHOWN).fetchall() == expected
    live_ids = {s.id for s in seen if s.state == "live"}
    for key, state in objects:
        word = re.findall(r"[^\W_]+", str(state.fields["content"].value))[-1]
        found = {str(row[0]) for row in conn.execute(FOUND, (f'"{word}"',)).fetchall()}
        assert found & {key} == live_ids & {key}


def check_all(conn: Connection) -> tuple[set[str], set[str]]:
    """Everything that must hold in any database. Returns: ids of the memories, alive and dead."""
    assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    check_the_chain(conn)
    check_the_view(conn)
    alive = {str(row[0]) for row in conn.execute("SELECT id FROM memories").fetchall()}
    dead = {str(row[0]) for row in conn.execute("SELECT key FROM tombstones").fetchall()}
    assert not alive & dead
    return alive, dead


def check_told(told: Told, alive: set[str], dead: set[str]) -> None:
    """What callers were told is so."""
    for done in told.stored:
        if done.startswith("-"):
            assert f"{done[1:]}-b" in dead
        else:
            assert ids_of(done) <= alive | dead
            assert f"{done}-a" in alive
    for done in told.refused:
        assert f"{done[1:]}-b" in alive if done.startswith("-") else not ids_of(done) & (alive | dead)
    for done in told.unknown:
        if not done.startswith("-"):
            assert ids_of(done) & (alive | dead) in (set(), ids_of(done))


def look(db: Path) -> tuple[set[str], set[str]]:
    """Check by a connection of its own: on one that read before, SQLite 3.51's check of FTS5 tables goes by a list of
    segments that a later merge has replaced, and reports damage where there is none."""
    conn = system_files().connect(db, Mode.READ_ONLY)
    try:
        return check_all(conn)
    finally:
        conn.close()


async def check_afterwards(db: Path, told: Told) -> None:
    """Open what is left, look at all of it, and go on writing."""
    async with open_store(db, threads=InlineThreads(), clock=FakeClock()) as store:
        check_told(told, *look(db))
        await store.write(put_pair, "zz9")
        look(db)


@pytest.fixture(scope="module")
def short_log() -> Iterator[None]:
    """The log moves into the database early, so that short tests see it happen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "LOG_PAGES", LOG_PAGES)
        yield


@pytest.fixture(scope="module")
def steps_of_a_life(short_log: None, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes and syncs an undisturbed run asks of the disk."""
    disk = Disk()
    disk.steps_until_cut = 1_000_000
    told = trio.run(live, tmp_path_factory.mktemp("whole") / "x.db", disk, 0)
    assert len(told.stored) == CALLERS * (2 * WRITES - 1)
    return 1_000_000 - disk.steps_until_cut


@pytest.mark.parametrize("part", range(10))
async def test_the_power_goes_at_any_moment(tmp_path: Path, steps_of_a_life: int, part: int) -> None:
    cuts, acknowledged = 11, 0
    for cut in range(cuts):
        seed = part * cuts + cut
        rng, disk = random.Random(seed), Disk()
        disk.steps_until_cut = rng.randrange(steps_of_a_life)
        before, after = tmp_path / f"{seed}-before", tmp_path / f"{seed}-after"
        before.mkdir()
        after.mkdir()
        told = await live(before / "x.db", disk, seed)
        disk.survivors(before, after, rng)
        try:
            await check_afterwards(after / "x.db", told)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        acknowledged += len(told.stored)
    assert acknowledged > cuts
