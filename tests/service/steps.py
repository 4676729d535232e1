"""Short words for what the tests of services do over and over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio.testing

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Namespace, Op, Principal
from aimem.service import Node, Once
from aimem.store import Store, Transaction, oplog
from aimem.wire import CreateMemory, Linked, LinkRequest, ListQuery, MemoryWithLinks, Stored
from tests.nodes import FakeClock, InlineThreads, open_node, principal, seeded_chance

ALICE, BOB = principal("alice"), principal("bob")


def as_agent(path: str | None) -> Principal:
    """Alice, reading as the agent that lives at a path."""
    return msgspec.structs.replace(ALICE, as_agent=None if path is None else Namespace(path))


async def put(
    node: Node,
    title: str | None,
    content: str = "some text",
    *,
    by: Principal = ALICE,
    once: Once | None = None,
    **fields: object,
) -> Stored:
    """Store a memory."""
    request = msgspec.convert({"title": title, "content": content, **fields}, CreateMemory)
    return await service.remember(node, by, request, once)


async def shown(node: Node, memory_id: str, *, by: Principal = ALICE) -> MemoryWithLinks:
    """Read one memory."""
    return await service.get(node, by, memory_id)


async def ids_listed(node: Node, *, by: Principal = ALICE) -> set[str]:
    """Ids of all that the list shows."""
    page = await service.list_memories(node, by, ListQuery(limit=1000))
    return {memory.id for memory in page.memories}


async def connect(node: Node, source: str, target: str, relation: str = "related_to", **validity: str) -> Linked:
    """Link two memories."""
    request = msgspec.convert({"source_id": source, "target_id": target, "relation": relation, **validity}, LinkRequest)
    return await service.link(node, ALICE, request)


async def refused(code: Code, attempt: Awaitable[object]) -> AimemError:
    """Await what must be refused with this code."""
    with pytest.raises(AimemError) as caught:
        await attempt
    assert caught.value.code is code, caught.value
    return caught.value


async def ops_of(store: Store) -> list[Op]:
    """Every op of the log."""
    return [op for _, op in await store.read(oplog.read_after, 0, 100_000)]


async def history_of(node: Node, memory_id: str) -> list[tuple[str, str]]:
    """(title, content) of the replaced texts, the oldest first."""
    sql = "SELECT title, content FROM history WHERE memory_id = ? ORDER BY stamp"
    rows = await node.store.read(lambda conn: conn.execute(sql, (memory_id,)).fetchall())
    return [(str(title), str(content)) for title, content in rows]


async def all_quiet() -> None:
    """Wait until touches, vectors and commits are done (with everything on one thread)."""
    await trio.testing.wait_all_tasks_blocked(0.001)


async def tell(node: Node, other: Node) -> None:
    """Join all that another node knows."""

    def fold(transaction: Transaction, ops: list[Op]) -> None:
        for op in ops:
            transaction.fold(op)

    await node.store.write(fold, await ops_of(other.store))


@asynccontextmanager
async def another_node(folder: Path, clock: FakeClock, seed: int = 7) -> AsyncIterator[Node]:
    """A second node with a database of its own."""
    db = folder / f"other-{seed}.db"
    async with open_node(db, clock=clock, chance=seeded_chance(seed), threads=InlineThreads()) as opened:
        yield opened
