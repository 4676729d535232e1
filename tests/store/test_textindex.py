"""The index of words follows the view, whatever happens to the rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from aimem import service
from aimem.errors import AimemError
from aimem.ports import Connection
from aimem.service import Node
from aimem.store import Store, Transaction, fulltext
from aimem.wire import CreateMemory, UpdateMemory
from tests.nodes import FakeClock, InlineThreads, open_node, open_store, seeded_chance
from tests.store.lives import Life
from tests.store.texts import bury, change, check_the_indexes, fields, hits, put

LONG = " ".join(f"sentence number{i} of a long text." for i in range(600))


class Talks(Life):
    """Random use whose memories are turns of a few conversations, some of them long."""

    def talk(self) -> dict[str, object]:
        return {"conversation_id": self.rng.choice(["one", "two"])} if self.rng.random() < 0.8 else {}

    async def store(self) -> None:
        short = f"word number {self.rng.randrange(40)} of build_{self.rng.randrange(9)}"
        await service.remember(
            self.node,
            self.who(),
            CreateMemory(
                title=self.rng.choice(["one", "two", "three", None, None, None]),
                content=LONG if self.rng.random() < 0.1 else short,
                namespace=self.rng.choice(["a", "a/b"]),
                scope=self.rng.choice([None, None, "private"]),
                metadata=self.talk(),
            ),
        )

    async def update(self) -> None:
        await service.update(
            self.node,
            self.who(),
            await self.some_id(),
            UpdateMemory(
                content=self.rng.choice([None, "word again", LONG]),
                metadata=self.rng.choice([None, self.talk()]),
                scope=self.rng.choice([None, "private", "team"]),
            ),
        )

    async def step(self) -> None:
        try:
            await self.rng.choice(
                [self.store, self.store, self.store, self.update, self.rename, self.delete, self.archive, self.restore,
                 self.promote, self.collect]
            )()
        except AimemError as error:
            self.refused.append(error.code)


@pytest.mark.parametrize("seed", range(6))
async def test_after_any_life_the_index_holds_what_the_rows_say(tmp_path: Path, seed: int) -> None:
    clock = FakeClock()
    async with open_node(tmp_path / "x.db", clock=clock, chance=seeded_chance(seed), threads=InlineThreads()) as node:
        life = Talks(node, clock, seed)
        for _ in range(15):
            async with trio.open_nursery() as callers:      # several jobs a group: they share one debt
                for _ in range(life.rng.randint(1, 8)):
                    callers.start_soon(life.step)
            clock.advance(life.rng.choice([0.0, 60.0, 7200.0]))
        await node.store.read(check_the_indexes)
        assert len(life.refused) < 60


async def test_a_failed_job_leaves_no_debt(tmp_path: Path) -> None:
    def half(transaction: Transaction) -> None:
        put(transaction, {"b": fields("never", talk="t", at=1)})
        raise LookupError

    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {"a": fields("first", talk="t")})
        with pytest.raises(LookupError):
            await store.write(half)
        await store.read(check_the_indexes)
        assert not await hits(store, "never")


async def test_changes_do_not_make_words_look_rarer(tmp_path: Path) -> None:
    """FTS5 counts a contentless row that was replaced as one more; scores must not depend on a history."""
    async with open_store(tmp_path / "old.db", threads=InlineThreads()) as old, open_store(
        tmp_path / "new.db", threads=InlineThreads()
    ) as new:
        for i in range(8):
            await old.write(put, {f"m{i}": fields(f"draft {i}", at=i, talk="t")})
        for _ in range(5):
            for i in range(8):
                await old.write(change, f"m{i}", content=f"apple {i} pear" if i % 2 else "plum")
        await old.write(put, {"gone": fields("apple")})
        await old.write(bury, "gone")
        texts = [f"apple {i} pear" if i % 2 else "plum" for i in range(8)]
        await new.write(put, {f"m{i}": fields(text, at=i, talk="t") for i, text in enumerate(texts)})
        assert await hits(old, "apple plum") == await hits(new, "apple plum") != {}


async def test_a_rebuild_finds_all_again_and_may_be_stopped(tmp_path: Path) -> None:
    def count(conn: Connection) -> int:
        return fulltext.count_unindexed(conn, 100)

    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {f"m{i}": fields(f"turn {i} of build_{i}", at=i, talk="t") for i in range(50)})
        await store.write(put, {"long": fields(LONG)})
        before = await hits(store, "turn of build_7")
        await store.write(fulltext.clear)
        assert not await hits(store, "turn")
        assert await store.read(count) == 51
        assert (await store.write(fulltext.rebuild, 20)).value == 20
        await store.write(bury, "m0")
        await store.write(change, "m49", content="turn 49 anew")
        while (await store.write(fulltext.rebuild, 20)).value:
            pass
        assert await store.read(count) == 0
        await store.read(check_the_indexes)
        after = await hits(store, "turn of build_7")
        assert next(iter(after)) == next(iter(before)) == "m7"
        assert after.keys() == before.keys() - {"m0"}


async def settled(node: Node, store: Store) -> None:
    await service.settle_words(node)
    await store.read(check_the_indexes)


async def test_the_task_finishes_a_rebuild_that_was_stopped(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", threads=InlineThreads()) as store:
        await store.write(put, {f"m{i}": fields(f"turn {i}") for i in range(300)})
        await store.write(fulltext.clear)
    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:
        await settled(node, node.store)
        assert len(await hits(node.store, "turn", limit=500)) == 300
