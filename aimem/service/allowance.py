"""What one agent may keep: judged for each op, inside the transaction that writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from aimem.errors import QuotaExceeded
from aimem.governance import Held
from aimem.model import Entry, FieldValue, Instant, ObjectState, Principal
from aimem.service.limits import Limit, Limiter
from aimem.store import MEMORY, Transaction, effective_expiry, holdings

NOTHING = Held(0, 0)
RESERVED = "_"


class Exceeded(Struct, frozen=True):
    """A limit that an op did not pass."""

    limit: Limit
    allowed: int
    held: int


class Allowance:
    """What a caller may still add to what it is the author of, in one job.

    Others' rows do not count: who edits another agent's memory uses up nothing, and neither does an operator who brings
    back a whole agent's memories.

    Attributes:
      refused: how often each limit refused.
    """

    def __init__(self, limiter: Limiter, who: Principal) -> None:
        self.refused: dict[Limit, int] = {}
        self._limiter, self._who = limiter, who
        self._held = NOTHING
        self._held_at: int | None = None

    def judge(self, transaction: Transaction, entries: Sequence[Entry]) -> None:
        """Let an op pass that stays within the limits, or does not add. Raises: QuotaExceeded."""
        more = self._growth(transaction, entries)
        if more.memories <= 0 and more.content_bytes <= 0:
            self._held_at = None
            return
        held = self._now_held(transaction)
        exceeded = self._exceeded(held, more)
        if exceeded is not None:
            self.refused[exceeded.limit] = self.refused.get(exceeded.limit, 0) + 1
            self._limiter.refused[exceeded.limit] += 1
            raise _refusal(self._who, exceeded)
        self._held = Held(held.memories + more.memories, held.content_bytes + more.content_bytes)
        self._held_at = transaction.tip.head.seq + 1

    def _now_held(self, transaction: Transaction) -> Held:
        # Where the op judged last is the last of the stream, what was added up holds: nothing was taken back since.
        if self._held_at == transaction.tip.head.seq:
            return self._held
        return Held(*holdings.held_by(transaction.conn, self._who.agent_id, transaction.now))

    def _exceeded(self, held: Held, more: Held) -> Exceeded | None:
        limits = self._limiter.limits
        table = (
            (Limit.MEMORIES, limits.memories, held.memories, more.memories),
            (Limit.CONTENT, limits.content_bytes, held.content_bytes, more.content_bytes),
        )
        for limit, allowed, has, adds in table:
            if allowed is not None and adds > 0 and has + adds > allowed:
                return Exceeded(limit, allowed, has)
        return None

    def _growth(self, transaction: Transaction, entries: Sequence[Entry]) -> Held:
        memories = content_bytes = 0
        for entry in entries:
            if entry.kind == MEMORY.name:
                before = transaction.load(MEMORY, entry.key)
                old = self._held_before(before, transaction.now)
                new = self._held_after(before, entry)
                memories += new.memories - old.memories
                content_bytes += new.content_bytes - old.content_bytes
        return Held(memories, content_bytes)

    def _held_before(self, before: ObjectState, now: Instant) -> Held:
        if before.dead is not None or before.author != self._who.agent_id:
            return NOTHING
        expires_at = effective_expiry(before)
        if expires_at is not None and expires_at <= now:
            return NOTHING
        return _held({name: cell.value for name, cell in before.fields.items()})

    def _held_after(self, before: ObjectState, entry: Entry) -> Held:
        author = before.author if entry.create is None else entry.create.author
        if before.dead is not None or entry.dead or author != self._who.agent_id:
            return NOTHING
        return _held({name: cell.value for name, cell in before.fields.items()} | dict(entry.fields))


def _held(fields: Mapping[str, FieldValue]) -> Held:
    name, lifecycle = fields.get("name"), fields.get("lifecycle")
    is_live = isinstance(lifecycle, tuple) and lifecycle[:1] == ("live",)
    if not is_live or not isinstance(name, tuple) or str(name[0]).startswith(RESERVED):
        return NOTHING
    return Held(1, len(str(fields.get("content", "")).encode()))


def _refusal(who: Principal, exceeded: Exceeded) -> QuotaExceeded:
    what = "live memories" if exceeded.limit is Limit.MEMORIES else "bytes of content"
    return QuotaExceeded(
        f"{who.agent_id} may have {exceeded.allowed} {what} ({exceeded.limit.rule}) and has {exceeded.held}: delete or "
        "archive some first",
        rule=exceeded.limit.rule, limit=exceeded.allowed, held=exceeded.held,
    )
