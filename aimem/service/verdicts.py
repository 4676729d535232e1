"""What a voter is told: the outcome, once its home has written it and more than half of the nodes have that.

Before that the answer is that it waits: an outcome that few nodes have may yet be lost with them.
"""

from __future__ import annotations

from typing import Final

import trio
from msgspec import UNSET, Struct, UnsetType

from aimem.errors import NotFound
from aimem.model import Dot, Instant, MemoryId, PendingStatus
from aimem.ports import Connection
from aimem.replication import Consistency, Mesh
from aimem.service.node import Node
from aimem.service.settling import Case, case_of
from aimem.store import approvals
from aimem.wire import Approved, Rejected

WAITS_FOR_VOTES: Final = "consensus threshold not yet reached"
WAITS_FOR_HOME: Final = "the node that queued the action decides, and has not yet"
WAITS_FOR_MAJORITY: Final = "it is decided, and more than half of the nodes have not said yet that they know it"
CAME_LATE: Final = "it was decided before this vote arrived, which is kept as late"


class Verdict(Struct, frozen=True, kw_only=True):
    """How an action stands after a vote.

    Attributes:
      is_final: whether its outcome, if it has one, is on more than half of the nodes.
      version: the outcome's once it is final, else the vote's: who reads it takes it for acknowledged.
    """

    case: Case
    is_final: bool
    version: str | UnsetType


def approved(verdict: Verdict) -> Approved:
    """The answer to an approval."""
    case, standing, pending = verdict.case, verdict.case.standing, verdict.case.pending
    outcome, count = pending.outcome, len(standing.approvals)
    if outcome is None or not verdict.is_final:
        return Approved(
            approved=False, id=pending.pending_id, votes=count if outcome is None else len(case.detail.counted),
            status=standing.status.value if outcome is None else PendingStatus.PENDING.value,
            quorum=standing.quorum, version=verdict.version,
            reason=WAITS_FOR_MAJORITY if outcome is not None else (
                WAITS_FOR_HOME if count >= standing.quorum else WAITS_FOR_VOTES
            ),
        )
    detail, is_late = case.detail, outcome.status in (PendingStatus.REJECTED, PendingStatus.EXPIRED)
    return Approved(
        approved=not is_late, id=pending.pending_id, status=outcome.status.value, decided_by=outcome.decided_by,
        executed=detail.is_executed, memory_id=detail.memory_id or UNSET, votes=len(detail.counted),
        quorum=standing.quorum, error=detail.error or UNSET, reason=CAME_LATE if is_late else UNSET,
        version=verdict.version,
    )


def rejected(verdict: Verdict) -> Rejected:
    """The answer to a rejection."""
    pending, standing = verdict.case.pending, verdict.case.standing
    outcome = pending.outcome
    if outcome is None or not verdict.is_final:
        return Rejected(
            rejected=True, id=pending.pending_id, status=standing.status.value, version=verdict.version,
            reason=WAITS_FOR_HOME if outcome is None else WAITS_FOR_MAJORITY,
        )
    is_rejected = outcome.status is PendingStatus.REJECTED
    return Rejected(
        rejected=is_rejected, id=pending.pending_id, status=outcome.status.value, decided_by=outcome.decided_by,
        reason=UNSET if is_rejected else CAME_LATE, version=verdict.version,
    )


async def wait_verdict(node: Node, pending_id: MemoryId, version: str | UnsetType, began: float) -> Verdict:
    """Wait for the outcome where votes have decided, and until more than half of the nodes have it.

    As long as a write that began then waits for its acks; a node without senders asks nobody.

    Args:
      version: of the vote.
      began: on Trio's clock.
    Returns: how it stands then, or when the time is up.
    Raises: NotFound if the action is gone; Unavailable, Corrupt.
    """
    mesh, clock = node.mesh, node.clock
    until = began if mesh is None or mesh.is_alone else began + mesh.patience_s(1)
    case, dot = await node.store.read(_look, pending_id, clock.now())
    with trio.move_on_at(until):
        while case.pending.outcome is None and case.standing.decision is not None:
            seen_count = node.store.log.change_count
            case, dot = await node.store.read(_look, pending_id, clock.now())
            if case.pending.outcome is None:
                await node.store.log.wait_change(seen_count)
    if dot is None:
        return Verdict(case=case, is_final=False, version=version)
    is_final = mesh is None or await _wait_majority(mesh, dot, until)
    return Verdict(case=case, is_final=is_final, version=str(dot) if is_final else version)


async def _wait_majority(mesh: Mesh, dot: Dot, until: float) -> bool:
    needed = mesh.rule.needed(Consistency.MAJORITY)
    if dot.stream != mesh.store.stream:
        # Its writer told them; that they have it they say to whoever asks.
        mesh.ask_all(trio.current_time())
    with trio.move_on_at(until):
        return (await mesh.wait_acks([dot], needed)).got >= needed
    return mesh.tally([dot]).got >= needed


def _look(conn: Connection, pending_id: MemoryId, now: Instant) -> tuple[Case, Dot | None]:
    pending = approvals.find(conn, pending_id)
    if pending is None:
        raise NotFound(f"not found: no pending action has the id {pending_id!r}", field="id")
    dot = None if pending.outcome is None else approvals.outcome_dot(conn, pending_id)
    return case_of(conn, pending, now), dot
