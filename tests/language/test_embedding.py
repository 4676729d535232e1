"""Vectors from Ollama, against a fake of its shapes."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from aimem.language import open_ollama_embedder
from aimem.language.embedding import BATCH_MAX_COUNT, CHUNK_CHARS, CHUNKS_MAX_COUNT, OllamaEmbedder, _spans
from aimem.search import ModelUnavailable

Answer = Callable[[httpx.Request], httpx.Response]


def embedder_of(answer: Answer) -> OllamaEmbedder:
    return OllamaEmbedder(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://ollama"))


def vectors(*, dimension: int = 768, value: Any = 2.0) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        return httpx.Response(200, json={"embeddings": [[value] * dimension for _ in texts]})
    return answer


def floats(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def test_vectors_are_of_length_one_whatever_the_server_says() -> None:
    [vector] = embedder_of(vectors()).embed(["text"])
    assert math.isclose(math.sqrt(sum(x * x for x in floats(vector))), 1.0, rel_tol=1e-5)
    assert len(vector) == 4 * 768


def test_texts_go_in_batches_and_come_back_in_order() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        sizes.append(len(texts))
        rows = [[1.0 if i == int(text) else 0.0 for i in range(768)] for text in texts]
        return httpx.Response(200, json={"embeddings": rows})

    made = embedder_of(answer).embed([str(n) for n in range(20)])
    assert sizes == [BATCH_MAX_COUNT, BATCH_MAX_COUNT, 4]
    assert [floats(vector).index(1.0) for vector in made] == list(range(20))


@pytest.mark.parametrize(("answer", "words"), [
    (vectors(dimension=384), "768 numbers"),
    (lambda _: httpx.Response(200, json={"embeddings": []}), "768 numbers"),
    (lambda _: httpx.Response(200, json={"embeddings": [["x"]]}), "not Ollama"),
    (lambda _: httpx.Response(200, content=b"<html>"), "not Ollama"),
    (lambda _: httpx.Response(200, content=b"[" * 50_000), "not Ollama"),
    (lambda _: httpx.Response(200, content=b" " * 5_000_000), "more than"),
    (lambda _: httpx.Response(404, json={"error": "model not found"}), "ollama pull nomic-embed-text"),
    (lambda _: httpx.Response(500, json={"error": "boom"}), "status 500"),
    (lambda _: httpx.Response(302, headers={"Location": "http://elsewhere"}), "status 302"),
])
def test_what_is_no_vector_is_no_model(answer: Answer, words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        embedder_of(answer).embed(["text"])


@pytest.mark.parametrize("error", [
    httpx.ConnectError("secret.host"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"),
])
def test_a_server_that_fails_is_no_model_and_its_address_is_not_told(error: Exception) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(ModelUnavailable) as caught:
        embedder_of(answer).embed(["text"])
    assert "secret.host" not in caught.value.message


@pytest.mark.parametrize("value", [0.0, 1e308, -1e308])
def test_numbers_without_a_direction_make_no_unit_vector_and_no_error(value: float) -> None:
    [vector] = embedder_of(vectors(value=value)).embed(["text"])
    assert len(vector) == 4 * 768


def test_opening_makes_a_vector_first() -> None:
    http = httpx.Client(transport=httpx.MockTransport(vectors(dimension=3)), base_url="http://ollama")
    with pytest.raises(ModelUnavailable):
        open_ollama_embedder(http)
    http = httpx.Client(transport=httpx.MockTransport(vectors()), base_url="http://ollama")
    assert open_ollama_embedder(http).dimension == 768


TEXTS = {
    "nothing": "", "a word": "one", "words": "wort " * 1_000, "a run": "x" * 5_000, "unspaced": "語" * 5_000,
    "lines": "line\n" * 2_000, "blanks": " " * 4_000, "long words": ("w" * 900 + " ") * 9,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_pieces_cover_a_text_overlap_and_are_bounded(text: str) -> None:
    at = 0
    for start, end in _spans(text):
        assert start <= at < end <= start + CHUNK_CHARS
        at = end
    assert at == len(text)
    assert 1 <= len(embedder_of(vectors()).chunk(text)) <= CHUNKS_MAX_COUNT


def test_an_endless_text_is_read_as_far_as_its_pieces_go() -> None:
    assert len(embedder_of(vectors()).chunk("wort " * 100_000)) == CHUNKS_MAX_COUNT
