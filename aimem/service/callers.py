"""On whose behalf a request acts, where a request may name its agent itself, and what only operators may do."""

from __future__ import annotations

from aimem.errors import Code, Denied
from aimem.model import AgentId, Principal, rules


def speaker(who: Principal, named: str | None) -> AgentId:
    """The agent that asks. What a request names counts only if nobody said who is asking, or says the same.

    Raises: InvalidRequest for a malformed id; Denied for another agent's.
    """
    agent_id = author(who, named)
    if agent_id != who.agent_id and not who.is_anonymous:
        raise Denied(
            f"agent_id is {agent_id!r}, and the caller is {who.agent_id!r}: nobody acts for another agent; "
            "leave agent_id out",
            field="agent_id",
        )
    return agent_id


def author(who: Principal, named: str | None, *, field: str = "agent_id") -> AgentId:
    """Whom a write is attributed to: the agent that the request names, where it may name one, else the caller.

    Raises: InvalidRequest for a malformed id; Denied(identity_mismatch) if the caller's key says another one.
    """
    if not named:
        return who.agent_id
    agent_id = rules.agent_id(named, field=field)
    if who.is_proven and agent_id != who.agent_id:
        raise Denied(
            f"{field} is {agent_id!r}, and the caller's key is of {who.agent_id!r}: a key speaks for its agent alone",
            code=Code.IDENTITY_MISMATCH, field=field,
        )
    return agent_id


def require_operator(who: Principal, act: str) -> None:
    """Refuse an agent what concerns the node and not one agent.

    Args:
      act: what is done, as the subject of a sentence.

    Raises: Denied(operator_required).
    """
    if not who.may_administer:
        raise Denied(
            f"{act} is for operators: ask one, or use the Unix socket as the owner of the database",
            code=Code.OPERATOR_REQUIRED, rule="operator",
        )
