"""Lists of members compare by names."""

from __future__ import annotations

import pytest

from aimem.model import StreamId
from aimem.replication import Agreement
from aimem.replication.members import agreement, members_hash, shared_names


def test_a_list_has_one_hash_whatever_its_order_and_two_nodes_of_one_name_are_two() -> None:
    assert members_hash(["a", "b", "c"]) == members_hash(["c", "a", "b"])
    assert len({members_hash(names) for names in (["a"], ["a", "b"], ["a", "a", "b"], ["ab"], ['a","b'])}) == 5


@pytest.mark.parametrize(
    ("own", "told", "found"),
    [
        ("x", ["x", "x"], Agreement.AGREED),
        ("x", [], Agreement.AGREED),
        ("x", ["x", ""], Agreement.UNKNOWN),
        ("", ["x", "x"], Agreement.UNKNOWN),
        ("x", ["x", "y"], Agreement.UNEQUAL),
        ("", ["x", "y"], Agreement.UNEQUAL),
        ("x", ["y", ""], Agreement.UNEQUAL),
    ],
)
def test_who_does_not_know_its_list_says_nothing_and_any_two_that_do_must_be_equal(
    own: str, told: list[str], found: Agreement
) -> None:
    assert agreement(own, told) is found


def test_a_name_is_shared_if_two_streams_are_written_under_it_now() -> None:
    names = {StreamId(stream): name for stream, name in (("1", "b"), ("2", "a"), ("3", "b"), ("4", "c"), ("5", "c"))}
    assert shared_names(names) == ["b", "c"]
    assert shared_names({StreamId("1"): "a", StreamId("2"): "b"}) == []
