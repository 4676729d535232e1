"""Whether a policy would lock everybody out: who there is in, reasons out."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from aimem.model import AgentId, Approver, GovernancePolicy, Level, Principal, Verb

_OF_A_PROCESS: Final = re.compile(r"(?:host:.+:pid-|ai:.+@.+:(?:pid-|mcp)|anonymous:(?:pid-|mcp-|req-)).*")
"""The forms of the ids that programs make up for whoever does not say its own."""


class Electorate(Struct, frozen=True, kw_only=True):
    """Who there is to act and to approve.

    Attributes:
      has_operators: whether agents have keys: then the owner of the database's file is an operator, at least.
      registered_count: of agents.
      is_approver_known: whether the one agent that a policy names as approver is registered or has a valid key.
      has_others: whether anybody else is, or has.
    """

    has_operators: bool
    registered_count: int
    is_approver_known: bool = True
    has_others: bool = True


def lasts(who: Principal) -> bool:
    """Whether a caller's id can be an owner's: it is not that of one process or request, made up by the program."""
    return not who.is_anonymous and _OF_A_PROCESS.fullmatch(who.agent_id) is None


def lockouts(policy: GovernancePolicy, owner: AgentId | None, there: Electorate) -> tuple[str, ...]:
    """Why nobody could act any more under a policy; empty if somebody could."""
    reasons: list[str] = []
    if policy.write is Level.OWNER and owner is None and not there.has_operators:
        reasons.append("write=owner, and it would have no owner: whoever sets it has no lasting id")
    asked = [verb for verb in Verb if policy.level(verb) is Level.APPROVE]
    missing = _missing(policy, there) if asked else ""
    if missing:
        reasons.append(f"{', '.join(f'{verb}=approve' for verb in asked)}, and {missing}")
    return tuple(reasons)


def _missing(policy: GovernancePolicy, there: Electorate) -> str:
    """Why nothing could be approved."""
    match policy.approver:
        case Approver(agent=str(agent)):
            if not there.is_approver_known:
                return f"the approver {agent} is neither registered nor has a key"
            return "" if there.has_others else f"there is nobody but {agent}, and nobody approves what it asked for"
        case Approver(consensus=int(count)):
            if there.registered_count < count:
                return f"{count} registered agents would have to agree, of {there.registered_count} that there are"
    return ""


def cautions(policy: GovernancePolicy, owner: AgentId | None, there: Electorate) -> tuple[str, ...]:
    """What whoever sets a policy should know, though it locks nobody out."""
    found: list[str] = []
    if owner is None and Level.OWNER in (policy.write, policy.policy):
        found.append(
            "it has no owner: " + ("only operators count as one" if there.has_operators else "whoever sets it next "
                                   "under a lasting id becomes it")
        )
    if any(policy.level(verb) is Level.APPROVE for verb in Verb):
        match policy.approver:
            case Approver(consensus=int(count)) if there.registered_count == count:
                found.append("every registered agent has to agree, so that none of them can have its own approved")
    return tuple(found)

