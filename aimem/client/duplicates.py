"""Duplicates."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import DuplicateCheck, DuplicateResult


class DuplicateCalls(Caller):
    """Duplicates."""

    async def check_duplicate(
        self, request: DuplicateCheck, *, agent_id: str | None = None, key: str | None = None
    ) -> DuplicateResult:
        """Whether a text, or one much like it, is there already."""
        return await self.write("POST", "/check_duplicate", DuplicateResult, body=request, agent_id=agent_id, key=key)
