"""The door of the routes that come often: as the framework's, in what it refuses and whom it works for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from aimem.api import Route, make_app
from aimem.api.direct import OFTEN
from aimem.api.route import Call, Effect
from aimem.api.routes import ROUTES
from aimem.config import ApiConfig
from tests.api.conftest import Dial, TinyNode

PATH = "/api/v1/memories"
Message = dict[str, Any]


class Text(msgspec.Struct, kw_only=True):
    text: str


async def echo(call: Call[None, Text]) -> Text:
    return call.body


def made(handler: Callable[..., Awaitable[object]] = echo) -> Route:
    return Route(
        method="POST", path=PATH, name="echo", handler=handler, body=Text, answer=Text, summary="", status=201,
        effect=Effect.WRITE_ONCE,
    )


def test_the_routes_that_it_takes_are_routes_without_variable_parts() -> None:
    known = {(route.method, route.path) for route in ROUTES}
    assert known >= OFTEN
    assert not any("{" in path for _, path in OFTEN)


async def test_it_answers_as_the_framework_does(dial: Dial) -> None:
    elsewhere = msgspec.structs.replace(made(), path="/api/v1/echo", name="other")
    async with dial(made(), elsewhere, body_max_bytes=100) as client:
        requests: list[dict[str, Any]] = [
            {"json": {"text": "x"}}, {}, {"content": b"{"}, {"content": b'{"text": "x"}'},
            {"json": {"text": "y" * 200}},
            {"content": b"\xff", "headers": {"Content-Type": "application/json"}},
            {"json": {"text": "x"}, "headers": {"Content-Type": "Application/JSON; charset=utf-8"}},
            {"json": {"text": "x"}, "headers": {"Content-Encoding": "gzip"}},
            {"json": {"text": "x"}, "headers": {"Idempotency-Key": b"k\xe9"}},
            {"json": {"text": "x"}, "headers": [("X-Consistency", "quorum"), ("X-Consistency", "all")]},
            {"json": {"text": "x"}, "params": {"a b": "\u00e9"}},
        ]
        for request in requests:
            one, other = await client.post(PATH, **request), await client.post("/api/v1/echo", **request)
            assert (one.status_code, one.content) == (other.status_code, other.content)
            assert {**one.headers, "x-request-id": ""} == {**other.headers, "x-request-id": ""}


async def test_its_other_methods_are_the_frameworks(dial: Dial) -> None:
    async with dial(made()) as client:
        answer = await client.put(PATH, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


async def asked(handler: Callable[..., Awaitable[object]], *messages: Message, length: str = "") -> list[Message]:
    """What is sent to a caller that sends this, and leaves then."""
    sent: list[Message] = []
    left = list(messages)

    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        if not left:
            await trio.testing.wait_all_tasks_blocked()
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    app: Any = make_app(TinyNode(), ApiConfig(body_max_bytes=40), routes=[made(handler)])
    scope = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b"",
        "headers": headers + ([(b"content-length", length.encode())] if length else []),
        "extensions": {"aimem.transport": "in-process"},
    }
    await app(scope, receive, send)
    return sent


def piece(data: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_in_pieces_is_put_together() -> None:
    sent = await asked(echo, piece(b'{"text"', more=True), piece(b': "abc"}', more=False))
    assert (sent[0]["status"], sent[1]["body"]) == (201, b'{"text":"abc"}')


@pytest.mark.parametrize(("pieces", "length"), [(3, ""), (0, "41")])
async def test_a_body_beyond_the_bound_is_refused_before_its_end(pieces: int, length: str) -> None:
    sent = await asked(echo, *(piece(b"x" * 20, more=True) for _ in range(pieces)), length=length)
    assert sent[0]["status"] == 413


async def test_who_leaves_in_the_middle_of_a_body_is_answered_nothing() -> None:
    assert await asked(echo, piece(b'{"text"', more=True)) == []


async def test_work_for_a_caller_that_left_is_cancelled() -> None:
    ended: list[str] = []

    async def slow(call: Call[None, Text]) -> Text:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(call.body.text)

    assert await asked(slow, piece(b'{"text": "abc"}', more=False)) == []
    assert ended == ["abc"]
