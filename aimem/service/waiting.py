"""What a caller is told whose action has to be approved first, at once and again under its Idempotency-Key."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import ApprovalRequired
from aimem.model import MemoryId, Principal
from aimem.service.node import Once
from aimem.store import Transaction, idempotency

REASON: Final = "governance requires approval"
ACTIONS: Final = {"write": "store", "delete": "delete", "promote": "promote", "policy": "policy"}
"""The names that v0.6.3 gives actions."""

_MARK: Final = b'{"waiting":'


class Waiting(Struct, frozen=True, kw_only=True):
    """A pending action that stands for what was asked for.

    Attributes:
      version: of the op that queued it.
    """

    pending_id: MemoryId
    action: str
    namespace: str
    memory_id: MemoryId | None = None
    expires_at: str
    version: str
    status: str = "pending"
    reason: str = REASON

    def error(self) -> ApprovalRequired:
        """The answer, as every door translates it."""
        details = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return ApprovalRequired(
            f"{self.action} in {self.namespace!r} waits for approval as {self.pending_id}; "
            f"see ai-memory pending get {self.pending_id}",
            **details,
        )


class _Note(Struct, frozen=True):
    waiting: Waiting


def note_waiting(transaction: Transaction, who: Principal, once: Once | None, waiting: Waiting) -> None:
    """Keep the answer for a retry under the same Idempotency-Key, if there is one."""
    if once is not None:
        answer = msgspec.json.encode(_Note(waiting))
        idempotency.note(transaction, who.idempotency_scope, once.key, once.request_hash, answer)


def waiting_in(answer: bytes) -> Waiting | None:
    """What a noted answer says, if it is one of those."""
    return msgspec.json.decode(answer, type=_Note).waiting if answer.startswith(_MARK) else None
