"""How much one agent may ask of the node, and when the node takes no more writes from anybody.

A caller is its agent id: proven where keys exist, claimed where they do not. All who say nothing share one.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import trio

from aimem.config import LimitsConfig
from aimem.errors import Code, QuotaExceeded, Unavailable
from aimem.governance import Buckets, Rate
from aimem.model import Principal, Role
from aimem.service.refusals import note_refusal

if TYPE_CHECKING:
    from aimem.service.node import Node

ANONYMOUS: Final = "anonymous"
WAIT_SHARE: Final = 0.5
"""How much of a request's deadline its wait for the writer may use up."""
_NODE_ROLES: Final = (Role.LIFETIMES, Role.CURATOR)


class Limit(StrEnum):
    """What a request can run into, by the key of the setting; `writer` is the node's own."""

    REQUESTS = "requests_per_sec"
    WRITES = "writes_per_min"
    MEMORIES = "memories"
    CONTENT = "content_bytes"
    WRITER = "writer"

    @property
    def rule(self) -> str:
        """How audit and answers name it."""
        return f"limits.{self.value}"


class Limiter:
    """The rates of all callers of one node, and how often each limit refused.

    Attributes:
      requests, writes: None where nothing is limited.
    """

    def __init__(self, limits: LimitsConfig | None = None) -> None:
        self.limits = given = limits or LimitsConfig()
        self.requests = (
            None if given.requests_per_s is None else Buckets(Rate(given.requests_per_s, given.requests_at_once))
        )
        self.writes = None if given.writes_per_s is None else Buckets(Rate(given.writes_per_s, given.writes_at_once))
        self.refused = dict.fromkeys(Limit, 0)

    @property
    def agents_count(self) -> int:
        """Agents whose rates are known now."""
        return max(len(buckets or ()) for buckets in (self.requests, self.writes))

    def holds_for(self, who: Principal) -> bool:
        """Whether a caller is limited: everybody but the node itself, and operators if they are spared."""
        return who.role not in _NODE_ROLES and not (self.limits.spares_operators and who.role is Role.OPERATOR)

    def has_amounts(self, who: Principal) -> bool:
        """Whether it is limited how much a caller may keep."""
        is_limited = self.limits.memories is not None or self.limits.content_bytes is not None
        return is_limited and self.holds_for(who)


def admit_request(node: Node, who: Principal, action: str) -> None:
    """Take one request of a caller into account. Never waits.

    Raises: QuotaExceeded(rate_limited) with `retry_after_s`, which leaves a row in the audit.
    """
    limiter = node.limiter
    if limiter.requests is not None and limiter.holds_for(who):
        wait_s = limiter.requests.take(_caller(who), trio.current_time())
        if wait_s:
            rate = f"{limiter.limits.requests_per_s:g} requests a second"
            raise _too_fast(node, who, action, Limit.REQUESTS, rate, wait_s)


def admit_write(node: Node, who: Principal, action: str, deadline_s: float) -> None:
    """Take one write of a caller into account, if the writer can be expected to come to it in time. Never waits.

    Args:
      deadline_s: how long the request may take.
    Raises: Unavailable(writer_busy) with `retry_after_s`; QuotaExceeded(rate_limited), as admit_request.
    """
    limiter = node.limiter
    _refuse_while_busy(node, deadline_s)
    if limiter.writes is not None and limiter.holds_for(who):
        wait_s = limiter.writes.take(_caller(who), trio.current_time())
        if wait_s:
            rate = f"{limiter.limits.writes_per_min} writes a minute"
            raise _too_fast(node, who, action, Limit.WRITES, rate, wait_s)


def charge_writes(node: Node, who: Principal, op_count: int) -> None:
    """Count what one request wrote beyond the one write that it was admitted for: its caller owes the others."""
    limiter = node.limiter
    if limiter.writes is not None and op_count > 1 and limiter.holds_for(who):
        limiter.writes.charge(_caller(who), op_count - 1, trio.current_time())


def _refuse_while_busy(node: Node, deadline_s: float) -> None:
    allowed_s, wait_s = WAIT_SHARE * deadline_s, node.store.write_wait_s
    if wait_s <= allowed_s:
        return
    node.limiter.refused[Limit.WRITER] += 1
    # No row in the audit: it is nobody's fault, and one more write for a writer that has too many.
    raise Unavailable(
        f"{node.store.waiting_count} writes wait, for about {wait_s:.0f} s more, and a request may take "
        f"{deadline_s:g} s: nothing was stored; try again later",
        code=Code.WRITER_BUSY, outcome="not_applied", retry_after_s=math.ceil(wait_s - allowed_s),
    )


def _too_fast(
    node: Node, who: Principal, action: str, limit: Limit, rate: str, wait_s: float
) -> QuotaExceeded:
    node.limiter.refused[limit] += 1
    note_refusal(node, who, action=action, rule=limit.rule)
    whose = "callers without an id together have" if who.is_anonymous else f"{who.agent_id} has"
    after_s = math.ceil(wait_s)
    return QuotaExceeded(
        f"{whose} {rate} ({limit.rule}), and they are used up; try again in {after_s} s",
        code=Code.RATE_LIMITED, rule=limit.rule, retry_after_s=after_s,
    )


def _caller(who: Principal) -> str:
    return ANONYMOUS if who.is_anonymous else who.agent_id
