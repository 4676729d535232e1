"""Agents: who takes part, what they are and what they can."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from aimem.errors import Bug, NotFound
from aimem.model import Agent, AgentId, Entry, FieldValue, Principal, rules
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.writing import write_as
from aimem.store import AGENT, Transaction, agents
from aimem.wire import AgentRequest, AgentsOut, AgentsQuery, Deleted, Registered, agent_out

PAGE_MAX: Final = 1000


async def list_agents(node: Node, who: Principal, query: AgentsQuery) -> AgentsOut:
    """Registered agents by id; damaged rows are counted, and do not hide the others. Raises: InvalidRequest."""
    del who  # who takes part is no secret among those who do
    rules.bounded(query.limit, 0, PAGE_MAX, field="limit")
    rules.bounded(query.offset, 0, 2**31, field="offset")
    found = await node.store.read(agents.page, query.limit, query.offset)
    return AgentsOut(
        count=len(found.agents),
        agents=tuple(agent_out(agent) for agent in found.agents),
        total=found.total,
        unreadable=found.unreadable_count or UNSET,
    )


async def register_agent(node: Node, who: Principal, request: AgentRequest, once: Once | None = None) -> Registered:
    """Register an agent, or bring its registration up to date, which keeps since when and by whom it is registered.

    Raises: InvalidRequest naming the field, Unavailable.
    """
    agent_id = rules.agent_id(request.agent_id)
    agent_type = rules.agent_type(request.agent_type)
    capabilities = rules.tags(request.capabilities or [], field="capabilities")
    wrote = await write_as(node, who, _register, node, who, agent_id, agent_type, capabilities, once)
    answer: Registered = wrote.value
    return answer


def _register(
    transaction: Transaction,
    node: Node,
    who: Principal,
    agent_id: AgentId,
    agent_type: str,
    capabilities: tuple[str, ...],
    once: Once | None,
) -> Registered:
    def run() -> Registered:
        known = agents.find(transaction.conn, agent_id)
        entry = registration_entry(transaction, who, agent_id, known, agent_type, capabilities)
        dot = transaction.emit("agent", [entry])
        stored = agents.find(transaction.conn, agent_id)
        if stored is None:
            raise Bug("an agent that was just registered is not there")
        shown = agent_out(stored)
        return Registered(
            registered=True,
            id=shown.agent_id,
            agent_id=shown.agent_id,
            agent_type=shown.agent_type,
            capabilities=shown.capabilities,
            registered_at=shown.registered_at,
            last_seen_at=shown.last_seen_at,
            registered_by=shown.registered_by,
            action="created" if known is None else "updated",
            version=str(dot),
        )

    return answer_once(transaction, node, who, once, Registered, run)


def registration_entry(
    transaction: Transaction,
    who: Principal,
    agent_id: AgentId,
    known: Agent | None,
    agent_type: str,
    capabilities: tuple[str, ...],
) -> Entry:
    """What registers an agent, or brings the registration up to date that is `known`."""
    now = transaction.now
    fields: dict[str, FieldValue] = {"agent_type": agent_type, "capabilities": capabilities, "last_seen_at": now}
    if known is None:
        fields |= {"present": True, "registered_at": now}
    if transaction.load(AGENT, agent_id).born is None:
        return transaction.create(AGENT, agent_id, who.agent_id, fields)
    if known is not None:
        # A field that does not change is not written: it would only make conflicts with those who change it elsewhere.
        same = {"agent_type": known.agent_type, "capabilities": known.capabilities}
        fields = {name: value for name, value in fields.items() if name not in same or same[name] != value}
    return transaction.change(AGENT, agent_id, fields)


async def remove_agent(node: Node, who: Principal, agent_id: str, once: Once | None = None) -> Deleted:
    """Take a registration back; the agent may register again. Raises: NotFound, InvalidRequest, Unavailable."""
    answer: Deleted = (await write_as(node, who, _remove, node, who, rules.agent_id(agent_id), once)).value
    return answer


def _remove(transaction: Transaction, node: Node, who: Principal, agent_id: AgentId, once: Once | None) -> Deleted:
    def run() -> Deleted:
        if agents.find(transaction.conn, agent_id) is None:
            raise NotFound(f"not found: no agent {agent_id!r} is registered", field="agent_id")
        dot = transaction.emit("agent", [transaction.change(AGENT, agent_id, {"present": False})])
        return Deleted(deleted=True, id=agent_id, version=str(dot))

    return answer_once(transaction, node, who, once, Deleted, run)
