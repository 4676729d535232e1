"""Who could do what in a namespace, and what was set for it before."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET

from aimem.errors import Code, Denied
from aimem.governance import Act, Allow, Ask, Deny, Ruling, approver_text, chain, decide
from aimem.model import (
    AgentId,
    Credential,
    Instant,
    Namespace,
    NamespaceRule,
    Principal,
    Role,
    Verb,
    format_instant,
    rules,
)
from aimem.ports import Connection
from aimem.service.node import Node
from aimem.service.standards import why_unreadable
from aimem.store import agents, electorate, memories, namespaces, visible_to
from aimem.wire import AccessOut, AccessQuery, AccessRow, HistoryOut, HistoryQuery, PastStandard, policy_out

HISTORY_MAX: Final = 64

Answer = Literal["allow", "ask", "deny"]


async def access(node: Node, who: Principal, namespace: str, query: AccessQuery) -> AccessOut:
    """What the caller, or for an operator any agent, may do in a namespace; nothing is done.

    Raises: InvalidRequest; Denied(operator_required) for another agent than the caller.
    """
    subject = rules.agent_id(query.agent_id) if query.agent_id else who.agent_id
    if subject != who.agent_id and not who.may_administer:
        raise Denied(
            f"the caller is {who.agent_id}; what another agent may do is told to operators",
            code=Code.OPERATOR_REQUIRED, field="agent_id",
        )
    return await node.store.read(_access, who, subject, rules.namespace(namespace), node.clock.now())


def _access(conn: Connection, who: Principal, subject: AgentId, namespace: Namespace, now: Instant) -> AccessOut:
    principal, warning = _principal(conn, who, subject, now)
    rule = namespaces.nearest_policy(conn, chain(namespace))
    ruling = None if rule is None else Ruling.of(rule)
    registered = agents.find(conn, subject) is not None
    return AccessOut(
        namespace=namespace, agent_id=subject, role=principal.role.value, home=principal.home or UNSET,
        registered=registered, owner=(rule.owner if rule else None) or UNSET,
        access=tuple(_row(verb, namespace, principal, ruling, registered=registered) for verb in Verb),
        warning=warning or UNSET,
    )


def _principal(conn: Connection, who: Principal, subject: AgentId, now: Instant) -> tuple[Principal, str]:
    """The caller itself; another agent as its best key lets it in."""
    if subject == who.agent_id:
        return who, ""
    if who.role is Role.OPEN:
        return Principal(agent_id=subject, credential=Credential.OPEN), ""
    standing = electorate.standing_of(conn, subject, now)
    role, home = (Role.AGENT, None) if standing is None else (standing.role, standing.home)
    found = Principal(agent_id=subject, credential=Credential.AGENT_KEY, role=role, home=home)
    return found, f"{subject} has no valid key and cannot get in" if standing is None else ""


def _row(
    verb: Verb, namespace: Namespace, who: Principal, ruling: Ruling | None, *, registered: bool
) -> AccessRow:
    own = decide(Act(verb=verb, namespace=namespace, owner=who.agent_id), who, ruling, registered=registered)
    others = decide(Act(verb=verb, namespace=namespace), who, ruling, registered=registered)
    asked = own if isinstance(own, Ask) else others
    return AccessRow(
        verb=verb.value,
        level=None if ruling is None or ruling.policy is None else ruling.policy.level(verb).value,
        from_=None if ruling is None else ruling.rule.namespace,
        decision=_answer(own), on_others=_answer(others),
        reason=own.reason if isinstance(own, Deny) else UNSET,
        on_others_reason=others.reason if isinstance(others, Deny) and others != own else UNSET,
        approver=approver_text(asked.policy) if isinstance(asked, Ask) else UNSET,
    )


def _answer(decision: Allow | Ask | Deny) -> Answer:
    match decision:
        case Allow():
            return "allow"
        case Ask():
            return "ask"
        case Deny():
            return "deny"


async def namespace_history(node: Node, who: Principal, namespace: str, query: HistoryQuery) -> HistoryOut:
    """What was set for a namespace, the latest first, as far as this node learned of it. Raises: InvalidRequest."""
    limit = rules.bounded(query.limit, 1, HISTORY_MAX, field="limit")
    checked = rules.namespace(namespace)
    found = await node.store.read(_past, who, checked, node.clock.now(), limit)
    return HistoryOut(namespace=checked, history=found, count=len(found))


def _past(
    conn: Connection, who: Principal, namespace: Namespace, now: Instant, limit: int
) -> tuple[PastStandard, ...]:
    return tuple(_past_out(conn, who, rule, now) for rule in namespaces.past_of(conn, namespace, limit))


def _past_out(conn: Connection, who: Principal, rule: NamespaceRule, now: Instant) -> PastStandard:
    policy = None if rule.governance is None else Ruling.of(rule).policy
    is_broken = rule.governance is not None and policy is None
    is_shown = who.may_administer or (
        rule.standard_id is not None and memories.find(conn, rule.standard_id, now, visible_to(who)) is not None
    )
    return PastStandard(
        version=rule.stamp, standard_id=rule.standard_id if is_shown else None, parent=rule.parent,
        governance=None if policy is None else policy_out(policy),
        governance_error=why_unreadable(rule.governance or "") if is_broken else UNSET,
        owner=rule.owner, changed_by=rule.changed_by, changed_at=format_instant(rule.changed_at),
    )
