"""Who is asking, and what they ask to be narrowed to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model.ids import SYSTEM_AGENT, AgentId, Namespace


class Credential(StrEnum):
    """How a caller got in. With agent keys (a later issue) an identity is proven; until then it is claimed."""

    OPEN = "open"          # no key is configured: development on loopback
    API_KEY = "api_key"    # the shared key of the configuration
    SOCKET = "socket"      # the Unix socket: the owner of the file
    SYSTEM = "system"      # the node itself (curator)


class Principal(Struct, frozen=True, kw_only=True):
    """The caller that every service is handed.

    Attributes:
      agent_id: whom writes are attributed to.
      credential: how the caller got in.
      is_anonymous: whether nobody said who is asking; the id was drawn for this request then.
      as_agent: a namespace path to narrow reads to (visibility of the agent that lives there), or None.
    """

    agent_id: AgentId
    credential: Credential
    as_agent: Namespace | None = None
    is_anonymous: bool = False

    @property
    def idempotency_scope(self) -> str:
        """Whose `Idempotency-Key`s are one set: the credential's, since a claimed agent id may differ at each retry."""
        return self.credential.value


SYSTEM = Principal(agent_id=SYSTEM_AGENT, credential=Credential.SYSTEM)
