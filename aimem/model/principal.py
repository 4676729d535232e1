"""Who is asking, what they may see, and what they ask to be narrowed to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model.ids import SYSTEM_AGENT, AgentId, Namespace
from aimem.model.sight import Sight


class Credential(StrEnum):
    """How a caller got in."""

    OPEN = "open"            # nothing is configured: development on loopback
    API_KEY = "api_key"      # the shared key of the configuration
    AGENT_KEY = "agent_key"  # a key that is bound to one agent
    CERTIFICATE = "certificate"     # a listed client certificate, which opens the routes between nodes alone
    SOCKET = "socket"        # the Unix socket: the owner of the file
    SYSTEM = "system"        # the node itself


class Role(StrEnum):
    """What a caller is to the rules of this node."""

    OPEN = "open"            # no agent keys exist: ids are claimed, everybody sees everything and may administer
    AGENT = "agent"          # proven by its key: sees what its home lets it see
    OPERATOR = "operator"    # administers: sees everything, counts as owner and as registered
    CURATOR = "curator"      # the node's own judgement: acts where policy lets anybody act
    LIFETIMES = "lifetimes"  # the node's configured lifetimes: expiry, purge by age


class Caller(Struct, frozen=True, kw_only=True):
    """Who got in, as far as the credential tells; what a request claims of itself is not in it.

    Attributes:
      agent_id: the one id that this credential acts under; None where a request may claim one.
      home: the namespace that an agent's key names, or None.
      key_id: of the agent's key, or None for another credential.
    """

    credential: Credential
    role: Role = Role.OPEN
    agent_id: AgentId | None = None
    home: Namespace | None = None
    key_id: str | None = None


SHARED_KEY_AGENT = AgentId("operator:api-key")
"""Under what id the shared key of the configuration acts once agents have keys of their own: it names nobody."""


class Principal(Struct, frozen=True, kw_only=True):
    """The caller that every service is handed.

    Attributes:
      agent_id: whom writes are attributed to.
      credential: how the caller got in.
      role: what it may do beyond what policies say.
      home: the namespace that its credential names, or None.
      key_id: of the agent's key that it came with, or None.
      as_agent: a namespace path to narrow reads to (visibility of the agent that lives there), or None.
      is_anonymous: whether nobody said who is asking; the id was drawn for this request then.
    """

    agent_id: AgentId
    credential: Credential
    role: Role = Role.OPEN
    home: Namespace | None = None
    key_id: str | None = None
    as_agent: Namespace | None = None
    is_anonymous: bool = False

    @property
    def idempotency_scope(self) -> str:
        """Whose `Idempotency-Key`s are one set: the credential's, since a claimed agent id may differ at each retry."""
        return f"agent:{self.agent_id}" if self.credential is Credential.AGENT_KEY else self.credential.value

    @property
    def is_proven(self) -> bool:
        """Whether its credential says who it is, so that it may claim no other id."""
        return self.credential is Credential.AGENT_KEY or (
            self.credential is Credential.API_KEY and self.role is Role.OPERATOR
        )

    @property
    def may_administer(self) -> bool:
        """Whether it may do what concerns the node and not one agent (keys, curator, other agents' registrations)."""
        return self.role is not Role.AGENT

    @property
    def sights(self) -> tuple[Sight, ...]:
        """What a row must pass for this caller to see it: none for whoever sees everything.

        `as_agent` narrows and never widens: its sight stands beside the credential's own.
        """
        proven = self.agent_id if self.role is Role.AGENT else None
        own = () if proven is None else (Sight(agent_id=proven, home=self.home),)
        narrowed = () if self.as_agent is None else (Sight(agent_id=proven, home=self.as_agent),)
        return own + narrowed

    def sees(self, *, namespace: str, scope: str | None, author: str | None) -> bool:
        """Whether a row with these fields exists for this caller."""
        return all(sight.sees(namespace=namespace, scope=scope, author=author) for sight in self.sights)


SYSTEM = Principal(agent_id=SYSTEM_AGENT, credential=Credential.SYSTEM, role=Role.LIFETIMES)
"""The node itself, doing what its configuration says about lifetimes."""

CURATOR = Principal(agent_id=SYSTEM_AGENT, credential=Credential.SYSTEM, role=Role.CURATOR)
"""The node itself, judging memories."""
