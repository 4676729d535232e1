"""What is known of each op from outside: who wrote it, and what its writer knew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aimem.model import Dot, Entry, Hlc, Op, Stamp, StreamId, encode_entry
from tests.sim import watch
from tests.sim.seals import Seals
from tests.sim.trace import Trace
from tests.sim.watch import Watcher

OWN, OTHER = StreamId("a" * 32), StreamId("b" * 32)


def op(stream: StreamId, seq: int, *keys: str) -> Op:
    """Any op with this name, about these objects."""
    entries = tuple(encode_entry(Entry(kind="memory", key=key)) for key in keys)
    return Op(
        dot=Dot(stream, seq), stamp=Stamp(Hlc(seq), stream), kind="store", entries=entries, previous=b"", signature=b""
    )


class Seen:
    """A database, as a watcher sees it."""

    def __init__(self) -> None:
        self.vector: dict[StreamId, int] = {}
        self.log: list[Op] = []

    def execute(self, _: str) -> Any:
        """Whatever is counted: how long the log is."""
        return SimpleNamespace(fetchone=lambda: (len(self.log) + sum(self.vector.values()),))


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """One that looks at `Seen`, and takes what n0 does as it comes."""
    log = SimpleNamespace(
        vector=lambda conn: dict(conn.vector),
        read_after=lambda conn, position, _: list(enumerate(conn.log[position:], position + 1)),
    )
    monkeypatch.setattr(watch, "oplog", log)
    monkeypatch.setattr(watch, "outbound", SimpleNamespace(held=lambda conn, _: SimpleNamespace(dots=())))
    monkeypatch.setattr(watch, "_int", lambda conn, sql: conn.execute(sql).fetchone()[0] if "changes" in sql else 0)
    monkeypatch.setattr(watch, "_before_log", lambda conn, vector: {})
    return Watcher(Trace(), Seals(), "n0")


async def test_what_was_known_is_exact_but_where_a_state_was_joined(watcher: Watcher) -> None:
    seen = Seen()
    process: Any = SimpleNamespace(name="n0", life=1, writer=seen)
    seen.vector, seen.log = {OWN: 1}, [op(OWN, 1)]
    watcher.look(process)
    assert watcher.written[Dot(OWN, 1)].is_exact
    seen.vector, seen.log = {OWN: 2, OTHER: 3}, [*seen.log, op(OWN, 2)]     # all of the other stream is there
    watcher.look(process)
    seen.vector, seen.log = {OWN: 3, OTHER: 3}, [*seen.log, op(OWN, 3)]
    watcher.look(process)
    assert [watcher.written[Dot(OWN, seq)].is_exact for seq in range(1, 4)] == [True, False, True]
    assert watcher.written[Dot(OWN, 3)].context == {OTHER: 3}


@pytest.mark.parametrize(("known", "passed_on", "skipped"), [
    (["first", "copy's"], [], {OTHER}),             # a state moved it on, and nothing showed it the other history
    (["first", "copy's"], ["more"], set()),         # it was sent what follows: that does not fit to what it has
    (["first"], [], set()),                         # it had what is the same in both alone
])
async def test_who_joins_a_state_beyond_where_histories_part_cannot_tell(
    watcher: Watcher, known: list[str], passed_on: list[str], skipped: set[StreamId]
) -> None:
    watcher.doubted.add(OTHER)
    copy, writer = seen = Seen(), Seen()
    machines: list[Any] = [SimpleNamespace(name=f"n{at}", life=1, writer=one) for at, one in enumerate(seen)]
    writer.log = [op(OTHER, at, key) for at, key in enumerate(["first", "writer's", "more"], 1)]
    copy.log = [op(OTHER, at, key) for at, key in enumerate(known, 1)]
    for one in seen:
        one.vector = {OTHER: len(one.log)}
    watcher.seals.is_signed = lambda *_: True       # type: ignore[method-assign]
    watcher.look(machines[1])
    watcher.look(machines[0])
    assert not watcher.skipped
    copy.vector, copy.log = {OTHER: 3}, [*copy.log, *(op(OTHER, 3, key) for key in passed_on)]
    watcher.look(machines[0])
    assert watcher.skipped == skipped
    assert [watcher.skipped_with(key) for key in ("first", "copy's", "writer's", "more")] == [set(), *[skipped] * 3]
    assert not watcher.found
