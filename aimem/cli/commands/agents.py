"""Verbs on agents: list, register, remove."""

from __future__ import annotations

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import age, counted
from aimem.cli.values import comma_list
from aimem.wire import AgentRequest, AgentsQuery


def list_agents(context: Context) -> int:
    """List registered agents."""
    query = AgentsQuery(limit=context.value("limit"), offset=context.value("offset"))
    found = context.ask(lambda client: client.list_agents(query))
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("id", "type", "registered", "seen", "by", "capabilities"),
        [(one.agent_id, one.agent_type, age(one.registered_at, now), age(one.last_seen_at, now), one.registered_by,
          ", ".join(one.capabilities)) for one in found.agents])
    context.screen.say(counted(found.total, "agent"))
    if found.unreadable:
        context.screen.say(f"warning: {counted(found.unreadable, 'row')} of the list cannot be read")
    return ExitStatus.OK


def register(context: Context) -> int:
    """Register an agent."""
    value = context.value
    subject = value("subject") or context.config.identity.agent_id
    if not subject:
        raise UsageError("agents register needs --agent-id; see `ai-memory agents register --help`")
    request = AgentRequest(
        agent_id=subject, agent_type=value("agent_type"), capabilities=comma_list(value("capabilities")))
    answer = context.ask(lambda client: client.register_agent(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        word = "registered" if answer.action == "created" else "updated"
        context.screen.line(f"{word}: {answer.agent_id} [{answer.agent_type}]")
    return ExitStatus.OK


def remove(context: Context) -> int:
    """Take a registration back."""
    answer = context.ask(lambda client: client.remove_agent(context.value("id")))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"removed: {answer.id}")
    return ExitStatus.OK
