"""What single checks find, and what they let pass."""

from __future__ import annotations

import pytest

from aimem.model import Dot, Op, Stamp, StreamId, Vector
from tests.sim.checks import check_quorum
from tests.sim.history import Attempt, Deed
from tests.sim.reports import check_report
from tests.sim.seals import Seals
from tests.sim.trace import Trace
from tests.sim.watch import Watcher, Written, _Seen

ONE, OTHER = StreamId("a" * 32), StreamId("b" * 32)


def watching() -> Watcher:
    return Watcher(Trace(), Seals(), "")


def written(dot: Dot, hlc: int, context: Vector) -> Written:
    op = Op(dot=dot, stamp=Stamp(hlc, dot.stream), kind="store", entries=(), previous=b"", signature=b"")
    return Written(op, "n1", context)


def names_of(watcher: Watcher) -> list[str]:
    return [found.check for found in watcher.found]


@pytest.mark.parametrize(("hlc", "found"), [(6, []), (5, ["clock"]), (4, ["clock"])])
async def test_a_stamp_is_beyond_all_that_its_writer_knew(hlc: int, found: list[str]) -> None:
    watcher = watching()
    for seq, known in ((1, 3), (2, 5), (3, 9)):
        watcher.written[Dot(ONE, seq)] = written(Dot(ONE, seq), known, {})
    watcher.check_stamp(written(Dot(OTHER, 1), hlc, {ONE: 2}))
    assert names_of(watcher) == found


async def test_a_stamp_says_nothing_about_a_stream_of_two_histories() -> None:
    watcher = watching()
    watcher.written[Dot(ONE, 1)] = written(Dot(ONE, 1), 9, {})
    watcher.doubted.add(ONE)
    watcher.check_stamp(written(Dot(OTHER, 1), 4, {ONE: 1}))
    assert not watcher.found


async def test_a_stamp_need_not_be_beyond_what_its_writer_holds() -> None:
    watcher = watching()
    watcher.written[Dot(ONE, 1)] = written(Dot(ONE, 1), 9, {})
    watcher.held["n1"] = frozenset({Dot(ONE, 1)})
    watcher.check_stamp(written(Dot(OTHER, 1), 4, {ONE: 1}))
    assert not watcher.found


@pytest.mark.parametrize(("counted", "found"), [
    (None, []), ({}, []), ({ONE: 2}, []), ({ONE: 3}, ["report"]), ({ONE: 1, OTHER: 1}, ["report"]),
])
async def test_a_node_counts_no_more_for_a_peer_than_that_one_has(counted: Vector | None, found: list[str]) -> None:
    watcher = watching()
    check_report("n0", "n1", counted, {ONE: 2}, watcher)
    assert names_of(watcher) == found


@pytest.mark.parametrize(("held", "found"), [([], []), ([Dot(ONE, 2)], []), ([Dot(ONE, 1)], ["acked"])])
async def test_what_a_machine_holds_it_does_not_have(held: list[Dot], found: list[str]) -> None:
    watcher = watching()
    watcher._seen["n0"] = _Seen(1, 0, 0, {ONE: 2})
    watcher._seen["n1"] = _Seen(1, 0, 0, {ONE: 2})
    watcher.held["n1"] = frozenset(held)
    told = Attempt("n0", 0.0, 1.0, 201, {"version": str(Dot(ONE, 1))})
    check_quorum(Deed(number=1, kind="store", key="k", mark="", subjects=(), attempts=[told]), watcher, 2)
    assert names_of(watcher) == found
