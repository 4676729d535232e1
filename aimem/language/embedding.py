"""Vectors from Ollama: nomic-embed-text, for the tiers that have an Ollama anyway."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from aimem.search import ModelUnavailable

NOMIC_DIMENSION: Final = 768
CHUNK_CHARS: Final = 1_600
"""Some 400 word pieces. The model reads 2,048 in Ollama's default setting; passages of this size are found better."""

CHUNKS_MAX_COUNT: Final = 64
BATCH_MAX_COUNT: Final = 8
ANSWER_MAX_BYTES: Final = 4 * 1024 * 1024
CONNECT_S: Final = 3.0
FIRST_S: Final = 5.0
EACH_S: Final = 2.0
"""What a batch may take: a question, which is a batch of one, must not keep a recall waiting for half a minute."""

_OVERLAP_CHARS: Final = CHUNK_CHARS // 8
_OLLAMA_NAME: Final = "nomic-embed-text"
_MODEL_NAME: Final = f"nomic-embed-text-v1.5@ollama/chars{CHUNK_CHARS}"
_PROBE_TEXT: Final = "is the model there"


class _EmbedRequest(Struct, kw_only=True):
    model: str
    input: Sequence[str]
    truncate: bool = True


class _EmbedAnswer(Struct, kw_only=True):
    embeddings: list[list[float]]


class OllamaEmbedder:
    """The embedder port over HTTP. It blocks, as the port says; several threads may use it at once."""

    model: str = _MODEL_NAME
    dimension: int = NOMIC_DIMENSION

    def __init__(self, http: httpx.Client) -> None:
        """Wrap an HTTP client whose `base_url` is the server; its lifetime stays the caller's."""
        self._http = http

    def chunk(self, text: str) -> list[str]:
        """Cut between words where there are any, each piece an eighth over the one before; at most 64 pieces."""
        return [text[start:end] for start, end in _spans(text)] or [" "]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Unit vectors, made in batches of at most 8. Raises: ModelUnavailable."""
        batches = [texts[start:start + BATCH_MAX_COUNT] for start in range(0, len(texts), BATCH_MAX_COUNT)]
        return [_unit(numbers) for batch in batches for numbers in self._ask(batch)]

    def _ask(self, batch: Sequence[str]) -> list[list[float]]:
        request = msgspec.json.encode(_EmbedRequest(model=_OLLAMA_NAME, input=batch))
        patience = httpx.Timeout(FIRST_S + EACH_S * len(batch), connect=CONNECT_S)
        headers = {"Content-Type": "application/json"}
        try:
            with self._http.stream(
                "POST", "/api/embed", content=request, headers=headers, timeout=patience
            ) as answer:
                data = _body(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelUnavailable(
                f"Ollama, which makes the vectors, cannot be reached ({type(error).__name__}); is it running?"
            ) from error
        return _vectors(data, len(batch))


def open_ollama_embedder(http: httpx.Client) -> OllamaEmbedder:
    """The embedder, after it made one vector; takes some seconds if Ollama has to load the model.

    Raises: ModelUnavailable if the server is not there, or does not have the model.
    """
    embedder = OllamaEmbedder(http)
    embedder.embed([_PROBE_TEXT])
    return embedder


def _body(answer: httpx.Response) -> bytes:
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise ModelUnavailable(f"Ollama does not have {_OLLAMA_NAME}; run: ollama pull {_OLLAMA_NAME}")
    if answer.status_code != httpx.codes.OK:
        raise ModelUnavailable(f"Ollama made no vectors (status {answer.status_code}); its log says why")
    received = bytearray()
    for part in answer.iter_bytes():
        received += part
        if len(received) > ANSWER_MAX_BYTES:
            raise ModelUnavailable(f"Ollama's vectors have more than {ANSWER_MAX_BYTES} bytes; is that Ollama?")
    return bytes(received)


def _vectors(data: bytes, count: int) -> list[list[float]]:
    try:
        found = msgspec.json.decode(data, type=_EmbedAnswer).embeddings
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelUnavailable("what answered is not Ollama; check embed_url and ollama_url") from error
    if len(found) != count or any(len(numbers) != NOMIC_DIMENSION for numbers in found):
        raise ModelUnavailable(f"Ollama's vectors are not {count} of {NOMIC_DIMENSION} numbers; is it another model?")
    return found


def _unit(numbers: Sequence[float]) -> bytes:
    """Of length 1, which v0.6.3 left to the server; of length 0 if there is no direction, which is refused later."""
    length = math.sqrt(math.fsum(number * number for number in numbers))
    scale = 1.0 / length if length > 0.0 and math.isfinite(length) else 0.0
    return struct.pack(f"<{len(numbers)}f", *(number * scale for number in numbers))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start, count = 0, 0
    while start < len(text) and count < CHUNKS_MAX_COUNT:
        end = _word_end(text, start, min(start + CHUNK_CHARS, len(text)))
        yield start, end
        if end == len(text):
            return
        start = _word_start(text, start, end - _OVERLAP_CHARS)
        count += 1


def _word_end(text: str, start: int, end: int) -> int:
    """The end of the last whole word before `end`; `end` itself if that would leave less than half."""
    if end == len(text):
        return end
    blank = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return blank if blank - start > CHUNK_CHARS // 2 else end


def _word_start(text: str, start: int, at: int) -> int:
    """The beginning of a word at or a little after `at`; `at` itself if there is none near."""
    blank = text.find(" ", at, at + _OVERLAP_CHARS)
    return max(start + 1, blank + 1 if blank >= 0 else at)
