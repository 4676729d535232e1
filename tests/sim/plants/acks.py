"""Bugs in what a write waits for: who has it, how many that are, and what its asker is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # what patched functions are handed

import msgspec
import pytest

from aimem.model import StreamId, Vector
from aimem.replication import Mesh, mesh, peer, quorum
from aimem.replication.mesh import QuorumScope
from aimem.store import schema
from tests import disk
from tests.sim.planting import Planted, storm
from tests.sim.swarm import Fault
from tests.sim.world import World


def ack_on_any_2xx(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quorum.Report, "lacks", lambda self, dots: "" if self.stream else "unasked")


def ack_before_sync(patch: pytest.MonkeyPatch) -> None:
    pragmas = tuple(pragma.replace("synchronous = FULL", "synchronous = OFF") for pragma in schema._PRAGMAS_WRITER)
    patch.setattr(schema, "_PRAGMAS_WRITER", pragmas)


def sync_does_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk._Image, "sync", lambda self: None)


def held_op_acked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quorum.HeldThere, "__contains__", lambda self, dot: False)


def peer_counted_twice(patch: pytest.MonkeyPatch) -> None:
    def count(dots: Any, own: quorum.Report, peers: Any) -> quorum.Tally:
        reports = [own, *peers]
        return quorum.Tally(
            acked_by=tuple(report.name for report in reports if not report.lacks(dots)),
            waiting_for={report.name: reason for report in reports if (reason := report.lacks(dots))},
        )

    patch.setattr(mesh, "count_acks", count)
    patch.setattr(Mesh, "reachable_count", lambda self: 1 + sum(map(self.is_reachable, self.peers)))


def under_two_addresses(world: World) -> None:
    """The first node knows the second one by another address, too, until all is quiet."""
    world.machines["n0"].listed += ("m1",)
    world.network.outside["m1"] = world.machines["n1"]


def stale_report_maxed(patch: pytest.MonkeyPatch) -> None:
    answered = peer._answered

    def keep(state: peer.PeerState, event: Any, rules: Any) -> peer.PeerState:
        known = answered(state, event, rules)
        return msgspec.structs.replace(known, acked=_greatest(state.acked, known.acked))

    patch.setattr(peer, "_answered", keep)


def _greatest(one: Vector, other: Vector) -> dict[StreamId, int]:
    return {stream: max(one.get(stream, 0), other.get(stream, 0)) for stream in {*one, *other}}


def one_node_too_few(patch: pytest.MonkeyPatch) -> None:
    needed = quorum.Rule.needed
    patch.setattr(quorum.Rule, "needed", lambda self, wish: max(1, needed(self, wish) - 1))


def refused_write_stored(patch: pytest.MonkeyPatch) -> None:
    wait = QuorumScope.wait

    async def deny(self: QuorumScope, dots: Sequence[Any]) -> int:
        try:
            return await wait(self, dots)
        except Exception as error:
            error.details["outcome"] = "not_applied"  # type: ignore[attr-defined]
            raise

    patch.setattr(QuorumScope, "wait", deny)


ROWS = (
    Planted(
        name="ack-on-any-2xx", plant=ack_on_any_2xx, weather=storm(), checks=frozenset({"acked"}),
        broken="Any answer of a peer counts as its ack, whatever it says that it knows.",
    ),
    Planted(
        name="ack-before-sync", plant=ack_before_sync, weather=storm(Fault.POWER),
        checks=frozenset({"vector", "acked", "journal"}),
        broken="A commit is acknowledged before it is synced to the disk (synchronous=OFF).",
    ),
    Planted(
        name="sync-does-nothing", plant=sync_does_nothing, weather=storm(Fault.POWER),
        checks=frozenset({"vector", "acked", "journal"}),
        broken="The disk says that it has synced, and has not.",
    ),
    Planted(
        name="held-op-acked", plant=held_op_acked, weather=storm(Fault.OLDER, quorum=3, governed=True),
        checks=frozenset({"acked"}),
        broken="A peer counts for an op that it holds, logged and not applied, as its version cannot.",
    ),
    Planted(
        name="peer-counted-twice", seeds=range(2, 10), plant=peer_counted_twice, weather=storm(quorum=3),
        prepare=under_two_addresses, checks=frozenset({"acked"}),
        broken="Acks are counted by address, and not by the stream that a peer writes.",
    ),
    Planted(
        name="stale-report-maxed", plant=stale_report_maxed,
        weather=storm(Fault.LOSE, quorum=3, log_most=15, delay_s=0.05, calm_s=2.0), checks=frozenset({"report"}),
        broken="What a peer says of itself raises what counts for it, and never lowers it, though it lost its files.",
    ),
    Planted(
        name="quorum-less-one", plant=one_node_too_few, weather=storm(), checks=frozenset({"acked", "governance"}),
        broken="A write waits for one node less than it is to.",
    ),
    Planted(
        name="refused-write-stored", seeds=range(2, 10), plant=refused_write_stored, weather=storm(),
        checks=frozenset({"refused"}),
        broken="A write that waited for its acks in vain is called refused, and is stored all the same.",
    ),
)
