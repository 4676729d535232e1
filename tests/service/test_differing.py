"""Contradictions by comparison: what is seen, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import AgentId, Instant, Memory, MemoryId, Namespace, Tier
from aimem.service.differing import compare


def memory(title: str, content: str, **metadata: object) -> Memory:
    return Memory(
        id=MemoryId("m"), namespace=Namespace("n"), title=title, content=content, tier=Tier.MID, source="api",
        author=AgentId("a"), metadata=metadata, created_at=Instant(1), updated_at=Instant(1),
    )


@pytest.mark.parametrize(("one", "other", "reason"), [
    ("The port is 5432.", "The port is 5433.", "different values: 5432 / 5433"),
    ("Release day is 2026-03-01.", "Release day is 2026-03-08.", "different values: 2026-03-01 / 2026-03-08"),
    ("The build takes 10%.", "The build takes 12%.", "different values: 10% / 12%"),
    ("The daily backup starts at 17:30.", "The daily backup starts at 18:30.", "different values: 17:30 / 18:30"),
    ("We deploy on Fridays.", "We do not deploy on Fridays.", "one denies what the other states"),
    ("We deploy on Fridays.", "We don’t deploy on Fridays.", "one denies what the other states"),
    ("Always restart the worker.", "Never restart the worker.", "one denies what the other states"),
    ("The feature flag is enabled.", "The feature flag is disabled.", "opposites: enabled / disabled"),
    ("Foo bar.\nThe port is 1. It is fine.", "A preface.\nThe port is 2.", "different values: 1 / 2"),
    ("Wir deployen freitags.", "Wir deployen freitags nicht.", "one denies what the other states"),
])
def test_plain_contradictions_are_seen_both_ways(one: str, other: str, reason: str) -> None:
    first, second = memory("Deploy facts", one), memory("Deploy facts", other)
    found = compare(first, second)
    assert (found.contradicts, found.reason) == (True, reason)
    assert compare(second, first).contradicts


@pytest.mark.parametrize(("one", "other"), [
    ("The port is 5432.", "The port is 5432."),
    ("The port is 5432.", "The port is 5432 and the host is db7."),
    ("The port is 5432.", "The timeout is 30 seconds."),
    ("We deploy on Fridays.", "We deploy on Fridays after lunch."),
    ("We do not deploy on Fridays.", "We never deploy on Fridays."),
    ("The flag is enabled.", "The flag is not disabled."),
    ("", "The port is 1."),
    ("...", "!!!"),
])
def test_what_can_both_be_true_is_left_alone(one: str, other: str) -> None:
    assert not compare(memory("Deploy facts", one), memory("Deploy facts", other)).contradicts


def test_other_subjects_do_not_contradict_each_other() -> None:
    one, other = memory("Port of Alpha", "The port is 1."), memory("Kitchen rules", "The port is 2.")
    assert compare(one, other).reason == "they are not about the same thing"


def test_a_topic_makes_two_titles_one_subject_and_another_topic_two() -> None:
    one = memory("a", "The port is 1.", topic="Database")
    assert compare(one, memory("b", "The port is 2.", topic=" database ")).contradicts
    assert not compare(memory("a", "The port is 1.", topic="x"), memory("a", "The port is 2.", topic="y")).contradicts


def test_what_holds_at_different_times_does_not_contradict() -> None:
    old = memory("Port", "The port is 1.", valid_until="2026-01-01T00:00:00Z")
    new = memory("Port", "The port is 2.", valid_from="2026-01-01T00:00:00+00:00")
    assert compare(old, new).reason == compare(new, old).reason == "they are valid at different times"
    assert compare(old, memory("Port", "The port is 2.", valid_from="2025-12-31T00:00:00Z")).contradicts
    assert compare(old, memory("Port", "The port is 2.", valid_from="soon")).contradicts


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_texts_can_be_compared_and_none_contradicts_itself(one: str, other: str) -> None:
    first, second = memory("t", one), memory("t", other)
    assert compare(first, second).contradicts == compare(second, first).contradicts
    assert not compare(first, first).contradicts
