"""Hostile bytes for every body, query, path and header."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from aimem.api import ROUTES, Route
from aimem.errors import Code
from tests.campaign.places import sound, with_body
from tests.campaign.plan import Thoroughness, some
from tests.campaign.world import JSON, Asked, Headers, World
from tests.hostile import BODY_MAX_BYTES, JSON_TEXTS

OF_A_BODY = frozenset({
    Code.MALFORMED_JSON, Code.SCHEMA_MISMATCH, Code.BODY_TOO_LARGE, Code.INVALID_REQUEST, Code.NOT_FOUND,
    Code.ALREADY_DECIDED,     # by the body before
})


ODD_HEADERS: dict[str, Headers] = {
    "no type": (), "another type": ((b"content-type", b"text/plain"),),
    "form": ((b"content-type", b"multipart/form-data; boundary=x"),),
    "urlencoded": ((b"content-type", b"application/x-www-form-urlencoded"),),
    "two types": (*JSON, (b"content-type", b"text/plain")),
    "charset": ((b"content-type", b"application/json; charset=utf-16"),),
    "broken type": ((b"content-type", b"application/json; charset=\xff\"\\"),),
    "gzip": (*JSON, (b"content-encoding", b"gzip")), "odd encoding": (*JSON, (b"content-encoding", b"\xff, br, x")),
    "two agents": (*JSON, (b"x-agent-id", b"a"), (b"x-agent-id", b"b")),
    "bytes for an agent": (*JSON, (b"x-agent-id", b"\xff\xfe")),
    "two keys": (*JSON, (b"idempotency-key", b"a"), (b"idempotency-key", b"b")),
    "long key": (*JSON, (b"idempotency-key", b"k" * 256)), "bytes for a key": (*JSON, (b"idempotency-key", b"\xff")),
    "empty key": (*JSON, (b"idempotency-key", b"")), "length no number": (*JSON, (b"content-length", b"many")),
    "negative length": (*JSON, (b"content-length", b"-1")), "huge length": (*JSON, (b"content-length", b"9" * 400)),
    "request id": (*JSON, (b"x-request-id", b"a b\xff")), "range": (*JSON, (b"range", b"bytes=5-1,,-")),
    "date": (*JSON, (b"if-modified-since", b"\xff"), (b"if-none-match", b'W/"')),
    "cookie": (*JSON, (b"cookie", b"=;\xff=\"; a")), "authorization": (*JSON, (b"authorization", b"Basic \xff")),
    "accept": (*JSON, (b"accept", b"application/\xff;q=x"), (b"accept-language", b"\xff;q=nan")),
    "forwarded": (*JSON, (b"x-forwarded-for", b"\xff"), (b"x-forwarded-proto", b"\xff"), (b"forwarded", b"for=\"")),
    "override": (*JSON, (b"x-http-method-override", b"DELETE")), "expect": (*JSON, (b"expect", b"\xff")),
}


QUERIES = [
    b"&&&", b"=", b"=a", b"a", b"%", b"%ff=%ff", b"\xff=\xfe", b"limit=%ff", b"limit=1&limit=2", b"limit=+1",
    b"limit=%201", b"limit=1e3", b"limit=0x10", b"limit=" + b"9" * 4_000, b"limit=-9223372036854775809",
    b"limit=null&offset=None", b"limit=1.0", b"offset=1_0", b"limit=%D9%A1", b"x=" + b"a" * 60_000,
    b"&".join(b"k%d=v" % n for n in range(5_000)), b"limit[]=1&limit[$gt]=0", b";limit=1;", b"limit=1#fragment",
    b"%6cimit=0", b"limit=true&dry_run=2&touch=maybe", b"since=now&until=never", b"cursor=%00&offset=-1",
]


ODD_PATHS = [
    b"", b"/", b"//", b"*", b"/api", b"/api/v1", b"/api/v1/", b"/api/v2/memories", b"/api/v1//memories",
    b"/api/v1/memories/", b"/api/v1/memories//", b"/api/v1/memories/../stats", b"/api/v1/memories/%2e%2e/stats",
    b"/api/v1/./stats", b"/%61pi/v1/stats", b"/api/v1/memories/%", b"/api/v1/memories/%zz", b"/api/v1/memories/%ff",
    b"/api/v1/memories/\xff\xfe", b"/api/v1/memories/%00", b"/api/v1/memories/a%0d%0ab",
    b"/api/v1/memories/" + b"a" * 60_000, b"/api/v1" + b"/a" * 20_000, b"/api/v1/memories/seed-one/",
    b"/api/v1/memories/seed-one/promote/x", b"/API/V1/STATS", b"/api/v1/stats;x=1", b"/api/v1/stats%20",
    b"/api/v1/stats%3Fa=1", b"http://localhost/api/v1/nothing", b"http://localhost:9077", b"http://",
    b"https://localhost/%", b"/mcp/../api/v1/stats", b"\xe2\x80\xae",
]
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "G\x01T", "X" * 300})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_no_bytes_break_a_route(world: World, route: Route, thoroughness: Thoroughness) -> None:
    for body in some(JSON_TEXTS.values(), thoroughness, one_in=9, label=route.name):
        answer = await world.try_it(with_body(route, body))
        assert route.body is None or answer.status < 400 or answer.json["code"] in OF_A_BODY, answer
        limit_bytes = route.body_limit_bytes or BODY_MAX_BYTES
        assert route.body is None or len(body) <= limit_bytes or answer.status == 413, answer
    for headers in some(ODD_HEADERS.values(), thoroughness, one_in=7, label=route.name):
        await world.try_it(replace(sound(route), headers=headers))
    for query in some(QUERIES, thoroughness, one_in=7, label=route.name):
        request = sound(route)
        await world.try_it(replace(request, query=b"&".join(part for part in (request.query, query) if part)))
    await check_methods(world, route)


async def check_methods(world: World, route: Route) -> None:
    """A method that a path does not have is refused, and those that it has are named."""
    request = sound(route)
    at_home = {other.method for other in ROUTES if other.path == route.path}
    matching = {other.method for other in ROUTES if _may_be(other, request.path)}
    for method in METHODS - matching:
        answer = await world.try_it(replace(request, method=method))
        assert (answer.status, answer.json["code"]) == (405, "method_not_allowed"), answer
        assert at_home <= set(answer.json["allowed"]), answer


def _may_be(route: Route, path: bytes) -> bool:
    ours, theirs = route.path.split("/"), path.decode().split("/")
    return len(ours) == len(theirs) and all(a == b or a.startswith("{") for a, b in zip(ours, theirs, strict=True))


async def test_a_path_that_is_no_route_is_refused_in_our_words(world: World) -> None:
    for path in ODD_PATHS:
        for method in (*METHODS, "OPTIONS"):
            answer = await world.try_it(Asked(method=method, path=path, headers=JSON, body=b"{}"))
            assert answer.status in (200, 400, 404, 405), answer


async def test_a_key_belongs_to_one_request(world: World) -> None:
    """Whatever else differs, the second is refused, and writes no note."""
    [request] = [sound(route) for route in ROUTES if route.name == "remember"]
    keyed = replace(request, headers=(*request.headers, (b"idempotency-key", b"a key")))
    assert (await world.try_it(keyed)).status == 201
    for other in (replace(keyed, query=b"x=1"), replace(keyed, body=keyed.body + b" ")):
        again = await world.try_it(other)
        assert (again.status, again.json["code"]) == (422, "idempotency_mismatch")
