"""The way to a peer: what is sent, what is understood, and that nothing that comes back is trusted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest

from aimem.errors import Unavailable
from aimem.model import SERVER_CERTIFICATE, PresentedCertificate
from aimem.replication import NotSecured, PeerRoad, Trust
from aimem.replication.counts import failure_kind
from aimem.store import Identity, Pin
from aimem.wire import PROTOCOL, SYNC_BODY_MAX_BYTES, ExchangeAnswer, ExchangeRequest, encode, op_out
from aimem.wire.packing import GZIP_FROM_BYTES
from tests.nodes import START, FakeClock, seeded_chance
from tests.proofs import answered
from tests.streams import Author

OTHER = Author(5)
ASK = ExchangeRequest(protocol=PROTOCOL, node="x", stream=OTHER.stream)
ANSWER = ExchangeAnswer(protocol=PROTOCOL, node="y", stream=OTHER.stream, vector={})


def speaks(seed: int = 1, name: str = "x") -> Trust:
    """Whom a road speaks for, and how it judges others: a store of which nothing but the key is asked."""
    author = Author(seed, name)
    store = SimpleNamespace(
        identity=Identity(node=name, signer=author.signer, head=author.head), stream=author.stream,
        log=SimpleNamespace(heads={}), read=_no_pins, write=_nothing,
    )
    return Trust(store, seeded_chance(seed), FakeClock())  # type: ignore[arg-type]


async def _no_pins(*_: object) -> dict[str, Pin]:
    return {}


async def _nothing(*_: object) -> None:
    pass


class Peer(httpx.AsyncBaseTransport):
    """Answers as a test says, one after the other; notes what it was asked."""

    def __init__(self, *answers: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        return self.answers.pop(0)(request)


def good(request: httpx.Request) -> httpx.Response:
    return answered(request, OTHER.signer, "y", encode(ANSWER))


def answering(content: bytes, status: int = 200, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: answered(request, OTHER.signer, "y", content, status, **headers)


def packed(content: bytes) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: answered(
        request, OTHER.signer, "y", content, sent=gzip.compress(content), **{"content-encoding": "gzip"}
    )


def failing(error: type[httpx.HTTPError]) -> Callable[[httpx.Request], httpx.Response]:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("broken")

    return fail


async def test_the_key_of_the_mesh_is_sent() -> None:
    peer = Peer(good)
    assert await PeerRoad(peer, speaks(), api_key="secret").exchange("http://n1/x", ASK) == ANSWER
    [asked] = peer.asked
    assert (asked.method, str(asked.url)) == ("POST", "http://n1/x/api/v1/sync/push")
    assert asked.headers["x-api-key"] == "secret"


async def test_large_exchanges_travel_packed_both_ways() -> None:
    OTHER.memory("m1", content="x" * GZIP_FROM_BYTES)
    peer = Peer(packed(encode(ANSWER)))
    request = ExchangeRequest(
        protocol=PROTOCOL, node="x", stream=OTHER.stream, ops=tuple(map(op_out, OTHER.ops)),
    )
    assert await PeerRoad(peer, speaks()).exchange("http://n1", request) == ANSWER
    assert peer.asked[0].headers["content-encoding"] == "gzip"
    assert gzip.decompress(peer.asked[0].content) == encode(request)


async def test_a_kept_connection_that_broke_is_replaced_once() -> None:
    assert await PeerRoad(Peer(failing(httpx.RemoteProtocolError), good), speaks()).exchange("http://n1", ASK) == ANSWER
    with pytest.raises(Unavailable, match="broke"):
        await PeerRoad(Peer(failing(httpx.ReadError), failing(httpx.ReadError)), speaks()).exchange("http://n1", ASK)


@pytest.mark.parametrize(("url", "before", "reason"), [
    ("http://n1", 0, r"the connection broke; it may speak TLS \(https://\)$"),
    ("http://n1", 1, "the connection broke$"), ("https://n1", 0, "the connection broke$"),
])
async def test_a_plain_address_that_never_answered_may_be_one_of_tls(url: str, before: int, reason: str) -> None:
    broken = failing(httpx.RemoteProtocolError)
    road = PeerRoad(Peer(*[good] * before, broken, broken), speaks())
    for _ in range(before):
        await road.exchange(url, ASK)
    with pytest.raises(Unavailable, match=reason) as caught:
        await road.exchange(url, ASK)
    assert failure_kind(caught.value.message) == "broken"


@pytest.mark.parametrize(("answer", "reason"), [
    (answering(b"{}"), "nonsense"),
    (answering(b"\xff"), "nonsense"),
    (answering(b"[" * 5000), "nonsense"),
    (answering(bytes(SYNC_BODY_MAX_BYTES + 1)), "too large"),
    (packed(bytes(SYNC_BODY_MAX_BYTES + 1)), "larger than"),
    (answering(b"no gzip", **{"content-encoding": "gzip"}), "not gzip"),
    (answering(b'{"error": "x", "code": "unauthenticated"}', 401),
     "it answered 401 unauthenticated; is api_key the same on both"),
    (answering(b'{"error": "x", "code": "certificate_of_another"}', 403),
     "it takes our certificate for another node's"),
    (answering(b"<html>", 502), "it answered 502"),
    (answering(b'{"code": "a b; c"}', 503), "it answered 503$"),
    (failing(httpx.ConnectError), "unreachable: broken"),
    (failing(NotSecured), "^tls: broken"),
    (failing(httpx.ConnectTimeout), "timeout"),
])
async def test_what_goes_wrong_has_a_reason_in_few_words(
    answer: Callable[[httpx.Request], httpx.Response], reason: str
) -> None:
    with pytest.raises(Unavailable, match=reason):
        await PeerRoad(Peer(answer), speaks()).exchange("http://n1", ASK)


async def test_an_address_that_is_none_is_a_reason_too() -> None:
    with pytest.raises(Unavailable):
        await PeerRoad(Peer(good), speaks()).exchange("http://[::1", ASK)


def showing(fingerprint: str) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        response = answered(request, OTHER.signer, "y", encode(ANSWER), certificates=(fingerprint,))
        response.extensions[SERVER_CERTIFICATE] = PresentedCertificate(
            fingerprint=fingerprint, names=("y",), not_after=START
        )
        return response

    return answer


async def test_who_showed_what_is_off_the_list_is_asked_what_it_shows_now_and_told_nothing() -> None:
    old, new, trust = "a" * 64, "b" * 64, speaks()
    peer = Peer(showing(old), showing(old), showing(new), showing(new))
    road = PeerRoad(peer, trust)
    trust.listed = lambda: frozenset({old})
    assert await road.exchange("https://y", ASK) == ANSWER
    trust.listed = lambda: frozenset({new})
    with pytest.raises(Unavailable, match="taken off the list"):
        await road.exchange("https://y", ASK)
    assert await road.exchange("https://y", ASK) == ANSWER
    assert [request.method for request in peer.asked] == ["POST", "GET", "GET", "POST"]
    assert not any(request.content for request in peer.asked if request.method == "GET")


async def test_an_answer_by_what_was_taken_off_the_list_meanwhile_is_asked_for_again() -> None:
    old, new, trust = "a" * 64, "b" * 64, speaks()
    before = showing(old)

    def late(request: httpx.Request) -> httpx.Response:
        trust.listed = lambda: frozenset({new})
        return before(request)

    peer = Peer(before, late, showing(new), showing(new), showing(new))
    road = PeerRoad(peer, trust)
    trust.listed = lambda: frozenset({old, new})
    assert await road.exchange("https://y", ASK) == ANSWER
    assert await road.exchange("https://y", ASK) == ANSWER
    assert [request.method for request in peer.asked] == ["POST", "POST", "GET", "POST"]
    trust.listed = lambda: frozenset({"c" * 64})
    with pytest.raises(Unavailable, match="taken off the list"):
        await road.exchange("https://y", ASK)
    assert peer.asked[-1].method == "GET"
