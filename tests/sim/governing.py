"""What must hold of actions that wait for approval: one outcome each, everywhere, and what was answered is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import httpx

from aimem.model import Dot, Entry, Instant, MemoryId, PendingStatus, decode_entry
from aimem.ports import Connection
from aimem.service.settling import case_of
from aimem.store import PENDING, approvals
from aimem.store.kinds import all_objects, load_object
from tests.sim.history import Deed
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


def check_answers(deeds: Sequence[Deed], nodes: Nodes, watcher: Watcher) -> None:
    """An outcome that somebody was told is the outcome, on every node."""
    for deed in deeds:
        told = deed.done
        if deed.kind not in ("approve", "reject") or told is None or told.status != httpx.codes.OK:
            continue
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
