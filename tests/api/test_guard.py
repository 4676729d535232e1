"""Who gets in, judged by a table and once through the app."""

from __future__ import annotations

import httpx
import pytest

from aimem.api import Transport, make_app
from aimem.api.guard import (
    Attempt,
    admit,
    encoded_path,
    is_loopback_name,
    make_policy,
    read_attempt,
)
from aimem.config import ApiConfig
from aimem.errors import AimemError, Code
from aimem.governance import Keyring
from aimem.model import AgentId, AgentKey, Caller, Credential, Instant, Namespace, Role, key_hash, key_text
from tests.api.conftest import Dial, TinyNode, arriving_by
from tests.api.tiny import NOTE, NOTES

NOW = Instant(1_800_000_000_000_000)
OPEN = make_policy(None, ["/health"])
KEYED = make_policy("secret", ["/health"])


def verdict(policy: object, **fields: object) -> str:
    """The credential, or the code of the refusal."""
    attempt = Attempt(**{"transport": Transport.TCP_LOOPBACK, "path": "/x", "hosts": ("localhost:9077",), **fields})
    try:
        return str(admit(attempt, policy, Keyring(), NOW).credential)  # type: ignore[arg-type]
    except AimemError as error:
        return str(error.code)


@pytest.mark.parametrize("transport", [Transport.UNIX, Transport.IN_PROCESS])
def test_owner_of_the_socket_needs_no_key_and_no_host(transport: Transport) -> None:
    assert verdict(KEYED, transport=transport, hosts=("anything at all",), origins=("null",)) == "socket"


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TCP_LOOPBACK])
def test_key_is_asked_for_over_tcp_and_only_by_header(transport: Transport) -> None:
    assert verdict(KEYED, transport=transport) == "unauthenticated"
    assert verdict(KEYED, transport=transport, api_keys=("wrong",)) == "unauthenticated"
    assert verdict(KEYED, transport=transport, api_keys=("secret ",)) == "unauthenticated"
    assert verdict(KEYED, transport=transport, api_keys=("",)) == "unauthenticated"
    assert verdict(KEYED, transport=transport, api_keys=("secret", "secret")) == "unauthenticated"
    assert verdict(KEYED, transport=transport, api_keys=("secret",)) == "api_key"
    assert verdict(KEYED, transport=transport, path="/health") == "open"
    assert verdict(KEYED, transport=transport, path="/health/") == "unauthenticated"
    assert verdict(OPEN, transport=transport, api_keys=("whatever",)) == "open"


def test_key_in_the_url_is_refused_with_a_reason() -> None:
    attempt = Attempt(
        transport=Transport.TCP, path="/x", parameters=frozenset({"api_key"}), hosts=("h",), api_keys=("secret",)
    )
    with pytest.raises(AimemError, match="X-API-Key header") as caught:
        admit(attempt, KEYED, Keyring(), NOW)
    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("host", [
    "localhost", "localhost:9077", "LOCALHOST:1", "localhost.", "node1.localhost", "127.0.0.1", "127.0.0.1:9077",
    "127.255.0.3", "[::1]", "[::1]:9077", "localhost:",
])
def test_loopback_listener_serves_loopback_names(host: str) -> None:
    assert verdict(OPEN, hosts=(host,)) == "open"


@pytest.mark.parametrize("hosts", [
    (), ("evil.example",), ("evil.example:9077",), ("localhost.evil.example",), ("127.0.0.1.evil.example",),
    ("notlocalhost",), ("128.0.0.1",), ("0.0.0.0",), ("[::]",), ("[::ffff:7f00:2]",), ("169.254.169.254",), ("127.1",),
    ("localhost", "evil.example"),
])
def test_loopback_listener_refuses_other_names(hosts: tuple[str, ...]) -> None:
    assert verdict(OPEN, hosts=hosts) == "foreign_host"


@pytest.mark.parametrize(
    "host", ["", "a b", "localhost:x", "http://localhost", "localhost/../x", "[::1", "ü", "a@localhost"]
)
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TCP_LOOPBACK])
def test_malformed_host_is_refused_everywhere(host: str, transport: Transport) -> None:
    assert verdict(OPEN, transport=transport, hosts=(host,)) == "invalid_request"


AGENT_TEXT = key_text("0" * 16, bytes(32))
ADMIN_TEXT = key_text("1" * 16, bytes(32))
OLD_TEXT = key_text("2" * 16, bytes(32))


def _key(text: str, agent: str, **fields: object) -> AgentKey:
    return AgentKey(**{
        "key_id": text[4:20], "agent_id": AgentId(agent), "secret_hash": key_hash(text), "role": Role.AGENT,
        "created_by": AgentId("root"), "created_at": Instant(0), **fields,
    })


RING = Keyring(is_closed=True, keys={key.key_id: key for key in (
    _key(AGENT_TEXT, "bot", home=Namespace("acme/bot")), _key(ADMIN_TEXT, "ann", role=Role.OPERATOR),
    _key(OLD_TEXT, "old", expires_at=NOW),
)})
OPEN_RING = Keyring()


def as_whom(ring: Keyring, policy: object, **fields: object) -> str:
    """Credential, role and the id that the caller is bound to; or the code of the refusal."""
    attempt = Attempt(**{"transport": Transport.TCP_LOOPBACK, "path": "/x", "hosts": ("localhost:9077",), **fields})
    try:
        caller = admit(attempt, policy, ring, NOW)  # type: ignore[arg-type]
    except AimemError as error:
        return str(error.code)
    return f"{caller.credential} {caller.role} {caller.agent_id or '-'}"


@pytest.mark.parametrize(("key", "policy", "over_tcp", "over_socket"), [
    (None, OPEN, "unauthenticated", "socket operator -"),
    (None, KEYED, "unauthenticated", "socket operator -"),
    ("secret", OPEN, "unauthenticated", "unauthenticated"),
    ("secret", KEYED, "api_key operator operator:api-key", "socket operator -"),
    ("wrong", KEYED, "unauthenticated", "unauthenticated"),
    (AGENT_TEXT, OPEN, "agent_key agent bot", "agent_key agent bot"),
    (AGENT_TEXT, KEYED, "agent_key agent bot", "agent_key agent bot"),
    (ADMIN_TEXT, OPEN, "agent_key operator ann", "agent_key operator ann"),
    (OLD_TEXT, OPEN, "key_expired", "key_expired"),
    (AGENT_TEXT[:-1] + "B", OPEN, "unauthenticated", "unauthenticated"),
    ("", OPEN, "unauthenticated", "unauthenticated"),
])
def test_once_agents_have_keys_each_caller_is_whom_its_key_says(key, policy, over_tcp, over_socket):
    keys = () if key is None else (key,)
    for transport in (Transport.TCP, Transport.TCP_LOOPBACK):
        assert as_whom(RING, policy, transport=transport, api_keys=keys) == over_tcp
    for transport in (Transport.UNIX, Transport.IN_PROCESS):
        assert as_whom(RING, policy, transport=transport, api_keys=keys) == over_socket


@pytest.mark.parametrize(("key", "policy", "over_tcp", "over_socket"), [
    (None, OPEN, "open open -", "socket open -"), (None, KEYED, "unauthenticated", "socket open -"),
    ("secret", KEYED, "api_key open -", "socket open -"), ("whatever", OPEN, "open open -", "socket open -"),
    # An agent's key is never passed over: who presents one must not act as somebody else.
    (AGENT_TEXT, OPEN, "unauthenticated", "unauthenticated"), (AGENT_TEXT, KEYED, "unauthenticated", "unauthenticated"),
])
def test_while_no_agent_has_a_key_ids_are_claimed(key, policy, over_tcp, over_socket):
    keys = () if key is None else (key,)
    assert as_whom(OPEN_RING, policy, transport=Transport.TCP_LOOPBACK, api_keys=keys) == over_tcp
    assert as_whom(OPEN_RING, policy, transport=Transport.UNIX, api_keys=keys) == over_socket


@pytest.mark.parametrize(("key", "claims", "expected"), [
    (AGENT_TEXT, (), "agent_key agent bot"), (AGENT_TEXT, ("bot",), "agent_key agent bot"),
    (AGENT_TEXT, ("ann",), "identity_mismatch"), (AGENT_TEXT, ("BOT",), "identity_mismatch"),
    (AGENT_TEXT, ("bot", "ann"), "identity_mismatch"), (ADMIN_TEXT, ("bot",), "identity_mismatch"),
    ("secret", ("bot",), "identity_mismatch"), ("secret", ("operator:api-key",), "api_key operator operator:api-key"),
])
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TCP_LOOPBACK])
def test_a_key_speaks_for_its_own_agent_only(transport, key, claims, expected):
    assert as_whom(RING, KEYED, transport=transport, api_keys=(key,), claims=claims) == expected


def test_the_owner_of_the_socket_may_act_under_any_name() -> None:
    assert as_whom(RING, KEYED, transport=Transport.UNIX, claims=("bot",)) == "socket operator -"


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("keys", [(), (OLD_TEXT,), ("a", "b"), ("secret",)])
def test_an_open_path_needs_no_key_and_makes_nobody_an_operator(transport, keys):
    for ring in (RING, OPEN_RING):
        assert as_whom(ring, KEYED, transport=transport, path="/health", api_keys=keys) == "open agent -"


def test_two_keys_are_none() -> None:
    for transport in (Transport.TCP, Transport.UNIX):
        assert as_whom(RING, OPEN, transport=transport, api_keys=(AGENT_TEXT, ADMIN_TEXT)) == "unauthenticated"


def test_a_caller_is_carried_from_within_the_process_alone() -> None:
    carried = Caller(credential=Credential.AGENT_KEY, role=Role.AGENT, agent_id=AgentId("bot"))
    scope = {
        "path": "/x", "raw_path": b"/x", "query_string": b"", "headers": [(b"host", b"localhost")],
        "extensions": {"aimem.caller": carried},
    }
    for transport in Transport:
        scope["extensions"] = {"aimem.caller": carried, "aimem.transport": transport.value}
        attempt = read_attempt(scope, "/x")
        assert (attempt.carried is carried) == (transport is Transport.IN_PROCESS)


async def test_what_the_guard_refuses_is_noted_with_the_agent_whose_key_it_was() -> None:
    node = TinyNode(RING)
    app = arriving_by(make_app(node, ApiConfig(), routes=[NOTES]), Transport.TCP)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        codes = [
            (await http.get("/notes", headers=headers)).json()["code"]
            for headers in (
                {"X-API-Key": AGENT_TEXT, "X-Agent-Id": "ann"}, {"X-API-Key": OLD_TEXT}, {"X-API-Key": "x"},
            )
        ]
    assert codes == ["identity_mismatch", "key_expired", "unauthenticated"]
    rows = [(row.agent_id, row.rule, row.detail) for row in node.refusals.take()]
    assert rows == [
        ("bot", "identity_mismatch", "claimed 'ann'"), ("old", "key_expired", None),
        ("unknown", "unauthenticated", None),
    ]


@pytest.mark.parametrize(("target_host", "expected"), [
    ("localhost:9077", "open"), ("evil.example", "foreign_host"), ("u:p@[::1", "invalid_request"),
    ("[zz]", "invalid_request"), ("", "invalid_request"),
])
def test_host_of_a_whole_url_is_judged_beside_the_header(target_host: str, expected: str) -> None:
    assert verdict(OPEN, target_hosts=(target_host,)) == expected
    assert verdict(OPEN, hosts=("evil.example",), target_hosts=("localhost",)) == "foreign_host"


def test_host_of_a_whole_url_is_read_from_the_target() -> None:
    scope = {"headers": [(b"host", b"localhost")], "query_string": b"", "raw_path": b"HTTP://evil.example:8/p?http://x"}
    assert read_attempt(scope, "/p").target_hosts == ("evil.example:8",)
    assert read_attempt({**scope, "raw_path": b"/http://evil.example/"}, "/p").target_hosts == ()


def test_public_listener_serves_any_name() -> None:
    fields = {"hosts": ("memory.example:443",), "origins": ("https://x.example",)}
    assert verdict(OPEN, transport=Transport.TCP, **fields) == "open"


@pytest.mark.parametrize(("origin", "expected"), [
    ("http://localhost:3000", "open"), ("https://127.0.0.1", "open"), ("http://[::1]:8", "open"),
    ("null", "foreign_origin"), ("", "foreign_origin"), ("https://evil.example", "foreign_origin"),
    ("http://localhost.evil.example", "foreign_origin"), ("file://", "foreign_origin"),
    ("chrome-extension://abc", "foreign_origin"), ("http://localhost@evil.example", "foreign_origin"),
    ("localhost", "foreign_origin"),
])
def test_pages_from_elsewhere_are_refused_on_loopback(origin: str, expected: str) -> None:
    assert verdict(OPEN, origins=(origin,)) == expected
    assert verdict(KEYED, origins=(origin,), api_keys=("secret",)) == ("api_key" if expected == "open" else expected)


def test_one_foreign_origin_among_several_is_enough() -> None:
    assert verdict(OPEN, origins=("http://localhost", "https://evil.example")) == "foreign_origin"


def test_loopback_names_are_told_by_their_form_alone() -> None:
    assert is_loopback_name("A.LocalHost")
    assert not is_loopback_name("")
    assert not is_loopback_name("localhosts")


@pytest.mark.parametrize(("named", "expected"), [
    ("unix", Transport.UNIX), ("tcp-loopback", Transport.TCP_LOOPBACK), ("in-process", Transport.IN_PROCESS),
    ("tcp", Transport.TCP), ("UNIX", Transport.TCP), (None, Transport.TCP),
])
def test_unknown_transport_counts_as_public_tcp(named: str | None, expected: Transport) -> None:
    scope = {
        "headers": [(b"Host", b"h"), (b"X-API-KEY", b" k ")], "query_string": b"a=1&api%5fkey=x", "path": "/x",
        "extensions": {} if named is None else {"aimem.transport": named},
    }
    attempt = read_attempt(scope, "/x")
    assert attempt.transport is expected
    assert attempt.api_keys == ("k",)
    assert attempt.parameters == {"a", "api_key"}


@pytest.mark.parametrize(("scope", "path"), [
    ({"raw_path": b"/a%2Fb?x=1"}, "/a%2Fb"), ({"path": "/a b/ü"}, "/a%20b/%C3%BC"),
    ({"raw_path": b"http://h/p?q"}, "/p"), ({"raw_path": b"http://[::1/p"}, "/p"), ({"raw_path": b"http://[zz]"}, "/"),
    ({"raw_path": b"h:80"}, "h:80"), ({"raw_path": b"//h/p"}, "//h/p"),
    ({"raw_path": b"http://h"}, "/"), ({"raw_path": b"", "path": ""}, "/"), ({"raw_path": b"*"}, "*"),
])
def test_path_stays_encoded(scope: dict[str, object], path: str) -> None:
    assert encoded_path(scope) == path


async def test_refusals_come_before_the_body_and_before_routing(dial: Dial) -> None:
    async with dial(NOTE, transport=Transport.TCP_LOOPBACK, api_key="secret", body_max_bytes=10) as http:
        for path in ("/notes", "/nothing"):
            answer = await http.post(path, content=b"x" * 100)
            assert answer.status_code == 401
            assert answer.json() == {"error": "missing or invalid API key", "code": "unauthenticated"}
            assert answer.headers["www-authenticate"].startswith("ApiKey")
        foreign = await http.post("/notes", headers={"Host": "evil.example", "X-API-Key": "secret"})
        assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_host")


async def test_credential_reaches_the_handler(dial: Dial) -> None:
    for transport, key, expected in (
        (Transport.UNIX, None, Credential.SOCKET), (Transport.TCP_LOOPBACK, None, Credential.OPEN),
        (Transport.TCP, "secret", Credential.API_KEY), (None, "secret", Credential.API_KEY),
    ):
        async with dial(NOTES, transport=transport, api_key=key) as http:
            answer = await http.get("/notes", headers={"X-API-Key": key} if key else {})
            assert answer.json()["credential"] == expected


@pytest.mark.parametrize("host", ["a b", "xn--", "a" * 300, "ü", "h:99999", "..", "-", "a..b", "[zz]"])
async def test_no_host_header_makes_the_surface_fail(host: str) -> None:
    app = arriving_by(make_app(TinyNode(), ApiConfig(), routes=[NOTES]), Transport.TCP)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        answer = await http.get("/notes", headers={"Host": host.encode()})
    assert answer.status_code in (200, 400)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("query", [b"\xff", b"q=\xff\xfe", "q=ü".encode()])
async def test_raw_bytes_in_the_query_do_not_make_the_surface_fail(query: bytes) -> None:
    app = arriving_by(make_app(TinyNode(), ApiConfig(), routes=[NOTES]), Transport.TCP, query_string=query)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        answer = await http.get("/notes")
    assert answer.status_code in (200, 400)
    assert answer.headers["content-type"] == "application/json"


NODES = make_policy("secret", ["/health"], [("POST", "/sync")])


def test_a_listed_certificate_opens_the_routes_between_nodes_and_no_other() -> None:
    shown = {"transport": Transport.TCP, "is_secured": True, "has_certificate": True, "hosts": ("node-a",)}
    assert verdict(NODES, **shown, path="/sync", method="POST") == "certificate"
    assert verdict(NODES, **shown, path="/sync", method="GET") == "unauthenticated"
    assert verdict(NODES, **shown, path="/x", method="POST") == "unauthenticated"
    assert verdict(NODES, **shown, path="/x", api_keys=("secret",)) == "api_key"
    assert verdict(NODES, **shown, path="/sync", method="POST", api_keys=("wrong",)) == "unauthenticated"
    assert verdict(NODES, **{**shown, "has_certificate": False}, path="/sync", method="POST") == "unauthenticated"


def test_over_tls_a_loopback_listener_serves_other_names_and_still_no_foreign_page() -> None:
    assert verdict(OPEN, hosts=("node-a:9077",), is_secured=True) == "open"
    assert verdict(OPEN, hosts=("node-a:9077",), is_secured=True, origins=("https://evil.example",)) == "foreign_origin"
