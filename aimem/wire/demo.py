"""A demonstration of a mesh: the wish, and what was there to see."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

NODES_MIN: Final = 2
NODES_MAX: Final = 8


class DemoRequest(Struct, frozen=True, kw_only=True):
    """What to show.

    Attributes:
      nodes: so many, 2 to 8.
      tier: of the nodes: by keyword, or by meaning, which takes each of them a model.
      keep: the folder for everything, which stays; None for a temporary one, which is removed at the end.
      once: whether to end after the last step; else the nodes serve until a signal.
      console: whether the operator's console is opened on the nodes then; they serve until it is left.
    """

    nodes: int = 4
    tier: str = "keyword"
    keep: str | None = None
    once: bool = False
    console: bool = False


class DemoNodeOut(Struct, frozen=True, kw_only=True):
    """A node that serves."""

    name: str
    url: str
    pid: int
    db: str


class DemoStepOut(Struct, frozen=True, kw_only=True):
    """What was done, and how long it took, in milliseconds."""

    what: str
    ms: float


class DemoCommandOut(Struct, frozen=True, kw_only=True):
    """A command line to try, and what it is for."""

    what: str
    line: str


class DemoReport(Struct, frozen=True, kw_only=True):
    """What was there to see. `is_whole`: whether every step was done, rather than ended by a signal in between."""

    folder: str
    is_whole: bool
    nodes: tuple[DemoNodeOut, ...] = ()
    steps: tuple[DemoStepOut, ...] = ()
    commands: tuple[DemoCommandOut, ...] = ()
