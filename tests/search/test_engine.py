"""The recaller, with an embedder that needs no model."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import numpy as np
import pytest
import trio
import trio.testing

from aimem.ports import trio_threads
from aimem.search import ModelUnavailable, Recaller, RecallMode

T = TypeVar("T")


class LetterEmbedder:
    """A vector of letter counts; reads ten characters at a time."""

    model = "letters"
    dimension = 26

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def chunk(self, text: str) -> list[str]:
        return [text[start:start + 10] for start in range(0, len(text), 10)] or [" "]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.threads.add(threading.get_ident())
        return [unit([text.count(chr(97 + letter)) for letter in range(26)]) for text in texts]


class InlineThreads:
    """What the simulation uses: everything runs where it is called."""

    def __init__(self) -> None:
        self.limits: list[float] = []

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        self.limits.append(limiter.total_tokens)
        await trio.lowlevel.checkpoint()
        return fn()

    def is_late(self) -> Callable[[], bool]:
        return lambda: False


def unit(numbers: Sequence[float]) -> bytes:
    row = np.array(numbers, "<f4")
    return bytes((row / max(1e-9, float(np.linalg.norm(row)))).astype("<f4").tobytes())


def run(call: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await call()
    return trio.run(main)


def test_without_a_model_recall_says_why_and_goes_on_with_words() -> None:
    recaller = Recaller(threads=InlineThreads(), embedder=None, reason="the package is missing")
    assert (recaller.mode, recaller.model, recaller.reason) == (RecallMode.KEYWORD, "none", "the package is missing")
    assert run(lambda: recaller.embed_query("anything", ["else"])) is None
    assert run(lambda: recaller.embed_documents(["one", "two"])) == [[], []]
    assert run(lambda: recaller.nearest(bytes(4 * 384), 5)) == []


def test_with_a_model_recall_is_hybrid_and_names_it() -> None:
    recaller = Recaller(threads=InlineThreads(), embedder=LetterEmbedder())
    assert (recaller.mode, recaller.model, recaller.reason) == ("hybrid", "letters", "")


def test_documents_keep_their_order_and_have_a_vector_per_chunk() -> None:
    embedder = LetterEmbedder()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    found = run(lambda: recaller.embed_documents(["abc", "", "a" * 10 + "b" * 5]))
    assert found == [embedder.embed(["abc"]), embedder.embed([" "]), embedder.embed(["a", "b"])]
    assert run(lambda: recaller.count_chunks(["abc", "", "a" * 10 + "b" * 5])) == [1, 1, 2]
    assert run(lambda: Recaller(threads=InlineThreads(), embedder=None, reason="none").count_chunks(["abc"])) == [0]


def test_context_bends_a_question_and_the_sum_is_a_unit_vector() -> None:
    recaller = Recaller(threads=InlineThreads(), embedder=LetterEmbedder())
    vector = np.frombuffer(run(lambda: recaller.embed_query("a", ["b", "b"])) or b"", "<f4")
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert vector[1] / vector[0] == pytest.approx(3 / 7)


@pytest.mark.parametrize("context", [[], [""], [" ", ""]])
def test_blank_context_bends_nothing(context: list[str]) -> None:
    embedder = LetterEmbedder()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    assert run(lambda: recaller.embed_query("ab", context)) == embedder.embed(["ab"])[0]


def test_of_a_long_question_the_beginning_counts() -> None:
    embedder = LetterEmbedder()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    assert run(lambda: recaller.embed_query("a" * 10 + "z" * 90)) == embedder.embed(["a"])[0]


def test_model_runs_in_a_thread_and_one_question_at_a_time() -> None:
    embedder, inline = LetterEmbedder(), InlineThreads()
    run(lambda: Recaller(threads=trio_threads(), embedder=embedder).embed_query("a"))
    assert threading.get_ident() not in embedder.threads
    run(lambda: Recaller(threads=inline, embedder=embedder).embed_query("a"))
    assert inline.limits == [1]


def test_small_scan_is_inline_and_a_large_one_in_a_thread() -> None:
    threads = InlineThreads()
    recaller = Recaller(threads=threads, embedder=LetterEmbedder())
    a, b = LetterEmbedder().embed(["a", "b"])
    for no in range(2_000):
        recaller.index.put(no, [a])
    assert run(lambda: recaller.nearest(a, 1)) == [(0, 1.0)]
    assert threads.limits == []
    recaller.index.put(2_000, [b])
    assert run(lambda: recaller.nearest(b, 1, {5, 2_000})) == [(2_000, 1.0)]
    assert run(lambda: recaller.similarities(b, [5, 2_000, 9_000])) == {5: 0.0, 2_000: 1.0}
    assert threads.limits == [2, 2]


def test_question_does_not_wait_behind_documents() -> None:
    """The documents' thread is held; the question is answered all the same."""
    held = threading.Event()

    class Slow(LetterEmbedder):
        def embed(self, texts: Sequence[str]) -> list[bytes]:
            if "document" in texts:
                held.wait(20)
            return super().embed(texts)

    recaller = Recaller(threads=trio_threads(), embedder=Slow())

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recaller.embed_documents, ["document"])
            await trio.testing.wait_all_tasks_blocked()
            with trio.fail_after(10):
                await recaller.embed_query("question")
            held.set()
    trio.run(main)


class Distant(LetterEmbedder):
    """A model elsewhere, which may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away, self.asked = False, 0

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.asked += 1
        if self.is_away:
            raise ModelUnavailable("nobody answers")
        return super().embed(texts)


async def test_a_model_that_is_away_leaves_recall_to_the_words_and_is_asked_again_later(
    autojump_clock: trio.testing.MockClock
) -> None:
    embedder = Distant()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    embedder.is_away = True
    assert await recaller.embed_query("a") is None
    assert (recaller.mode, recaller.reason) == (RecallMode.KEYWORD, "nobody answers")
    embedder.is_away = False
    assert await recaller.embed_query("a") is None      # in the silence nobody waits for it
    assert embedder.asked == 1
    await trio.sleep(31)
    assert await recaller.embed_query("a") is not None
    assert (recaller.mode, recaller.reason) == (RecallMode.HYBRID, "")


async def test_documents_that_cannot_be_embedded_are_an_error_and_those_that_can_end_the_silence() -> None:
    embedder = Distant()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    embedder.is_away = True
    with pytest.raises(ModelUnavailable):
        await recaller.embed_documents(["a"])
    assert recaller.mode is RecallMode.KEYWORD
    embedder.is_away = False
    await recaller.embed_documents(["a"])
    assert recaller.mode is RecallMode.HYBRID


async def test_questions_that_waited_behind_one_that_failed_do_not_wait_for_the_model_again() -> None:
    embedder = Distant()
    recaller = Recaller(threads=InlineThreads(), embedder=embedder)
    embedder.is_away = True
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(recaller.embed_query, "a")
    assert embedder.asked == 1


async def test_many_pieces_are_embedded_in_several_hops_and_come_back_to_their_texts() -> None:
    threads = InlineThreads()
    recaller = Recaller(threads=threads, embedder=LetterEmbedder())
    texts = ["a" * 1_000, "b", "c" * 500]
    made = await recaller.embed_documents(texts)
    assert [len(vectors) for vectors in made] == [100, 1, 50]
    assert [vectors[-1] for vectors in made] == LetterEmbedder().embed(["a" * 10, "b", "c" * 10])
    assert len(threads.limits) == 3
