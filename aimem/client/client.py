"""The client itself."""

from __future__ import annotations

from aimem.client.agentkeys import AgentKeyCalls
from aimem.client.agents import AgentCalls
from aimem.client.approvals import ApprovalCalls
from aimem.client.audit import AuditCalls
from aimem.client.contradictions import ContradictionCalls
from aimem.client.curation import CurationCalls
from aimem.client.duplicates import DuplicateCalls
from aimem.client.entities import EntityCalls
from aimem.client.events import EventCalls
from aimem.client.graph import GraphCalls
from aimem.client.memories import MemoryCalls
from aimem.client.mesh import MeshCalls
from aimem.client.namespaces import NamespaceCalls
from aimem.client.subscriptions import SubscriptionCalls
from aimem.client.taxonomy import TaxonomyCalls
from aimem.client.thinking import ThinkingCalls
from aimem.client.transfer import TransferCalls
from aimem.client.upkeep import UpkeepCalls


class Client(
    AgentCalls,
    ApprovalCalls,
    AgentKeyCalls,
    MemoryCalls,
    ThinkingCalls,
    GraphCalls,
    ContradictionCalls,
    TaxonomyCalls,
    DuplicateCalls,
    EntityCalls,
    CurationCalls,
    NamespaceCalls,
    SubscriptionCalls,
    TransferCalls,
    UpkeepCalls,
    MeshCalls,
    AuditCalls,
    EventCalls,
):
    """One node, as seen by one caller. Works on any event loop that httpx knows.

    Every method takes `agent_id` (sent as X-Agent-Id; defaults to the client's own), every writing one also `key`, the
    Idempotency-Key (a fresh one by default): sending the same request with the same key twice does it once.
    Every method raises the AimemError that the node answered; Unavailable if it cannot be reached, answers nonsense or
    (code deadline_exceeded) does not answer in time; ApprovalRequired if policy queued the action; InvalidRequest for
    what cannot be sent at all.
    """

    def for_agent(self, agent_id: str | None) -> Client:
        """The same node, asked by this agent; with None by whoever its credential says."""
        return Client(self._http, new_key=self._new_key, agent_id=agent_id)
