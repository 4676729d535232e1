"""Many ops written at once come to what they come to one by one: in every table, those of the node's own too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimem.model import AgentId, Entry, FieldValue, Op
from aimem.ports import Connection
from aimem.replication import examine
from aimem.store import MEMORY, Store, Transaction, digest, inbound, outbound
from aimem.store.fold import UNWRITTEN_MAX
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, seeded_chance
from tests.store.lives import Life
from tests.streams import Author, memory_entry

# Without the rows' numbers, which follow the order of writing, and the moments of noting.
TABLES = (
    "SELECT stream, seq, hlc, kind, previous, signature, held FROM ops ORDER BY position",
    ("SELECT o.stream, o.seq, e.ordinal, e.kind, e.key, e.data FROM op_entries e JOIN ops o ON o.position = e.position "
     "ORDER BY e.position, e.ordinal"),
    "SELECT * FROM tombstones ORDER BY kind, key",
    "SELECT * FROM memories ORDER BY id",
    "SELECT * FROM links ORDER BY source_id, target_id, relation",
    "SELECT * FROM aliases ORDER BY entity_id, alias_hash",
    "SELECT * FROM agents ORDER BY agent_id",
    ("SELECT id, state, holder, namespace, title, owner, expires_at, text_hash, dialogue, created_at, part_count, "
     "grams FROM memory_view ORDER BY id"),
    "SELECT kind, key, field, stamp, value FROM conflicts ORDER BY kind, key, field, stamp",
    "SELECT memory_id, stamp, replaced_by, title, content FROM history ORDER BY memory_id, stamp",
    "SELECT namespace, stamp, standard_id, governance FROM namespace_history ORDER BY namespace, stamp",
    "SELECT event, kind, key, namespace, scope, author, was, other, agent_id, version, is_own FROM events ORDER BY no",
    ("SELECT v.id, f.rowid & 63 FROM memory_fts f JOIN memory_view v ON v.no = f.rowid >> 6 "
     "WHERE memory_fts MATCH 'word' ORDER BY 1, 2"),
)
ROWS = "SELECT count(*) FROM memory_view"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "x.db", threads=InlineThreads(), chance=seeded_chance(1)) as opened:
        yield opened


def everything(conn: Connection, own: str) -> list[object]:
    found: list[object] = []
    for sql in TABLES:
        rows = conn.execute(sql).fetchall()
        found.append([row for row in rows if own not in row])
    return found


async def take(store: Store, ops: list[Op]) -> None:
    received = (await store.write(inbound.take, ops, examine)).value
    assert (received.stop, received.held, received.taken) == (None, (), len(ops))


async def ops_of_a_life(path: Path, seed: int) -> list[Op]:
    clock = FakeClock(step_us=1_000)
    async with open_node(path, clock=clock, chance=seeded_chance(seed), threads=InlineThreads()) as node:
        await Life(node, clock, seed).live(150)
        return list((await node.store.read(outbound.lacking, {}, 100_000, 1 << 30)).ops)


@pytest.mark.parametrize("seed", range(3))
async def test_a_batch_leaves_in_every_table_what_its_ops_leave_one_by_one(tmp_path: Path, seed: int) -> None:
    ops = await ops_of_a_life(tmp_path / "origin.db", seed)
    told = []
    for size in (1, 7, len(ops)):
        path, chance = tmp_path / f"{size}.db", seeded_chance(9)
        async with open_store(path, chance=chance, threads=InlineThreads()) as store:
            for begin in range(0, len(ops), size):
                await take(store, ops[begin : begin + size])
            told.append((await store.read(everything, store.stream), await store.read(digest)))
    assert told[1][0] == told[0][0]
    assert told[2][0] == told[0][0]


async def test_what_a_batch_buries_is_blank_in_the_log_whatever_of_it_came_after(store: Store) -> None:
    author = Author(5)
    author.memory("m1", content="a secret")
    author.delete("m1")
    author.write("update", [Entry(kind="memory", key="m1", fields={"content": "the secret again"})])
    await take(store, author.ops)
    page = await store.read(outbound.lacking, {}, 10, 1 << 20)
    assert not any(b"secret" in data for op in page.ops for data in op.entries)
    assert await store.read(lambda conn: conn.execute(ROWS).fetchone()) == (0,)


async def test_more_than_may_wait_is_written_in_between(store: Store) -> None:
    author = Author(5)
    keys = [f"m{i}" for i in range(2 * UNWRITTEN_MAX)]
    for begin in range(0, len(keys), 500):
        author.write("import", [memory_entry(key, key, "a text") for key in keys[begin : begin + 500]])
    await take(store, author.ops)
    assert await store.read(lambda conn: conn.execute(ROWS).fetchone()) == (len(keys),)


def fields(title: str) -> dict[str, FieldValue]:
    return dict(memory_entry("any", title, "a text").fields)


async def test_a_query_sees_what_was_gathered_before_it(store: Store) -> None:
    def job(transaction: Transaction) -> list[object]:
        seen: list[object] = []
        with transaction.gathering():
            for title in ("one", "two"):
                transaction.emit("store", [transaction.create(MEMORY, title, AgentId("a"), fields(title))])
                seen.append(transaction.load(MEMORY, title).fields["name"].value)
            seen += transaction.conn.execute(ROWS).fetchone() or ()
        return seen

    assert (await store.write(job)).value == [("ns", "one"), ("ns", "two"), 2]


async def test_what_was_gathered_and_taken_back_leaves_nothing(store: Store) -> None:
    def job(transaction: Transaction) -> bool:
        with transaction.gathering():
            transaction.emit("store", [transaction.create(MEMORY, "kept", AgentId("a"), fields("kept"))])
            part = transaction.begin_part()
            transaction.emit("store", [transaction.create(MEMORY, "gone", AgentId("a"), fields("gone"))])
            transaction.undo_part(part)
        return transaction.load(MEMORY, "gone").born is None

    before = store.log.vector[store.stream]
    assert (await store.write(job)).value is True
    assert await store.read(lambda conn: conn.execute(ROWS).fetchone()) == (1,)
    assert store.log.vector[store.stream] == before + 1


async def test_a_name_counts_as_free_until_it_is_given(store: Store) -> None:
    def job(transaction: Transaction) -> list[bool]:
        transaction.expect([], [("ns", "one"), ("ns", "two")])
        found = [transaction.is_free_name(("ns", "one")), transaction.is_free_name(("ns", "never asked"))]
        with transaction.gathering():
            transaction.emit("store", [transaction.create(MEMORY, "m", AgentId("a"), fields("one"))])
            found.append(transaction.is_free_name(("ns", "one")))
        transaction.expect([], [("ns", "one"), ("ns", "two")])
        return [*found, transaction.is_free_name(("ns", "one")), transaction.is_free_name(("ns", "two"))]

    assert (await store.write(job)).value == [True, False, False, False, True]
