"""Who gets in: keys, claims, and the protection of a loopback listener against web pages. It reads no body.

A browser on the same machine will send any page's request to 127.0.0.1. A page is told apart by `Origin`, and a page
whose own name was made to resolve to 127.0.0.1 (DNS rebinding) by `Host`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final  # Any: ASGI's scope and messages are open mappings
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from aimem.errors import AimemError, Code, Denied, InvalidRequest, Unauthenticated
from aimem.governance import Keyring
from aimem.model import SHARED_KEY_AGENT, Caller, Credential, Instant, Role, key_id_of, without_keys
from aimem.service import Claim, Node, keyring, note_refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT_EXTENSION: Final = "aimem.transport"
CALLER_KEY: Final = "aimem.caller"
"""In the scope: the model.Caller that the guard let in. In the `extensions` of a request from within this process: the
one that it acts for, if that one got in by another door."""

TLS_EXTENSION: Final = "tls"
"""Of a scope: ASGI's, with keys of ours."""
FINGERPRINT_KEY: Final = "client_cert_sha256"
NAMES_KEY: Final = "client_cert_names"
SHOWS_KEY: Final = "server_cert_sha256"

KEY_HEADER: Final = "X-API-Key"
AGENT_HEADER: Final = "X-Agent-Id"
NOBODY: Final = Caller(credential=Credential.OPEN, role=Role.AGENT)
"""Who asks for what needs no key: it may see that, and nothing else."""

CLAIM_KEPT_CHARS: Final = 128
PATH_KEPT_CHARS: Final = 128
MISSING_KEY_TEXT: Final = "missing or invalid API key"

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::[0-9]{0,5})?", re.ASCII)
_WHOLE_URL = re.compile(r"(?i:https?)://(?P<authority>[^/?#]*)(?P<path>.*)", re.ASCII | re.DOTALL)
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class Transport(StrEnum):
    """How a request reached the app: `scope["extensions"]["aimem.transport"]`, set by the connection layer."""

    UNIX = "unix"
    TCP_LOOPBACK = "tcp-loopback"
    TCP = "tcp"
    IN_PROCESS = "in-process"


class Attempt(Struct, frozen=True, kw_only=True):
    """What the guard knows of a request. Headers may repeat, so each is a tuple.

    Attributes:
      target_hosts: the authority of a target that is a whole URL; it outranks `Host` (RFC 9112, 3.2.2).
      claims: the agents that it says it comes from.
      carried: of a request from within this process, the caller that it acts for.
      is_secured: whether it came over TLS; `has_certificate` if the client showed one that is listed.
    """

    transport: Transport
    path: str
    method: str = "GET"
    parameters: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()
    target_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    carried: Caller | None = None
    is_secured: bool = False
    has_certificate: bool = False


class GuardPolicy(Struct, frozen=True, kw_only=True):
    """What the guard asks for.

    Attributes:
      key_digest: of the shared key, if one is configured.
      open_paths: those that need none.
      node_routes: methods and paths that a client certificate opens, too.
    """

    key_digest: bytes | None
    open_paths: frozenset[str]
    node_routes: frozenset[tuple[str, str]] = frozenset()


def make_policy(
    api_key: str | None, open_paths: Iterable[str], node_routes: Iterable[tuple[str, str]] = ()
) -> GuardPolicy:
    """The policy of a configured shared key; the key itself is not kept."""
    return GuardPolicy(
        key_digest=None if api_key is None else _digest(api_key), open_paths=frozenset(open_paths),
        node_routes=frozenset(node_routes),
    )


def admit(attempt: Attempt, policy: GuardPolicy, ring: Keyring, now: Instant) -> Caller:
    """Decide whether a request may go on, and as whom.

    Raises: Denied(foreign_host | foreign_origin | identity_mismatch); Unauthenticated, with the codes key_expired and
      key_revoked to whoever has such a key; InvalidRequest if `Host` is no host name.
    """
    caller = _caller(attempt, policy, ring, now)
    if caller.agent_id is not None and any(claim != caller.agent_id for claim in attempt.claims):
        raise Denied(
            f"{AGENT_HEADER} claims another agent, and the caller's key is of {caller.agent_id!r}: a key speaks for "
            "its agent alone; leave the header (--agent-id of a command) out",
            code=Code.IDENTITY_MISMATCH, field=AGENT_HEADER, agent_id=caller.agent_id,
        )
    return caller


def _caller(attempt: Attempt, policy: GuardPolicy, ring: Keyring, now: Instant) -> Caller:
    if attempt.carried is not None:
        return attempt.carried
    is_local = attempt.transport in (Transport.UNIX, Transport.IN_PROCESS)
    if not is_local:
        _refuse_wrong_host(attempt)
    if attempt.path in policy.open_paths:
        return NOBODY
    return (_local_caller if is_local else _remote_caller)(attempt, policy, ring, now)


def _refuse_wrong_host(attempt: Attempt) -> None:
    for host in (*attempt.hosts, *attempt.target_hosts):
        if _host_name(host) is None:
            raise InvalidRequest("the host is not a name or an address with an optional port", field="Host")
    if attempt.transport is Transport.TCP_LOOPBACK:
        _refuse_foreign_page(attempt)


def _local_caller(attempt: Attempt, policy: GuardPolicy, ring: Keyring, now: Instant) -> Caller:
    """Whoever may open the socket owns the database; with an agent's key it is that agent, and no more."""
    owner = Caller(credential=Credential.SOCKET, role=Role.OPERATOR if ring.is_closed else Role.OPEN)
    if not attempt.api_keys or _is_shared(attempt, policy) or not (ring.is_closed or _is_of_agent(attempt)):
        return owner
    return ring.caller_of(_single_key(attempt), now)


def _remote_caller(attempt: Attempt, policy: GuardPolicy, ring: Keyring, now: Instant) -> Caller:
    is_asked = ring.is_closed or policy.key_digest is not None
    if is_asked and "api_key" in attempt.parameters:
        raise Unauthenticated(
            f"{MISSING_KEY_TEXT}: a key in a URL ends up in logs; send it in the {KEY_HEADER} header", field="api_key"
        )
    is_of_node = attempt.has_certificate and (attempt.method, attempt.path) in policy.node_routes
    if is_asked and is_of_node and not attempt.api_keys:
        return Caller(credential=Credential.CERTIFICATE, role=Role.OPERATOR if ring.is_closed else Role.OPEN)
    if _is_shared(attempt, policy):
        if ring.is_closed:
            return Caller(credential=Credential.API_KEY, role=Role.OPERATOR, agent_id=SHARED_KEY_AGENT)
        return Caller(credential=Credential.API_KEY)
    if is_asked or _is_of_agent(attempt):
        return ring.caller_of(_single_key(attempt), now)
    return Caller(credential=Credential.OPEN)


def _is_shared(attempt: Attempt, policy: GuardPolicy) -> bool:
    if policy.key_digest is None or len(attempt.api_keys) != 1:
        return False
    return compare_digest(_digest(attempt.api_keys[0]), policy.key_digest)


def _is_of_agent(attempt: Attempt) -> bool:
    """Whether a key has the form of an agent's: such a one is never passed over, also where none is asked for."""
    return any(key_id_of(key) for key in attempt.api_keys)


def _single_key(attempt: Attempt) -> str:
    if len(attempt.api_keys) != 1:
        raise Unauthenticated(MISSING_KEY_TEXT)
    return attempt.api_keys[0]


def _digest(key: str) -> bytes:
    # Digests have one length, so the comparison tells nothing about the length of the key.
    return sha256(key.encode(errors="surrogateescape")).digest()


def _refuse_foreign_page(attempt: Attempt) -> None:
    named = (*attempt.hosts, *attempt.target_hosts)
    is_of_here = len(attempt.hosts) == 1 and all(is_loopback_name(_host_name(host) or "") for host in named)
    # Over TLS the browser has seen a certificate for the page's name, which a page elsewhere cannot have.
    if not (is_of_here or attempt.is_secured):
        raise Denied(
            "this listener serves loopback names only: use localhost, 127.0.0.1 or [::1], or bind a public address",
            code=Code.FOREIGN_HOST, field="Host",
        )
    if not all(map(_is_loopback_origin, attempt.origins)):
        raise Denied(
            "requests of web pages from elsewhere are refused on a loopback listener",
            code=Code.FOREIGN_ORIGIN, field="Origin",
        )


def _host_name(header: str) -> str | None:
    found = _HOST.fullmatch(header)
    return found["name"] if found else None


def is_loopback_name(name: str) -> bool:
    """Whether a host name means this machine by its form alone: localhost and below it, 127.0.0.0/8, [::1]."""
    bare = name.lower().removesuffix(".")
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _is_loopback_origin(origin: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    return scheme in ("http", "https") and separator != "" and is_loopback_name(_host_name(authority) or "")


def encoded_path(scope: Scope) -> str:
    """The path of a request as it was sent, percent-encoding kept: `%2F` inside an id is no division of the path."""
    text = _target(scope)
    # A proxy may send the whole URL as the target (RFC 9112, 3.2.2).
    found = _WHOLE_URL.fullmatch(text)
    return (found["path"] if found else text) or "/"


def _target(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe="/:@").encode()
    return raw.decode("ascii", "replace").partition("?")[0]


def encoded_query(scope: Scope) -> bytes:
    """The query string with every byte beyond ASCII percent-encoded, as it should have been sent."""
    return _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], scope["query_string"])


def read_attempt(scope: Scope, path: str) -> Attempt:
    """What the guard must know, out of an ASGI scope. An unknown or missing transport counts as public TCP."""
    extensions = scope.get("extensions") or {}
    named = extensions.get(TRANSPORT_EXTENSION, "")
    transport = Transport(named) if named in set(Transport) else Transport.TCP
    carried: Caller | None = extensions.get(CALLER_KEY) if transport is Transport.IN_PROCESS else None

    def header(name: bytes) -> tuple[str, ...]:
        return tuple(value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name)

    found = _WHOLE_URL.fullmatch(_target(scope))
    names = (part.partition(b"=")[0] for part in scope["query_string"].split(b"&"))
    secured = extensions.get(TLS_EXTENSION)
    return Attempt(
        transport=transport, path=path, method=scope.get("method", ""), is_secured=secured is not None,
        has_certificate=bool((secured or {}).get(FINGERPRINT_KEY)),
        parameters=frozenset(unquote_to_bytes(name).decode("utf-8", "replace") for name in names),
        hosts=header(b"host"), target_hosts=(found["authority"],) if found else (),
        origins=header(b"origin"), api_keys=header(KEY_HEADER.lower().encode()),
        claims=tuple(filter(None, header(AGENT_HEADER.lower().encode()))), carried=carried,
    )


def guarded(app: AsgiApp, policy: GuardPolicy, node: Node) -> AsgiApp:
    """The app behind the guard, which notes the caller in the scope, and raises what `admit` raises.

    While the keys cannot be read nobody gets in, save to the open paths.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            attempt = read_attempt(scope, scope["path"])
            scope[CALLER_KEY] = await _admit_noting(attempt, policy, node)
            # Nothing behind the guard reads Host, but the framework fails on names that IDNA cannot encode ("a..b").
            others = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
            scope["headers"] = [*others, (b"host", b"localhost")]
        await app(scope, receive, send)

    return guard


async def _admit_noting(attempt: Attempt, policy: GuardPolicy, node: Node) -> Caller:
    ring = Keyring() if attempt.path in policy.open_paths else await keyring(node)
    try:
        return admit(attempt, policy, ring, node.clock.now())
    except (Denied, Unauthenticated) as error:
        _note(node, attempt, error)
        raise


def _note(node: Node, attempt: Attempt, error: AimemError) -> None:
    """Tell the audit who did not get in: the agent whose key it was, if it was one, else who it said it was."""
    proven, claim = error.details.get("agent_id"), without_keys("".join(attempt.claims[:1]))[:CLAIM_KEPT_CHARS]
    stranger = Claim(agent_id=str(proven), credential=Credential.AGENT_KEY) if proven else Claim()
    detail = f"claimed {claim!r}" if claim else None
    path = without_keys(attempt.path)[:PATH_KEPT_CHARS]
    note_refusal(node, stranger, action="request", rule=error.code, target=path, detail=detail)
