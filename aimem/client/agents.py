"""Agents, their messages, and the start of their sessions."""

from __future__ import annotations

from urllib.parse import quote

from aimem.client.calls import Caller, segment
from aimem.model import rules
from aimem.wire import (
    AgentRequest,
    AgentsOut,
    AgentsQuery,
    Deleted,
    Inbox,
    InboxQuery,
    MarkedRead,
    MessageQuery,
    Notified,
    NotifyRequest,
    ReadRequest,
    Registered,
    Session,
    SessionRequest,
)


class AgentCalls(Caller):
    """Agents, their messages, and the start of their sessions."""

    async def list_agents(self, query: AgentsQuery | None = None, *, agent_id: str | None = None) -> AgentsOut:
        """Registered agents, by id."""
        return await self.read("/agents", AgentsOut, query=query or AgentsQuery(), agent_id=agent_id)

    async def register_agent(
        self, request: AgentRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Registered:
        """Register an agent, or bring its registration up to date."""
        return await self.write("POST", "/agents", Registered, body=request, agent_id=agent_id, key=key)

    async def remove_agent(self, name: str, *, agent_id: str | None = None, key: str | None = None) -> Deleted:
        """Take the registration of an agent back."""
        path = f"/agents/{_agent_segment(name)}"
        return await self.write("DELETE", path, Deleted, agent_id=agent_id, key=key)

    async def notify(self, request: NotifyRequest, *, agent_id: str | None = None, key: str | None = None) -> Notified:
        """Send a message to an agent."""
        return await self.write("POST", "/notify", Notified, body=request, agent_id=agent_id, key=key)

    async def inbox(self, query: InboxQuery | None = None, *, agent_id: str | None = None) -> Inbox:
        """A page of the caller's messages; reading marks nothing."""
        return await self.read("/inbox", Inbox, query=query or InboxQuery(), agent_id=agent_id)

    async def mark_read(
        self, request: ReadRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> MarkedRead:
        """Mark messages of the caller's inbox as read: from then on their tier's lifetime counts."""
        return await self.write("POST", "/inbox/read", MarkedRead, body=request, agent_id=agent_id, key=key)

    async def delete_message(
        self, message_id: str, query: MessageQuery | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> Deleted:
        """Delete a message of the caller's inbox for ever."""
        path = f"/inbox/{segment(message_id)}"
        return await self.write("DELETE", path, Deleted, query=query or MessageQuery(), agent_id=agent_id, key=key)

    async def start_session(self, request: SessionRequest | None = None, *, agent_id: str | None = None) -> Session:
        """The most important memories, to begin a session with."""
        return await self.write(
            "POST", "/session/start", Session, body=request or SessionRequest(), agent_id=agent_id, key=None
        )


def _agent_segment(name: str) -> str:
    """An agent's id as one path segment; one of dots alone, or `keys`, would name another route."""
    checked = rules.agent_id(name)
    if checked == "keys":
        return "%6Beys"
    return checked.replace(".", "%2E") if checked in (".", "..") else quote(checked, safe="")
