"""The keys of agents, as the door asks for them: which agent a key is, and whether keys are asked for at all."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from aimem.errors import Code, Unauthenticated
from aimem.model import AgentKey, Caller, Credential, Instant, format_instant, key_hash, key_id_of

NO_KEYS: Final[Mapping[str, AgentKey]] = MappingProxyType({})
_NOBODY: Final = key_hash("")


class Keyring(Struct, frozen=True, kw_only=True):
    """All keys that this node lets in, or would have until lately.

    Attributes:
      keys: by id.
      is_closed: whether any key was ever made: from then on whoever has none is nobody over the network, also when all
        keys have ended.
    """

    keys: Mapping[str, AgentKey] = NO_KEYS
    is_closed: bool = False

    def caller_of(self, text: str, now: Instant) -> Caller:
        """Who comes with this key.

        Raises: Unauthenticated; with the code key_expired or key_revoked only to whoever has that key.
        """
        key = self.keys.get(key_id_of(text) or "")
        # Compared in constant time, and also where there is no such key: an answer's time tells nothing about hashes.
        is_right = compare_digest(key_hash(text), _NOBODY if key is None else key.secret_hash)
        if key is None or not is_right:
            raise Unauthenticated("missing or invalid API key")
        refuse_ended(key, now)
        return Caller(
            credential=Credential.AGENT_KEY, role=key.role, agent_id=key.agent_id, home=key.home, key_id=key.key_id
        )

    def is_valid(self, key_id: str, now: Instant) -> bool:
        """Whether the key of this id still lets its agent in."""
        key = self.keys.get(key_id)
        return key is not None and key.is_valid(now)


def refuse_ended(key: AgentKey, now: Instant) -> None:
    """Refuse a key that does not let its agent in any more. Raises: Unauthenticated(key_expired | key_revoked)."""
    if key.is_valid(now):
        return
    if key.revoked_at is not None:
        text, code = f"the key {key.key_id} was revoked; ask an operator for a new one", Code.KEY_REVOKED
    else:
        ended = "" if key.expires_at is None else format_instant(key.expires_at)
        text, code = f"the key {key.key_id} expired at {ended}; ask an operator for a new one", Code.KEY_EXPIRED
    raise Unauthenticated(text, code=code, key_id=key.key_id, agent_id=key.agent_id)
