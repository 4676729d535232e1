"""MCP beside the API: the app at /mcp, and its way to the API in the same process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any  # an ASGI scope is a dict of mixed values by specification

import httpx
from hypercorn.typing import ASGIFramework

from aimem.api import CREDENTIAL_KEY
from aimem.client import Client
from aimem.config import Config
from aimem.errors import Bug
from aimem.mcp import McpApp, anonymous_http_agent, http_agent
from aimem.model import Credential, new_memory_id
from aimem.ports import Chance, Threads
from aimem.supervisor.inprocess import InProcessTransport


class McpDoor:
    """Makes the app, whose calls go to the API with the credential that its own caller got in with."""

    def __init__(self, config: Config, *, chance: Chance, threads: Threads, host: str) -> None:
        """Prepare; `lead_to` says where the calls go, for the API is made with this app beside it."""
        self._chance = chance
        self._clients: dict[Credential, Client] = {}
        self.app = McpApp(
            self._connect, identify=anonymous_http_agent if config.identity.anonymize else http_agent(host),
            settings=config.api, profile=config.mcp.profile, chance=chance, threads=threads,
        )

    def lead_to(self, api: ASGIFramework) -> None:
        """Name the API."""
        for credential in Credential:
            transport = InProcessTransport(api, extensions={CREDENTIAL_KEY: credential.value})
            http = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None)  # noqa: S113
            self._clients[credential] = Client(http, new_key=partial(new_memory_id, self._chance.rng))

    def _connect(self, scope: Mapping[str, Any]) -> Client:
        if not self._clients:
            raise Bug("MCP was asked before it was told where the API is")
        return self._clients[scope[CREDENTIAL_KEY]]
