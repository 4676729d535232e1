"""Policies, actions that wait for approval, and keys of agents: values only."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model.ids import AgentId, MemoryId, Namespace
from aimem.model.instant import Instant
from aimem.model.principal import Role


class Verb(StrEnum):
    """What a policy has levels for."""

    WRITE = "write"
    PROMOTE = "promote"
    DELETE = "delete"
    POLICY = "policy"


class Level(StrEnum):
    """Who may do it."""

    ANY = "any"
    REGISTERED = "registered"
    OWNER = "owner"
    APPROVE = "approve"


class Approver(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who approves besides people: one agent, or so many registered agents. Exactly one of the two is set."""

    agent: AgentId | None = None
    consensus: int | None = None


class GovernancePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy of a namespace and all below it that have none of their own. `write` is required (v0.6.3).

    Attributes:
      approver: "human" (an operator), or who else.
    """

    write: Level
    promote: Level = Level.ANY
    delete: Level = Level.OWNER
    policy: Level = Level.OWNER
    approver: Approver | str = "human"

    def level(self, verb: Verb) -> Level:
        """The level of a verb."""
        return {
            Verb.WRITE: self.write, Verb.PROMOTE: self.promote, Verb.DELETE: self.delete, Verb.POLICY: self.policy,
        }[verb]


class NamespaceRule(Struct, frozen=True, kw_only=True):
    """What is set for one namespace.

    Attributes:
      governance: JSON text of its policy as set; None if it has none.
      owner: the agent that `owner` means for writes and the policy itself.
      stamp: text of the stamp of the policy.
    """

    namespace: Namespace
    standard_id: MemoryId | None = None
    parent: Namespace | None = None
    governance: str | None = None
    owner: AgentId | None = None
    changed_by: AgentId
    changed_at: Instant
    stamp: str = ""


class PendingStatus(StrEnum):
    """Where a pending action stands."""

    PENDING = "pending"
    APPROVED = "approved"      # and its effect is there
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"          # approved, but what it would change is not there any more, or was changed


class Vote(Struct, frozen=True, kw_only=True):
    """One voter's latest vote on a pending action.

    Attributes:
      vote: approve or reject; anything else (another version's) counts as none.
      is_operator: whether the voter may administer: an operator, or anybody where no keys are.
      stamp: text of the stamp of the vote.
    """

    voter: AgentId
    vote: str
    is_operator: bool
    voted_at: Instant
    comment: str | None = None
    stamp: str = ""


class AgentKey(Struct, frozen=True, kw_only=True):
    """A key of an agent; the secret itself is nowhere."""

    key_id: str
    agent_id: AgentId
    secret_hash: str
    role: Role
    home: Namespace | None = None
    created_by: AgentId
    created_at: Instant
    expires_at: Instant | None = None
    revoked_at: Instant | None = None

    def is_valid(self, now: Instant) -> bool:
        """Whether it lets its agent in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
