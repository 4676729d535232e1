"""How long a log may be when all is quiet, and for whose sake."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from aimem.model import StreamId, Vector
from aimem.replication import catchup
from aimem.replication.peer import PeerState, Standing
from aimem.store.trimming import LogBounds
from tests.nodes import START
from tests.sim import logs as logs_module
from tests.sim.logs import JUST_WRITTEN, Logs, check_logs, short_logs
from tests.sim.ports import SPEAKER
from tests.sim.seals import Seals
from tests.sim.swarm import roll, with_liar
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

ONE, OTHER = StreamId("a" * 32), StreamId("b" * 32)
KEPT, MOST = 7, 15
BOUNDS = LogBounds(kept_count=KEPT, most_count=MOST)
ALL: Vector = {ONE: 100}


def log_of(length: int) -> Any:
    """A log that begins with the tenth op of its stream."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE ops (position INTEGER, stream TEXT, seq INTEGER, hlc INTEGER)")
    conn.executemany("INSERT INTO ops VALUES (?, ?, ?, ?)", [(at + 1, ONE, at + 10, 1 << 62) for at in range(length)])
    return conn


async def found_in(length: int, monkeypatch: pytest.MonkeyPatch, *, closed: bool = False, **said: PeerState) -> int:
    """How many findings there are for such a log of n0, whose peers last said this before it looked at its log."""
    swarm = replace(with_liar(roll(1, nodes=2)), log_most=MOST)
    logs, watcher = Logs(swarm, Trace()), Watcher(Trace(), Seals(), swarm.names[-1])
    logs.bound("n0", BOUNDS)
    peers = [SimpleNamespace(url=f"http://{name}", state=state) for name, state in said.items()]
    mesh: Any = SimpleNamespace(peers=peers, store=SimpleNamespace(log=SimpleNamespace(closed={ONE} if closed else {})))
    monkeypatch.setattr(catchup, "known_to_all", lambda _: {})
    monkeypatch.setattr(logs_module, "INTERVAL_S", 0.0)
    SPEAKER.set("n0")
    with short_logs(logs):
        catchup.known_to_all(mesh)
    clock: Any = SimpleNamespace(now=lambda: START)
    await check_logs({"n0": log_of(length)}, {"n0": clock}, logs, watcher)
    return len(watcher.found)


@pytest.mark.parametrize(("last", "said"), [
    (KEPT, PeerState(acked=ALL)), (MOST, PeerState(acked={ONE: 9})), (MOST, PeerState()),
    (MOST, PeerState(acked=ALL, standing=Standing.FORKED)), (KEPT, PeerState(full=frozenset({ONE}))),
    (MOST, PeerState(full=frozenset({OTHER}))), (KEPT, PeerState(acked={ONE: 10})),
])
async def test_a_log_is_longer_only_where_the_liar_lacks_its_first_op(
    last: int, said: PeerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await found_in(last + JUST_WRITTEN, monkeypatch, n2=said) == 0
    assert await found_in(last + JUST_WRITTEN + 1, monkeypatch, n2=said) == 1


async def test_for_an_honest_node_or_a_closed_stream_no_log_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await found_in(MOST, monkeypatch, n1=PeerState(), n2=PeerState(acked=ALL)) == 1
    assert await found_in(MOST, monkeypatch, closed=True, n2=PeerState()) == 1
