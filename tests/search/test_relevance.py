"""The floor: what it drops, what it spares."""

from __future__ import annotations

import pytest

from aimem.model import AgentId, Instant, Memory, MemoryId, Namespace, Tier
from aimem.search import below_floor, share_held


def memory(content: str, *, title: str = "", tags: tuple[str, ...] = ()) -> Memory:
    return Memory(
        id=MemoryId("m"), namespace=Namespace("a"), title=title or content[:80], title_generated=not title,
        content=content, tags=tags, tier=Tier.MID, source="api", author=AgentId("alice"), created_at=Instant(0),
        updated_at=Instant(0),
    )


ASKED = ("deployed", "database", "servers", "tokyo")
TEXTS = {1: memory("deploying databases"), 2: memory("the database"), 3: memory("a recipe for bread")}


@pytest.mark.parametrize(("lexical", "cosines", "fallen"), [
    ({}, {}, set()),
    ({1, 2}, {}, set()),                                        # keyword mode: only the model can say so
    ({1, 2}, {1: 0.5, 2: 0.01, 3: 0.19}, {3}),                  # no common word, and no meaning
    ({1, 2}, {1: 0.5, 3: 0.2}, set()),                          # row 2 has no vector yet
    ({1, 2}, {1: 0.14, 2: 0.14, 3: 0.1}, {2, 3}),               # nothing means anything like it: half the words, or out
    ({1, 2}, {1: 0.15, 2: -0.2, 3: 0.1}, {3}),                  # something does
])
def test_a_row_falls_without_meaning_and_without_words(
    lexical: set[int], cosines: dict[int, float], fallen: set[int]
) -> None:
    assert below_floor(ASKED, lexical, cosines, TEXTS) == fallen


def test_words_of_other_scripts_are_spared_where_the_model_is_at_a_loss() -> None:
    assert below_floor(("東京", "サーバー", "障害"), {2}, {2: 0.01}, TEXTS) == frozenset()
    assert below_floor(("bread", "butter", "milk"), {2}, {2: 0.01}, TEXTS) == {2}


@pytest.mark.parametrize(("found", "share"), [
    (memory("We DEPLOYED to the server in Tokyo; its database slept."), 1.0),
    (memory("deployment day"), 0.25), (memory("nothing"), 0.0),
    (memory("nothing", title="Tokyo", tags=("database",)), 0.5),
    (memory("x " * 9_000), 1.0),
])
def test_endings_do_not_matter_and_title_and_tags_count(found: Memory, share: float) -> None:
    assert share_held(ASKED, found) == share


def test_a_question_without_words_is_held_by_all() -> None:
    assert share_held((), memory("x")) == 1.0
