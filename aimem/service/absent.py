"""What a write asks of nodes that nobody here can ask: the daemon that would do it does not run."""

from __future__ import annotations

from collections.abc import Sequence

from aimem.errors import Code, Unavailable
from aimem.model import Dot
from aimem.store import Assent


class AbsentNodes(Assent):
    """They assent to nothing: whoever was promised that so many nodes have a write is promised it here, too."""

    def __init__(self, needed: int) -> None:
        self._needed = needed

    def agree(self) -> None:
        """Raises: Unavailable, with outcome not_applied."""
        raise Unavailable(
            f"a write needs {self._needed} nodes, and no daemon runs on this database that could ask them; nothing was "
            f"stored: the daemon of this database served with W = {self._needed}: start it, or say --consistency local "
            "to write here alone",
            code=Code.QUORUM_NOT_MET, outcome="not_applied", got=0, needed=self._needed,
        )

    async def wait(self, dots: Sequence[Dot]) -> int:
        """Raises: Unavailable: this answer was given before, and who has what it stands on is not known here."""
        raise Unavailable(
            "this was stored here before, and no daemon runs on this database that could ask which nodes have it: "
            "start it, and retry with the same Idempotency-Key",
            code=Code.QUORUM_NOT_MET, outcome="indeterminate", got=1, needed=self._needed, version=str(dots[-1]),
        )
