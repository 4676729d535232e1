"""One attempt: every address vetted, the connection to a vetted one, the answer dropped, whatever happens told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

from aimem.webhooks import Letter, Reach, Sender, signing_key
from aimem.webhooks.sender import ANSWER_MAX_BYTES

PUBLIC = "93.184.216.34"
LETTER = Letter(
    url="https://hooks.example:8443/in?x=1", body=b'{"event":"memory_store"}', signing_key=signing_key("s3cret"),
    timestamp=1_800_000_000, delivery_id="d-1", event_id="0011aabb.7",
)


class Names:
    """A resolver that says what it is told to say, and counts how often it is asked."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if not answer:
            raise OSError(f"{host}:{port} is unknown")
        return answer


class Network(httpx.AsyncBaseTransport):
    """Takes requests and answers as told."""

    def __init__(self, status: int = 200, stream: httpx.AsyncByteStream | None = None, **headers: str) -> None:
        self.status, self.stream, self.headers = status, stream or httpx.ByteStream(b"ok"), headers
        self.seen: list[httpx.Request] = []
        self.failures: list[Exception] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return httpx.Response(self.status, stream=self.stream, headers=self.headers)


async def test_the_connection_goes_to_the_vetted_address_under_the_hosts_name() -> None:
    network, names = Network(), Names((PUBLIC,), ("127.0.0.1",))
    attempt = await Sender(network, names, Reach.PUBLIC).deliver(LETTER)
    (request,) = network.seen
    assert (attempt.status, attempt.problem, names.asked) == (200, "", 1)
    assert str(request.url) == f"https://{PUBLIC}:8443/in?x=1"
    assert request.headers["Host"] == "hooks.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.example"
    assert request.content == LETTER.body


async def test_a_delivery_is_signed_as_v0_6_3_signs_it() -> None:
    network = Network()
    await Sender(network, Names((PUBLIC,)), Reach.PUBLIC).deliver(LETTER)
    headers = network.seen[0].headers
    key = hashlib.sha256(b"s3cret").digest()
    wanted = hmac.new(key, headers["x-ai-memory-timestamp"].encode() + b"." + LETTER.body, hashlib.sha256).hexdigest()
    assert headers["x-ai-memory-signature"] == f"sha256={wanted}"
    assert (headers["x-ai-memory-delivery"], headers["x-ai-memory-event-id"]) == ("d-1", "0011aabb.7")
    assert headers["user-agent"].startswith("ai-memory/")


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), (PUBLIC, "10.0.0.1"), ("::ffff:169.254.169.254",), ("64:ff9b::a00:1",), ("fe80::1%1",)],
)
async def test_one_forbidden_address_refuses_the_host(addresses: tuple[str, ...]) -> None:
    network = Network()
    attempt = await Sender(network, Names(addresses), Reach.PUBLIC).deliver(LETTER)
    assert attempt.status is None
    assert attempt.problem.startswith("hooks.example leads to")
    assert not network.seen


async def test_a_name_that_is_unknown_is_no_permission() -> None:
    network = Network()
    attempt = await Sender(network, Names(()), Reach.PUBLIC).deliver(LETTER)
    assert "addresses were not found" in attempt.problem
    assert not network.seen


async def test_a_redirect_is_not_followed() -> None:
    network = Network(302, Location="http://169.254.169.254/")
    attempt = await Sender(network, Names((PUBLIC,)), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.status, attempt.problem, len(network.seen)) == (302, "it answered with status 302", 1)


async def test_the_next_address_is_tried_if_no_connection_can_be_made() -> None:
    network = Network()
    network.failures = [httpx.ConnectError("refused")]
    attempt = await Sender(network, Names((PUBLIC, "1.1.1.1")), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.problem, [request.url.host for request in network.seen]) == ("", [PUBLIC, "1.1.1.1"])
    network.failures = [httpx.ConnectError("refused")] * 9
    attempt = await Sender(network, Names(tuple(f"1.1.1.{i}" for i in range(9))), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.problem, len(network.seen)) == ("no connection to it could be made", 6)


async def test_a_request_that_was_sent_goes_to_no_other_address() -> None:
    network = Network()
    network.failures = [httpx.ReadError("reset")]
    attempt = await Sender(network, Names((PUBLIC, "1.1.1.1")), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.problem, len(network.seen)) == ("no answer: ReadError", 1)


class Endless(httpx.AsyncByteStream):
    """An answer without end."""

    sent = 0
    is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1024
            yield bytes(1024)

    async def aclose(self) -> None:
        self.is_closed = True


async def test_an_answer_without_end_is_cut() -> None:
    stream = Endless()
    attempt = await Sender(Network(stream=stream), Names((PUBLIC,)), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.status, attempt.problem, stream.is_closed) == (200, "", True)
    assert stream.sent <= ANSWER_MAX_BYTES + 1024


async def test_a_receiver_that_says_nothing_is_left_after_ten_seconds(autojump_clock: trio.testing.MockClock) -> None:
    class Deaf(Network):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await trio.sleep_forever()
            raise AssertionError

    attempt = await Sender(Deaf(), Names((PUBLIC,)), Reach.PUBLIC).deliver(LETTER)
    assert (attempt.problem, trio.current_time()) == ("no answer within 10 s", 10)


async def test_an_address_that_is_not_allowed_any_more_is_told() -> None:
    network = Network()
    for url in ("http://127.0.0.1/", "https://user@x/", "nonsense"):
        letter = Letter(url=url, body=b"", signing_key=None, timestamp=1, delivery_id="d", event_id="e")
        assert (await Sender(network, Names((PUBLIC,)), Reach.PUBLIC).deliver(letter)).problem.startswith("url ")
    assert not network.seen
