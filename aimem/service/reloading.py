"""Who the members are and where this node is told of them: read anew while it runs, on an operator's word."""

from __future__ import annotations

from aimem.errors import InvalidRequest
from aimem.model import Principal
from aimem.replication import Mesh
from aimem.service.callers import require_operator
from aimem.service.node import Node
from aimem.store import AuditRow, Transaction, audit
from aimem.wire import reloading


async def reload(node: Node, who: Principal) -> reloading.ReloadAnswer:
    """Read the configuration anew, as SIGHUP does: certificates, and the members of the mesh.

    Raises: InvalidRequest with what is wrong with it, and then all is as before; Denied(operator_required);
      Unavailable.
    """
    require_operator(who, "having the configuration read anew")
    mesh, membership = node.mesh, node.membership
    if mesh is None or membership.reread is None:
        raise InvalidRequest("nothing is read anew by this process: that is for ai-memory serve")
    row = AuditRow(
        at=node.clock.now(), agent_id=who.agent_id, credential=who.credential.value, action="mesh_reload",
        decision=audit.ALLOWED,
    )
    await node.store.write(note_reload, row)
    before = _urls(mesh)
    await membership.reread()
    after = _urls(mesh)
    return reloading.ReloadAnswer(
        node=node.store.node_name, peers=after, members=mesh.rule.members, writes=mesh.rule.writes,
        added=tuple(url for url in after if url not in before),
        removed=tuple(url for url in before if url not in after),
        told=membership.told, notices=membership.notices, restart=membership.restart,
    )


def _urls(mesh: Mesh) -> tuple[str, ...]:
    return tuple(peer.url for peer in mesh.peers)


def note_reload(transaction: Transaction, row: AuditRow) -> None:
    """Keep in the audit that an operator asked for it."""
    audit.append(transaction.conn, [row])
