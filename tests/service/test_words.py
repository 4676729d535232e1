"""The task behind the full-text indexes."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.ports import Connection
from aimem.service import Node
from aimem.store import Store, fulltext, vocabulary
from aimem.wire import CreateMemory, RecallRequest
from tests.nodes import InlineThreads, open_node, open_store, principal
from tests.store.texts import fields, hits, put


async def until_nothing_is_due(node: Node) -> None:
    with trio.fail_after(5):
        while await node.store.read(fulltext.count_gramless, 1):
            await trio.testing.wait_all_tasks_blocked()


async def test_odd_words_are_indexed_behind_a_commit(node: Node) -> None:
    await service.remember(node, principal(), CreateMemory(content="昨日の会議"), None)
    found = await service.recall(node, principal(), RecallRequest(context="会議"))
    assert found.count == 1
    await until_nothing_is_due(node)
    found = await service.recall(node, principal(), RecallRequest(context="会議"))
    assert found.count == 1


async def test_what_another_process_left_due_is_indexed_at_the_start(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {f"m{i}": fields(f"build_{i}", at=i) for i in range(450)})
    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:
        await until_nothing_is_due(node)


def counted(conn: Connection) -> dict[str, int]:
    return {str(term): int(str(count)) for term, count in conn.execute("SELECT * FROM common_terms").fetchall()}


async def test_common_words_are_counted_as_the_index_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "COUNTED_FROM_ROWS", 10)
    monkeypatch.setattr(vocabulary, "COMMON_MIN_COUNT", 5)
    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:

        async def grow(store: Store, begin: int, end: int) -> dict[str, int]:
            texts = {f"m{i}": "apple pears" if i % 4 else "plum" for i in range(begin, end)}
            await store.write(put, {key: fields(text, at=i) for i, (key, text) in enumerate(texts.items(), begin)})
            await service.settle_words(node)
            return await store.read(counted)

        assert await grow(node.store, 0, 8) == {}
        assert await grow(node.store, 8, 20) == {"appl": 15, "pear": 15, "plum": 5}
        assert await grow(node.store, 20, 22) == {"appl": 15, "pear": 15, "plum": 5}
        assert await grow(node.store, 22, 40) == {"appl": 30, "pear": 30, "plum": 10}
        assert len(await hits(node.store, "plum")) == 10
        await node.store.write(fulltext.clear)
        assert await node.store.read(counted) == {}
        await service.settle_words(node)
        assert await node.store.read(counted) == {"appl": 30, "pear": 30, "plum": 10}
