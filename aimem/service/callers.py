"""On whose behalf a request acts, where a request may name its agent itself."""

from __future__ import annotations

from aimem.errors import Denied
from aimem.model import AgentId, Principal, rules


def speaker(who: Principal, named: str | None) -> AgentId:
    """The agent that asks. What a request names counts only if nobody said who is asking, or says the same.

    Raises: InvalidRequest for a malformed id; Denied for another agent's.
    """
    if not named:
        return who.agent_id
    agent_id = rules.agent_id(named)
    if agent_id != who.agent_id and not who.is_anonymous:
        raise Denied(
            f"agent_id is {agent_id!r}, and the caller is {who.agent_id!r}: nobody acts for another agent; "
            "leave agent_id out",
            field="agent_id",
        )
    return agent_id
