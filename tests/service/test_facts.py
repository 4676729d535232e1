"""Which of contradicting and superseding facts hold."""

from __future__ import annotations

import pytest

from aimem.model import Instant, MemoryId, Relation
from aimem.service.facts import judge_facts
from aimem.store.linkage import Fact


def fact(text: str, stated_at: int = 0) -> Fact:
    """`b > a`: b supersedes a; `b ! a`: b contradicts a. A memory named by a later letter was created later."""
    source, sign, target = text.split()
    return Fact(
        source_id=MemoryId(source), target_id=MemoryId(target),
        relation=Relation.SUPERSEDES if sign == ">" else Relation.CONTRADICTS, stated_at=Instant(stated_at),
        source_created_at=Instant(ord(source)), target_created_at=Instant(ord(target)),
    )


@pytest.mark.parametrize(("facts", "superseded"), [
    ([], ""),
    ([fact("b > a")], "a"),
    ([fact("a > b")], "b"),                                             # the older may replace the newer
    ([fact("c > b"), fact("b > a")], "ab"),
    ([fact("b > a", 1), fact("a > b", 2)], "b"),                        # the later word counts
    ([fact("b > a", 2), fact("a > b", 1)], "a"),
    ([fact("b > a", 1), fact("c > b", 2), fact("a > c", 3)], "bc"),     # a ring: whoever was out first is back
    ([fact("b > a", 1), fact("a > b", 2), fact("c > a", 0)], "ab"),
    ([fact("b ! a")], ""),
])
def test_superseded_are_those_that_something_replaces(facts: list[Fact], superseded: str) -> None:
    for order in (facts, facts[::-1]):
        assert judge_facts(order).superseded == set(superseded)


@pytest.mark.parametrize(("facts", "contradicted"), [
    ([fact("b > a")], {}),
    ([fact("b ! a")], {"a": ("b",)}),
    ([fact("a ! b")], {"a": ("b",)}),                                   # whoever says it, the older is doubted
    ([fact("b ! a"), fact("a ! c")], {"a": ("c", "b")}),
    ([fact("b ! a"), fact("c > b")], {}),                               # what is outdated contradicts nobody
    ([fact("b ! a"), fact("c > a")], {"a": ("b",)}),
])
def test_contradicted_are_the_older_by_the_newer(
    facts: list[Fact], contradicted: dict[str, tuple[str, ...]]
) -> None:
    for order in (facts, facts[::-1]):
        assert judge_facts(order).contradicted == contradicted


def test_of_two_facts_of_one_moment_the_greater_id_counts_as_the_newer() -> None:
    both = Fact(
        source_id=MemoryId("x"), target_id=MemoryId("y"), relation=Relation.CONTRADICTS, stated_at=Instant(0),
        source_created_at=Instant(5), target_created_at=Instant(5),
    )
    assert judge_facts([both]).contradicted == {"x": ("y",)}
