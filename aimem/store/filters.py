"""Which rows a reader asks for and may see: one place that turns both into a WHERE clause.

Every query over memories passes `visible_to`; a query without it is a hole in promise P6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from aimem.model import AgentId, Instant, Namespace, Principal, Tier
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


_LEVELS = (("private", 0), ("team", 1), ("unit", 2), ("org", 3))


def visible_to(principal: Principal) -> Clause:
    """What this caller may see. Identities do not restrict yet; `as_agent` narrows by v0.6.3's table.

    A row without a scope counts as private there. Private needs the path itself, team its parent or below, unit the
    grandparent, org the great-grandparent; a level that does not exist hides.
    """
    path = principal.as_agent
    if path is None:
        return ALL
    segments = path.split("/")
    parts = ["m.scope = 'collective'", "(coalesce(m.scope, 'private') = 'private' AND v.namespace = :as_private)"]
    parameters: dict[str, SqlValue] = {"as_private": path}
    for scope, level in _LEVELS[1:]:
        if len(segments) > level:
            ancestor = "/".join(segments[: len(segments) - level])
            # Below it: from "ancestor/" up to but not including "ancestor0", the character after the slash.
            parts.append(
                f"(m.scope = '{scope}' AND (v.namespace = :as_{scope} OR "
                f"(v.namespace >= :as_{scope} || '/' AND v.namespace < :as_{scope} || '0')))"
            )
            parameters[f"as_{scope}"] = ancestor
    return Clause(f"({' OR '.join(parts)})", parameters)
