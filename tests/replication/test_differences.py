"""What is remembered of objects that differed."""

from __future__ import annotations

from aimem.model import Instant
from aimem.replication.differences import OBJECTS_MAX, Differences, Different
from aimem.replication.divergence import Lost

M1, M2 = ("memory", "m1"), ("memory", "m2")


def different(*keys: str) -> list[Different]:
    return [Different("memory", key, Lost.HERE) for key in keys]


def test_an_object_is_one_however_often_and_from_however_many_it_differs() -> None:
    differences = Differences()
    differences.note("http://a", different("m1"), Instant(1))
    differences.note("http://b", different("m1"), Instant(2))
    differences.note("http://a", different("m1"), Instant(3))
    [found] = differences.lasting
    assert (found.first_at, found.last_at, found.urls) == (1, 3, {"http://a", "http://b"})


def test_it_is_equal_again_once_each_peer_that_had_another_one_was_compared_or_is_none_any_more() -> None:
    differences = Differences()
    differences.note("http://a", different("m1", "m2"), Instant(1))
    differences.note("http://b", different("m1"), Instant(1))
    differences.settle("http://a", {M1, M2})
    assert [found.key for found in differences.lasting] == ["m1"]
    assert [found.key for found in differences.ended] == ["m2"]
    differences.forget("http://b")
    assert (differences.lasting, len(differences.ended)) == ((), 2)


def test_beyond_the_bound_those_that_are_equal_again_make_room_and_else_it_is_known_that_there_are_more() -> None:
    differences = Differences()
    differences.note("http://a", different(*(f"m{n}" for n in range(OBJECTS_MAX))), Instant(1))
    differences.settle("http://a", {M1})
    differences.note("http://a", different("x"), Instant(2))
    assert (len(differences.lasting), differences.ended, differences.has_more) == (OBJECTS_MAX, (), False)
    differences.note("http://a", different("y"), Instant(3))
    assert (len(differences.lasting), differences.has_more) == (OBJECTS_MAX, True)
