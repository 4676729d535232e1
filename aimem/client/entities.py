"""Entities and their names."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import AliasQuery, EntityFound, EntityOut, EntityRequest


class EntityCalls(Caller):
    """Entities and their names."""

    async def register_entity(
        self, request: EntityRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> EntityOut:
        """Make an entity with its aliases, or add aliases to it."""
        return await self.write("POST", "/entities", EntityOut, body=request, agent_id=agent_id, key=key)

    async def entity_by_alias(self, query: AliasQuery, *, agent_id: str | None = None) -> EntityFound:
        """The entity that a name stands for."""
        return await self.read("/entities/by_alias", EntityFound, query=query, agent_id=agent_id)
