"""A surface of the tests' own: tiny routes over a node that has nothing but chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from aimem.api import Route, Transport, make_app
from aimem.config import ApiConfig
from aimem.governance import Keyring
from aimem.ports.chance import SeededChance
from aimem.service import Limiter
from aimem.service.keyring import HeldKeyring
from aimem.service.refusals import Refusals
from tests.nodes import FakeClock

Dial = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


class IdleStore:
    """A store that nobody writes to."""

    write_wait_s, waiting_count = 0.0, 0

    def revision(self, kind: object) -> int:
        del kind
        return 0


class TinyNode:
    """As much of a node as the machinery of the surface uses."""

    def __init__(self, ring: Keyring | None = None) -> None:
        self.chance, self.clock = SeededChance(random.Random(7)), FakeClock()
        self.held_keyring, self.refusals = HeldKeyring(), Refusals()
        self.held_keyring.ring, self.held_keyring.revision = ring or Keyring(), 0
        self.limiter, self.store = Limiter(), IdleStore()


def arriving_by(app: object, transport: Transport | None, **scope_fields: object) -> Callable[..., object]:
    """The app as the connection layer calls it, for requests that arrived by this transport."""

    async def call(scope: Mapping[str, object], receive: object, send: object) -> None:
        extensions = {} if transport is None else {"aimem.transport": str(transport)}
        await app({**scope, "extensions": extensions, **scope_fields}, receive, send)  # type: ignore[operator]

    return call


@pytest.fixture
def dial() -> Dial:
    """Makes a client of a surface with these routes: `dial(*routes, transport=..., is_stopping=..., **settings)`."""

    def connect(
        *routes: Route, transport: Transport | None = Transport.IN_PROCESS,
        is_stopping: Callable[[], bool] = lambda: False, **settings: object,
    ) -> httpx.AsyncClient:
        app = make_app(TinyNode(), ApiConfig(**settings), routes=routes, is_stopping=is_stopping)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(arriving_by(app, transport)), base_url="http://localhost:9077"
        )

    return connect
