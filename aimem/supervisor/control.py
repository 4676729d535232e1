"""How a running node is told to end, and what was counted on the way."""

from __future__ import annotations

import trio

from aimem.supervisor.children import TaskTally


class Control:
    """The two ways to end a node calmly.

    Attributes:
      stop: set it to drain and end.
      hurry: set it to end the drain's grace.
      tally: restarts of the node's children.
    """

    def __init__(self) -> None:
        self.stop, self.hurry = trio.Event(), trio.Event()
        self.tally = TaskTally()
