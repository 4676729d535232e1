"""What is known of each op from outside: who wrote it, and what its writer knew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aimem.model import Dot, Hlc, Op, Stamp, StreamId
from tests.sim import watch
from tests.sim.seals import Seals
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

OWN, OTHER = StreamId("a" * 32), StreamId("b" * 32)


def op(stream: StreamId, seq: int) -> Op:
    """Any op with this name."""
    stamp = Stamp(Hlc(seq), stream)
    return Op(dot=Dot(stream, seq), stamp=stamp, kind="store", entries=(), previous=b"", signature=b"")


class Seen:
    """A database, as a watcher sees it."""

    def __init__(self) -> None:
        self.vector: dict[StreamId, int] = {}
        self.log: list[Op] = []

    def execute(self, _: str) -> Any:
        """Whatever is counted: how long the log is."""
        return SimpleNamespace(fetchone=lambda: (len(self.log) + sum(self.vector.values()),))


async def test_what_was_known_is_exact_but_where_a_state_was_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, watcher = Seen(), Watcher(Trace(), Seals(), "n0")
    process: Any = SimpleNamespace(name="n0", life=1, writer=seen)
    log = SimpleNamespace(
        vector=lambda conn: dict(conn.vector),
        read_after=lambda conn, position, _: list(enumerate(conn.log[position:], position + 1)),
    )
    monkeypatch.setattr(watch, "oplog", log)
    monkeypatch.setattr(watch, "outbound", SimpleNamespace(held=lambda conn, _: SimpleNamespace(dots=())))
    monkeypatch.setattr(watch, "_int", lambda conn, sql: conn.execute(sql).fetchone()[0] if "changes" in sql else 0)
    monkeypatch.setattr(watch, "_before_log", lambda conn, vector: {})
    seen.vector, seen.log = {OWN: 1}, [op(OWN, 1)]
    watcher.look(process)
    assert watcher.written[Dot(OWN, 1)].is_exact
    seen.vector, seen.log = {OWN: 2, OTHER: 3}, [*seen.log, op(OWN, 2)]     # all of the other stream is there
    watcher.look(process)
    seen.vector, seen.log = {OWN: 3, OTHER: 3}, [*seen.log, op(OWN, 3)]
    watcher.look(process)
    assert [watcher.written[Dot(OWN, seq)].is_exact for seq in range(1, 4)] == [True, False, True]
    assert watcher.written[Dot(OWN, 3)].context == {OTHER: 3}
