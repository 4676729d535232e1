"""The one road by which use cases write: with a gate on the transaction, an audit of what was done, and a way to wait.

A job whose ops need approval is carried out, its ops are captured, and all of it is taken back; what stays is one
pending action that holds those ops as they would have been written, with the ids that they would have made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

import msgspec
from msgspec import Struct

from aimem.errors import (
    AimemError,
    ApprovalRequired,
    Bug,
    Code,
    Conflict,
    Denied,
    InvalidRequest,
    QuotaExceeded,
    Unauthenticated,
)
from aimem.governance import Ask, dump_policy
from aimem.model import (
    MAX_OP_ENTRIES,
    AgentId,
    Credential,
    FieldValue,
    Instant,
    MemoryId,
    Principal,
    Verb,
    after,
    derived_memory_id,
    format_instant,
    new_memory_id,
)
from aimem.replication import Consistency, wished_consistency
from aimem.service.absent import AbsentNodes
from aimem.service.allowance import Allowance
from aimem.service.gate import Captured, Gate, Portion
from aimem.service.keyring import refuse_ended_in
from aimem.service.limits import charge_writes
from aimem.service.node import Node, Once
from aimem.service.refusals import note_refusal
from aimem.service.waiting import ACTIONS, Waiting, note_waiting
from aimem.store import PENDING, Transaction, Wrote, approvals, audit

P = ParamSpec("P")
T = TypeVar("T")


OPEN_MAX: Final = 1_000
"""Actions of one who asks that wait at the same time."""


_VERB_OF_LABEL: Final = {"promote": Verb.PROMOTE, "delete": Verb.DELETE, "forget": Verb.DELETE, "archive": Verb.DELETE}


class AskedAgain(Struct, frozen=True):
    """An action whose place another one takes, and who asked for it."""

    pending_id: MemoryId
    requested_by: AgentId


class _Refused(Struct, frozen=True):
    error: Denied | QuotaExceeded | ApprovalRequired


class _Done(Struct, frozen=True):
    value: object
    op_count: int


async def write_as(
    node: Node, who: Principal, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
) -> Wrote:
    """Run `fn(transaction, …)` on behalf of a caller, every op of it judged, and wait for its commit.

    Returns: as `Store.write`.
    Raises: what `fn` raises; Denied and QuotaExceeded, which leave a row in the audit, as does Unauthenticated where
      the caller's key ended before its turn came; ApprovalRequired once the pending action that stands for it is
      stored; Unavailable; Corrupt.
    """
    try:
        wrote = await _write(node, who, lambda transaction: fn(transaction, *args, **kwargs))
    except Unauthenticated as ended:
        note_refusal(node, who, action="write", rule=ended.code)
        raise
    finally:
        node.refusals.fold_nowait()
    match wrote.value:
        case _Done(value, op_count):
            charge_writes(node, who, op_count)
            return Wrote(value, wrote.version, wrote.acks)
        case _Refused(error):
            raise error
        case Waiting() as waiting:
            raise waiting.error()
    raise Bug("a governed write without an outcome")


async def _write(node: Node, who: Principal, run: Callable[[Transaction], object]) -> Wrote:
    """Write, and wait until enough nodes have what was written. What the node does by itself waits for nobody."""
    mesh = node.mesh
    wish = Consistency.LOCAL if who.credential is Credential.SYSTEM else wished_consistency()
    if node.policy.served_writes > 1 and wish is not Consistency.LOCAL:
        return await node.store.write_agreed(AbsentNodes(node.policy.served_writes), _governed, node, who, run)
    if mesh is None or (not mesh.peers and mesh.is_ready):
        return await node.store.write(_governed, node, who, run)
    await mesh.wait_met()
    return await node.store.write_agreed(mesh.assent(wish), _governed, node, who, run)


def _governed(
    transaction: Transaction, node: Node, who: Principal, run: Callable[[Transaction], object]
) -> _Done | _Refused | Waiting:
    # It got in a while ago: its body came slowly, or the writer was busy. A key that was revoked writes nothing after.
    refuse_ended_in(transaction.conn, who, transaction.now)
    gate = Gate(who, node.mesh)
    gate.allowance = Allowance(node.limiter, who) if node.limiter.has_amounts(who) else None
    transaction.gate = gate
    outcome: _Done | _Refused | Waiting
    try:
        value = run(transaction)
    except Denied as error:
        transaction.undo_all()
        gate.forget_done()
        gate.refuse(transaction.now, error)
        outcome = _Refused(error)
    except ApprovalRequired as error:
        if not transaction.stands_on:
            raise
        # It was queued before, under this key; that must be on enough nodes, too, before it is told again.
        transaction.undo_all()
        outcome = _Refused(error)
    except QuotaExceeded as error:
        transaction.undo_all()
        gate.forget_done()
        outcome = _Refused(error)
    else:
        if gate.portion.asks:
            transaction.undo_all()
            gate.forget_done()
            outcome = queue(transaction, node, gate, gate.portion)
            note_waiting(transaction, who, gate.once, outcome)
        else:
            outcome = _Done(value, len(transaction.dots))
    gate.refuse_amounts(transaction.now)
    audit.append(transaction.conn, node.refusals.leave(gate.rows))
    return outcome


def in_part(transaction: Transaction, node: Node, run: Callable[[], T], *, index: int = 0) -> T | Waiting:
    """Run one item of a job that takes many: it alone is refused or waits, and leaves nothing else behind.

    Args:
      index: its place in the request.
    Raises: what `run` raises, after what the item wrote is taken back.
    """
    gate = transaction.gate
    if not isinstance(gate, Gate) or not gate.is_governed(transaction):
        return run()
    value, inner = tried(transaction, gate, run)
    return value if inner is None else queue(transaction, node, gate, inner, index=index)


def in_sure_part(transaction: Transaction, run: Callable[[], T]) -> T:
    """Run one item as `in_part` does, where none is to wait. Raises: ApprovalRequired for one that would have to."""
    gate = transaction.gate
    if not isinstance(gate, Gate) or not gate.is_governed(transaction):
        return run()
    value, inner = tried(transaction, gate, run)
    if inner is None:
        return value
    ask = inner.asks[0]
    raise ApprovalRequired(
        f"{ask.act.verb} in {ask.act.namespace!r} needs approval ({ask.rule}): ask for it by itself, or have the "
        "policy changed first",
        namespace=ask.act.namespace, rule=ask.rule,
    )


async def write_surely(
    node: Node, who: Principal, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
) -> Wrote:
    """As `write_as`, for whoever cannot be told to wait. Raises: also ApprovalRequired, with nothing queued."""

    def run(transaction: Transaction) -> T:
        return in_sure_part(transaction, lambda: fn(transaction, *args, **kwargs))

    return await write_as(node, who, run)


def tried(transaction: Transaction, gate: Gate, run: Callable[[], T]) -> tuple[T, Portion | None]:
    """Run a part of a job. Returns: its value, and what it asks for, if it asks; then what it wrote is taken back."""
    outer, done = gate.portion, list(gate.rows)
    gate.portion = inner = Portion()
    part = transaction.begin_part()
    try:
        value = run()
    except AimemError as error:
        transaction.undo_part(part)
        gate.rows = done
        if isinstance(error, Denied):
            gate.refuse(transaction.now, error)
        raise
    finally:
        gate.portion = outer
    if inner.asks:
        transaction.undo_part(part)
        gate.rows = done
        return value, inner
    transaction.end_part()
    outer.ops += inner.ops
    return value, None


def queue(
    transaction: Transaction, node: Node, gate: Gate, portion: Portion, *, index: int = 0,
    again: AskedAgain | None = None, named: MemoryId | None = None,
) -> Waiting:
    """Write the pending action that stands for captured ops.

    Args:
      index: its place in the request.
      again: what it takes the place of.
      named: the id that it has elsewhere already.
    Raises: InvalidRequest if they are too much for one op; QuotaExceeded; Conflict(id_taken).
    """
    ask, now = _telling(portion), transaction.now
    requested_by = gate.who.agent_id if again is None else again.requested_by
    _refuse_too_much(transaction, requested_by, portion)
    pending_id = named or _pending_id(node, gate.who, gate.once, index)
    if transaction.load(PENDING, pending_id).born is not None:
        raise Conflict(
            f"the id {pending_id} that this Idempotency-Key stands for is taken, and its request is not known here; "
            "take a new key",
            code=Code.ID_TAKEN,
        )
    expires_at = after(now, node.policy.pending_expiry_s)
    fields = _fields(node, requested_by, ask, portion, now, expires_at)
    entries = [transaction.create(PENDING, pending_id, gate.who.agent_id, fields)]
    if again is not None:
        entries.append(transaction.change(PENDING, again.pending_id, {"asked_again_as": pending_id}))
    dot = gate.write_own(transaction, "pending", entries)
    # Votes and the decision name the action alone: this row joins them to the memory that was asked about.
    gate.tell(
        now, portion.ops[0].label, audit.ASKED, ask.act.namespace, ask.act.target or pending_id, ask.rule,
        version=str(dot), detail=f"pending {pending_id}",
    )
    return Waiting(
        pending_id=pending_id, action=ACTIONS[ask.act.verb], namespace=ask.act.namespace,
        memory_id=None if ask.act.target is None else MemoryId(ask.act.target), expires_at=format_instant(expires_at),
        version=str(dot),
    )


def _telling(portion: Portion) -> Ask:
    """Of what a job asks for, what its action is called by: a copy upwards is a promotion, a move no deletion."""
    wanted = _VERB_OF_LABEL.get(portion.ops[0].label, Verb.WRITE)
    return next((ask for ask in portion.asks if ask.act.verb is wanted), portion.asks[0])


def _refuse_too_much(transaction: Transaction, requested_by: AgentId, portion: Portion) -> None:
    """Bound what waits: so many actions of one who asks, and no more in one than its approval can write in one op."""
    if approvals.count_open(transaction.conn, transaction.now, requested_by) >= OPEN_MAX:
        raise QuotaExceeded(
            f"{OPEN_MAX} actions of {requested_by} wait for approval already; have some of them decided, or withdraw "
            "them (ai-memory pending reject)",
            limit=OPEN_MAX,
        )
    count = len({(entry.kind, entry.key) for op in portion.ops for entry in op.entries})
    if count >= MAX_OP_ENTRIES:
        raise InvalidRequest(
            f"this needs approval, and one action may touch {MAX_OP_ENTRIES - 1} objects; it has {count}: split it"
        )


def _pending_id(node: Node, who: Principal, once: Once | None, index: int) -> MemoryId:
    if once is None:
        return new_memory_id(node.chance.rng)
    return derived_memory_id(who.idempotency_scope, f"pending:{once.key}", index)


def _fields(
    node: Node, requested_by: AgentId, ask: Ask, portion: Portion, now: Instant, expires_at: Instant
) -> dict[str, FieldValue]:
    return {
        "action": ACTIONS[ask.act.verb], "label": portion.ops[0].label, "namespace": ask.act.namespace,
        "memory_id": ask.act.target, "payload": dump_payload(portion.ops), "policy": dump_policy(ask.policy),
        "policy_namespace": ask.rule_namespace, "policy_stamp": ask.stamp, "requested_by": requested_by,
        "requested_at": now, "expires_at": expires_at, "home": node.store.stream, "asked_again_as": None,
    }


def dump_payload(ops: list[Captured]) -> str:
    """The ops that an approval writes, as text."""
    return msgspec.json.encode(ops).decode()


def load_payload(text: str) -> list[Captured]:
    """Inverse of dump_payload. Raises: msgspec.DecodeError, msgspec.ValidationError."""
    return msgspec.json.decode(text, type=list[Captured])
