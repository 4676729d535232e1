"""Keys of agents: what they are asked and told as. The secret stands in one answer, and nowhere else."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.model import AgentKey, Instant, format_instant


class KeyRequest(Struct, kw_only=True):
    """Body of POST /agents/keys.

    Attributes:
      agent_id: the agent that the key is of; it is registered too, if it is not yet.
      home: the namespace that it lives in.
      role: `agent` or `operator`.
      expires_at, ttl_secs: when the key ends, or in how long; with neither it does not.
      agent_type: as what it is registered.
      force: make the first key although the nodes of the mesh have no api_key to show each other.
    """

    agent_id: str
    home: str | None = None
    role: str = "agent"
    expires_at: str | None = None
    ttl_secs: int | None = None
    agent_type: str | None = None
    force: bool = False


class RotateRequest(Struct, kw_only=True):
    """Body of POST /agents/keys/{key_id}/rotate.

    Attributes:
      grace_secs: for how long the old key goes on beside the new one.
      expires_at, ttl_secs: of the new key; with neither it lives as long as the old one was made to.
    """

    grace_secs: int = 0
    expires_at: str | None = None
    ttl_secs: int | None = None


class KeysQuery(Struct, kw_only=True):
    """Query of GET /agents/keys: of one agent, or of all."""

    agent_id: str | None = None
    limit: int = 1000
    offset: int = 0


class RevokeQuery(Struct, kw_only=True):
    """Query of DELETE /agents/keys: whose keys."""

    agent_id: str


class KeyOut(Struct, kw_only=True):
    """A key without its secret; `status` is `active`, `expired` or `revoked`."""

    key_id: str
    agent_id: str
    role: str
    home: str | None
    status: str
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None


class KeysOut(Struct, kw_only=True):
    """Keys by agent and age.

    Attributes:
      count: of this page.
      total: of all that match.
      unreadable: how many rows of this page were left out because they are damaged; they let nobody in.
    """

    count: int
    keys: tuple[KeyOut, ...]
    total: int
    unreadable: int | UnsetType = UNSET


class IssuedKey(Struct, kw_only=True):
    """A new key.

    Attributes:
      key: what the agent sends as `X-API-Key`. It is shown here only: its hash is all that is kept.
      registered: whether the agent was registered along with it.
      is_first: whether it is the first key of all: from now on callers over TCP need one.
      replaces: the key that it was made for, and when that one ends.
    """

    key: str
    key_id: str
    agent_id: str
    role: str
    home: str | None
    created_at: str
    expires_at: str | None
    registered: bool
    is_first: bool
    replaces: str | UnsetType = UNSET
    replaced_until: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class RevokedKeys(Struct, kw_only=True):
    """Answer to a revocation: the keys that ended by it; none if all had ended before."""

    revoked: int
    key_ids: tuple[str, ...]
    agent_id: str
    version: str | UnsetType = UNSET


def key_out(key: AgentKey, now: Instant) -> KeyOut:
    """A key in wire form."""
    status = "revoked" if key.revoked_at is not None else "active" if key.is_valid(now) else "expired"
    return KeyOut(
        key_id=key.key_id, agent_id=key.agent_id, role=key.role.value, home=key.home, status=status,
        created_at=format_instant(key.created_at), created_by=key.created_by,
        expires_at=None if key.expires_at is None else format_instant(key.expires_at),
        revoked_at=None if key.revoked_at is None else format_instant(key.revoked_at),
    )
