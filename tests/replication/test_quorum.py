"""Acks: who has a write, by what each node last said of itself."""

from __future__ import annotations

import pytest

from aimem.model import Dot, StreamId
from aimem.replication import (
    Consistency,
    HeldThere,
    Report,
    Rule,
    Tally,
    consistently,
    count_acks,
    middle_offset,
    wished_consistency,
)
from aimem.replication.quorum import with_writer

A, B, C = (StreamId(letter * 32) for letter in "abc")
DOT = Dot(A, 5)
OWN = Report(name="own", stream=A, vector={A: 5})


def report(name: str, stream: StreamId | None, seq: int, **more: object) -> Report:
    return Report(name=name, stream=stream, vector={A: seq}, **more)  # type: ignore[arg-type]


def cut(*dots: Dot, own: StreamId = A) -> HeldThere:
    """A peer holds more than these."""
    return HeldThere(dots=frozenset(dots), own=own, is_whole=False)


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        (report("b", B, 5), ""),
        (report("b", B, 9), ""),
        (report("b", B, 4), "behind"),
        (report("b", B, 5, held=HeldThere(dots=frozenset({DOT}))), "held"),
        (report("b", B, 5, held=HeldThere(dots=frozenset({Dot(A, 4)}))), ""),
        (report("b", B, 5, held=HeldThere(is_whole=False)), "held"),
        (report("b", B, 5, held=cut(Dot(A, 4))), "held"),               # so that more of A may follow
        (report("b", B, 5, held=cut(Dot(A, 4), Dot(B, 1))), ""),        # all of A is named
        (report("b", B, 5, held=cut(Dot(B, 1))), ""),
        (report("b", B, 5, held=cut(Dot(B, 1), own=B)), "held"),        # of A nothing is known
        (report("b", B, 5, held=cut(DOT, Dot(B, 1))), "held"),
        (report("b", B, 5, reason="forked"), "forked"),
        (Report(name="b"), "unasked"),
        (report("b", A, 5), "duplicate"),
    ],
)
def test_a_peer_counts_if_it_has_the_op_applied_and_says_so(peer: Report, reason: str) -> None:
    tally = count_acks([DOT], OWN, [peer])
    assert tally.waiting_for == ({"b": reason} if reason else {})
    assert tally.got == (1 if reason else 2)


def test_two_addresses_of_one_node_are_one_member() -> None:
    tally = count_acks([DOT], OWN, [report("b", B, 5), report("b again", B, 5), report("c", C, 5)])
    assert (tally.acked_by, tally.waiting_for) == (("own", "b", "c"), {"b again": "duplicate"})


@pytest.mark.parametrize(
    ("acked", "waiting", "counted"),
    [
        (("own",), {"b": "behind", "c": "behind"}, ("own", "b")),
        (("own", "b"), {"c": "behind"}, ("own", "b")),
        (("own",), {"b": "forked"}, ("own",)),
        (("own",), {"b": "behind", "b again": "behind"}, ("own", "b")),
        (("own", "b again"), {"b": "behind"}, ("own", "b again")),
    ],
)
def test_who_wrote_an_op_has_it_before_it_says_so(
    acked: tuple[str, ...], waiting: dict[str, str], counted: tuple[str, ...]
) -> None:
    streams = {"b": B, "b again": B, "c": C, "d": None}
    tally = with_writer(Tally(acked_by=acked, waiting_for=waiting), Dot(B, 5), streams)
    assert tally.acked_by == counted
    assert set(tally.waiting_for) == set(waiting) - set(counted)


def test_all_ops_of_a_write_must_be_there() -> None:
    assert count_acks([Dot(A, 4), Dot(A, 6)], OWN, [report("b", B, 5)]).got == 0


@pytest.mark.parametrize(
    ("wish", "members", "writes", "needed"),
    [
        (Consistency.LOCAL, 4, 3, 1), (Consistency.QUORUM, 4, 3, 3), (Consistency.MAJORITY, 4, 1, 3),
        (Consistency.MAJORITY, 5, 4, 4), (Consistency.ALL, 4, 2, 4), (Consistency.MAJORITY, 1, 1, 1),
    ],
)
def test_a_wish_says_how_many_nodes_a_write_needs(wish: Consistency, members: int, writes: int, needed: int) -> None:
    assert Rule(members=members, writes=writes).needed(wish) == needed


def test_a_wish_holds_in_its_block_alone() -> None:
    with consistently(Consistency.ALL):
        assert wished_consistency() is Consistency.ALL
    assert wished_consistency() is Consistency.QUORUM


@pytest.mark.parametrize(
    ("offsets", "middle"),
    [
        ((), 0), ((9,), 0), ((-9,), -9), ((0, 10), 0), ((0, -10), 0), ((-10, -10), -10), ((0, 0, 10), 0),
        ((-10, -10, -10), -10), ((8, 10), 8), ((8, 8, 10), 8), ((-9, -9, 10), -9),
    ],
)
def test_a_clock_is_off_where_the_others_agree_or_none_is_as_far_ahead(offsets: tuple[int, ...], middle: int) -> None:
    assert middle_offset(offsets) == middle
