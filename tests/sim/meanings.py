"""Recall by meaning in the simulated world: in the end nobody lacks vectors, and each was made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import trio

from aimem.ports import Connection
from aimem.store import embeddings
from tests.sim.acts import QUESTION
from tests.sim.ports import SimModel
from tests.sim.swarm import Swarm
from tests.sim.watch import Watcher

VECTORS_S: Final = 75.0
"""So long in fine weather a node may owe vectors: 30 s of grace, pauses, and the way of what comes late."""
LOOK_S: Final = 0.5
MOST_READS: Final = 1.5
"""Of each text, on average: two nodes may write the same one, or one while it changes."""
_VECTORS: Final = "SELECT text_hash, chunk, vector FROM embeddings"
_WITHOUT: Final = (
    "SELECT count(*) FROM memory_view v WHERE v.state = 'live' AND NOT EXISTS "
    "(SELECT 1 FROM embeddings e WHERE e.text_hash = v.text_hash)"
)


async def check_vectors(nodes: Callable[[], Mapping[str, Connection]], watcher: Watcher) -> None:
    """In fine weather each node has the vectors of all live memories before long."""
    for _ in range(int(VECTORS_S / LOOK_S)):
        if not any(embeddings.count_backlog(conn, 1) for conn in nodes().values()):
            break
        await trio.sleep(LOOK_S)
    for name, conn in nodes().items():
        watcher.checks += 1
        row = conn.execute(_WITHOUT).fetchone()
        if row != (0,):
            watcher.find("meaning", f"{name} lacks the vectors of {row} memories, {VECTORS_S:g} s after the storm")
    _check_same(nodes(), watcher)


def _check_same(nodes: Mapping[str, Connection], watcher: Watcher) -> None:
    """Whoever made a vector, all that have it have the same one."""
    known: dict[tuple[object, object], tuple[str, object]] = {}
    for name, conn in sorted(nodes.items()):
        for text_hash, chunk, vector in conn.execute(_VECTORS):
            other, expected = known.setdefault((text_hash, chunk), (name, vector))
            watcher.checks += 1
            if vector != expected:
                watcher.find("meaning", f"{other} and {name} have different vectors of one text")
                return


def check_paid_once(swarm: Swarm, models: Iterable[SimModel], watcher: Watcher) -> None:
    """Where nothing went wrong, each text was read by one model, not by each node's."""
    if swarm.faults or swarm.loss or swarm.breaks or swarm.leaves_late or swarm.member_lies:
        return
    read: Counter[str] = Counter()
    for model in models:
        read.update(model.read)
    read.pop(QUESTION, None)
    watcher.checks += 1
    if sum(read.values()) > MOST_READS * len(read):
        watcher.find("meaning", f"{len(read)} texts were read {sum(read.values())} times")
