"""Namespaces as a tree."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import Taxonomy, TaxonomyQuery


class TaxonomyCalls(Caller):
    """Namespaces as a tree."""

    async def get_taxonomy(self, query: TaxonomyQuery | None = None, *, agent_id: str | None = None) -> Taxonomy:
        """Namespaces as a tree, with their counts."""
        return await self.read("/taxonomy", Taxonomy, query=query or TaxonomyQuery(), agent_id=agent_id)
