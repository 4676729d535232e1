"""Keys of agents."""

from __future__ import annotations

from urllib.parse import quote

from aimem.client.calls import Caller, decoded
from aimem.wire import IssuedKey, KeyRequest, KeysOut, KeysQuery, RevokedKeys, RevokeQuery, RotateRequest


class AgentKeyCalls(Caller):
    """Keys of agents. What answers with a secret carries no Idempotency-Key: the node keeps no secrets for retries."""

    async def list_keys(self, query: KeysQuery | None = None, *, agent_id: str | None = None) -> KeysOut:
        """Keys without their secrets, by agent and age."""
        return await self.read("/agents/keys", KeysOut, query=query or KeysQuery(), agent_id=agent_id)

    async def add_key(self, request: KeyRequest, *, agent_id: str | None = None) -> IssuedKey:
        """Make a key; sent twice it makes two."""
        return decoded(await self.send("POST", "/agents/keys", body=request, agent_id=agent_id), IssuedKey)

    async def rotate_key(
        self, key_id: str, request: RotateRequest | None = None, *, agent_id: str | None = None
    ) -> IssuedKey:
        """Replace a key by a new one."""
        path = f"/agents/keys/{_key_segment(key_id)}/rotate"
        return decoded(await self.send("POST", path, body=request or RotateRequest(), agent_id=agent_id), IssuedKey)

    async def revoke_key(self, key_id: str, *, agent_id: str | None = None, key: str | None = None) -> RevokedKeys:
        """End a key."""
        path = f"/agents/keys/{_key_segment(key_id)}"
        return await self.write("DELETE", path, RevokedKeys, agent_id=agent_id, key=key)

    async def revoke_keys(self, name: str, *, agent_id: str | None = None, key: str | None = None) -> RevokedKeys:
        """End all keys of an agent."""
        query = RevokeQuery(agent_id=name)
        return await self.write("DELETE", "/agents/keys", RevokedKeys, query=query, agent_id=agent_id, key=key)


def _key_segment(key_id: str) -> str:
    """A key's id as one path segment; one that is empty or of dots would name another route."""
    return quote(key_id, safe="").replace(".", "%2E") or "%00"
