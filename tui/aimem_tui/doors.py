"""Ways to nodes: an HTTP client for each, over TCP or a Unix socket, with the request's certificates and key."""

from __future__ import annotations

import random
import ssl
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

from aimem.client import Client
from aimem.errors import InvalidRequest
from aimem.model import new_memory_id
from aimem.wire import console

PATIENCE: Final = httpx.Timeout(30.0, connect=3.0)
"""A comparison of all copies may take twenty seconds; whether a node is there is known sooner."""
LIMITS: Final = httpx.Limits(max_connections=8, max_keepalive_connections=4)
LOCAL: Final = "http://localhost"


class Door(Struct, frozen=True, kw_only=True):
    """A way to a node. `http` is closed by whoever opened it."""

    name: str
    is_local: bool
    client: Client
    http: httpx.AsyncClient


def open_doors(request: console.ConsoleRequest) -> tuple[Door, ...]:
    """Prepare the ways to all nodes; nothing is asked yet.

    Raises: InvalidRequest if an address, a certificate or a key cannot be used.
    """
    trusted = _context(request) if any(door.url.startswith("https:") for door in request.doors) else None
    headers = {} if request.key is None else {"X-API-Key": request.key}
    return tuple(_open(door, request, trusted, headers) for door in request.doors)


def _open(
    door: console.DoorIn, request: console.ConsoleRequest, trusted: ssl.SSLContext | None, headers: dict[str, str]
) -> Door:
    try:
        transport = httpx.AsyncHTTPTransport(
            verify=trusted or False, uds=door.socket or None, limits=LIMITS, trust_env=False
        )
        # Whoever may open the socket is its owner, and shows no key.
        http = httpx.AsyncClient(
            transport=transport, base_url=LOCAL if door.socket else door.url, timeout=PATIENCE, trust_env=False,
            headers={} if door.socket else headers,
        )
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidRequest(f"{door.url!r} is no address: {error}", field="url") from error
    new_key = partial(new_memory_id, random.Random())
    client = Client(http, new_key=new_key, agent_id=request.agent_id)
    return Door(name=door.name, is_local=bool(door.socket), client=client, http=http)


def _context(request: console.ConsoleRequest) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=request.ca_cert)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("--ca-cert", request.ca_cert, error) from error
    if request.client_cert is not None:
        try:
            context.load_cert_chain(Path(request.client_cert), request.client_key, password=_no_passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable("--client-cert", request.client_cert, error) from error
    return context


def _no_passphrase() -> str:
    """OpenSSL would ask at the terminal, which is the console's."""
    raise ValueError("the key is under a passphrase; give one that is not")


def _unusable(flag: str, path: str | None, error: Exception) -> InvalidRequest:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return InvalidRequest(f"{flag} {path} cannot be used: {reason}; it is a file in PEM", field=flag.removeprefix("--"))
