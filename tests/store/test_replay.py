"""Promise P3 on one node's history: its ops, in any order and repeated, give an empty database the same state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.model import AgentId, FieldValue, MemoryId, Op
from aimem.ports import Connection
from aimem.service import Policy
from aimem.store import (
    ALIAS,
    Store,
    Transaction,
    alias_key_text,
    digest,
    oplog,
)
from aimem.store.fields import Kind
from aimem.wire import (
    CreateMemory,
)
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, principal, seeded_chance
from tests.store.lives import Life

VISIBLE = (
    "SELECT v.id, v.state, v.holder, v.namespace, v.title, v.owner, v.expires_at, m.content, m.tags, m.tier, "
    "m.priority, "
    "m.author, m.scope, m.metadata, m.created_at, m.updated_at "
    "FROM memory_view v JOIN memories m ON m.id = v.id ORDER BY v.id"
)
INDEXED = (
    "SELECT v.id FROM memory_fts f JOIN memory_view v ON v.no = f.rowid >> 6 "
    "WHERE memory_fts MATCH 'word' ORDER BY v.id"
)
LINKS = (
    "SELECT source_id, target_id, relation, present, valid_from, valid_until, ended, past FROM links ORDER BY 1, 2, 3"
)
ALIASES = "SELECT entity_id, alias, present, created_at FROM aliases ORDER BY entity_id, alias_hash"
AGENTS = "SELECT agent_id, agent_type, capabilities, last_seen_at FROM agents ORDER BY agent_id"

STEPS = 200


def put_object(transaction: Transaction, kind: Kind, key: str, fields: dict[str, FieldValue]) -> None:
    known = transaction.load(kind, key)
    if known.born is None:
        entry = transaction.create(kind, key, AgentId("alice"), fields)
    else:
        entry = transaction.change(kind, key, fields)
    transaction.emit(kind.name, [entry])


def set_alias(transaction: Transaction, memory_id: str, alias: str, present: bool) -> None:
    key = alias_key_text(MemoryId(memory_id), alias)
    at: dict[str, FieldValue] = {"alias": alias, "present": present, "created_at": transaction.now, "ordinal": 0}
    put_object(transaction, ALIAS, key, at)


def everything(conn: Connection) -> list[object]:
    return [conn.execute(sql).fetchall() for sql in (VISIBLE, INDEXED, LINKS, ALIASES, AGENTS)]


def returned(conn: Connection, deleted: set[str]) -> set[str]:
    """What shows although it is dead."""
    dead = {str(key) for (key,) in conn.execute("SELECT key FROM tombstones WHERE kind = 'memory'")}
    assert deleted <= dead
    return dead & {str(key) for (key,) in conn.execute("SELECT id FROM memories UNION SELECT id FROM memory_view")}


def fold_all(transaction: Transaction, ops: list[Op]) -> None:
    for op in ops:
        transaction.fold(op)


async def openings(*stores: Store) -> list[Op]:
    """The op with which each database presents its own stream: what one knows and the others do not."""
    return [(await store.read(oplog.read_after, 0, 1))[0][1] for store in stores]


@pytest.mark.parametrize("seed", range(8))
async def test_ops_replayed_in_any_order_with_repetitions_give_the_same_digest(tmp_path: Path, seed: int) -> None:
    rng, clock, inline = random.Random(seed), FakeClock(), InlineThreads()
    policy = Policy(archive_on_gc=seed % 3 != 0)
    async with (
        open_node(
            tmp_path / "origin.db", clock=clock, chance=seeded_chance(seed), threads=inline, policy=policy
        ) as node,
        open_store(tmp_path / "empty.db", threads=inline) as copy,
    ):
        life = Life(node, clock, seed)
        for _ in range(STEPS // 10):
            await life.live(10)
            assert not await node.store.read(returned, life.deleted)
        with trio.fail_after(5):
            while node.touches[0].statistics().current_buffer_used:
                await trio.lowlevel.checkpoint()
        assert len(life.refused) < STEPS // 2, sorted(life.refused)
        ops = [op for _, op in await node.store.read(oplog.read_after, 0, 100_000)]
        assert len(ops) > 30
        for op in await openings(copy):
            await node.store.write(fold_all, [op])
        shuffled = ops + rng.choices(ops, k=len(ops) // 3)
        rng.shuffle(shuffled)
        await copy.write(fold_all, shuffled)
        assert await copy.read(digest) == await node.store.read(digest)
        assert await copy.read(everything) == await node.store.read(everything)


async def test_the_digest_sees_one_changed_byte(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db") as node:
        await service.remember(node, principal(), CreateMemory(title="t", content="word"))
        before = await node.store.read(digest)
        await node.store.write(lambda tx: tx.conn.execute("UPDATE memories SET content = 'work'").rowcount)
        assert await node.store.read(digest) != before


async def test_the_aliases_of_a_dead_entity_are_absent_whatever_came_first(tmp_path: Path) -> None:
    """Its texts leave the log with it, and somebody else's blank that came before its death leaves no tombstone."""
    inline = InlineThreads()
    async with (
        open_node(tmp_path / "a.db", threads=inline) as node,
        open_store(tmp_path / "b.db", threads=inline) as copy,
        open_store(tmp_path / "c.db", threads=inline) as other,
    ):
        stored = await service.remember(node, principal(), CreateMemory(title="t", content="word"))
        await node.store.write(set_alias, stored.id, "a secret name", True)
        full = [op for _, op in await node.store.read(oplog.read_after, 0, 100)]
        await service.delete(node, principal(), stored.id)
        blanked = [op for _, op in await node.store.read(oplog.read_after, 0, 100)]
        assert not any(b"secret" in entry for op in blanked for entry in op.entries)
        for op in await openings(copy, other):
            await node.store.write(fold_all, [op])
        await copy.write(fold_all, [*await openings(other), *blanked])
        await other.write(fold_all, [*await openings(copy), *reversed(blanked), *full])
        assert await copy.read(digest) == await node.store.read(digest) == await other.read(digest)
        assert await copy.read(everything) == await node.store.read(everything)
