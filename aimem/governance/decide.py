"""The decision about one act: allowed, denied, or to be approved first."""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.governance.acts import Act
from aimem.governance.policies import parse_policy
from aimem.model import AgentId, GovernancePolicy, Level, Namespace, NamespaceRule, Principal, Role, Verb

_OF_THE_ROW: Final = frozenset({Verb.DELETE, Verb.PROMOTE})
"""Verbs whose owner is the author of the memory; that of the others is the owner of the policy."""


class Allow(Struct, frozen=True):
    """It may be done. `rule` says by what, for the audit; "" if no policy speaks of it."""

    rule: str = ""


class Deny(Struct, frozen=True, kw_only=True):
    """It may not be done."""

    reason: str
    namespace: str
    rule: str


class Ask(Struct, frozen=True, kw_only=True):
    """It has to be approved first, by this policy."""

    act: Act
    policy: GovernancePolicy
    rule_namespace: Namespace
    stamp: str

    @property
    def rule(self) -> str:
        """As in Deny."""
        return f"{self.rule_namespace}: {self.act.verb}=approve"


Decision: TypeAlias = Allow | Deny | Ask


class Ruling(Struct, frozen=True, kw_only=True):
    """The nearest policy of a namespace: its rule, and the policy read; None if its text cannot be read."""

    rule: NamespaceRule
    policy: GovernancePolicy | None

    @classmethod
    def of(cls, rule: NamespaceRule) -> Ruling:
        """Read a rule's policy; one that cannot be read denies."""
        try:
            return cls(rule=rule, policy=parse_policy(rule.governance or ""))
        except InvalidRequest:
            return cls(rule=rule, policy=None)

    def asks_registration(self, verb: Verb) -> bool:
        """Whether `decide` has to know if the caller is registered."""
        return self.policy is not None and self.policy.level(verb) is Level.REGISTERED


def decide(act: Act, who: Principal, ruling: Ruling | None, *, registered: bool) -> Decision:
    """Whether a caller may do an act.

    Args:
      ruling: of the act's namespace; None if no policy is on its chain.
      registered: whether the caller is a registered agent.
    """
    if who.role is Role.LIFETIMES:
        return Allow()
    if act.is_rescoping and who.role is Role.AGENT and act.owner != who.agent_id:
        return _deny(act, "scope=owner", "only its author or an operator changes who may see a memory")
    if ruling is None:
        return _without_policy(act, who)
    if ruling.policy is None:
        return _unreadable(act, who, ruling.rule)
    return _by_policy(act, who, ruling.rule, ruling.policy, registered=registered)


def _by_policy(
    act: Act, who: Principal, by: NamespaceRule, policy: GovernancePolicy, *, registered: bool
) -> Decision:
    level = policy.level(act.verb)
    rule = f"{by.namespace}: {act.verb}={level}"
    if level is Level.ANY:
        return Allow(rule)
    if who.role is Role.CURATOR:
        return _deny(act, rule, "the node changes nothing by itself where a policy is strict")
    if level is Level.APPROVE:
        return Ask(act=act, policy=policy, rule_namespace=by.namespace, stamp=by.stamp)
    if who.role is Role.OPERATOR:
        return Allow(rule)
    if level is Level.REGISTERED:
        return Allow(rule) if registered else _deny(act, rule, f"{who.agent_id} is not a registered agent")
    owner = _owner(act, by)
    if owner is not None and owner == who.agent_id:
        return Allow(rule)
    if owner is None and act.verb is Verb.POLICY and who.role is Role.OPEN:
        return Allow(f"{rule}, and it has no owner")    # else nobody could ever change it, for no operator can be
    role = "its author" if act.verb in _OF_THE_ROW else "the owner"
    whose = f"{role} ({owner})" if owner is not None else role if act.verb in _OF_THE_ROW else f"{role}, who is nobody,"
    return _deny(act, rule, f"only {whose} may do that, and the caller is {who.agent_id}")


def _owner(act: Act, rule: NamespaceRule) -> AgentId | None:
    return act.owner if act.verb in _OF_THE_ROW else rule.owner


def _without_policy(act: Act, who: Principal) -> Decision:
    if act.verb is not Verb.POLICY or who.role is not Role.AGENT:
        return Allow()
    is_own_ground = who.home is not None and (act.namespace == who.home or act.namespace.startswith(who.home + "/"))
    if is_own_ground:
        return Allow(f"home {who.home}")
    return _deny(act, "policy=home", "an agent sets policies at and below its home only; ask an operator")


def _unreadable(act: Act, who: Principal, rule: NamespaceRule) -> Decision:
    if act.verb is Verb.POLICY and who.role in (Role.OPERATOR, Role.OPEN):
        return Allow(f"{rule.namespace}: repair")
    return _deny(
        act, f"{rule.namespace}: unreadable",
        f"the policy of {rule.namespace} cannot be read, so it denies; an operator can set it anew",
    )


def _deny(act: Act, rule: str, reason: str) -> Deny:
    return Deny(reason=reason, namespace=act.namespace, rule=rule)
