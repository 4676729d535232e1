"""What one agent may ask for and keep, and what nobody may while the writer has too much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from aimem import service
from aimem.config import LimitsConfig
from aimem.errors import Code, QuotaExceeded, Unavailable
from aimem.model import SYSTEM, AgentId, Credential, Principal, Role
from aimem.ports import Connection
from aimem.service import Node, write_refusals
from aimem.service.limits import Limit
from aimem.store import Transaction
from aimem.wire import ArchiveRequest, BulkMemories, CreateMemory, NotifyRequest, RestoreQuery, UpdateMemory
from tests.nodes import InlineThreads, open_node, principal, seeded_chance

ADA, BOB = principal("ada"), principal("bob")
OPERATOR = Principal(agent_id=AgentId("olga"), credential=Credential.SOCKET, role=Role.OPERATOR)
NOBODY = Principal(agent_id=AgentId("anonymous:req-00000001"), credential=Credential.OPEN, is_anonymous=True)


@asynccontextmanager
async def limited(tmp_path: Path, **limits: object) -> AsyncIterator[Node]:
    async with open_node(
        tmp_path / "node.db", chance=seeded_chance(1), threads=InlineThreads(),
        limits=msgspec.convert(limits, LimitsConfig),
    ) as node:
        yield node


def audited(conn: Connection) -> list[tuple[object, ...]]:
    found = conn.execute("SELECT agent_id, action, rule, count FROM audit WHERE decision = 'denied' ORDER BY seq")
    return [tuple(row) for row in found]


def memory(title: str, content: str = "x", **fields: object) -> CreateMemory:
    return msgspec.convert({"title": title, "content": content, **fields}, CreateMemory)


def many(count: int) -> BulkMemories:
    return BulkMemories(memories=[msgspec.Raw(msgspec.json.encode(memory(f"m{n}"))) for n in range(count)])


async def refused(act: Callable[[], object], code: Code, rule: str) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        await act()  # type: ignore[misc]
    assert (caught.value.code, caught.value.details["rule"]) == (code, rule)
    return caught.value


async def test_requests_beyond_the_rate_are_told_how_long_to_wait_and_audited_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with limited(tmp_path, requests_per_s=0.5, requests_burst=2) as node:
        for _ in range(2):
            service.admit_request(node, ADA, "recall")
        for _ in range(3):
            with pytest.raises(QuotaExceeded) as caught:
                service.admit_request(node, ADA, "recall")
        service.admit_request(node, BOB, "recall")
        assert caught.value.code is Code.RATE_LIMITED
        assert caught.value.details["retry_after_s"] == 2
        await trio.sleep(2)
        service.admit_request(node, ADA, "recall")
        await write_refusals(node)
        rule = "limits.requests_per_sec"
        assert await node.store.read(audited) == [("ada", "recall", rule, 1), ("ada", "recall", rule, 2)]
        assert node.limiter.refused[Limit.REQUESTS] == 3


async def test_callers_without_an_id_share_one_rate(tmp_path: Path) -> None:
    async with limited(tmp_path, requests_per_s=0.001, requests_burst=1) as node:
        service.admit_request(node, NOBODY, "list")
        another = msgspec.structs.replace(NOBODY, agent_id=AgentId("anonymous:req-00000002"))
        with pytest.raises(QuotaExceeded, match="without an id"):
            service.admit_request(node, another, "list")


async def test_operators_are_limited_unless_they_are_spared_and_the_node_never_is(tmp_path: Path) -> None:
    async with limited(tmp_path, requests_per_s=0.001, requests_burst=1) as node:
        service.admit_request(node, OPERATOR, "list")
        with pytest.raises(QuotaExceeded):
            service.admit_request(node, OPERATOR, "list")
        for _ in range(3):
            service.admit_request(node, SYSTEM, "list")
    async with limited(tmp_path, requests_per_s=0.001, requests_burst=1, spares_operators=True) as node:
        for _ in range(3):
            service.admit_request(node, OPERATOR, "list")


async def test_what_one_request_writes_many_times_is_owed_afterwards(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with limited(tmp_path, writes_per_min=60, writes_burst=1) as node:
        service.admit_write(node, ADA, "remember_many", 30)
        await service.remember_many(node, ADA, many(20))
        with pytest.raises(QuotaExceeded) as caught:
            service.admit_write(node, ADA, "remember", 30)
        assert caught.value.details["retry_after_s"] == 20
        await trio.sleep(20)
        service.admit_write(node, ADA, "remember", 30)


async def test_a_memory_too_many_is_refused_until_one_goes(tmp_path: Path) -> None:
    async with limited(tmp_path, memories=2) as node:
        first = await service.remember(node, ADA, memory("one"))
        await service.remember(node, ADA, memory("two"))
        error = await refused(lambda: service.remember(node, ADA, memory("three")), Code.QUOTA_EXCEEDED,
                              "limits.memories")
        assert (error.details["limit"], error.details["held"]) == (2, 2)
        assert "retry_after_s" not in error.details
        await service.remember(node, BOB, memory("three"))
        await service.remember(node, ADA, memory("two", "another text"))     # no new one
        await service.archive(node, ADA, ArchiveRequest(ids=(first.id,)))
        await service.remember(node, ADA, memory("four"))
        await refused(lambda: service.restore(node, ADA, first.id, RestoreQuery()), Code.QUOTA_EXCEEDED,
                      "limits.memories")
        await write_refusals(node)
        assert await node.store.read(audited) == [
            ("ada", "store", "limits.memories", 1), ("ada", "restore", "limits.memories", 1)]


async def test_bytes_of_content_are_those_of_its_utf8_and_less_always_passes(tmp_path: Path) -> None:
    async with limited(tmp_path, content_bytes=10) as node:
        stored = await service.remember(node, ADA, memory("one", "ääää"))
        change = UpdateMemory(content="0123456789a")
        await refused(lambda: service.update(node, ADA, stored.id, change), Code.QUOTA_EXCEEDED, "limits.content_bytes")
        await service.update(node, ADA, stored.id, UpdateMemory(content="0123456789"))
        await refused(lambda: service.remember(node, ADA, memory("two")), Code.QUOTA_EXCEEDED, "limits.content_bytes")
        await service.update(node, ADA, stored.id, UpdateMemory(content="012345678"))
        with pytest.raises(QuotaExceeded, match="has 9, and this adds 2: delete or archive some first"):
            await service.remember(node, ADA, memory("two", "xx"))
        with pytest.raises(QuotaExceeded, match="has 9, and this adds 11: give a shorter text"):
            await service.remember(node, ADA, memory("two", "0123456789a"))
        await service.remember(node, ADA, memory("two"))


async def test_an_author_that_is_only_named_in_the_body_has_no_more_than_others(tmp_path: Path) -> None:
    async with limited(tmp_path, memories=1) as node:
        for title, who in (("one", NOBODY), ("two", BOB)):
            act = service.remember(node, who, memory(title, agent_id="ada"))
            if title == "one":
                await act
            else:
                with pytest.raises(QuotaExceeded, match="ada may have 1 live memories"):
                    await act


async def test_a_proven_agent_and_an_operator_answer_for_their_own_memories_alone(tmp_path: Path) -> None:
    async with limited(tmp_path, content_bytes=10) as node:
        stored = await service.remember(node, ADA, memory("one", "0123456789"))
        await service.update(node, OPERATOR, stored.id, UpdateMemory(content="0123456789 and more"))
        await refused(lambda: service.remember(node, OPERATOR, memory("two", "0123456789a")), Code.QUOTA_EXCEEDED,
                      "limits.content_bytes")


async def test_expired_memories_and_messages_do_not_count(tmp_path: Path) -> None:
    async with limited(tmp_path, memories=1) as node:
        await service.remember(node, ADA, memory("one", ttl_secs=60))
        letter = NotifyRequest(target_agent_id="bob", title="Plan", payload="It is ready.")
        await service.notify(node, ADA, letter)
        node.clock.advance(61)  # type: ignore[attr-defined]
        await service.remember(node, ADA, memory("two"))


async def test_of_a_bulk_as_many_are_stored_as_the_caller_may_have(tmp_path: Path) -> None:
    async with limited(tmp_path, memories=3) as node:
        answer = await service.remember_many(node, ADA, many(5))
        assert answer.created == 3
        assert len(answer.errors) == 2
        await write_refusals(node)
        assert await node.store.read(audited) == [("ada", "store", "limits.memories", 2)]


async def test_writes_are_refused_while_the_writer_would_keep_them_waiting(tmp_path: Path) -> None:
    async with limited(tmp_path) as node:
        pace = node.store._writer.pace
        pace.job_s, pace.group_s = 10.0, 2.0
        release = trio.Event()

        def job(_: Transaction) -> None: ...

        async def held(fn: Callable[[], object], *, limiter: object) -> object:
            await release.wait()
            return fn()

        node.store._writer._threads.run = held  # type: ignore[assignment]
        async with trio.open_nursery() as callers:
            service.admit_write(node, ADA, "remember", 30)
            for _ in range(3):
                callers.start_soon(node.store.write, job)
            await trio.testing.wait_all_tasks_blocked()
            try:
                with pytest.raises(Unavailable) as caught:
                    service.admit_write(node, ADA, "remember", 30)
                service.admit_write(node, ADA, "remember", 90)
            finally:
                release.set()
        assert caught.value.code is Code.WRITER_BUSY
        assert caught.value.details == {"outcome": "not_applied", "retry_after_s": 17}
        assert node.limiter.refused[Limit.WRITER] == 1
        service.admit_write(node, ADA, "remember", 30)
