"""Streams that a peer left for another one, while somebody else still answers under them."""

from __future__ import annotations

import pytest

from aimem.model import Dot, StreamId
from aimem.replication import Report, count_acks
from aimem.replication.renewal import UNDER_WAY_S, Moves

OWN, OLD, NEW, NEWER = (StreamId(letter * 32) for letter in "0abc")
DOT = Dot(OWN, 1)
ONE, OTHER = "http://one", "http://other"
LATER = UNDER_WAY_S + 1.0


@pytest.fixture
def moves() -> Moves:
    """A disk was copied: both answered under the old stream, and then one took a new one."""
    moves = Moves()
    moves.note(ONE, NEWER, OLD, 1.0)
    moves.note(ONE, OLD, NEW, 2.0)
    return moves


def counted(moves: Moves, streams: dict[str, StreamId]) -> tuple[str, ...]:
    """Who is counted, when all of them have an op."""
    reports = [
        Report(name=url, stream=stream, vector={OWN: 1}) if (stream := moves.counts_as(written, streams))
        else Report(name=url, reason="duplicate")
        for url, written in streams.items()
    ]
    return count_acks([DOT], Report(name="own", stream=OWN, vector={OWN: 1}), reports).acked_by[1:]


def test_who_answers_under_a_stream_that_was_left_may_have_been_asked_before_that(moves: Moves) -> None:
    moves.note(OTHER, OLD, OLD, 2.0 + UNDER_WAY_S)
    assert moves.counts_as(OLD, {ONE: NEW}) is None
    assert counted(moves, {OTHER: OLD}) == ()
    assert moves.counts_as(NEW, {ONE: NEW}) == NEW


@pytest.mark.parametrize("now", [NEW, NEWER])
def test_once_it_was_asked_after_that_one_of_the_two_counts(moves: Moves, now: StreamId) -> None:
    moves.note(OTHER, OLD, OLD, 2.0 + LATER)
    moves.note(ONE, NEW, now, 3.0 + LATER)
    assert counted(moves, {ONE: now, OTHER: OLD}) == (ONE,)
    assert counted(moves, {OTHER: OLD, ONE: now}) == (OTHER,)
    assert moves.counts_as(OLD, {ONE: now}) == now      # and so it counts while the one that left is away


def test_once_that_one_is_seen_elsewhere_after_it_both_count(moves: Moves) -> None:
    moves.note(OTHER, OLD, OLD, 2.0 + LATER)
    moves.note(ONE, NEW, NEW, 2.0 + LATER + LATER)
    assert counted(moves, {ONE: NEW, OTHER: OLD}) == (ONE, OTHER)


def test_who_left_it_and_is_not_a_peer_any_more_hides_nobody(moves: Moves) -> None:
    moves.forget(ONE)
    assert counted(moves, {OTHER: OLD}) == (OTHER,)


def test_of_a_stream_left_by_who_is_unknown_nobody_counts(moves: Moves) -> None:
    moves.note(OTHER, OLD, OLD, 2.0 + LATER)
    assert moves.counts_as(OLD, {ONE: None}) is None
