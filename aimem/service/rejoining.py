"""Joining the mesh anew: a new stream, and the whole state of a peer before it is written."""

from __future__ import annotations

from typing import Final

import trio

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import Principal
from aimem.replication import Mesh
from aimem.service.callers import require_operator
from aimem.service.node import Node
from aimem.store import AuditRow, Transaction, audit
from aimem.wire import reloading

WAIT_S: Final = 5.0
"""For which one request waits; whoever wants to see the end asks again."""


async def rejoin(node: Node, who: Principal, request: reloading.RejoinRequest) -> reloading.RejoinAnswer:
    """Have this node join its mesh anew, and wait a while for it to be ready. What is known here stays.

    One that is under way already goes on.
    Raises: InvalidRequest for a node that asks no peers; Unavailable, also after too many new streams;
      Denied(operator_required).
    """
    require_operator(who, "having this node join its mesh anew")
    mesh = node.mesh
    if mesh is None or mesh.is_alone:
        raise InvalidRequest("this node asks no peers, so there is nobody to fetch anything from: ai-memory mesh add")
    if not request.look and not mesh.renewal.is_rejoining:
        await _begin(node, who, mesh, request)
    with trio.move_on_after(WAIT_S):
        while not mesh.is_ready:
            await mesh.next_report.wait()
    return reloading.RejoinAnswer(
        stream=node.store.stream, ready=mesh.is_ready, known=sum(node.store.log.vector.values()),
        failing=tuple(f"{peer.url}: {peer.state.last_error}" for peer in mesh.peers if peer.state.failures),
    )


async def _begin(node: Node, who: Principal, mesh: Mesh, request: reloading.RejoinRequest) -> None:
    if not mesh.renewal.may_renew(trio.current_time()):
        raise Unavailable(
            "this node began too many new streams within the last hour; find out why, and retry later",
            code=Code.STREAM_FORKED, outcome="not_applied",
        )
    row = AuditRow(
        at=node.clock.now(), agent_id=who.agent_id, credential=who.credential.value, action="mesh_rejoin",
        decision=audit.ALLOWED,
    )
    await node.store.write(note_rejoin, row)
    if request.forget_cluster:
        await node.store.forget_cluster()
    await mesh.renewal.rejoin()


def note_rejoin(transaction: Transaction, row: AuditRow) -> None:
    """Keep in the audit that an operator asked for it."""
    audit.append(transaction.conn, [row])
