"""Asking again for an action that expired, failed, or whose deciding node is gone: judged by the policies of now."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from aimem.errors import Code, Conflict, Denied, InvalidRequest, Unavailable
from aimem.governance import voter_key
from aimem.model import PendingStatus, Principal
from aimem.ports import Connection
from aimem.service.approvals import audited, gate_of, known, refuse_decided
from aimem.service.effects import Changes, Effect, effect_of
from aimem.service.homes import Home, home_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.settling import Case
from aimem.service.writing import AskedAgain, load_payload, queue, tried, write_as
from aimem.store import PENDING, Transaction
from aimem.wire import AskedAgainOut


async def ask_again(node: Node, who: Principal, pending_id: str, once: Once | None = None) -> AskedAgainOut:
    """Queue an action anew with the ids that it had, or do it at once where the policy of now lets the caller.

    Raises: NotFound; Denied, to whoever is neither the one who asked nor an operator, or by policy; Conflict for what
      still waits, was approved or rejected, was asked again already, or cannot be done any more; QuotaExceeded;
      Unavailable.
    """
    wrote = await audited(
        node, who, "pending_again", pending_id, write_as(node, who, _again, node, who, pending_id, once)
    )
    answer: AskedAgainOut = wrote.value
    return answer


def _again(
    transaction: Transaction, node: Node, who: Principal, pending_id: str, once: Once | None
) -> AskedAgainOut:
    gate = gate_of(transaction)
    gate.begin("pending_again")

    def run() -> AskedAgainOut:
        case = known(transaction.conn, who, pending_id, transaction.now)
        _refuse(transaction.conn, node, who, case)
        pending = case.pending
        effect = _effect(transaction, node, case)
        # The mark of the one that it takes the place of; its own id where nothing has to be asked any more.
        done = transaction.change(PENDING, pending.pending_id, {"asked_again_as": pending.pending_id})
        dot, portion = tried(transaction, gate, lambda: transaction.emit(pending.label, [*effect.entries, done]))
        if portion is None:
            return AskedAgainOut(
                asked_again=True, id=pending.pending_id, status="done", executed=True,
                memory_id=effect.memory_id or UNSET, namespace=pending.namespace, version=str(dot),
            )
        again = AskedAgain(pending_id=pending.pending_id, requested_by=pending.requested_by)
        captured = [msgspec.structs.replace(op, entries=effect.entries) for op in portion.ops]
        portion.ops = captured
        waiting = queue(transaction, node, gate, portion, again=again)
        return AskedAgainOut(
            asked_again=True, id=pending.pending_id, status=PendingStatus.PENDING.value, executed=False,
            pending_id=waiting.pending_id, memory_id=waiting.memory_id or UNSET, namespace=waiting.namespace,
            expires_at=waiting.expires_at, version=waiting.version,
        )

    return answer_once(transaction, node, who, once, AskedAgainOut, run)


def _refuse(conn: Connection, node: Node, who: Principal, case: Case) -> None:
    pending, status = case.pending, case.standing.status
    if not who.may_administer and voter_key(pending.requested_by) != voter_key(who.agent_id):
        raise Denied(
            f"only {pending.requested_by}, who asked for it, and operators ask for it again",
            code=Code.NOT_ENTITLED, namespace=pending.namespace, rule="not_entitled", pending_id=pending.pending_id,
        )
    home = home_of(conn, node, pending)
    if home is Home.LATER:
        raise Unavailable(
            "this node was set up anew since it queued the action, and does not know yet all that its peers know; "
            "retry when each of them has answered",
            outcome="not_applied", namespace=pending.namespace, pending_id=pending.pending_id,
        )
    if home is Home.ELSEWHERE:
        # Two nodes that asked again at once would have it done twice; and it may just be decided there.
        raise Conflict(
            "another node queued the action and decides on it; ask for it again there",
            namespace=pending.namespace, pending_id=pending.pending_id, status=status.value, home=pending.home,
        )
    if pending.asked_again_as is None:
        if status in (PendingStatus.EXPIRED, PendingStatus.FAILED):
            return
        if status is PendingStatus.PENDING:
            if home is Home.NOBODY:
                return
            raise Conflict(
                "the action still waits for its approval; ask again once it has expired or failed",
                namespace=pending.namespace, pending_id=pending.pending_id, status=status.value,
            )
    refuse_decided(case)


def _effect(transaction: Transaction, node: Node, case: Case) -> Effect:
    pending = case.pending
    try:
        ops = load_payload(pending.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"what was asked for cannot be read: {error}") from None
    effect = effect_of(transaction, node, ops, pending.requested_at, pending.memory_id, Changes.TAKE)
    if not effect.entries:
        raise Conflict(
            "nothing is left to do: what it was about is gone", namespace=pending.namespace,
            pending_id=pending.pending_id, status=case.standing.status.value,
        )
    return effect
