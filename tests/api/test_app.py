"""The machinery of the surface, over routes of the tests' own."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest
import trio

from aimem.api import REQUEST_ID, STATUS, Access, Effect, Route, Transport, make_app
from aimem.config import ApiConfig
from aimem.errors import (
    AimemError,
    Bug,
    Code,
    Conflict,
    Corrupt,
    Denied,
    Gone,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)
from tests.api.conftest import Dial, TinyNode, arriving_by
from tests.api.tiny import ASK, NOTE, NOTES, ONE, POKE, doing

FAMILIES = (InvalidRequest, Unauthenticated, Denied, NotFound, Gone, Conflict, QuotaExceeded, Unavailable, Corrupt, Bug)


def refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, object]:
    """Check the envelope and give it back."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, object] = answer.json()
    assert body["code"] == code
    assert body["error"]
    assert body.get("field") == field
    return body


# --- decoding


async def test_query_reaches_the_handler_typed_and_with_defaults(dial: Dial) -> None:
    async with dial(ASK) as http:
        answer = await http.get("/ask?q=a+b%2Fc&limit=7&touch=1&unknown=x&namespace=")
    assert answer.status_code == 200
    assert answer.json()["query"] == {
        "q": "a b/c", "limit": 7, "ratio": 0.5, "touch": True, "namespace": None, "min_priority": None,
    }


@pytest.mark.parametrize(("query", "field", "allowed"), [
    ("", "q", "required"),
    ("q=x&limit=abc", "limit", "'abc'; allowed is a whole number"),
    ("q=x&limit=1.5", "limit", "whole number"),
    ("q=x&min_priority=x", "min_priority", "whole number"),
    ("q=x&min_priority=null", "min_priority", "'null'; allowed is a whole number"),
    ("q=x&limit=3&limit=7", "limit", "more than once"),
    ("q=x&limit=3&%6cimit=3", "limit", "more than once"),
    ("q=x&touch=maybe", "touch", "true, false, 1 or 0"),
    ("q=x&ratio=1e999", "ratio", "a number"),
    ("q=%ff", "q", "UTF-8"),
    ("%ff=1&q=x", "query", "UTF-8"),
])
async def test_bad_query_is_400_naming_the_parameter(dial: Dial, query: str, field: str, allowed: str) -> None:
    async with dial(ASK) as http:
        body = refused(await http.get(f"/ask?{query}"), 400, "invalid_request", field)
    assert allowed in str(body["error"])


async def test_body_reaches_the_handler_typed(dial: Dial) -> None:
    async with dial(NOTE) as http:
        answer = await http.post("/notes", json={"text": "ü", "unknown": 1})
    assert answer.status_code == 201
    assert answer.json()["body"] == {"text": "ü", "count": 1, "metadata": None}


DEEP = b'{"text":"x","metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


@pytest.mark.parametrize(("content", "status", "code", "field"), [
    (b"", 400, "malformed_json", None),
    (b"   ", 400, "malformed_json", None),
    (b"{", 400, "malformed_json", None),
    (b'{"text":"x"} trailing', 400, "malformed_json", None),
    (b'{"text":"x","count":NaN}', 400, "malformed_json", None),
    (b'{"text":"x","metadata":{"a":Infinity}}', 400, "malformed_json", None),
    (b'{"text":"\xff"}', 400, "malformed_json", None),
    (b'{"text":"x","unknown":"\xff"}', 400, "malformed_json", None),
    (b'{"text":"\\ud800"}', 400, "malformed_json", None),
    (b'\xef\xbb\xbf{"text":"x"}', 400, "malformed_json", None),
    ('{"text":"x"}'.encode("utf-16"), 400, "malformed_json", None),
    (DEEP, 400, "malformed_json", None),
    (b"{}", 422, "schema_mismatch", "text"),
    (b"[]", 422, "schema_mismatch", None),
    (b"null", 422, "schema_mismatch", None),
    (b'{"text":7}', 422, "schema_mismatch", "text"),
    (b'{"text":null}', 422, "schema_mismatch", "text"),
    (b'{"text":"x","count":"1"}', 422, "schema_mismatch", "count"),
    (b'{"text":"x","count":true}', 422, "schema_mismatch", "count"),
    (b'{"text":"x","metadata":[]}', 422, "schema_mismatch", "metadata"),
])
async def test_bad_body_is_refused_before_the_handler(
    dial: Dial, content: bytes, status: int, code: str, field: str | None
) -> None:
    async with dial(NOTE) as http:
        refused(await http.post("/notes", content=content, headers={"Content-Type": "application/json"}),
                status, code, field)


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_body_of_another_media_type_is_415(dial: Dial, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    async with dial(NOTE) as http:
        refused(await http.post("/notes", content=b'{"text":"x"}', headers=headers),
                415, "unsupported_media_type", "Content-Type")


async def test_compressed_body_is_415(dial: Dial) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with dial(NOTE) as http:
        refused(await http.post("/notes", content=b"\x1f\x8b", headers=headers),
                415, "unsupported_media_type", "Content-Encoding")


async def test_media_type_may_have_parameters(dial: Dial) -> None:
    async with dial(NOTE) as http:
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert (await http.post("/notes", content=b'{"text":"x"}', headers=headers)).status_code == 201


async def test_body_above_the_limit_is_413_and_at_the_limit_is_read(dial: Dial) -> None:
    exact = b'{"text":"' + b"x" * 89 + b'"}'
    headers = {"Content-Type": "application/json"}
    async with dial(NOTE, body_max_bytes=len(exact)) as http:
        assert (await http.post("/notes", content=exact, headers=headers)).status_code == 201
        body = refused(await http.post("/notes", content=exact + b" ", headers=headers), 413, "body_too_large")
    assert body["limit_bytes"] == len(exact)


async def test_body_without_length_is_cut_off_at_the_limit(dial: Dial) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            await trio.lowlevel.checkpoint()    # a socket would let others run, too
            yield b"x" * 100

    async with dial(NOTE, body_max_bytes=1000) as http:
        answer = await http.post("/notes", content=endless(), headers={"Content-Type": "application/json"})
    refused(answer, 413, "body_too_large")
    assert sent < 100


async def test_optional_body_may_be_absent_and_is_checked_when_present(dial: Dial) -> None:
    async with dial(POKE) as http:
        assert (await http.post("/notes/a/poke")).json()["body"] is None
        assert (await http.post("/notes/a/poke", json={"text": "x"})).json()["body"]["text"] == "x"
        refused(await http.post("/notes/a/poke", json={}), 422, "schema_mismatch", "text")


# --- paths and methods


@pytest.mark.parametrize(("encoded", "decoded"), [
    ("abc", "abc"), ("a%2Fb", "a/b"), ("a%20b", "a b"), ("%C3%BC", "ü"), ("a%252Fb", "a%2Fb"), ("%2E%2E", ".."),
    ("a%3Fb%23c", "a?b#c"), ("x" * 300, "x" * 300),
])
async def test_path_segment_is_decoded_after_routing(dial: Dial, encoded: str, decoded: str) -> None:
    async with dial(ONE, NOTES) as http:
        answer = await http.get(httpx.URL("http://localhost", raw_path=f"/notes/{encoded}".encode()))
    assert answer.json()["path"] == {"note_id": decoded}


async def test_path_segment_that_is_not_utf8_is_400(dial: Dial) -> None:
    async with dial(ONE) as http:
        answer = await http.get(httpx.URL("http://localhost", raw_path=b"/notes/%ff"))
    refused(answer, 400, "invalid_request", "note_id")


@pytest.mark.parametrize("path", ["/", "/nothing", "/notes/a/b", "/notes/", "/static/x", "/%ff", "/<b>"])
async def test_unknown_path_is_404_as_json(dial: Dial, path: str) -> None:
    async with dial(NOTES, ONE) as http:
        answer = await http.get(httpx.URL("http://localhost", raw_path=path.encode()))
    refused(answer, 404, "not_found")
    assert "location" not in answer.headers


async def test_target_may_be_a_whole_url(dial: Dial) -> None:
    app = make_app(TinyNode(), ApiConfig(), routes=[NOTES])
    whole = arriving_by(app, Transport.IN_PROCESS, raw_path=b"http://localhost/notes", path="http://localhost/notes")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://localhost") as http:
        assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize("target", [b"http://[::1", b"http://[zz]/notes", b"http://u:p@localhost/notes", b"http:///notes"])
async def test_whole_url_without_a_sound_host_is_400(target: bytes) -> None:
    app = make_app(TinyNode(), ApiConfig(), routes=[NOTES])
    whole = arriving_by(app, Transport.TCP_LOOPBACK, raw_path=target, path=target.decode())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://localhost") as http:
        refused(await http.get("/"), 400, "invalid_request", "Host")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_wrong_method_is_405_with_what_is_allowed(dial: Dial, method: str) -> None:
    async with dial(NOTE, NOTES) as http:
        answer = await http.request(method, "/notes")
    body = refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert body["allowed"] == ["GET", "HEAD", "OPTIONS", "POST"]


async def test_options_says_what_is_allowed_and_grants_no_origin(dial: Dial) -> None:
    async with dial(NOTE, NOTES) as http:
        answer = await http.options("/notes")
    assert answer.status_code == 200
    assert {part.strip() for part in answer.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS", "POST"}
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.content == b""


async def test_head_answers_as_get_without_a_body(dial: Dial) -> None:
    async with dial(NOTES) as http:
        got, head = await http.get("/notes"), await http.head("/notes")
    assert head.status_code == 200
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.content == b""


# --- identity, idempotency, request id


async def test_agent_is_the_headers_or_anonymous(dial: Dial) -> None:
    async with dial(NOTES) as http:
        named = await http.get("/notes", headers={"X-Agent-Id": "ai:bot@host:pid-1"})
        unnamed = await http.get("/notes", headers={"X-Agent-Id": "  "})
        refused(await http.get("/notes", headers={"X-Agent-Id": "no spaces"}), 400, "invalid_request", "X-Agent-Id")
        refused(await http.get("/notes", headers={"X-Agent-Id": "é".encode()}), 400, "invalid_request", "X-Agent-Id")
    assert named.json()["agent_id"] == "ai:bot@host:pid-1"
    assert unnamed.json()["agent_id"].startswith("anonymous:req-")
    assert len(unnamed.json()["agent_id"]) == len("anonymous:req-") + 8


async def test_idempotency_key_is_bound_to_method_path_query_and_body(dial: Dial) -> None:
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    async with dial(NOTE, POKE) as http:
        first = (await http.post("/notes", content=b'{"text":"x"}', headers=headers)).json()
        hashes = {
            first["request_hash"],
            (await http.post("/notes", content=b'{"text":"y"}', headers=headers)).json()["request_hash"],
            (await http.post("/notes?a=1", content=b'{"text":"x"}', headers=headers)).json()["request_hash"],
            (await http.post("/notes/a/poke", content=b'{"text":"x"}', headers=headers)).json()["request_hash"],
        }
    assert first["key"] == "k1"
    assert first["request_hash"] == sha256(b'POST /notes?\n{"text":"x"}').hexdigest()
    assert len(hashes) == 4


@pytest.mark.parametrize("key", ["", "x" * 256, "ü".encode()])
async def test_bad_idempotency_key_is_400(dial: Dial, key: str | bytes) -> None:
    async with dial(NOTE) as http:
        answer = await http.post("/notes", json={"text": "x"}, headers={"Idempotency-Key": key})
    refused(answer, 400, "invalid_request", "Idempotency-Key")


@pytest.mark.parametrize(("name", "values"), [
    ("X-Agent-Id", ("alice", "bob")), ("Idempotency-Key", ("k1", "k2")), ("Idempotency-Key", ("k1", "k1")),
    ("Content-Type", ("application/json", "text/plain")),
])
async def test_header_that_decides_is_given_once(dial: Dial, name: str, values: tuple[str, ...]) -> None:
    others = [] if name == "Content-Type" else [("Content-Type", "application/json")]
    async with dial(NOTE) as http:
        headers = [*others, *((name, value) for value in values)]
        answer = await http.post("/notes", content=b'{"text":"x"}', headers=headers)
    refused(answer, 400, "invalid_request", name)


async def test_reads_ignore_idempotency_keys(dial: Dial) -> None:
    async with dial(NOTES) as http:
        assert (await http.get("/notes", headers={"Idempotency-Key": "k"})).json()["key"] is None


async def test_request_id_is_echoed_or_made_and_rides_in_the_context(dial: Dial) -> None:
    seen: list[str] = []

    async def note_id() -> None:
        seen.append(REQUEST_ID.get())

    async with dial(doing(note_id)) as http:
        named = await http.post("/do", headers={"X-Request-Id": "abc-1"})
        made = await http.post("/do", headers={"X-Request-Id": "no spaces or\ttabs"})
    assert named.headers["x-request-id"] == "abc-1"
    assert len(made.headers["x-request-id"]) == 16
    assert seen == ["abc-1", made.headers["x-request-id"]]


# --- errors


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_family_becomes_its_status_and_envelope(dial: Dial, family: type[AimemError]) -> None:
    async def fail() -> None:
        raise family("what happened", field="thing", count=3)

    async with dial(doing(fail)) as http:
        answer = await http.post("/do")
    if family in (Corrupt, Bug):
        assert refused(answer, 500, str(family.family), "thing")["error"] == "internal error"
    else:
        body = refused(answer, STATUS[family.family], str(family.family), "thing")
        assert body == {"error": "what happened", "code": str(family.family), "field": "thing", "count": 3}
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)


async def test_a_wait_that_is_known_is_told_as_it_is(dial: Dial) -> None:
    async def fail() -> None:
        raise QuotaExceeded("too fast", code=Code.RATE_LIMITED, retry_after_s=17)

    async with dial(doing(fail)) as http:
        answer = await http.post("/do")
    assert refused(answer, 429, "rate_limited")["retry_after_s"] == 17
    assert answer.headers["retry-after"] == "17"


async def test_details_cannot_replace_the_envelope(dial: Dial) -> None:
    async def fail() -> None:
        raise Conflict("taken", error="x", holder="y")

    async with dial(doing(fail)) as http:
        body = refused(await http.post("/do"), 409, "conflict")
    assert body == {"error": "taken", "code": "conflict", "holder": "y"}


async def test_unexpected_exception_is_500_and_logged_once_without_its_text(
    dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    memory = "a secret".replace("a ", "the ")

    async def fail() -> None:
        raise ValueError(memory)

    async with dial(doing(fail)) as http:
        answer = await http.post("/do")
    assert refused(answer, 500, "internal") == {"error": "internal error", "code": "internal"}
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.message == "api.failed"
    assert record.error == "ValueError"  # type: ignore[attr-defined]
    assert record.route == "/do"  # type: ignore[attr-defined]
    assert "fail" in record.where  # type: ignore[attr-defined]
    assert memory not in repr(record.__dict__)


async def test_exception_group_is_500_too(dial: Dial) -> None:
    async def fail() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 10)
            raise ValueError("inside a nursery")

    async with dial(doing(fail)) as http:
        refused(await http.post("/do"), 500, "internal")


@pytest.mark.parametrize("effect", list(Effect))
async def test_request_past_its_deadline_is_503_and_says_whether_it_may_have_been_done(
    dial: Dial, autojump_clock: trio.testing.MockClock, effect: Effect
) -> None:
    async with dial(doing(trio.sleep_forever, effect=effect), request_deadline_s=3) as http:
        answer = await http.post("/do")
    body = refused(answer, 503, "deadline_exceeded")
    assert body.get("outcome") == (None if effect is Effect.READ else "indeterminate")
    assert answer.headers["retry-after"] == "2"


async def test_body_that_never_ends_is_503_and_not_applied(
    dial: Dial, autojump_clock: trio.testing.MockClock
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await trio.sleep_forever()

    async with dial(NOTE, request_deadline_s=3) as http:
        answer = await http.post("/notes", content=stuck(), headers={"Content-Type": "application/json"})
    assert refused(answer, 503, "deadline_exceeded")["outcome"] == "not_applied"


async def test_shutting_down_refuses_further_requests(dial: Dial) -> None:
    stopping = False
    async with dial(NOTES, is_stopping=lambda: stopping) as http:
        assert (await http.get("/notes")).status_code == 200
        stopping = True
        answer = await http.get("/notes")
    refused(answer, 503, "shutting_down")
    assert answer.headers["connection"] == "close"
    assert answer.headers["retry-after"] == "2"


async def test_answers_are_not_cached_or_guessed_at(dial: Dial) -> None:
    async with dial(NOTES) as http:
        for answer in (await http.get("/notes"), await http.get("/nothing")):
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-length"] == str(len(answer.content))


async def test_client_that_leaves_ends_the_handler(autojump_clock: trio.testing.MockClock) -> None:
    ended = trio.Event()

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    app = arriving_by(make_app(TinyNode(), ApiConfig(), routes=[doing(work)]), Transport.IN_PROCESS)
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, object]:
        message = next(messages, None)
        if message is None:
            await trio.sleep(1)
            return {"type": "http.disconnect"}
        return message

    async def send(message: object) -> None:
        raise AssertionError("nothing is sent to a client that left")

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/do", "raw_path": b"/do",
        "query_string": b"", "headers": [(b"host", b"localhost")], "client": None, "server": ("localhost", 80),
    }
    with trio.fail_after(5):
        await app(scope, receive, send)  # type: ignore[misc]
    assert ended.is_set()


async def test_websockets_are_refused() -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    app = make_app(TinyNode(), ApiConfig(), routes=[NOTES])
    await app({"type": "websocket", "path": "/notes", "headers": []}, trio.sleep_forever, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_lifespan_is_answered() -> None:
    app = make_app(TinyNode(), ApiConfig(), routes=[NOTES])
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return next(asked)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_open_route_needs_no_key(dial: Dial) -> None:
    from msgspec.structs import replace

    opened: Route = replace(NOTES, access=Access.OPEN)
    async with dial(opened, NOTE, transport=Transport.TCP_LOOPBACK, api_key="k") as http:
        assert (await http.get("/notes")).json()["credential"] == "open"
        assert (await http.get("/notes", headers={"X-API-Key": "k"})).status_code == 200


def test_envelope_is_json_of_plain_values() -> None:
    from aimem.api.refusals import refusal

    error = Conflict("two", ids=("a", "b"), count=2)
    assert json.loads(refusal(error).content) == {"error": "two", "code": "conflict", "ids": ["a", "b"], "count": 2}
