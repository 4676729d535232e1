"""Who gets in: the API key, and the protection of a loopback listener against web pages. It reads no body.

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

from aimem.errors import Code, Denied, InvalidRequest, Unauthenticated
from aimem.model import Credential

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT_EXTENSION: Final = "aimem.transport"
CREDENTIAL_KEY: Final = "aimem.credential"
"""In the scope: the Credential that the guard let a request in with. In the `extensions` of a request from within this
process: the one that it passes on, if it acts for a caller who got in by another door."""

KEY_HEADER: Final = "X-API-Key"
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
      carried: of a request from within this process, the credential of the caller that it acts for.
    """

    transport: Transport
    path: str
    parameters: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()
    target_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    carried: Credential | None = None


class GuardPolicy(Struct, frozen=True, kw_only=True):
    """What the guard asks for: the digest of the key, if one is configured, and the paths that need none."""

    key_digest: bytes | None
    open_paths: frozenset[str]


def make_policy(api_key: str | None, open_paths: Iterable[str]) -> GuardPolicy:
    """The policy of a configured key; the key itself is not kept."""
    return GuardPolicy(key_digest=None if api_key is None else _digest(api_key), open_paths=frozenset(open_paths))


def admit(attempt: Attempt, policy: GuardPolicy) -> Credential:
    """Decide whether a request may go on, and as what.

    Raises: Denied(foreign_host | foreign_origin); Unauthenticated; InvalidRequest if `Host` is no host name.
    """
    if attempt.transport in (Transport.UNIX, Transport.IN_PROCESS):
        return attempt.carried or Credential.SOCKET
    for host in (*attempt.hosts, *attempt.target_hosts):
        if _host_name(host) is None:
            raise InvalidRequest("the host is not a name or an address with an optional port", field="Host")
    if attempt.transport is Transport.TCP_LOOPBACK:
        _refuse_foreign_page(attempt)
    if policy.key_digest is None or attempt.path in policy.open_paths:
        return Credential.OPEN
    if "api_key" in attempt.parameters:
        raise Unauthenticated(
            f"{MISSING_KEY_TEXT}: a key in a URL ends up in logs; send it in the {KEY_HEADER} header", field="api_key"
        )
    if len(attempt.api_keys) != 1 or not compare_digest(_digest(attempt.api_keys[0]), policy.key_digest):
        raise Unauthenticated(MISSING_KEY_TEXT)
    return Credential.API_KEY


def _digest(key: str) -> bytes:
    # Digests have one length, so the comparison tells nothing about the length of the key.
    return sha256(key.encode(errors="surrogateescape")).digest()


def _refuse_foreign_page(attempt: Attempt) -> None:
    named = (*attempt.hosts, *attempt.target_hosts)
    if len(attempt.hosts) != 1 or not all(is_loopback_name(_host_name(host) or "") for host in named):
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
    carried = extensions.get(CREDENTIAL_KEY) if transport is Transport.IN_PROCESS else None

    def header(name: bytes) -> tuple[str, ...]:
        return tuple(value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name)

    found = _WHOLE_URL.fullmatch(_target(scope))
    names = (part.partition(b"=")[0] for part in scope["query_string"].split(b"&"))
    return Attempt(
        transport=transport, path=path,
        parameters=frozenset(unquote_to_bytes(name).decode("utf-8", "replace") for name in names),
        hosts=header(b"host"), target_hosts=(found["authority"],) if found else (),
        origins=header(b"origin"), api_keys=header(KEY_HEADER.lower().encode()),
        carried=None if carried is None else Credential(carried),
    )


def guarded(app: AsgiApp, policy: GuardPolicy) -> AsgiApp:
    """The app behind the guard, which notes the credential in the scope and raises what `admit` raises."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[CREDENTIAL_KEY] = admit(read_attempt(scope, scope["path"]), policy)
            # Nothing behind the guard reads Host, but the framework fails on names that IDNA cannot encode ("a..b").
            others = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
            scope["headers"] = [*others, (b"host", b"localhost")]
        await app(scope, receive, send)

    return guard
