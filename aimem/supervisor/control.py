"""How a running node is told to end or to read its files anew, and what was counted on the way."""

from __future__ import annotations

import trio

from aimem.supervisor.children import TaskTally


class Control:
    """What a node is told from outside.

    Attributes:
      stop: set it to drain and end.
      hurry: set it to end the drain's grace.
      tally: restarts of the node's children.
    """

    def __init__(self) -> None:
        self.stop, self.hurry = trio.Event(), trio.Event()
        self.tally = TaskTally()
        self._reload = trio.Event()

    def ask_reload(self) -> None:
        """Have files read anew; asked again before that has begun, it is done once."""
        self._reload.set()

    async def wait_reload(self) -> None:
        """Wait until that is asked for, and take it on: what is asked from now on is another time."""
        await self._reload.wait()
        self._reload = trio.Event()
