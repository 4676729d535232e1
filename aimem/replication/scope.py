"""What one write asks of the mesh: whether it may begin, and who has it in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from aimem.errors import Code, Unavailable
from aimem.model import Dot
from aimem.replication.counts import ShortWrite
from aimem.replication.intake import CLOCK_BOUND_S

if TYPE_CHECKING:
    from aimem.replication.mesh import Mesh


class QuorumScope:
    """What one write asks of the mesh: before its first op whether enough nodes are there, after its commit acks."""

    def __init__(self, mesh: Mesh, needed: int) -> None:
        self._mesh, self._needed = mesh, needed
        # Asked here, on the event loop's thread and at the moment of the write; the writer has a thread of its own.
        self._refusal = self._find_refusal()

    def agree(self) -> None:
        """Raises: Unavailable, with outcome not_applied."""
        if self._refusal is not None:
            self._mesh.counts.not_applied += 1
            self._note(self._refusal)
            raise self._refusal

    async def wait(self, dots: Sequence[Dot]) -> int:
        """Returns: how many nodes have these ops. Raises: Unavailable(quorum_not_met), with outcome indeterminate."""
        mesh = self._mesh
        tally = await mesh.wait_acks(dots, self._needed) if self._needed > 1 else mesh.tally(dots)
        if tally.got >= self._needed:
            mesh.counts.acknowledged += 1
            return tally.got
        mesh.counts.indeterminate += 1
        error = Unavailable(
            f"{tally.got} of {self._needed} nodes have this write after {mesh.patience_s(len(dots)):.3g} s; it is "
            "stored here and goes on replicating: ask for its version, or retry with the same Idempotency-Key",
            code=Code.QUORUM_NOT_MET, outcome="indeterminate", got=tally.got, needed=self._needed,
            version=str(dots[-1]), acked_by=list(tally.acked_by), waiting_for=dict(tally.waiting_for),
        )
        self._note(error)
        raise error

    def _note(self, error: Unavailable) -> None:
        mesh = self._mesh
        mesh.counts.last_short = ShortWrite(
            at=mesh.clock.now(), outcome=str(error.details["outcome"]), why=error.message
        )

    def _find_refusal(self) -> Unavailable | None:
        mesh = self._mesh
        if mesh.is_forked:
            why = mesh.renewal.reason or (
                "peers know more of this node's writes than its database, or others, as where it was put back from a "
                "copy"
            )
            return Unavailable(
                f"{why}; nothing was stored, and it begins a new stream: retry", code=Code.STREAM_FORKED,
                outcome="not_applied",
            )
        if mesh.is_catching_up:
            return Unavailable(
                "this node began a new stream and fetches what its peers know of it; nothing was stored: retry",
                code=Code.CATCHING_UP, outcome="not_applied",
            )
        offset_s = mesh.clock_offset_s
        if abs(offset_s) > CLOCK_BOUND_S:
            # A machine that slept looks like one whose clock was set: the peers know which it was.
            mesh.ask_all(trio.current_time())
            where = "behind" if offset_s > 0 else "ahead of"
            return Unavailable(
                f"the clock of this node is {abs(offset_s):.1f} s {where} its peers'; nothing was stored: set it",
                code=Code.CLOCK_SKEWED, outcome="not_applied", offset_s=offset_s,
            )
        return self._too_few()

    def _too_few(self) -> Unavailable | None:
        mesh, needed = self._mesh, self._needed
        if needed <= 1:
            return None
        if not mesh.settings.serves:
            return Unavailable(
                f"a write needs {needed} nodes, and no daemon runs on this database that could ask them; nothing was "
                "stored: start ai-memory serve, or say --consistency local",
                code=Code.QUORUM_NOT_MET, outcome="not_applied", got=0, needed=needed,
            )
        reachable = mesh.reachable_count()
        if reachable >= needed:
            return None
        reasons = {
            peer.name: peer.state.last_error or peer.state.standing.value for peer in mesh.peers
            if not mesh.is_reachable(peer)
        }
        return Unavailable(
            f"a write needs {needed} nodes and {reachable} can be reached; nothing was stored: retry",
            code=Code.QUORUM_NOT_MET, outcome="not_applied", got=0, needed=needed, reachable=reachable,
            waiting_for=reasons,
        )
