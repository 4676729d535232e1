"""What was refused, for the audit: noted without waiting, written by a task, many alike as one row."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

from aimem.errors import AimemError, Code, Denied, Unavailable
from aimem.model import Credential, Principal
from aimem.service.folding import Folding
from aimem.store import AuditRow, Transaction, audit

if TYPE_CHECKING:
    from aimem.service.node import Node

log = logging.getLogger(__name__)

UNKNOWN: Final = "unknown"
UNWRITTEN_COUNT: Final = 1024
"""Rows that wait for the store; where it takes none for so long, the oldest go and are counted."""
BATCH: Final = 256
RETRY_S: Final = 5.0
END_GRACE_S: Final = 5.0
DETAIL_MAX_CHARS: Final = 200


class Claim(Struct, frozen=True, kw_only=True):
    """A caller that did not get in: who it said it was, if it said so."""

    agent_id: str = UNKNOWN
    credential: str = "none"


class Refusals:
    """Rows on their way to the audit, and the table by which many alike become one."""

    def __init__(self) -> None:
        self.folding = Folding()
        self.arrived = trio.Event()
        self.writing = trio.Lock()
        self.dropped_count = 0
        # Filled in the writer's thread and emptied in the loop's, which a deque allows.
        self._unfolded: deque[AuditRow] = deque()
        self._unwritten: deque[AuditRow] = deque()

    def note_nowait(self, row: AuditRow) -> None:
        """Take a row that stands for a refusal."""
        self._unfolded.append(row)
        self.fold_nowait()

    def leave(self, rows: Sequence[AuditRow]) -> list[AuditRow]:
        """Keep a job's rows that stand for refusals. In the writer's thread; `fold_nowait` follows on the loop's.

        Returns: the others, which the job is to write.
        """
        self._unfolded.extend(row for row in rows if row.decision == audit.DENIED)
        return [row for row in rows if row.decision != audit.DENIED]

    def fold_nowait(self) -> None:
        """Have the first of many alike written, and count the others."""
        while self._unfolded:
            self.keep(self.folding.admit(self._unfolded.popleft()))
            self.arrived.set()

    def keep(self, rows: Sequence[AuditRow]) -> None:
        """Put rows where the task takes them from; beyond the bound the oldest go."""
        self._unwritten.extend(rows)
        while len(self._unwritten) > UNWRITTEN_COUNT:
            self._unwritten.popleft()
            self.dropped_count += 1

    def take(self) -> list[AuditRow]:
        """The next rows to write, at most a batch."""
        return [self._unwritten.popleft() for _ in range(min(BATCH, len(self._unwritten)))]

    def give_back(self, rows: Sequence[AuditRow]) -> None:
        """Put rows back that could not be written."""
        self._unwritten.extendleft(reversed(rows))
        self.keep(())

    @property
    def unwritten_count(self) -> int:
        """Rows that wait for the store."""
        return len(self._unwritten)


def note_refusal(
    node: Node, who: Principal | Claim, *, action: str, rule: str, namespace: str | None = None,
    target: str | None = None, detail: str | None = None,
) -> None:
    """Leave a row in the audit for what a door refused; never waits, and never fails the answer.

    Args:
      action: what was wanted: a route's name, or `request` where it did not come so far.
      rule: what refused it: an error's code, or a policy's rule.
      detail: further words; never memory text, keys or secrets.
    """
    node.refusals.note_nowait(AuditRow(
        at=node.clock.now(), agent_id=who.agent_id, credential=_credential(who), action=action, decision=audit.DENIED,
        namespace=namespace, target=target, rule=rule, detail=None if detail is None else detail[:DETAIL_MAX_CHARS],
    ))


def _credential(who: Principal | Claim) -> str:
    return who.credential.value if isinstance(who.credential, Credential) else who.credential


def note_refused_error(node: Node, who: Principal, error: AimemError, *, action: str) -> None:
    """Leave a row for a request that was refused before any write, where a rule of governance refused it.

    What the gate refused inside a write it noted itself; an ordinary slip leaves no row.
    """
    is_denied = isinstance(error, Denied) and not error.is_noted
    is_no_policy = error.code is Code.SCHEMA_MISMATCH and (error.field or "").partition(".")[0] == "governance"
    if is_denied or is_no_policy or error.code is Code.UNKNOWN_SCOPE:
        note_refusal(node, who, action=action, rule=error.code)


def note_refused_items(node: Node, who: Principal, errors: Iterable[AimemError], action: str) -> None:
    """As note_refused_error, for the items of one request: a row for each code among them."""
    for error in {error.code: error for error in errors}.values():
        note_refused_error(node, who, error, action=action)


async def write_refusals(node: Node) -> None:
    """Write down all that is noted and counted so far, so that who reads the audit finds it. Raises: Unavailable."""
    node.refusals.keep(node.refusals.folding.take_all())
    await _write_kept(node)


async def run_refusals(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Write refusals as they come, and counts of repeated ones when their minute is over, until cancelled."""
    refusals = node.refusals
    task_status.started()
    try:
        while True:
            with trio.move_on_after(_wait_s(node)):
                await refusals.arrived.wait()
            refusals.arrived = trio.Event()
            refusals.keep(refusals.folding.take_over(node.clock.now()))
            try:
                await _write_kept(node)
            except Unavailable as error:
                log.warning("audit.delayed", extra={"rows": refusals.unwritten_count, "reason": error.code.value})
                await trio.sleep(RETRY_S)
    finally:
        with trio.move_on_after(END_GRACE_S, shield=True):
            await _write_last(node)


def _wait_s(node: Node) -> float:
    found = node.refusals.folding.wait_s(node.clock.now())
    if node.refusals.unwritten_count:
        return 0.0
    return float("inf") if found is None else found


async def _write_last(node: Node) -> None:
    try:
        await write_refusals(node)
    except Unavailable as error:
        log.warning("audit.lost", extra={"rows": node.refusals.unwritten_count, "reason": error.code.value})


async def _write_kept(node: Node) -> None:
    # One at a time: who asks for all to be written must not pass rows that the task has taken and not written yet.
    async with node.refusals.writing:
        while rows := node.refusals.take():
            await _write(node, rows)


async def _write(node: Node, rows: Sequence[AuditRow]) -> None:
    begun: list[bool] = []
    try:
        await node.store.write(_append_refusals, rows, begun)
    except Unavailable:
        node.refusals.give_back(rows)
        raise
    except BaseException:
        # Cancelled: what the writer had begun it has also ended.
        if not begun:
            node.refusals.give_back(rows)
        raise


def _append_refusals(transaction: Transaction, rows: Sequence[AuditRow], begun: list[bool]) -> None:
    begun.append(True)
    audit.append(transaction.conn, rows)
