"""What one agent may keep: judged for each op, inside the transaction that writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aimem.errors import QuotaExceeded
from aimem.governance import Held
from aimem.model import AgentId, Entry, FieldValue, Instant, ObjectState, Principal, Role
from aimem.service.limits import Limit, Limiter
from aimem.store import MEMORY, Transaction, effective_expiry, holdings

NOTHING = Held(0, 0)
RESERVED = "_"


class Allowance:
    """What a caller may still add to what it is the author of, in one job.

    Where ids are proven, others' rows do not count: who edits another agent's memory uses up nothing, and neither does
    an operator who brings back a whole agent's memories. Where they are claimed, a body may name another author than
    the header does, so each author's own count.

    Attributes:
      refused: how often each limit refused.
    """

    def __init__(self, limiter: Limiter, who: Principal) -> None:
        self.refused: dict[Limit, int] = {}
        self._limiter, self._who = limiter, who
        self._held: dict[str, Held] = {}
        self._held_at: int | None = None

    def judge(self, transaction: Transaction, entries: Sequence[Entry]) -> None:
        """Let an op pass that stays within the limits, or does not add. Raises: QuotaExceeded."""
        # Where the op judged last is the last of the stream, what was added up holds: nothing was taken back since.
        if self._held_at != transaction.tip.head.seq:
            self._held.clear()
        self._held_at = transaction.tip.head.seq + 1
        for author, more in self._growth(transaction, entries).items():
            if author not in self._held and more.memories <= 0 and more.content_bytes <= 0:
                continue
            held = self._held.get(author) or Held(*holdings.held_by(transaction.conn, author, transaction.now))
            self._refuse_beyond(author, held, more)
            self._held[author] = Held(held.memories + more.memories, held.content_bytes + more.content_bytes)

    def _refuse_beyond(self, author: AgentId, held: Held, more: Held) -> None:
        limits = self._limiter.limits
        table = (
            (Limit.MEMORIES, limits.memories, held.memories, more.memories),
            (Limit.CONTENT, limits.content_bytes, held.content_bytes, more.content_bytes),
        )
        for limit, allowed, has, adds in table:
            if allowed is not None and adds > 0 and has + adds > allowed:
                self.refused[limit] = self.refused.get(limit, 0) + 1
                self._limiter.refused[limit] += 1
                self._held_at = None
                raise _refusal(author, limit, allowed, has, adds)

    def _growth(self, transaction: Transaction, entries: Sequence[Entry]) -> dict[AgentId, Held]:
        found: dict[AgentId, Held] = {}
        for entry in entries:
            if entry.kind != MEMORY.name:
                continue
            before = transaction.load(MEMORY, entry.key)
            author = before.author if entry.create is None else entry.create.author
            if author is None or not self._is_counted(author):
                continue
            old, new = _held_before(before, transaction.now), _held_after(before, entry)
            sum_ = found.get(AgentId(author), NOTHING)
            found[AgentId(author)] = Held(
                sum_.memories + new.memories - old.memories,
                sum_.content_bytes + new.content_bytes - old.content_bytes,
            )
        return found

    def _is_counted(self, author: str) -> bool:
        return author == self._who.agent_id or self._who.role is Role.OPEN


def _held_before(before: ObjectState, now: Instant) -> Held:
    if before.dead is not None or before.author is None:
        return NOTHING
    expires_at = effective_expiry(before)
    if expires_at is not None and expires_at <= now:
        return NOTHING
    return _held({name: cell.value for name, cell in before.fields.items()})


def _held_after(before: ObjectState, entry: Entry) -> Held:
    if before.dead is not None or entry.dead:
        return NOTHING
    return _held({name: cell.value for name, cell in before.fields.items()} | dict(entry.fields))


def _held(fields: Mapping[str, FieldValue]) -> Held:
    name, lifecycle = fields.get("name"), fields.get("lifecycle")
    is_live = isinstance(lifecycle, tuple) and lifecycle[:1] == ("live",)
    if not is_live or not isinstance(name, tuple) or str(name[0]).startswith(RESERVED):
        return NOTHING
    return Held(1, len(str(fields.get("content", "")).encode()))


def _refusal(author: AgentId, limit: Limit, allowed: int, held: int, adds: int) -> QuotaExceeded:
    what = "live memories" if limit is Limit.MEMORIES else "bytes of content"
    # What is too large by itself is not helped by deleting others.
    helps = "give a shorter text" if adds > allowed and limit is Limit.CONTENT else "delete or archive some first"
    return QuotaExceeded(
        f"{author} may have {allowed} {what} ({limit.rule}), has {held}, and this adds {adds}: {helps}",
        rule=limit.rule, limit=allowed, held=held,
    )
