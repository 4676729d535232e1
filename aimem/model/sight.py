"""What a caller may see: one rule, which the store turns into SQL and events are tested by in memory (design §8)."""

from __future__ import annotations

from msgspec import Struct

from aimem.model.ids import AgentId, Namespace

UNIT_DEPTH = 2


class Ground(Struct, frozen=True):
    """A namespace path and all below it."""

    path: Namespace

    def holds(self, namespace: str) -> bool:
        """Whether a namespace is this path or lies below it."""
        return namespace == self.path or namespace.startswith(self.path + "/")


class Spot(Struct, frozen=True):
    """A namespace path and nothing below it."""

    path: str

    def holds(self, namespace: str) -> bool:
        """Whether a namespace is this path."""
        return namespace == self.path


class Sight(Struct, frozen=True, kw_only=True):
    """What the table of design §8 lets one home see; `as_agent` gives a second one, and a row must pass both.

    Attributes:
      agent_id: the caller, if it is proven; its own rows are always seen.
      home: the namespace that it lives in; None if its credential names none.
    """

    agent_id: AgentId | None = None
    home: Namespace | None = None

    def ground(self, scope: str | None) -> Ground | None:
        """Where rows of a scope are seen: at this path and below it. None: nowhere but for their author.

        A row without scope counts as team. Team is the home's parent and what lies below it (a home of one segment has
        no parent, and is its own team); unit the first two segments; org the first. `private` is `is_private`'s.
        """
        if self.home is None:
            return None
        segments = self.home.split("/")
        match scope:
            case "org":
                depth = 1
            case "unit":
                depth = min(UNIT_DEPTH, len(segments))
            case "team" | None:
                depth = max(1, len(segments) - 1)
            case _:
                return None
        return Ground(Namespace("/".join(segments[:depth])))

    def sees(self, *, namespace: str, scope: str | None, author: str | None) -> bool:
        """Whether a row with these fields exists for this caller."""
        if (author is not None and author == self.agent_id) or scope == "collective":
            return True
        if scope == "private":
            return self.home is not None and namespace == self.home
        ground = self.ground(scope)
        return ground is not None and ground.holds(namespace)
