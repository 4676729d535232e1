"""The client of Ollama against a fake of its shapes: no real model is here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
import trio.testing

from aimem.errors import Code, Unavailable
from aimem.language import OllamaModel
from tests.ollama import BOMB, CLOSED, HUGE, SLOWLY, FakeOllama
from tests.supervisor.serving import serving


@asynccontextmanager
async def model_of(fake: FakeOllama, name: str = "gemma4:e2b") -> AsyncIterator[OllamaModel]:
    """In this process: no socket, so virtual time can leap."""
    transport = httpx.ASGITransport(fake, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://ollama") as http:
        yield OllamaModel(http, name)


async def refusal_of(model: OllamaModel) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await model.chat("rules", "data")
    return caught.value


async def test_a_chat_is_asked_as_ollama_wants_it_and_its_text_comes_back() -> None:
    fake = FakeOllama("Paris.\n")
    async with model_of(fake) as model:
        assert await model.chat("rules", "data") == "Paris.\n"
    path, asked = fake.requests[0]
    assert path == "/api/chat"
    assert asked["stream"] is False
    assert asked["model"] == "gemma4:e2b"
    assert [message["content"] for message in asked["messages"]] == ["rules", "data"]
    assert asked["options"] == {"temperature": 0.0, "num_predict": 1024}


@pytest.mark.parametrize(("listed", "there"), [
    (("gemma4:e2b", "x"), True), (("gemma4:e4b",), False), ((), False),
])
async def test_a_model_is_available_if_the_server_lists_it(listed: tuple[str, ...], there: bool) -> None:
    async with model_of(FakeOllama(models=listed)) as model:
        assert await model.available() is there


async def test_a_name_without_a_tag_means_the_latest() -> None:
    async with model_of(FakeOllama(models=("mistral:latest",)), "mistral") as model:
        assert await model.available()


async def test_a_model_that_takes_too_long_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    fake = FakeOllama()
    fake.misbehaves = SLOWLY
    begun = trio.current_time()
    async with model_of(fake) as model:
        error = await refusal_of(model)
    assert error.code is Code.NEEDS_LLM
    assert "25 s" in error.message
    assert trio.current_time() - begun == pytest.approx(25)


async def test_who_comes_third_waits_within_the_same_deadline(autojump_clock: trio.testing.MockClock) -> None:
    fake = FakeOllama()
    fake.misbehaves = SLOWLY
    begun = trio.current_time()
    async with model_of(fake) as model, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(refusal_of, model)
    assert trio.current_time() - begun == pytest.approx(25)
    assert len(fake.requests) == 2


@pytest.mark.parametrize(("trouble", "words"), [
    (500, "status 500"), (503, "status 503"), (404, "ollama pull gemma4:e2b"), (301, "status 301"),
    (b"not json", "not Ollama"), (b"{}", "not Ollama"), (b'{"message":{"content":7}}', "not Ollama"),
    (b'{"message":{"content":"\xff"}}', "not Ollama"), (b"[" * 100_000, "not Ollama"), (HUGE, "larger than"),
    (BOMB, "not Ollama"),
])
async def test_what_ollama_never_says_is_no_answer(trouble: object, words: str) -> None:
    fake = FakeOllama()
    fake.misbehaves = trouble
    async with model_of(fake) as model:
        error = await refusal_of(model)
    assert error.code is Code.NEEDS_LLM
    assert words in error.message


async def test_over_a_socket_it_answers_and_a_closed_connection_is_no_answer() -> None:
    fake = FakeOllama("yes")
    async with serving(fake) as served:
        url = f"http://127.0.0.1:{served.port}"
        async with httpx.AsyncClient(base_url=url) as http:
            model = OllamaModel(http, "gemma4:e2b")
            assert await model.available()
            assert await model.chat("rules", "data") == "yes"
            fake.misbehaves = CLOSED
            error = await refusal_of(model)
            fake.misbehaves = HUGE
            assert "larger than" in (await refusal_of(model)).message
    assert error.code is Code.NEEDS_LLM
    assert "127.0.0.1" not in error.message


async def test_nobody_listening_is_said_without_the_address() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as http:
        error = await refusal_of(OllamaModel(http, "gemma4:e2b"))
    assert error.message.endswith("Ollama cannot be reached (ConnectError); is it running?")
