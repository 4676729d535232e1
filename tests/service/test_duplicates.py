"""Whether a text is there already: by its words without a model, by its meaning with one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Principal
from aimem.service import Node
from aimem.wire import ArchiveRequest, DuplicateCheck, DuplicateResult
from tests.nodes import FakeClock, InlineThreads, WordEmbedder, open_node, seeded_chance
from tests.service.steps import ALICE, all_quiet, as_agent, put, refused

NAN_BYTES = b"\x00\x00\xc0\x7f"


@pytest.fixture
async def wise(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """With a model."""
    async with open_node(
        tmp_path / "wise.db", clock=clock, chance=seeded_chance(2), threads=InlineThreads(), embedder=WordEmbedder()
    ) as opened:
        yield opened


async def check(node: Node, content: str, *, by: Principal = ALICE, **more: object) -> DuplicateResult:
    return await service.check_duplicate(node, by, DuplicateCheck(content=content, **more))  # type: ignore[arg-type]


async def test_nearly_the_same_text_is_a_duplicate_and_another_is_not(wise: Node) -> None:
    stored = await put(wise, "Deploy", "we ship the product on tuesday morning after the tests")
    await put(wise, "Food", "the office kitchen has apples")
    await all_quiet()
    near = await check(wise, "we ship the product on tuesday evening after the tests", title="Deploy")
    assert (near.is_duplicate, near.suggested_merge, near.identical) == (True, stored.id, False)
    assert near.nearest is not None
    assert 0.85 <= near.nearest.similarity < 1
    assert (near.nearest.id, near.nearest.title, near.nearest.namespace) == (stored.id, "Deploy", "global")
    assert (near.threshold, near.candidates_scanned, near.embedding_backlog) == (0.85, 2, 0)
    far = await check(wise, "penguins live at the south pole")
    assert (far.is_duplicate, far.suggested_merge) == (False, None)
    assert far.nearest is not None


async def test_the_threshold_decides(wise: Node) -> None:
    await put(wise, "a", "one two three four five six seven")
    await all_quiet()
    asked = "one two three four five six eight"
    found = (await check(wise, asked, title="a")).nearest
    assert found is not None
    assert (await check(wise, asked, title="a", threshold=found.similarity)).is_duplicate
    assert not (await check(wise, asked, title="a", threshold=1)).is_duplicate


async def test_the_same_text_is_found_without_a_model(node: Node) -> None:
    first = await put(node, "a", "the very text")
    await put(node, "a", "the very text", namespace="other")
    found = await check(node, "the very text", title="a", threshold=1)
    assert (found.is_duplicate, found.identical, found.suggested_merge) == (True, True, first.id)
    assert (found.nearest and found.nearest.similarity, found.candidates_scanned) == (1.0, 1)
    untitled = await put(node, None, "nobody gave this a name")
    for title in (None, "", "whatever"):
        assert (await check(node, "nobody gave this a name", title=title)).suggested_merge == untitled.id


async def test_without_a_model_another_text_cannot_be_judged(node: Node) -> None:
    await put(node, "a", "the very text")
    error = await refused(Code.EMBEDDER_UNAVAILABLE, check(node, "some other text"))
    assert "this test has no model" in error.message


async def test_the_same_text_is_found_before_its_vectors_are_made(wise: Node) -> None:
    stored = await put(wise, "a", "just stored")
    assert (await check(wise, "just stored", title="a")).suggested_merge == stored.id


async def test_only_the_namespace_asked_for_counts(wise: Node) -> None:
    await put(wise, "a", "alpha beta gamma delta", namespace="x")
    inside = await put(wise, "b", "something else", namespace="y")
    await all_quiet()
    found = await check(wise, "alpha beta gamma epsilon", namespace="y")
    assert found.nearest is not None
    assert (found.nearest.id, found.is_duplicate, found.candidates_scanned) == (inside.id, False, 1)
    nothing = await check(wise, "alpha", namespace="empty")
    assert (nothing.nearest, nothing.is_duplicate, nothing.candidates_scanned) == (None, False, 0)


async def test_what_the_caller_may_not_see_is_no_duplicate(wise: Node, clock: FakeClock) -> None:
    await put(wise, "a", "alpha beta gamma", scope="private", namespace="team")
    brief = await put(wise, "b", "delta epsilon", scope="collective", ttl_secs=60)
    gone = await put(wise, "c", "zeta eta", scope="collective")
    await all_quiet()
    await service.archive(wise, ALICE, ArchiveRequest(ids=[gone.id]))
    await all_quiet()
    for text, title in (("alpha beta gamma", "a"), ("zeta eta", "c")):
        found = await check(wise, text, title=title, by=as_agent("x/y"))
        assert (found.is_duplicate, found.nearest and found.nearest.id) == (False, brief.id)
    clock.advance(61)
    assert (await check(wise, "delta epsilon", title="b", by=as_agent("x/y"))).nearest is None


async def test_long_texts_with_one_beginning_are_two(wise: Node) -> None:
    start = " ".join(f"word{number}" for number in range(200))
    await put(wise, None, start + " " + " ".join(f"one{number}" for number in range(200)))
    await all_quiet()
    found = await check(wise, start + " " + " ".join(f"other{number}" for number in range(200)))
    assert found.nearest is not None
    assert (found.is_duplicate, 0.4 < found.nearest.similarity < 0.7) == (False, True)


class BrokenEmbedder(WordEmbedder):
    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [NAN_BYTES * self.dimension for _ in texts]


async def test_a_model_that_makes_nonsense_is_said(tmp_path: Path) -> None:
    async with open_node(
        tmp_path / "m.db", clock=FakeClock(), threads=InlineThreads(), embedder=BrokenEmbedder()
    ) as node:
        await refused(Code.EMBEDDER_UNAVAILABLE, check(node, "some text"))


@pytest.mark.parametrize(("change", "field"), [
    ({"content": " "}, "content"), ({"content": "x" * 65_537}, "content"), ({"content": "a\x00"}, "content"),
    ({"content": "\ud800"}, "content"), ({"title": "x" * 513}, "title"), ({"namespace": "a//b"}, "namespace"),
    ({"threshold": 0.49}, "threshold"), ({"threshold": 1.01}, "threshold"), ({"threshold": float("nan")}, "threshold"),
])
async def test_a_wrong_field_is_refused(node: Node, change: dict[str, object], field: str) -> None:
    given = {"content": "x", **change}
    attempt = service.check_duplicate(node, ALICE, DuplicateCheck(**given))  # type: ignore[arg-type]
    assert (await refused(Code.INVALID_REQUEST, attempt)).field == field
