"""Makes the database of today's schema that later versions must be able to open.

Run, from the top of the clone: python -m tests.store.make_fixture

It uses one node through its services, with seeded chance and a clock of its own, so that every table has rows; the
digest beside it is what any later version must find in it. Made once for each schema, and then never again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
import trio
import trio.testing

from aimem import service
from aimem.model import AgentId, Credential, Principal, Role
from aimem.ports import Connection, Mode, system_files
from aimem.service import Node, Once
from aimem.store import SCHEMA_VERSION, digest, oplog
from aimem.webhooks import Reach, Sender
from aimem.wire import (
    AuditPruneQuery,
    CommentRequest,
    CreateMemory,
    DecisionRequest,
    KeyRequest,
    StandardRequest,
    SubscribeRequest,
    UpdateMemory,
)
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, principal, seeded_chance
from tests.pendings import ASKED, queue_pending
from tests.store.lives import Life
from tests.store.test_replay import fold_all

FIXTURES = Path(__file__).parent / "fixtures"
SEED = 5
# Not what FTS5 keeps for itself, nor the counts of common words: nobody counts below 20,000 rows.
TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'memory_fts%' "
    "AND name NOT LIKE 'memory_gram%' AND name NOT IN ('memory_terms', 'common_terms') ORDER BY name"
)


async def wait_until_embedded(node: Node) -> None:
    async with node.index_changed:
        while (await service.index_status(node)).embedding_backlog:
            await node.index_changed.wait()


async def add_what_a_life_lacks(node: Node, folder: Path, clock: FakeClock) -> None:
    """An answer under a key, a text that was replaced, and two edits that did not know of each other."""
    who, once = principal(), Once("a key", bytes(32))
    stored = await service.remember(node, who, CreateMemory(title="kept", content="word of both"), once)
    await service.update(node, who, stored.id, UpdateMemory(content="word of one"), None)
    ops = [op for _, op in await node.store.read(oplog.read_after, 0, 100_000)]
    async with open_node(
        folder / "other.db", clock=clock, chance=seeded_chance(SEED + 1), threads=InlineThreads()
    ) as other:
        await other.store.write(fold_all, ops)
        await service.update(other, who, stored.id, UpdateMemory(content="word of the other"), None)
        theirs = [op for _, op in await other.store.read(oplog.read_after, 0, 10)]
    await service.update(node, who, stored.id, UpdateMemory(content="word of this one"), None)
    await node.store.write(fold_all, theirs)


async def add_governance(node: Node) -> None:
    """A policy that was changed, what it asked for, a key, a webhook that nobody takes, and an audit that was cut."""
    owner = Principal(agent_id=AgentId("owner"), credential=Credential.SOCKET, role=Role.OPERATOR)
    await service.subscribe(
        node, principal("bob"), SubscribeRequest(url="https://example.org/in", events="*", secret="not one")
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run_events, node, trio.Event())
        await nursery.start(service.run_webhooks, node, Sender(httpx.MockTransport(_refuse), _resolve, Reach.PUBLIC))
        decided = await queue_pending(node)
        await queue_pending(node, "Still waits", key="another")
        await service.comment_pending(node, principal("bob"), decided, CommentRequest(text="Please."))
        await service.approve_pending(node, principal("carol"), decided, DecisionRequest())
        await service.set_standard(node, principal("bob"), StandardRequest(content="How it is done."), ASKED)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await service.add_key(node, owner, KeyRequest(agent_id="bot", home="acme/ops"))
    await service.prune_audit(node, owner, AuditPruneQuery(before_seq=20))


def _refuse(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503, request=request)


async def _resolve(host: str, port: int) -> tuple[str, ...]:
    del host, port
    return ("93.184.216.34",)


def rows_of_every_table(conn: Connection) -> dict[str, int]:
    names = [str(row[0]) for row in conn.execute(TABLES).fetchall()]
    return {name: int(str(conn.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])) for name in names}


async def make(folder: Path) -> tuple[bytes, str, dict[str, int]]:
    """Returns: the file, its digest, and how many rows each table has."""
    clock, db = FakeClock(), folder / "x.db"
    async with open_node(
        db, clock=clock, chance=seeded_chance(SEED), threads=InlineThreads(), embedder=WordEmbedder()
    ) as node:
        await Life(node, clock, SEED).live(50)
        await add_what_a_life_lacks(node, folder, clock)
        await add_governance(node)
        await wait_until_embedded(node)
        found, counts = await node.store.read(digest), await node.store.read(rows_of_every_table)
    conn = system_files().connect(db, Mode.READ_WRITE_CREATE)
    conn.executescript("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
    conn.close()
    return db.read_bytes(), found, counts


def main() -> None:
    # Trio's scheduler draws from the seed too: two runs of one version make the same file.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio._core._run._r.seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        content, found, counts = trio.run(make, Path(folder))
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise SystemExit(f"nothing in {', '.join(empty)}: another seed is needed")
    FIXTURES.mkdir(exist_ok=True)
    target = FIXTURES / f"schema_{SCHEMA_VERSION:04}.db"
    target.write_bytes(content)
    target.with_suffix(".digest").write_text(f"{found}\n")
    print(f"{target}: {len(content)} bytes, digest {found}, {counts}")


if __name__ == "__main__":
    main()
