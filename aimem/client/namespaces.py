"""Namespaces, and what is set for them."""

from __future__ import annotations

from urllib.parse import quote

from aimem.client.calls import Caller
from aimem.model import rules
from aimem.wire import (
    AccessOut,
    AccessQuery,
    HistoryOut,
    HistoryQuery,
    NamespacesOut,
    NamespaceStandard,
    NamespaceStandards,
    StandardCleared,
    StandardQuery,
    StandardRequest,
    StandardSet,
)


class NamespaceCalls(Caller):
    """Namespaces, and what is set for them."""

    async def namespaces(self, *, agent_id: str | None = None) -> NamespacesOut:
        """Namespaces that have live memories."""
        return await self.read("/namespaces", NamespacesOut, agent_id=agent_id)

    async def standard(self, namespace: str, *, agent_id: str | None = None) -> NamespaceStandard:
        """What is set for a namespace, and which policy holds there."""
        return await self.read(_at(namespace, "standard"), NamespaceStandard, agent_id=agent_id)

    async def standards(self, namespace: str, *, agent_id: str | None = None) -> NamespaceStandards:
        """What is set for a namespace and all that it inherits from, the most general first."""
        query = StandardQuery(inherit=True)
        return await self.read(_at(namespace, "standard"), NamespaceStandards, query=query, agent_id=agent_id)

    async def set_standard(
        self, namespace: str, request: StandardRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> StandardSet:
        """Set the standard of a namespace, its policy, or both; or see what that would do."""
        path = _at(namespace, "standard")
        return await self.write("POST", path, StandardSet, body=request, agent_id=agent_id, key=key)

    async def clear_standard(
        self, namespace: str, *, agent_id: str | None = None, key: str | None = None
    ) -> StandardCleared:
        """Take standard, policy, parent and owner of a namespace away."""
        return await self.write("DELETE", _at(namespace, "standard"), StandardCleared, agent_id=agent_id, key=key)

    async def access(
        self, namespace: str, query: AccessQuery | None = None, *, agent_id: str | None = None
    ) -> AccessOut:
        """What an agent may do in a namespace."""
        return await self.read(_at(namespace, "access"), AccessOut, query=query or AccessQuery(), agent_id=agent_id)

    async def namespace_history(
        self, namespace: str, query: HistoryQuery | None = None, *, agent_id: str | None = None
    ) -> HistoryOut:
        """What was set for a namespace before, the latest first."""
        return await self.read(_at(namespace, "history"), HistoryOut, query=query or HistoryQuery(), agent_id=agent_id)


def _at(namespace: str, what: str) -> str:
    """The path of what belongs to a namespace; one of dots alone would name another route."""
    checked = rules.namespace(namespace)
    name = checked.replace(".", "%2E") if checked in (".", "..") else quote(checked, safe="")
    return f"/namespaces/{name}/{what}"
