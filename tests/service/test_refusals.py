"""Refusals in the audit: at once the first time, by their number after that."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.errors import Unavailable
from aimem.model import Instant
from aimem.ports import Connection
from aimem.service import Claim, note_refusal, write_refusals
from aimem.service.folding import OTHERS, Folding
from aimem.service.refusals import UNWRITTEN_COUNT, Refusals
from aimem.store import AuditRow
from aimem.store.audit import ALLOWED, DENIED
from tests.nodes import START, FakeClock, InlineThreads, open_node, principal

SECOND_US = 1_000_000


def refused(agent: str = "eve", at_s: float = 0, *, rule: str = "denied", decision: str = DENIED) -> AuditRow:
    return AuditRow(
        at=Instant(START + int(at_s * SECOND_US)), agent_id=agent, credential="open", action="store",
        decision=decision, rule=rule,
    )


def admit(folding: Folding, *rows: AuditRow) -> list[AuditRow]:
    return [told for row in rows for told in folding.admit(row)]


def rows_of(conn: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in conn.execute("SELECT agent_id, rule, count FROM audit ORDER BY seq")]


def test_the_first_refusal_is_told_and_those_after_it_are_counted() -> None:
    folding = Folding()

    told = admit(folding, *(refused(at_s=at) for at in (0, 1, 2, 59)))

    assert told == [refused()]
    assert folding.take_over(Instant(START + 59 * SECOND_US)) == []
    (counted,) = folding.take_over(Instant(START + 60 * SECOND_US))
    assert (counted.at, counted.count) == (START + SECOND_US, 3)


def test_a_refusal_after_its_minute_tells_first_what_was_counted() -> None:
    folding = Folding()
    admit(folding, refused(), refused(at_s=1))

    told = folding.admit(refused(at_s=61))

    assert [(row.count, row.at) for row in told] == [(1, START + SECOND_US), (1, START + 61 * SECOND_US)]


def test_other_callers_and_other_rules_are_told_apart() -> None:
    folding = Folding()

    told = admit(folding, refused(), refused("mallory"), refused(rule="quota"))

    assert len(told) == 3


async def test_what_was_allowed_is_never_folded() -> None:
    rows = [refused(decision=ALLOWED)] * 3

    assert Refusals().leave([*rows, refused()]) == rows


def test_anonymous_callers_are_one_caller() -> None:
    folding = Folding()

    told = admit(folding, *(refused(f"anonymous:req-{n:08x}") for n in range(5)))

    assert len(told) == 1


def test_beyond_its_bound_the_table_counts_others_without_their_names() -> None:
    folding = Folding(callers_count=2)

    told = admit(folding, *(refused(f"agent-{n}") for n in range(10)))

    assert [row.agent_id for row in told] == ["agent-0", "agent-1"]
    (others,) = folding.take_all()
    assert (others.agent_id, others.rule, others.count) == (OTHERS, None, 8)


def test_a_clock_that_was_set_back_ends_the_minute() -> None:
    folding = Folding()
    admit(folding, refused(at_s=1000), refused(at_s=1001))

    assert [row.count for row in folding.take_over(START)] == [1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 300)), max_size=60))
def test_no_refusal_is_lost_or_told_twice(happened: list[tuple[str, float]]) -> None:
    folding = Folding(callers_count=2)
    told: list[AuditRow] = []
    for agent, at_s in sorted(happened, key=lambda one: one[1]):
        told += folding.admit(refused(agent, at_s))
        told += folding.take_over(Instant(START + int(at_s * SECOND_US)))
    told += folding.take_all()

    assert sum(row.count for row in told) == len(happened) == folding.noted_count


async def test_a_refusal_is_in_the_audit_without_its_caller_waiting(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db") as node:
        note_refusal(node, principal("eve"), action="store", rule="identity_mismatch")
        await trio.testing.wait_all_tasks_blocked(0.02)

        assert await node.store.read(rows_of) == [("eve", "identity_mismatch", 1)]


async def test_repeated_refusals_are_one_row_when_their_minute_is_over(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    clock = FakeClock()
    async with open_node(tmp_path / "a.db", clock=clock, threads=InlineThreads()) as node:
        for _ in range(200):
            note_refusal(node, Claim(), action="request", rule="unauthenticated")
        await trio.sleep(1)
        clock.advance(61)
        await trio.sleep(61)

        assert await node.store.read(rows_of) == [
            ("unknown", "unauthenticated", 1), ("unknown", "unauthenticated", 199),
        ]


async def test_who_reads_the_audit_finds_what_was_counted_so_far(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db") as node:
        for _ in range(3):
            note_refusal(node, principal("eve"), action="store", rule="denied")
        await write_refusals(node)

        assert sum(int(str(row[2])) for row in await node.store.read(rows_of)) == 3


async def test_rows_that_the_store_does_not_take_wait_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_node(tmp_path / "a.db") as node:
        async def full(*_: object) -> None:
            raise Unavailable("no room")

        monkeypatch.setattr(node.store, "write", full)
        node.refusals.keep([refused(f"agent-{n}") for n in range(UNWRITTEN_COUNT + 5)])
        with pytest.raises(Unavailable):
            await write_refusals(node)

        assert (node.refusals.unwritten_count, node.refusals.dropped_count) == (UNWRITTEN_COUNT, 5)
        monkeypatch.undo()
        await write_refusals(node)
        found = await node.store.read(rows_of)
        assert len(found) == UNWRITTEN_COUNT
        assert found[0][0] == "agent-5"


def test_a_folded_row_is_an_audit_row_of_the_same_shape() -> None:
    folding = Folding()
    admit(folding, refused(), msgspec.structs.replace(refused(at_s=1), target="x"))

    (row,) = folding.take_all()
    assert (row.agent_id, row.target, row.count) == ("eve", "x", 1)
