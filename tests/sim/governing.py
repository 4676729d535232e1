"""What must hold of actions that wait for approval: one outcome each, everywhere, and what was answered is so."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import httpx
import msgspec
from msgspec import Struct

from aimem.model import Dot, Entry, Instant, MemoryId, Op, PendingStatus, covers, decode_entry
from aimem.ports import Connection
from aimem.service.settling import case_of
from aimem.store import MEMORY, PENDING, VOTE, approvals
from aimem.store.kinds import AGENT, NAMESPACE, all_objects, load_object
from tests.sim.history import Deed
from tests.sim.oracle import Model
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher

DECISION = "pending_decision"
Nodes = Mapping[str, Connection]


def check_decisions(watcher: Watcher) -> None:
    """Each action is decided once, by one op, and what is not approved is not done."""
    decided: dict[str, set[Dot]] = {}
    for dot, written in watcher.written.items():
        if not watcher.holders(dot):
            continue    # lost with a disk before anybody heard of it
        for pending_id, status, count in _outcomes(written.op.entries):
            watcher.checks += 1
            decided.setdefault(pending_id, set()).add(dot)
            if written.op.kind != DECISION:
                watcher.find("governance", f"{pending_id} was decided by an op of the kind {written.op.kind}")
            if status != PendingStatus.APPROVED and count > 1:
                watcher.find("governance", f"{pending_id} is {status}, and {count - 1} objects were written with that")
    for pending_id, dots in sorted(decided.items()):
        if len(dots) > 1:
            which = ", ".join(map(str, sorted(dots)))
            watcher.find("governance", f"{pending_id} was decided {len(dots)} times: {which}")


def _outcomes(entries: Sequence[bytes]) -> Iterator[tuple[str, str, int]]:
    for data in entries:
        entry = decode_entry(data)
        if isinstance(entry, Entry) and entry.kind == PENDING.name and entry.fields.get("outcome"):
            yield entry.key, _status(entry.fields["outcome"]), len(entries)


def _status(outcome: object) -> str:
    assert isinstance(outcome, list | tuple)
    return str(outcome[0])


class _Action(Struct):
    """An action as its ops tell of it; what came after its outcome is not in here."""

    fields: dict[str, object] = {}
    votes: list[dict[str, object]] = []


def check_told(deed: Deed, watcher: Watcher, swarm: Swarm, members: int) -> None:
    """Who is told an outcome is told what more than half of the nodes have, the moment it is told; a liar may count.

    Args:
      members: as few as any node is told that there are.
    """
    told = deed.done
    if deed.kind not in ("approve", "reject") or told is None or "decided_by" not in told.answer:
        return
    watcher.checks += 1
    decided = [dot for dot, written in watcher.written.items()
               if any(key == deed.subjects[0] for key, _, _ in _outcomes(written.op.entries))]
    having = {name for dot in decided for name in watcher.had(dot)}
    if len(having) + bool(swarm.member_lies) <= members // 2:
        said = told.answer.get("status")
        watcher.find("governance", f"deed {deed.number} was told {said}, and only {sorted(having)} know it")


def check_outcomes(watcher: Watcher, rng: random.Random) -> None:
    """Each outcome is the one that what its home knew then calls for; judged from the manual and not from the code."""
    for dot, written in watcher.written.items():
        if not written.is_exact:
            continue
        for pending_id, status, _ in _outcomes(written.op.entries):
            known = _before(watcher, dot)
            action, registered = _action_of(pending_id, known), _registered(known, rng)
            watcher.checks += 1
            said = _why_wrong(action, registered, status)
            if said:
                watcher.find("governance", f"{pending_id} is {status} by {dot}: {said}")


def _before(watcher: Watcher, dot: Dot) -> list[Op]:
    """What whoever wrote an op knew when it wrote it."""
    context = {**watcher.written[dot].context, dot.stream: dot.seq - 1}
    return [written.op for other, written in watcher.written.items() if covers(context, other)]


def _action_of(pending_id: str, known: Sequence[Op]) -> _Action:
    action = _Action()
    for op in known:
        for data in op.entries:
            entry = decode_entry(data)
            if not isinstance(entry, Entry):
                continue
            if entry.kind == PENDING.name and entry.key == pending_id:
                action.fields |= entry.fields
            elif entry.kind == VOTE.name and VOTE.split_key(entry.key)[0] == pending_id and "vote" in entry.fields:
                action.votes.append(dict(entry.fields))
    return action


def _registered(known: Sequence[Op], rng: random.Random) -> frozenset[str]:
    model = Model()
    model.take(known, rng)
    return frozenset(key for kind, key in model.objects if kind == AGENT.name and model.value(kind, key, "present"))


def _why_wrong(action: _Action, registered: frozenset[str], status: str) -> str:
    """Why an outcome is none that these votes lead to; empty if it is one."""
    asked_by = str(action.fields.get("requested_by")).lower()
    approver = msgspec.json.decode(str(action.fields["policy"]))["approver"]

    def is_entitled(vote: Mapping[str, object]) -> bool:
        match approver:
            case {"agent": agent}:
                return vote["voter"] == agent
            case {"consensus": _}:
                return vote["voter"] in registered
        return vote["is_operator"] is True

    entitled = [vote for vote in action.votes if is_entitled(vote) or str(vote["voter"]).lower() == asked_by]
    against = {str(vote["voter"]).lower() for vote in entitled if vote["vote"] == "reject"}
    approved = {str(vote["voter"]).lower() for vote in entitled if vote["vote"] == "approve"} - against - {asked_by}
    needed = approver["consensus"] if isinstance(approver, dict) and "consensus" in approver else 1
    if against and status != PendingStatus.REJECTED:
        return f"{', '.join(sorted(against))} rejected it before"
    if status == PendingStatus.REJECTED and not against:
        return "nobody who may rejected it"
    if status in (PendingStatus.APPROVED, PendingStatus.FAILED) and len(approved) < needed:
        return f"{len(approved)} of {needed} approved it"
    return ""


def check_effects(watcher: Watcher, rng: random.Random) -> None:
    """What waits for approval is not there before it is approved, and comes with the outcome or not at all."""
    queued: dict[str, list[tuple[Dot, str]]] = {}       # memory that an action would make -> what queued it, and why
    freed: set[Dot] = set()
    for dot, entry in _entries(watcher, PENDING.name):
        if entry.fields.get("outcome") or entry.fields.get("asked_again_as"):
            freed.add(dot)
        elif entry.create is not None:
            policy = str(entry.fields.get("policy_namespace"))
            queued.setdefault(str(entry.fields.get("memory_id")), []).append((dot, policy))
    for dot, entry in _entries(watcher, MEMORY.name):
        if entry.create is None or dot in freed or not watcher.written[dot].is_exact:
            continue
        watcher.checks += 1
        context = {**watcher.written[dot].context, dot.stream: dot.seq - 1}
        policies = [policy for other, policy in queued.get(entry.key, ()) if covers(context, other)]
        # Without that policy it may be asked for again by its key elsewhere, and is done at once.
        if policies and _is_in_force(policies[0], _before(watcher, dot), rng):
            watcher.find("governance", f"{entry.key} waits for approval, and {dot} made it")


def _is_in_force(namespace: str, known: Sequence[Op], rng: random.Random) -> bool:
    model = Model()
    model.take(known, rng)
    policy = model.value(NAMESPACE.name, namespace, "governance")
    return isinstance(policy, str) and msgspec.json.decode(policy).get("write") == "approve"


def _entries(watcher: Watcher, kind: str) -> Iterator[tuple[Dot, Entry]]:
    for dot, written in watcher.written.items():
        for data in written.op.entries:
            entry = decode_entry(data)
            if isinstance(entry, Entry) and entry.kind == kind:
                yield dot, entry


def check_answers(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher) -> None:
    """An outcome that somebody was told is the outcome, on every node."""
    for deed in deeds:
        told = deed.done
        if deed.kind not in ("approve", "reject") or told is None or told.status != httpx.codes.OK or not told.answer:
            continue    # also if the answer broke off on its way
        for name, conn in sorted(nodes.items()):
            watcher.checks += 1
            cell = load_object(conn, PENDING, deed.subjects[0]).fields.get("outcome")
            status = "undecided" if cell is None or cell.value is None else _status(cell.value)
            if status != told.answer.get("status"):
                watcher.find(
                    "governance", f"deed {deed.number} was told {told.answer.get('status')}; it is {status} on {name}"
                )


def unsettled(nodes: Nodes, homes: Sequence[str], now: Instant, watcher: Watcher) -> list[str]:
    """The actions that votes decide, and that their homes have not decided; if they have one still.

    Args:
      homes: the streams that the nodes write, and wrote before.
    """
    found = []
    name, conn = min(nodes.items(), key=lambda item: item[0])
    for key, _ in all_objects(conn, PENDING):
        pending = approvals.find(conn, MemoryId(key))
        if pending is None or pending.home not in homes or pending.asked_again_as is not None:
            continue
        watcher.checks += 1
        decision = case_of(conn, pending, now).standing.decision
        if decision is not None:
            found.append(f"{key} should be {decision} by its votes, and nobody decided it ({name})")
    return found
