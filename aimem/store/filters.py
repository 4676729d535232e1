"""Which rows a reader asks for and may see: one place that turns both into a WHERE clause.

Every query over memories passes `visible_to`; a query without it is a hole in promise P6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from aimem.model import AgentId, Instant, Namespace, Principal, Scope, Sight, Tier
from aimem.ports import SqlValue


class Clause(Struct, frozen=True):
    """A condition over `m` (memories) and `v` (memory_view), with its named parameters. The text holds no input."""

    sql: str
    parameters: Mapping[str, SqlValue]

    @property
    def is_of_view(self) -> bool:
        """Whether it needs nothing of `m`: then that need not be joined."""
        return "m." not in self.sql

    def __and__(self, other: Clause) -> Clause:
        return Clause(f"{self.sql} AND {other.sql}", {**self.parameters, **other.parameters})


ALL: Final = Clause("1", {})
"""No condition."""


UNRESERVED: Final = Clause("v.namespace NOT GLOB '_*'", {})
"""Not what the program itself keeps (`_curator/reports` and the like), which nobody means who names no namespace."""


NO_STANDARD: Final = Clause(
    "v.id NOT IN (SELECT standard_id FROM namespaces WHERE standard_id IS NOT NULL AND born IS NOT NULL)", {}
)
"""Not the standard of a namespace: what is done to many rows, or by itself, leaves those alone."""


class Filters(Struct, frozen=True, kw_only=True):
    """What a reader narrows a query to; None means no condition.

    Attributes:
      namespaces: any of these, exactly.
      since, until: bounds of `created_at`, inclusive.
      tag: one tag, exactly.
    """

    namespaces: tuple[Namespace, ...] | None = None
    tier: Tier | None = None
    min_priority: int | None = None
    since: Instant | None = None
    until: Instant | None = None
    tag: str | None = None
    author: AgentId | None = None

    def seen_by(self, visible: Clause) -> Clause:
        """What a caller may see that sees so much, and does not name a namespace of the program's own."""
        return visible & UNRESERVED if self.namespaces is None else visible

    @property
    def is_narrow(self) -> bool:
        """Whether any condition is set."""
        return self != Filters()


def live_at(now: Instant) -> Clause:
    """Rows that are *the* memory of their name and have not expired."""
    return Clause("v.state = 'live' AND (v.expires_at IS NULL OR v.expires_at > :now)", {"now": now})


def matching(filters: Filters) -> Clause:
    """The reader's own conditions."""
    parts: list[str] = ["1"]
    parameters: dict[str, SqlValue] = {}
    if filters.namespaces is not None:
        names = [f"ns{i}" for i in range(len(filters.namespaces))]
        parts.append(f"v.namespace IN ({', '.join(':' + name for name in names)})")
        parameters.update(zip(names, filters.namespaces, strict=True))
    for name, value, condition in (
        ("tier", filters.tier, "m.tier = :tier"),
        ("min_priority", filters.min_priority, "m.priority >= :min_priority"),
        ("since", filters.since, "v.created_at >= :since"),
        ("until", filters.until, "v.created_at <= :until"),
        ("author", filters.author, "m.author = :author"),
        ("tag", filters.tag, "EXISTS (SELECT 1 FROM json_each(m.tags) AS t WHERE t.value = :tag)"),
    ):
        if value is not None:
            parts.append(condition)
            parameters[name] = value.value if isinstance(value, Tier) else value
    return Clause(" AND ".join(parts), parameters)


def visible_to(principal: Principal) -> Clause:
    """What this caller may see: the rule of `model.Sight`, as a condition."""
    clause = ALL
    for number, sight in enumerate(principal.sights):
        clause = _seen_from(sight, f"sight{number}") if clause == ALL else clause & _seen_from(sight, f"sight{number}")
    return clause


def _seen_from(sight: Sight, name: str) -> Clause:
    parts = ["m.scope = 'collective'"]
    parameters: dict[str, SqlValue] = {}
    if sight.agent_id is not None:
        parts.append(f"m.author = :{name}_agent")
        parameters[f"{name}_agent"] = sight.agent_id
    if sight.home is not None:
        parts.append(f"(m.scope = 'private' AND v.namespace = :{name}_home)")
        parameters[f"{name}_home"] = sight.home
    for scope in (Scope.TEAM, Scope.UNIT, Scope.ORG):
        ground = sight.ground(scope.value)
        if ground is None:
            continue
        at = f"{name}_{scope.value}"
        is_of_it = "(m.scope = 'team' OR m.scope IS NULL)" if scope is Scope.TEAM else f"m.scope = '{scope.value}'"
        # Below it: from "path/" up to but not including "path0", the character after the slash.
        parts.append(
            f"({is_of_it} AND (v.namespace = :{at} OR (v.namespace >= :{at} || '/' AND v.namespace < :{at} || '0')))"
        )
        parameters[at] = ground.path
    return Clause(f"({' OR '.join(parts)})", parameters)
