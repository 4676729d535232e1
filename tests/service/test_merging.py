"""What several memories come to as one, as a table."""

from __future__ import annotations

import pytest

from aimem.model import AgentId, Instant, Memory, MemoryId, Namespace, Scope, Tier, rules
from aimem.service.merging import merge_memories

P, T, U, ORG, C = Scope.PRIVATE, Scope.TEAM, Scope.UNIT, Scope.ORG, Scope.COLLECTIVE


def memory(memory_id: str = "m", **fields: object) -> Memory:
    known = {
        "namespace": Namespace("n"), "title": memory_id, "content": "c", "tier": Tier.MID, "source": "api",
        "author": AgentId("alice"), "created_at": Instant(0), "updated_at": Instant(0),
    }
    return Memory(id=MemoryId(memory_id), **{**known, **fields})


@pytest.mark.parametrize(("scopes", "strictest"), [
    ((C, ORG, U, T, P), P), ((None, P), P), ((C, None), None), ((None, T), None), ((ORG, T, U), T),
    ((C, ORG), ORG), ((C, C), C),
])
def test_the_strictest_scope_wins(scopes: tuple[Scope | None, ...], strictest: Scope | None) -> None:
    assert merge_memories([memory(scope=scope) for scope in scopes]).scope == strictest
    assert merge_memories([memory(scope=scope) for scope in reversed(scopes)]).scope == strictest


@pytest.mark.parametrize(("priorities", "priority"), [((1, 2), 5), ((4, 9), 9), ((10, 1), 10)])
def test_the_highest_priority_wins_and_five_is_the_least(priorities: tuple[int, ...], priority: int) -> None:
    assert merge_memories([memory(priority=one) for one in priorities]).priority == priority


def test_tags_are_joined_sorted_and_bounded() -> None:
    merged = merge_memories([memory(tags=("b", "a")), memory(tags=("c", "a"))])
    assert merged.tags == ("a", "b", "c")
    many = [memory(tags=tuple(f"{part}{n:02}" for n in range(50))) for part in "xy"]
    assert merge_memories(many).tags == tuple(f"x{n:02}" for n in range(50))


def test_later_metadata_wins_and_what_one_source_is_or_may_stays_behind() -> None:
    said = {"k": 1, "topic": "x", "scope": "private", "kind": "entity", "governance": {"write": 1}}
    first = memory("1", metadata=said)
    second = memory("2", author=AgentId("bob"), metadata={"k": 2, "agent_id": "eve", "derived_from": ["0"]})
    merged = merge_memories([first, second])
    assert merged.metadata == {
        "k": 2, "topic": "x", "derived_from": ["1", "2"], "consolidated_from_agents": ["alice", "bob"],
    }
    assert merged.left_out == ()


def test_metadata_that_does_not_fit_together_is_left_out_the_largest_first() -> None:
    sources = [memory(str(n), metadata={f"k{n}": "x" * size}) for n, size in enumerate((30_000, 40_000, 20_000))]
    merged = merge_memories(sources)
    assert merged.left_out == ("k1",)
    assert {"k0", "k2"} <= merged.metadata.keys()
    assert len(rules.canonical_json(merged.metadata)) <= rules.METADATA_MAX_BYTES


def test_accesses_are_added_up_to_the_bound() -> None:
    assert merge_memories([memory(access_count=3), memory(access_count=4)]).access_count == 7
    assert merge_memories([memory(access_count=999_999)] * 2).access_count == 1_000_000
