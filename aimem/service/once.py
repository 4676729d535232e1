"""At most once: a retry under the same `Idempotency-Key` is answered from the first answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from aimem.errors import Code, Conflict, InvalidRequest
from aimem.model import MemoryId, ObjectState, Principal, derived_memory_id, new_memory_id, parse_dot
from aimem.service.gate import Gate
from aimem.service.node import Node, Once
from aimem.service.waiting import waiting_in
from aimem.store import MEMORY, Kind, Transaction, idempotency

T = TypeVar("T")

NOTHING_KNOWN: Final = ObjectState()


def answer_once(
    transaction: Transaction, node: Node, who: Principal, once: Once | None, kind: type[T], run: Callable[[], T]
) -> T:
    """Inside a write: answer a known key from its note, before any other check; else run and note the answer.

    Raises: InvalidRequest(idempotency_mismatch) if the key stands for another request; ApprovalRequired, as before, if
      what it asked for had to be approved first.
    """
    if once is None:
        return run()
    if isinstance(transaction.gate, Gate):
        transaction.gate.once = once
    scope = who.idempotency_scope
    earlier = idempotency.find(transaction.conn, scope, once.key)
    if earlier is None:
        answer = run()
        idempotency.note(transaction, scope, once.key, once.request_hash, msgspec.json.encode(answer))
        return answer
    if earlier.request_hash != once.request_hash:
        raise InvalidRequest(
            "this Idempotency-Key was used for another request; take a new key for each request",
            code=Code.IDEMPOTENCY_MISMATCH,
            field="Idempotency-Key",
            version=earlier.version,
        )
    node.counters.idempotent_replays += 1
    if earlier.version is not None:
        # The answer is true once enough nodes have what it tells of, as the first time.
        transaction.stands_on.append(parse_dot(earlier.version, field="version"))
    waiting = waiting_in(earlier.answer)
    if waiting is not None:
        raise waiting.error()
    return msgspec.json.decode(earlier.answer, type=kind)


def fresh_id(node: Node, who: Principal, once: Once | None, index: int = 0) -> MemoryId:
    """The id of a new memory: derived from the key if there is one, so that retries on two nodes make one object."""
    if once is None:
        return new_memory_id(node.chance.rng)
    return derived_memory_id(who.idempotency_scope, once.key, index)


def refuse_taken(transaction: Transaction, memory_id: MemoryId, kind: Kind = MEMORY) -> None:
    """Make sure that the id of something new is free. A derived one may not be: its key was forgotten, or elsewhere.

    Raises: Conflict(id_taken).
    """
    if transaction.load(kind, memory_id) != NOTHING_KNOWN:
        raise Conflict(
            f"the id {memory_id} that this Idempotency-Key stands for is taken, and its request is not known here; "
            "take a new key",
            code=Code.ID_TAKEN,
        )
