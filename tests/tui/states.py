"""States of the console as tests need them: a mesh of four, with one node that is away, and what it shows."""

from __future__ import annotations

from msgspec.structs import replace

from aimem.model import SECOND_US, Instant, parse_instant
from aimem.wire import (
    ApprovalOut,
    ChangeOut,
    CommentOut,
    EventOut,
    Health,
    MeshDocument,
    PeerStatus,
    PendingDetail,
    PendingOut,
    PendingPage,
    VerifyOut,
    VoteOut,
    WriteOutcome,
    papers,
    shortage,
)
from aimem_tui.state import State, Verified
from aimem_tui.steps import (
    Answered,
    Decided,
    Failed,
    Followed,
    GotDetail,
    GotDocket,
    Measured,
    Spread,
    Step,
    Ticked,
    Told,
    VerifyEnded,
    first_state,
    step,
)
from aimem_tui.trouble import Trouble, TroubleKind

NOW: Instant = parse_instant("2026-01-02T12:00:00Z", field="now")
DOORS = ("https://a:1", "https://b:1")
STREAMS = {name: name * 32 for name in "abcd"}
VECTOR = {STREAMS["a"]: 120, STREAMS["b"]: 40, STREAMS["c"]: 9, STREAMS["d"]: 4000}


def health(stream: str = STREAMS["a"], **changes: object) -> Health:
    """What a well node says."""
    plain = Health(
        status="ok", service="ai-memory", version="0.1.0", embedder_ready=True, federation_enabled=True,
        compatible_with="0.6.3", mode="hybrid", embedding_backlog=0, open_access=False, stream=stream,
    )
    return replace(plain, **changes)


def peer(name: str, **changes: object) -> PeerStatus:
    """A peer that is well."""
    plain = PeerStatus(
        url=f"https://{name}:1", node=f"node-{name}", stream=STREAMS[name], state="reachable", breaker="closed",
        in_flight=False, lag_ops=0, lag_s=0.0, failures=0, clock_offset_ms=1.25, last_ok_s=0.5, last_error="",
        held=0, vector=VECTOR,
        certificate=papers.PeerCertificateOut(fingerprint="f", names=(), expires_at="", days_left=300),
    )
    return replace(plain, **changes)


def mesh(name: str = "a", *peers: PeerStatus, **changes: object) -> MeshDocument:
    """The mesh as a node sees it."""
    plain = MeshDocument(
        node=f"node-{name}", stream=STREAMS[name], protocol=3, members=4, writes=2,
        peers=peers or tuple(peer(other) for other in "abcd" if other != name), vector=VECTOR, hlc=1, held=(),
        held_count=0, conflict_count=0,
        certificates=(papers.CertificateOut(
            which="server", fingerprint="f", subject=f"node-{name}", names=(), expires_at="", days_left=12),),
    )
    return replace(plain, **changes)


def event(no: int, **changes: object) -> EventOut:
    """Something that happened."""
    plain = EventOut(
        id=f"s.{no}", at=f"2026-01-02T11:59:{no % 60:02}.000000Z", event="store", kind="memory", key=f"key-{no}",
        version=f"{STREAMS['a']}:{no}", own=True, namespace="acme/ops", agent_id="ai:planner",
    )
    return replace(plain, **changes)


def pending(no: int = 1, **changes: object) -> PendingOut:
    """An action that waits."""
    plain = PendingOut(
        id=f"p{no}", action_type="store", namespace="acme/ops", payload={"title": f"Title {no}"},
        requested_by="ai:planner", requested_at="2026-01-02T11:55:00Z", status="pending",
        approvals=(ApprovalOut(agent_id="ops:ann", approved_at="2026-01-02T11:56:00Z"),),
        expires_at="2026-01-09T11:55:00Z", quorum=2, rule="write of acme/ops wants approval", label="store",
        home=STREAMS["a"], approver={"consensus": 2},
        votes=(VoteOut(agent_id="ops:ann", vote="approve", voted_at="2026-01-02T11:56:00Z", counts=True, late=False,
                       comment="looks right"),),
    )
    return replace(plain, **changes)


def detail(no: int = 1, **changes: object) -> PendingDetail:
    """The same with what it would change."""
    one = pending(no)
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    plain = PendingDetail(
        **fields, changes_total=2,
        changes=(ChangeOut(kind="memory", id="m1", effect="change", field="content", before="We ship on Mondays.",
                           after="We ship on Tuesdays."),
                 ChangeOut(kind="memory", id="m1", effect="change", field="priority", before=5, after=8)),
        comments=(CommentOut(agent_id="ops:bob", text="who asked for this?", made_at="2026-01-02T11:57:00Z"),),
    )
    return replace(plain, **changes)


def metrics(count: int, total_s: float, url: str = "https://b:1") -> str:
    """The part of a page of metrics that is read."""
    name = "ai_memory_mesh_ack_seconds"
    return f'{name}_count{{peer="{url}"}} {count}.0\n{name}_sum{{peer="{url}"}} {total_s}\n'


def after(*steps: Step, state: State | None = None) -> State:
    """The state after these."""
    state = state or first_state(DOORS, NOW, 100.0)
    for one in steps:
        state = step(state, one)
    return state


def lively() -> State:
    """A mesh of four with all that can be shown: one is away, one behind, a write was refused, one action waits."""
    away = peer("d", state="unreachable", breaker="open", lag_ops=110, lag_s=75.0, last_error="no answer",
                clock_offset_ms=-900.0, vector={**VECTOR, STREAMS["a"]: 10, STREAMS["d"]: 2000})
    behind = peer("c", lag_ops=3, lag_s=1.0, vector={**VECTOR, STREAMS["a"]: 117})
    short = shortage.ShortWriteOut(at="2026-01-02T11:48:00Z", outcome="not_applied",
                                   why="a write needs 2 nodes and 1 can be reached; nothing was stored: retry")
    rtts = (4.0, 9.0, 5.0, 6.0, 30.0, 5.5)
    looks = [Answered(place=0, now_s=100.0, rtt_ms=rtt, health=health(warnings=("a certificate expires in 12 days",)),
                      mesh=mesh("a", peer("b"), behind, away, short_writes=2, last_short=short)) for rtt in rtts]
    marks = [Measured(place=0, now_s=100.0, metrics=metrics(count, total))
             for count, total in ((1, 0.004), (3, 0.02), (9, 0.03))]
    refused = Trouble(kind=TroubleKind.OFFLINE, what="nothing listens at https://b:1", advice="start its daemon")
    verdicts = (VerifyOut(url="https://b:1", node="node-b", verdict="equal", digest="3536cef9"),
                VerifyOut(url="https://d:1", node="node-d", verdict="unreachable", digest="", reason="timeout"))
    spread = WriteOutcome(version="v", outcome="applied", got=2, needed=2, acked_by=("node-a", "node-b"),
                          waiting_for={"node-d": "no answer"})
    return after(
        *looks, *marks, Followed(place=0, is_followed=True), *(Told(place=0, event=event(no)) for no in range(1, 30)),
        Failed(place=1, trouble=refused),
        VerifyEnded(verified=Verified(seen_by="node-a", digest="3536cef9", verdicts=verdicts, at_s=97.0)),
        GotDocket(page=PendingPage(count=2, pending=(pending(1), pending(2, status="rejected"))), shows_all=True),
        GotDetail(detail=detail(1)), Decided(id="p1", did="comment by you", said="said", version="v"),
        Spread(id="p1", outcome=spread), Ticked(now_s=101.0, wall=Instant(NOW + SECOND_US)),
    )
