"""The hybrid clock, stamps, dots and vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import InvalidRequest
from aimem.model import (
    HLC_MAX,
    Dot,
    Hlc,
    Instant,
    Stamp,
    StreamId,
    covers,
    dominates,
    hlc_at,
    instant_of,
    join,
    next_hlc,
    parse_dot,
    parse_stamp,
    unpack_stamp,
)

streams = st.integers(0, 2**128 - 1).map(lambda n: StreamId(f"{n:032x}"))
few_streams = st.integers(0, 3).map(lambda n: StreamId(f"{n:032x}"))
stamps = st.builds(Stamp, st.integers(0, HLC_MAX), streams)
vectors = st.dictionaries(few_streams, st.integers(1, 5))


@given(st.integers(0, HLC_MAX - 1), st.integers(0, 2**53))
def test_the_next_clock_value_is_after_the_last_and_not_before_the_wall_clock(last: int, now: int) -> None:
    new = next_hlc(Hlc(last), Instant(now))
    assert new > last
    assert instant_of(new) >= now - now % 1000


def test_a_wall_clock_that_steps_back_or_stands_still_only_counts() -> None:
    first = next_hlc(Hlc(0), Instant(5_000_000))
    assert next_hlc(first, Instant(5_000_000)) == first + 1
    assert next_hlc(first, Instant(1_000_000)) == first + 1


@given(st.integers(0, 2**53).map(lambda us: Instant(us - us % 1000)))
def test_a_clock_value_carries_its_millisecond(moment: Instant) -> None:
    assert instant_of(hlc_at(moment)) == moment


@given(stamps, stamps)
def test_packed_and_written_stamps_keep_their_order(one: Stamp, other: Stamp) -> None:
    assert (one.pack() < other.pack()) == (one < other) == (one.text() < other.text())
    assert unpack_stamp(one.pack()) == one == parse_stamp(one.text())


@pytest.mark.parametrize("packed", [b"", bytes(23), bytes(25)])
def test_a_stamp_of_another_length_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        unpack_stamp(packed)


@given(streams, st.integers(1, 10**18 - 1))
def test_a_dot_that_is_written_is_read_back(stream: StreamId, seq: int) -> None:
    assert parse_dot(str(Dot(stream, seq)), field="version") == Dot(stream, seq)


@pytest.mark.parametrize(
    "text",
    ["", ":", "1", "a" * 32, f"{'a' * 32}:", f"{'a' * 32}:-1", f"{'a' * 32}:1.0", f"{'A' * 32}:1", f"{'a' * 31}:1",
     f"{'a' * 32}:²", f"{'a' * 32}:{'9' * 19}", f"{'a' * 32}:1:2", f"{'g' * 32}:1"],
)
def test_what_is_no_dot_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_dot(text, field="X-Min-Version")
    assert refused.value.field == "X-Min-Version"


@given(vectors, vectors, vectors)
def test_the_join_is_the_least_vector_above_both(
    one: dict[StreamId, int], other: dict[StreamId, int], above: dict[StreamId, int]
) -> None:
    joined = join(one, other)
    assert dominates(joined, one)
    assert dominates(joined, other)
    assert joined == join(other, one)
    if dominates(above, one) and dominates(above, other):
        assert dominates(above, joined)


@given(vectors, few_streams, st.integers(1, 6))
def test_a_vector_covers_its_heads_and_all_before(vector: dict[StreamId, int], stream: StreamId, seq: int) -> None:
    assert covers(vector, Dot(stream, seq)) == (seq <= vector.get(stream, 0))
