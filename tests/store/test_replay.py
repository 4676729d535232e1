"""Promise P3 on one node's history: its ops, in any order and repeated, give an empty database the same state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import AimemError
from aimem.model import AgentId, FieldValue, LinkKey, MemoryId, Op, Principal, Relation
from aimem.ports import Connection
from aimem.service import Node, Policy
from aimem.store import (
    AGENT,
    ALIAS,
    LINK,
    Store,
    Transaction,
    alias_key_text,
    digest,
    link_key_text,
    oplog,
)
from aimem.store.kinds import Kind
from aimem.wire import (
    ArchiveRequest,
    CreateMemory,
    GcQuery,
    InboxQuery,
    LinkRequest,
    NotifyRequest,
    PurgeQuery,
    ReadRequest,
    RecallRequest,
    RestoreQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, principal, seeded_chance

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
ALL_LINKS = "SELECT source_id, target_id, relation FROM links ORDER BY 1, 2, 3"


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


def set_agent(transaction: Transaction, agent: str, agent_type: str) -> None:
    at: dict[str, FieldValue] = {"registered_at": transaction.now, "last_seen_at": transaction.now}
    put_object(transaction, AGENT, agent, {**at, "present": True, "agent_type": agent_type, "capabilities": ("x",)})


def end_some_link(transaction: Transaction, number: int) -> None:
    links = transaction.conn.execute(ALL_LINKS).fetchall()
    if links:
        source, target, relation = (str(part) for part in links[number % len(links)])
        key = link_key_text(LinkKey(MemoryId(source), MemoryId(target), Relation(relation)))
        ended = ("alice", "a reason", transaction.now)
        put_object(transaction, LINK, key, {"valid_until": transaction.now, "ended": ended, "past": "[]"})


class Life:
    """Random use of one node through its services."""

    def __init__(self, node: Node, clock: FakeClock, seed: int) -> None:
        self.node, self.clock, self.rng = node, clock, random.Random(seed)
        self.refused = 0

    async def live(self, steps: int) -> None:
        for _ in range(steps):
            act = self.rng.choice(
                [
                    self.store,
                    self.store,
                    self.store,
                    self.update,
                    self.delete,
                    self.link,
                    self.unlink,
                    self.archive,
                    self.restore,
                    self.promote,
                    self.recall,
                    self.collect,
                    self.purge,
                    self.rename,
                    self.name,
                    self.register,
                    self.end_link,
                    self.notify,
                    self.read_message,
                ]
            )
            try:
                await act()
            except AimemError:
                self.refused += 1
            self.clock.advance(self.rng.choice([0.0, 0.01, 60.0, 7200.0]))

    def who(self) -> Principal:
        return principal(self.rng.choice(["alice", "bob"]))

    async def some_id(self, state: str = "live") -> str:
        sql = "SELECT id FROM memory_view WHERE state = ? ORDER BY no"
        ids = [row[0] for row in await self.node.store.read(lambda conn: conn.execute(sql, (state,)).fetchall())]
        return str(self.rng.choice(ids)) if ids else "none"

    async def store(self) -> None:
        await service.remember(
            self.node,
            self.who(),
            CreateMemory(
                title=self.rng.choice(["one", "two", "three", None]),
                content=f"word number {self.rng.randrange(40)}",
                namespace=self.rng.choice(["a", "a/b"]),
                tier=self.rng.choice(["short", "mid", "long"]),
                scope=self.rng.choice([None, "private", "collective"]),
                tags=self.rng.choice([["x"], []]),
                priority=self.rng.randint(1, 10),
            ),
        )

    async def notify(self) -> None:
        title, target = self.rng.choice(["one", "two"]), self.rng.choice(["alice", "bob"])
        await service.notify(
            self.node, self.who(), NotifyRequest(target_agent_id=target, title=title, payload="word", tier="short")
        )

    async def read_message(self) -> None:
        who = self.who()
        found = (await service.inbox(self.node, who, InboxQuery())).messages
        if found:
            message_id = self.rng.choice(found).id
            if self.rng.random() < 0.3:
                await service.delete_message(self.node, who, message_id, None)
            else:
                await service.mark_read(self.node, who, ReadRequest(ids=[message_id]))

    async def update(self) -> None:
        await service.update(
            self.node,
            self.who(),
            await self.some_id(),
            UpdateMemory(
                content=self.rng.choice([None, f"word again {self.rng.randrange(40)}"]),
                expires_at=self.rng.choice([None, ""]),
                scope=self.rng.choice([None, "private", "team"]),
            ),
        )

    async def rename(self) -> None:
        await service.update(
            self.node, self.who(), await self.some_id(), UpdateMemory(title=self.rng.choice(["one", "two", "four"]))
        )

    async def delete(self) -> None:
        await service.delete(self.node, self.who(), await self.some_id())

    async def link(self) -> None:
        await service.link(
            self.node, self.who(), LinkRequest(source_id=await self.some_id(), target_id=await self.some_id())
        )

    async def unlink(self) -> None:
        await service.unlink(
            self.node, self.who(), LinkRequest(source_id=await self.some_id(), target_id=await self.some_id())
        )

    async def end_link(self) -> None:
        await self.node.store.write(end_some_link, self.rng.randrange(1000))

    async def name(self) -> None:
        alias, present = self.rng.choice(["uno", "due"]), self.rng.choice([True, True, False])
        await self.node.store.write(set_alias, await self.some_id(), alias, present)

    async def register(self) -> None:
        await self.node.store.write(set_agent, self.rng.choice(["alice", "bob"]), self.rng.choice(["human", "ai:x"]))

    async def archive(self) -> None:
        await service.archive(self.node, self.who(), ArchiveRequest(ids=[await self.some_id()]))

    async def restore(self) -> None:
        query = RestoreQuery(mode=self.rng.choice(["keep", "long"]))
        await service.restore(self.node, self.who(), await self.some_id("archived"), query)

    async def promote(self) -> None:
        await service.promote(self.node, self.who(), await self.some_id(), self.rng.choice([None, None, "a"]))

    async def recall(self) -> None:
        await service.recall(self.node, self.who(), RecallRequest(context="word number"))

    async def collect(self) -> None:
        await service.collect(self.node, self.who(), GcQuery())

    async def purge(self) -> None:
        await service.purge_archive(self.node, self.who(), PurgeQuery(older_than_days=1))


def everything(conn: Connection) -> list[object]:
    return [conn.execute(sql).fetchall() for sql in (VISIBLE, INDEXED, LINKS, ALIASES, AGENTS)]


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
        await life.live(100)
        with trio.fail_after(5):
            while node.touches[0].statistics().current_buffer_used:
                await trio.lowlevel.checkpoint()
        assert life.refused < 90
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
