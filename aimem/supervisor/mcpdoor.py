"""MCP beside the API: the app at /mcp, and its way to the API in the same process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final  # ASGI messages are dicts of mixed values by specification

import httpx

from aimem.api import CALLER_KEY
from aimem.client import Client
from aimem.config import Config
from aimem.errors import Bug
from aimem.model import Caller, new_memory_id
from aimem.ports import Chance, Threads
from aimem.supervisor.inprocess import InProcessTransport

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

    from aimem.mcp import Entrance, McpApp

PATH: Final = "/mcp"
CALLERS_MAX: Final = 256


class McpDoor:
    """An ASGI app whose calls go to the API as the caller that the guard let in here.

    Callers with the same key share one way to the API; the ways of at most so many callers are kept.
    """

    def __init__(self, config: Config, *, chance: Chance, threads: Threads, host: str) -> None:
        """Prepare; `lead_to` says where the calls go, for the API is made with this app beside it."""
        self._config, self._chance, self._threads, self._host = config, chance, threads, host
        self._api: ASGIFramework | None = None
        self._clients: OrderedDict[Caller, Client] = OrderedDict()
        self._app: McpApp | None = None

    def lead_to(self, api: ASGIFramework) -> None:
        """Name the API."""
        self._api = api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if self._app is None:
            self._app = self._make_app()
        await self._app(scope, receive, send)

    def _make_app(self) -> McpApp:
        # Loaded for the first caller: most nodes that a command starts end without one.
        from aimem.mcp import McpApp, anonymous_http_agent, http_agent

        return McpApp(
            self._connect,
            identify=anonymous_http_agent if self._config.identity.anonymize else http_agent(self._host),
            settings=self._config.api, profile=self._config.mcp.profile, chance=self._chance, threads=self._threads,
        )

    def _connect(self, scope: Mapping[str, Any]) -> Entrance:
        from aimem.mcp import Entrance

        caller: Caller = scope[CALLER_KEY]
        return Entrance(client=self._client(caller), agent_id=caller.agent_id)

    def _client(self, caller: Caller) -> Client:
        client = self._clients.pop(caller, None)
        if client is None:
            client = self._new_client(caller)
            if len(self._clients) >= CALLERS_MAX:
                self._clients.popitem(last=False)   # it holds no connection, and whoever uses it now keeps it
        self._clients[caller] = client
        return client

    def _new_client(self, caller: Caller) -> Client:
        if self._api is None:
            raise Bug("MCP was asked before it was told where the API is")
        transport = InProcessTransport(self._api, extensions={CALLER_KEY: caller})
        # No patience of its own: the API bounds its requests, and the door the whole exchange.
        http = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None)  # noqa: S113
        return Client(http, new_key=partial(new_memory_id, self._chance.rng))
