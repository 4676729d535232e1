"""Random use of every service that writes, for tests that compare what became of it on two databases."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import msgspec

from aimem import service
from aimem.errors import AimemError
from aimem.model import Principal
from aimem.service import Node
from aimem.wire import (
    AgentRequest,
    ArchiveRequest,
    AutoConsolidateRequest,
    BulkRequest,
    ConsolidateRequest,
    CreateMemory,
    CurateRequest,
    EntityRequest,
    ExportDocument,
    ForgetRequest,
    GcQuery,
    ImportRequest,
    InboxQuery,
    InvalidateRequest,
    LinkRequest,
    NotifyRequest,
    PurgeQuery,
    ReadRequest,
    RecallRequest,
    ResolveRequest,
    RestoreQuery,
    RollbackRequest,
    UpdateMemory,
)
from tests.nodes import FakeClock, principal

RELATIONS = ("related_to", "contradicts", "supersedes", "derived_from")


class Life:
    """Two agents that do anything at all. Every id that they deleted is in `deleted`."""

    def __init__(self, node: Node, clock: FakeClock, seed: int) -> None:
        self.node, self.clock, self.rng = node, clock, random.Random(seed)
        self.refused: list[str] = []
        self.deleted: set[str] = set()
        self.forgets: list[str] = []
        self.documents: list[ExportDocument] = []
        self.acts: tuple[Callable[[], Awaitable[object]], ...] = (
            *[self.store] * 5, *[self.bulk] * 2, self.update, self.rename, *[self.delete] * 2, *[self.link] * 2,
            self.link_again, self.unlink, self.invalidate, self.archive, self.restore, self.promote, self.recall,
            self.collect, self.purge, self.entity, self.register, self.leave, self.notify, *[self.read] * 2,
            *[self.forget] * 2, *[self.undo] * 2, self.consolidate, self.auto_consolidate, self.resolve, self.curate,
            self.roll_back, self.export, *[self.import_all] * 2,
        )

    async def live(self, steps: int) -> None:
        """Do so many things, with time passing between them."""
        for _ in range(steps):
            act = self.rng.choice(self.acts)
            try:
                await act()
            except AimemError as error:
                self.refused.append(f"{getattr(act, '__name__', act)}: {error.code}")
            self.clock.advance(self.rng.choice([0.0, 0.01, 60.0, 7200.0, 86_400.0]))

    def who(self) -> Principal:
        return principal(self.rng.choice(["alice", "bob"]))

    async def some_id(self, state: str = "live") -> str:
        sql = "SELECT id FROM memory_view WHERE state = ? ORDER BY no"
        ids = [row[0] for row in await self.node.store.read(lambda conn: conn.execute(sql, (state,)).fetchall())]
        return str(self.rng.choice(ids)) if ids else "none"

    async def some_link(self) -> tuple[str, str, str]:
        sql = "SELECT source_id, target_id, relation FROM links ORDER BY 1, 2, 3"
        links = await self.node.store.read(lambda conn: conn.execute(sql).fetchall())
        source, target, relation = self.rng.choice(links) if links else ("none", "none", "related_to")
        return str(source), str(target), str(relation)

    def memory(self) -> CreateMemory:
        return CreateMemory(
            title=self.rng.choice(["one", "two", "three", None]),
            content=f"word number {self.rng.randrange(12)}",
            namespace=self.rng.choice(["a", "a/b"]),
            tier=self.rng.choice(["short", "mid", "long"]),
            scope=self.rng.choice([None, "private", "collective"]),
            tags=self.rng.choice([["x"], []]),
            priority=self.rng.randint(1, 10),
        )

    async def store(self) -> None:
        await service.remember(self.node, self.who(), self.memory())

    async def bulk(self) -> None:
        items = [msgspec.to_builtins(self.memory()) for _ in range(self.rng.randint(1, 5))]
        raw = msgspec.json.encode([{key: value for key, value in item.items() if value is not None} for item in items])
        await service.remember_many(self.node, self.who(), msgspec.json.decode(raw, type=BulkRequest))

    async def update(self) -> None:
        text = self.rng.choice([None, f"word again {self.rng.randrange(40)}"])
        change = UpdateMemory(
            content=text, expires_at=self.rng.choice([None, ""]), scope=self.rng.choice([None, "private", "team"])
        )
        await service.update(self.node, self.who(), await self.some_id(), change)

    async def rename(self) -> None:
        change = UpdateMemory(title=self.rng.choice(["one", "two", "four"]))
        await service.update(self.node, self.who(), await self.some_id(), change)

    async def delete(self) -> None:
        memory_id = await self.some_id()
        await service.delete(self.node, self.who(), memory_id)
        self.deleted.add(memory_id)

    async def link(self) -> None:
        request = LinkRequest(
            source_id=await self.some_id(), target_id=await self.some_id(), relation=self.rng.choice(RELATIONS)
        )
        await service.link(self.node, self.who(), request)

    async def link_again(self) -> None:
        source, target, relation = await self.some_link()
        request = LinkRequest(source_id=source, target_id=target, relation=relation)
        await service.link(self.node, self.who(), request)

    async def unlink(self) -> None:
        source, target, relation = await self.some_link()
        request = LinkRequest(source_id=source, target_id=target, relation=relation)
        await service.unlink(self.node, self.who(), request)

    async def invalidate(self) -> None:
        source, target, relation = await self.some_link()
        request = InvalidateRequest(source_id=source, target_id=target, relation=relation, reason="no more")
        await service.kg_invalidate(self.node, self.who(), request)

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

    async def entity(self) -> None:
        request = EntityRequest(
            canonical_name=self.rng.choice(["Uno", "Due"]), namespace="a", aliases=self.rng.sample(["1", "2", "3"], 2)
        )
        await service.register_entity(self.node, self.who(), request)

    async def register(self) -> None:
        agent, kind = self.rng.choice(["alice", "bob"]), self.rng.choice(["human", "ai:x"])
        request = AgentRequest(agent_id=agent, agent_type=kind)
        await service.register_agent(self.node, self.who(), request)

    async def leave(self) -> None:
        await service.remove_agent(self.node, self.who(), self.rng.choice(["alice", "bob"]))

    async def notify(self) -> None:
        title, target = self.rng.choice(["one", "two"]), self.rng.choice(["alice", "bob"])
        request = NotifyRequest(target_agent_id=target, title=title, payload="word", tier="short")
        await service.notify(self.node, self.who(), request)

    async def read(self) -> None:
        who = self.who()
        found = (await service.inbox(self.node, who, InboxQuery())).messages
        if found:
            message_id = self.rng.choice(found).id
            if self.rng.random() < 0.3:
                await service.delete_message(self.node, who, message_id, None)
                self.deleted.add(message_id)
            else:
                await service.mark_read(self.node, who, ReadRequest(ids=[message_id]))

    async def forget(self) -> None:
        pattern = self.rng.choice([None, f"{self.rng.randrange(12)}"])
        done = await service.forget(self.node, self.who(), ForgetRequest(namespace="a/b", pattern=pattern))
        if isinstance(done.forget_id, str):
            self.forgets.append(done.forget_id)

    async def undo(self) -> None:
        if self.forgets:
            await service.forget(self.node, self.who(), ForgetRequest(undo=self.rng.choice(self.forgets)))

    async def consolidate(self) -> None:
        ids = [await self.some_id(), await self.some_id()]
        title = self.rng.choice(["one", "a summary"])
        request = ConsolidateRequest(ids=ids, title=title, summary="word in short", namespace="a")
        await service.consolidate(self.node, self.who(), request)

    async def auto_consolidate(self) -> None:
        await service.auto_consolidate(self.node, self.who(), AutoConsolidateRequest(min_count=2))

    async def resolve(self) -> None:
        request = ResolveRequest(winner=await self.some_id(), loser=await self.some_id())
        await service.resolve(self.node, self.who(), request)

    async def curate(self) -> None:
        await service.curate(self.node, CurateRequest(max_ops=self.rng.choice([1, 100])))

    async def roll_back(self) -> None:
        await service.roll_back(self.node, self.who(), RollbackRequest(last=self.rng.randint(1, 5)))

    async def export(self) -> None:
        self.documents.append(await service.export(self.node, self.who()))

    async def import_all(self) -> None:
        if self.documents:
            document = msgspec.to_builtins(self.rng.choice(self.documents))
            request = msgspec.convert({**document, "trust_source": self.rng.random() < 0.5}, ImportRequest)
            await service.import_memories(self.node, self.who(), request)
