"""What peers of v0.6.3 push that governs: standards with their policies, actions that wait, and decisions on them.

All of it passes the gate of this node, on behalf of whoever it names. A decision counts as the vote of its decider, and
only while nobody has a credential: whoever reaches that route could name anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from aimem.errors import Code, Conflict, Denied, InvalidRequest, NotFound
from aimem.governance import dump_policy, parse_policy
from aimem.model import (
    AgentId,
    FieldValue,
    Memory,
    MemoryId,
    NamespaceRule,
    PendingStatus,
    Principal,
    parse_instant,
    rules,
)
from aimem.service.approvals import Ballot, Decision, cast, gate_of
from aimem.service.arrivals import Bringer, arrival_of
from aimem.service.edit import delete_in, promote_in, promote_up_in, refuse_reserved
from aimem.service.keyring import AccessMode, access_mode
from aimem.service.lookup import exact
from aimem.service.node import Node
from aimem.service.rulemaking import LABEL, clear_in, settable
from aimem.service.taking import take
from aimem.service.writing import queue, tried, write_as, write_surely
from aimem.store import NAMESPACE, PENDING, Transaction, namespaces
from aimem.wire import ImportMemory, ImportRequest, encode, legacy

T = TypeVar("T")

_MET_LATE: Final = frozenset({Code.ALREADY_DECIDED, Code.PENDING_EXPIRED})


async def take_standard(node: Node, who: Principal, item: legacy.LegacyNamespace) -> bool:
    """Set the standard of a namespace, and the policy that v0.6.3 keeps in it, unless it was set here as late or later.

    Returns: whether anything changed. Raises: InvalidRequest, also if the memory is not here; Denied; ApprovalRequired,
      with nothing queued; Unavailable.
    """
    taken: bool = (await write_surely(node, who, _standard_in, who, item)).value
    return taken


def _standard_in(transaction: Transaction, who: Principal, item: legacy.LegacyNamespace) -> bool:
    namespace, now = settable(item.namespace), transaction.now
    at = parse_instant(item.updated_at, field="updated_at") if item.updated_at else now
    if at > now:
        raise InvalidRequest("updated_at must not lie in the future", field="updated_at")
    memory = _here(lambda: exact(transaction.conn, item.standard_id, who, now))
    refuse_reserved(memory)
    present = namespaces.find(transaction.conn, namespace)
    if present is not None and present.changed_at >= at:
        return False
    fields = _fields(item, memory, present)
    if not fields:
        return False
    told: dict[str, FieldValue] = {"changed_by": who.agent_id, "changed_at": at}
    if transaction.load(NAMESPACE, namespace).born is None:
        whole: dict[str, FieldValue] = dict.fromkeys(("standard_id", "parent", "governance", "owner"))
        transaction.emit(LABEL, [transaction.create(NAMESPACE, namespace, who.agent_id, {**whole, **fields, **told})])
    else:
        transaction.emit(LABEL, [transaction.change(NAMESPACE, namespace, {**fields, **told})])
    return True


def _fields(
    item: legacy.LegacyNamespace, memory: Memory, present: NamespaceRule | None
) -> dict[str, FieldValue]:
    """What would change. Raises: InvalidRequest for a policy that cannot be read: stored, it would deny everything."""
    fields: dict[str, FieldValue] = {"standard_id": memory.id}
    if item.parent_namespace:
        fields["parent"] = rules.namespace(item.parent_namespace, field="parent_namespace")
    governance = memory.metadata.get("governance")
    if governance is not None:
        fields["governance"] = dump_policy(parse_policy(encode(governance), field="metadata.governance"))
    return {name: value for name, value in fields.items() if present is None or getattr(present, name) != value}


async def clear_standard(node: Node, who: Principal, namespace: str) -> bool:
    """Take what is set for a namespace away. Returns: whether there was anything. Raises: as take_standard."""
    return bool((await write_surely(node, who, clear_in, node, who, settable(namespace), None)).value.cleared)


async def ask_for(node: Node, who: Principal, item: legacy.LegacyPending) -> bool:
    """Ask here for what waits at a peer, under the id that it has there, on behalf of whoever asked for it there.

    Returns: whether it waits here now; false if it is known here, or decided there.
    Raises: InvalidRequest if it cannot be read, or no policy here asks for its approval: what comes of it arrives as a
      write of its own; Denied; Conflict; QuotaExceeded; Unavailable.
    """
    pending_id = rules.memory_id(item.id)
    if item.status != PendingStatus.PENDING:
        return False
    asker = _named(who, item.requested_by, "requested_by")
    return bool((await write_as(node, asker, _ask_in, node, asker, pending_id, item)).value)


def _ask_in(
    transaction: Transaction, node: Node, asker: Principal, pending_id: MemoryId, item: legacy.LegacyPending
) -> bool:
    if transaction.load(PENDING, pending_id).born is not None:
        return False
    gate = gate_of(transaction)
    _, portion = tried(transaction, gate, lambda: _here(lambda: _act(transaction, node, asker, item)))
    if portion is None:
        # Raised, so that what was done to find out is taken back.
        raise InvalidRequest("no policy of this node asks for its approval; what is done there comes as a write")
    queue(transaction, node, gate, portion, named=pending_id)
    return True


def _act(transaction: Transaction, node: Node, asker: Principal, item: legacy.LegacyPending) -> None:
    """Do what waits. Raises: InvalidRequest, NotFound, Gone, Denied, Conflict."""
    target = item.memory_id or str(item.payload.get("id") or "")
    upwards = item.payload.get("to_namespace")
    match item.action_type:
        case "store":
            request = ImportRequest(memories=[_memory(item)], trust_source=True)
            arrival = arrival_of(request.memories[0], 0, request, asker, transaction.now, node.policy)
            take(transaction, node, Bringer(who=asker, is_trusted=True), arrival, None)
        case "delete":
            delete_in(transaction, node, asker, target, None)
        case "promote" if isinstance(upwards, str) and upwards:
            promote_up_in(transaction, node, asker, target, upwards, None)
        case "promote":
            promote_in(transaction, node, asker, target, "", None)
        case other:
            raise InvalidRequest(f"action_type: {other[:64]!r} is unknown", field="action_type")


def _here(find: Callable[[], T]) -> T:
    """Whatever is not here is refused by name: it may come later, and the peer does not send this again."""
    try:
        return find()
    except NotFound as missing:
        raise InvalidRequest(missing.message) from missing


def _memory(item: legacy.LegacyPending) -> ImportMemory:
    try:
        return msgspec.convert(item.payload, ImportMemory)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"payload: {error}", field="payload") from None


async def _refuse_with_credentials(node: Node) -> None:
    """Decisions of v0.6.3 say whose they are and do not prove it. Raises: Denied, Unavailable."""
    if await access_mode(node) is not AccessMode.OPEN:
        raise Denied(
            "votes and decisions of v0.6.3 are not taken once callers have keys: vote here, with the voter's own",
            code=Code.NOT_ENTITLED, rule="not_entitled",
        )


async def take_decision(node: Node, who: Principal, item: legacy.LegacyDecision) -> bool:
    """Take a decision as the vote of its decider. Returns: whether there was anything to vote on.

    Raises: InvalidRequest; Denied if the decider is not entitled, or callers have credentials; Unavailable.
    """
    await _refuse_with_credentials(node)
    voter = _named(who, item.decider, "decider")
    ballot = Ballot(Decision.APPROVE if item.approved else Decision.REJECT, None)
    try:
        await cast(node, voter, item.id, ballot)
    except NotFound:
        return False
    except Conflict as error:
        if error.code not in _MET_LATE:
            raise
        return False
    return True


def _named(who: Principal, agent_id: str, field: str) -> Principal:
    """A caller in the place of the peer that speaks for it. Raises: InvalidRequest."""
    checked: AgentId = rules.agent_id(agent_id, field=field)
    return msgspec.structs.replace(who, agent_id=checked, is_anonymous=False)
