"""What became of a write, and waiting for one: by its version (`stream:seq`)."""

from __future__ import annotations

from typing import Final

import trio

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import parse_dot
from aimem.replication import HeldThere
from aimem.service.node import Node
from aimem.wire import HELD_MAX, WriteOutcome

VERSIONS_MAX: Final = 256
MIN_VERSION_WAIT_S: Final = 5.0
"""How long a read waits for the version that it asked for."""


async def write_outcome(node: Node, version: str) -> WriteOutcome:
    """What became of a write, by its version. Raises: InvalidRequest, Unavailable."""
    dot = parse_dot(version, field="version")
    needed = 1 if node.mesh is None else node.mesh.rule.writes
    if not node.store.log.covers([dot]):
        return WriteOutcome(
            version=version, outcome="unknown", got=0, needed=needed, acked_by=(), waiting_for={"this node": "behind"}
        )
    held = await node.store.held(HELD_MAX, dot.stream)
    if dot in HeldThere(dots=frozenset(held.dots), own=dot.stream, is_whole=held.count <= len(held.dots)):
        return WriteOutcome(
            version=version, outcome="held", got=0, needed=needed, acked_by=(), waiting_for={"this node": "held"}
        )
    if node.mesh is None:
        return WriteOutcome(
            version=version, outcome="applied", got=1, needed=1, acked_by=(node.store.node_name,), waiting_for={}
        )
    tally = node.mesh.holders(dot)
    return WriteOutcome(
        version=version, outcome="applied" if tally.got >= needed else "replicating", got=tally.got, needed=needed,
        acked_by=tally.acked_by, waiting_for=dict(tally.waiting_for),
    )


async def wait_version(node: Node, text: str) -> None:
    """Wait until this node knows the versions that a caller has seen (`stream:seq`, divided by commas).

    Raises: InvalidRequest; Unavailable(version_not_reached) after a few seconds.
    """
    parts = text.split(",")
    if len(parts) > VERSIONS_MAX:
        raise InvalidRequest(
            f"{len(parts)} versions; at most {VERSIONS_MAX} can be waited for", field="X-Min-Version"
        )
    dots = [parse_dot(part.strip(), field="X-Min-Version") for part in parts]
    if node.store.log.covers(dots):
        return
    if node.mesh is not None:
        node.mesh.ask_all(trio.current_time())
    with trio.move_on_after(MIN_VERSION_WAIT_S):
        await node.store.log.wait_covered(dots)
        return
    missing = [str(dot) for dot in dots if not node.store.log.covers([dot])]
    raise Unavailable(
        f"this node does not know {missing[0]} after {MIN_VERSION_WAIT_S:g} s; retry, or ask the node that wrote it",
        code=Code.VERSION_NOT_REACHED, field="X-Min-Version", missing=missing,
    )
