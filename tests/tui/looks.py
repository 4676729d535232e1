"""What a node answered to the questions of the screens that ask only when they are opened."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.wire import (
    AgentOut,
    AgentsOut,
    ArmScore,
    AuditPage,
    AuditRowOut,
    ConflictOut,
    Explanation,
    KeyOut,
    KeysOut,
    LinkOut,
    MemoryOut,
    MemoryWithLinks,
    NamespaceStandard,
    NamespaceStandards,
    PolicyOut,
    RecallResult,
    ScoredMemory,
    Taxonomy,
    TaxonomyNode,
)
from aimem_tui.state import Deed, Look, State
from aimem_tui.steps import Did, Looked, Measured, Step
from tests.tui.states import STREAMS, after, lively, mesh, metrics

FIELDS: Final = {
    "tier": "mid", "namespace": "acme/ops", "tags": ("release",), "priority": 7, "confidence": 1.0, "source": "api",
    "access_count": 3, "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-02T09:00:00Z",
    "expires_at": "2026-01-08T12:00:00Z", "metadata": {"agent_id": "ai:planner"},
}
SCORE: Final = Explanation(
    bm25=ArmScore(raw=3.1, scaled=1.0, rank=1), cosine=ArmScore(raw=0.4, scaled=0.5, rank=2), fused=0.85, nearness=0.0,
    time=0.0, role=0.0, priority=1.02, confidence=1.0, tier=1.01, access=1.0, recency=1.05, proximity=1.0, final=0.919,
)
POLICY: Final = PolicyOut(write="approve", promote="any", delete="owner", policy="owner", approver="human")


def memory(no: int) -> dict[str, object]:
    """The fields of a memory."""
    content = f"We ship on Tuesdays.\nLine two of {no}."
    return {**FIELDS, "id": f"m{no}", "title": f"Release day {no}", "content": content}


def audit_row(seq: int, decision: str) -> AuditRowOut:
    """A row of the audit."""
    return AuditRowOut(
        seq=seq, at="2026-01-02T11:58:00Z", agent_id="ai:planner", credential="key k1", action="store",
        decision=decision, namespace="acme/ops", target="m1", rule="acme/ops: write=approve", version=None, count=1,
        detail=None, hash="h",
    )


def key(agent: str, status: str, expires_at: str | None = None) -> KeyOut:
    """A key of an agent."""
    return KeyOut(key_id=f"k-{agent}", agent_id=agent, role="agent", home="acme", status=status, created_by="ops",
                  created_at="2026-01-01T00:00:00Z", expires_at=expires_at, revoked_at=None)


def _looks() -> dict[str, tuple[str, Struct]]:
    scored = tuple(
        ScoredMemory(**memory(no), score=0.92 / no, explanation=SCORE)      # type: ignore[arg-type]
        for no in (1, 2)
    )
    scored[1].contradicted_by = ("m1",)
    one = MemoryOut(**memory(1))        # type: ignore[arg-type]
    links = (LinkOut(source_id="m1", target_id="m2", relation="supersedes", created_at="2026-01-01T00:00:00Z",
                     valid_from="2026-01-01T00:00:00Z", observed_by="ai:planner"),
             LinkOut(source_id="m3", target_id="m1", relation="related_to", created_at="2026-01-01T00:00:00Z"))
    office = TaxonomyNode(namespace="acme/office", name="office", count=12, subtree_count=12, children=())
    acme = TaxonomyNode(namespace="acme", name="acme", count=3, subtree_count=15, children=(office,))
    lost = ConflictOut(kind="memory", key="m1", field="content", value="We ship on Mondays.", version_hlc=1,
                       stream=STREAMS["d"], noted_at="2026-01-02T11:50:00Z")
    agent = AgentOut(agent_id="ai:planner", agent_type="ai:planner", capabilities=("plan", "recall"),
                     registered_at="2026-01-01T00:00:00Z", last_seen_at="2026-01-02T11:59:00Z", registered_by="ops")
    return {
        "memories": ("when do we ship", RecallResult(
            memories=scored, count=2, tokens_used=40, mode="hybrid", below_floor=3)),
        "memory": ("m1", MemoryWithLinks(**memory(1), memory=one, links=links)),    # type: ignore[arg-type]
        "namespaces": ("", Taxonomy(total_count=15, truncated=False, tree=TaxonomyNode(
            namespace="", name="", count=0, subtree_count=15, children=(acme,)))),
        "policy": ("acme", NamespaceStandards(
            namespace="acme", chain=("acme",), count=1, effective=POLICY, from_="acme",
            standards=(NamespaceStandard(namespace="acme", standard_id=None, governance=POLICY, changed_by="ops:ann",
                                         changed_at="2026-01-02T10:00:00Z"),))),
        "agents": ("", AgentsOut(count=1, agents=(agent,), total=1)),
        "keys": ("", KeysOut(count=2, total=2, keys=(
            key("ai:planner", "active", "2026-01-04T12:00:00Z"), key("ai:gone", "revoked")))),
        "conflicts": ("", mesh(conflict_count=1, conflicts=(lost,))),
        "audit": ("", AuditPage(rows=(audit_row(2, "asked"), audit_row(1, "denied")), count=2, head="2:h")),
    }


def looked_at() -> tuple[Step, ...]:
    """All of it, as steps."""
    page = metrics(9, 0.03).replace("{", "{{").replace("}", "}}") + (     # the acks as before
        "# TYPE ai_memory_recalls counter\nai_memory_recalls_total {recalls}\n# TYPE ai_memory_memories gauge\n"
        'ai_memory_memories{{tier="mid"}} {memories}\nai_memory_memories{{tier="long"}} 5\n'
    )
    return (
        *(Looked(name=name, of=of, look=Look(of=of, value=value)) for name, (of, value) in _looks().items()),
        *(Measured(place=0, now_s=100.0 + 4 * no, metrics=page.format(recalls=10 * no * no, memories=20 + no))
          for no in range(6)),
        Did(screen="memories", deed=Deed(said="promoted", is_done=True)),
    )


def everything() -> State:
    """A mesh of four, with all screens read."""
    return after(*looked_at(), state=lively())
