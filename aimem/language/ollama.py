"""Ollama's HTTP interface: is the model there, and what does it say."""

from __future__ import annotations

from typing import Final, TypeVar

import httpx
import msgspec
import trio
from msgspec import Struct

from aimem.errors import Unavailable
from aimem.language.model import needs_llm

CHAT_S: Final = 25.0
"""Below the 30 s that a door gives a request by default, so that who waits hears what was amiss."""

TAGS_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 1024 * 1024
ANSWER_MAX_PIECES: Final = 1024
"""A paragraph has 200 word pieces; a model that falls into a loop is stopped here."""

CALLS_MAX_COUNT: Final = 2
"""A local model works on one prompt at a time anyway; who comes third waits here, within its deadline."""

T = TypeVar("T")


class _Message(Struct, kw_only=True):
    role: str = "assistant"
    content: str


class _ChatAnswer(Struct, kw_only=True):
    message: _Message


class _ListedModel(Struct, kw_only=True):
    name: str = ""
    model: str = ""


class _TagsAnswer(Struct, kw_only=True):
    models: tuple[_ListedModel, ...] | None = None


class _Options(Struct, kw_only=True, frozen=True):
    temperature: float = 0.0
    num_predict: int = ANSWER_MAX_PIECES


class _ChatRequest(Struct, kw_only=True):
    model: str
    messages: tuple[_Message, ...]
    stream: bool = False
    options: _Options = _Options()


class OllamaModel:
    """A model that an Ollama server runs. Each call has a deadline of its own: this is an edge of the house."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        """Wrap an HTTP client whose `base_url` is the server; its lifetime stays the caller's."""
        self._http = http
        self._slots = trio.CapacityLimiter(CALLS_MAX_COUNT)
        self.name = name

    async def chat(self, system: str, user: str) -> str:
        """The model's answer, in 25 s and 1 MiB at most. Raises: Unavailable(needs_llm)."""
        request = _ChatRequest(
            model=self.name, messages=(_Message(role="system", content=system), _Message(role="user", content=user)),
        )
        data = await self._ask("POST", "/api/chat", request, CHAT_S)
        return _read(data, _ChatAnswer).message.content

    async def available(self) -> bool:
        """Whether the server has the model, told in 5 s. Raises: Unavailable(needs_llm) if the server does not say."""
        listed = _read(await self._ask("GET", "/api/tags", None, TAGS_S), _TagsAnswer).models or ()
        names = {name for model in listed for name in (model.name, model.model)}
        return self.name in names or f"{self.name}:latest" in names

    async def _ask(self, method: str, path: str, body: Struct | None, deadline_s: float) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        # Nothing compressed: a few bytes of it could be as much as fits into memory before anybody counts.
        headers = {"Accept-Encoding": "identity", **({"Content-Type": "application/json"} if content else {})}
        try:
            with trio.fail_after(deadline_s):
                async with self._slots, self._http.stream(method, path, content=content, headers=headers) as answer:
                    return await _body(answer, self.name)
        except trio.TooSlowError:
            raise needs_llm(f"Ollama did not answer within {deadline_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The class alone: httpx's messages may name addresses, and these sentences reach health.
            raise needs_llm(f"Ollama cannot be reached ({type(error).__name__}); is it running?") from error


async def _body(answer: httpx.Response, name: str) -> bytes:
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise missing_model(name)
    if answer.status_code != httpx.codes.OK:
        raise needs_llm(f"Ollama answered with the status {answer.status_code}; its log says why")
    received, size = bytearray(), 0
    # Read to its end, or to the deadline: httpx leaves generators behind where one stops in the middle.
    async for part in answer.aiter_raw():
        size += len(part)
        received += part if size <= ANSWER_MAX_BYTES else b""
    if size > ANSWER_MAX_BYTES:
        raise needs_llm(f"Ollama's answer is larger than {ANSWER_MAX_BYTES} bytes; is that address Ollama's?")
    return bytes(received)


def _read(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise needs_llm("what answered is not Ollama; check ollama_url") from error


def missing_model(name: str) -> Unavailable:
    """The error for a server that does not have the model. It is never fetched unasked: it weighs gigabytes."""
    return needs_llm(f"Ollama does not have {name}; run: ollama pull {name}")
