"""MCP beside the API: the app at /mcp, and its way to the API in the same process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final  # ASGI messages are dicts of mixed values by specification

import httpx

from aimem.api import CREDENTIAL_KEY
from aimem.client import Client
from aimem.config import Config
from aimem.errors import Bug
from aimem.model import Credential, new_memory_id
from aimem.ports import Chance, Threads
from aimem.supervisor.inprocess import InProcessTransport

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

    from aimem.mcp import McpApp

PATH: Final = "/mcp"


class McpDoor:
    """An ASGI app whose calls go to the API with the credential that its own caller got in with."""

    def __init__(self, config: Config, *, chance: Chance, threads: Threads, host: str) -> None:
        """Prepare; `lead_to` says where the calls go, for the API is made with this app beside it."""
        self._config, self._chance, self._threads, self._host = config, chance, threads, host
        self._clients: dict[Credential, Client] = {}
        self._app: McpApp | None = None

    def lead_to(self, api: ASGIFramework) -> None:
        """Name the API."""
        for credential in Credential:
            transport = InProcessTransport(api, extensions={CREDENTIAL_KEY: credential.value})
            # No patience of its own: the API bounds its requests, and the door the whole exchange.
            http = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None)  # noqa: S113
            self._clients[credential] = Client(http, new_key=partial(new_memory_id, self._chance.rng))

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

    def _connect(self, scope: Mapping[str, Any]) -> Client:
        if not self._clients:
            raise Bug("MCP was asked before it was told where the API is")
        return self._clients[scope[CREDENTIAL_KEY]]
