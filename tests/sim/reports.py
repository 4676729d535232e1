"""What nodes count for their peers is what those said of themselves last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aimem.model import StreamId, Vector, dominates
from tests.sim.machine import Machine, Process
from tests.sim.watch import Watcher


def check_reports(lost: Iterable[str], machines: Mapping[str, Machine], watcher: Watcher) -> None:
    """Of a machine that has other files now nobody who heard of its new stream counts what was in those before.

    Args:
      lost: machines whose files were taken away, or put back.
    """
    for name in sorted(set(lost) - {watcher.liar}):
        stream, has = _stream_of(machines[name].running), watcher.vector_of(name)
        if stream is None or has is None or stream in watcher.doubted:
            continue
        for other in sorted(machines.keys() - {name, watcher.liar}):
            check_report(other, name, _counted_for(machines[other].running, stream), has, watcher)


def check_report(name: str, peer: str, counted: Vector | None, has: Vector, watcher: Watcher) -> None:
    """One node counts for another no more than that one has."""
    watcher.checks += 1
    if counted is not None and not dominates(has, counted):
        beyond = {stream[:6]: seq for stream, seq in counted.items() if seq > has.get(stream, 0)}
        watcher.find("report", f"{name} counts on {peer} for {beyond}, which that lost, and does not say any more")


def _stream_of(process: Process | None) -> StreamId | None:
    return None if process is None or process.store is None or not process.store.log.heads else process.store.stream


def _counted_for(process: Process | None, stream: StreamId) -> Vector | None:
    """What a node counts for the peer that writes a stream, by that one's last answer."""
    peers = () if process is None or process.mesh is None else process.mesh.peers
    return next((peer.state.acked for peer in peers if peer.state.stream == stream), None)
