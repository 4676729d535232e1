"""What a node is told of its mesh; it may be told anew while it runs, see `Mesh.replace_members`."""

from __future__ import annotations

from msgspec import Struct

from aimem.replication.peer import PeerRules
from aimem.replication.quorum import Rule
from aimem.store import trimming
from aimem.wire import EXCHANGE_MAX_OPS


class MeshSettings(Struct, frozen=True, kw_only=True):
    """What a node is told of its mesh; see ai-memory-mesh(7).

    Attributes:
      peers: their addresses, each once, without a slash at the end.
      writes: W, the nodes that have a write before it is acknowledged, this one included.
      timeout_s: how long a write waits for them.
      interval_s: between exchanges with a peer where nothing is to be sent.
      compare_s: between comparisons of all objects with those of one peer, on average; None for never.
      log: what of the op log is kept.
      serves: whether senders run: a command that opened the database by itself has none.
    """

    peers: tuple[str, ...] = ()
    writes: int = 1
    timeout_s: float = 2.0
    interval_s: float = 30.0
    compare_s: float | None = 3600.0
    log: trimming.LogBounds = trimming.LogBounds()
    serves: bool = True

    @property
    def rule(self) -> Rule:
        """N and W."""
        return Rule(members=1 + len(self.peers), writes=max(1, self.writes))

    @property
    def rules(self) -> PeerRules:
        """How each of the peers is treated."""
        return PeerRules(interval_s=self.interval_s, patience_s=self.timeout_s, batch_count=EXCHANGE_MAX_OPS)
