"""Whether a difference is a loss, and that joining both ways ends every one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import Cell, Create, Entry, FieldValue, ObjectState, Stamp, StreamHead, StreamId
from aimem.replication import Lost, judge, merge_entry
from aimem.store import MEMORY, repair, snapshot

A, B = StreamId("a" * 32), StreamId("b" * 32)
EVERYTHING = {stream: StreamHead(stream=stream, seq=9, hlc=99, chain_hash=bytes(32)) for stream in (A, B)}
NOTHING: dict[StreamId, StreamHead] = {}
BORN = Stamp(1, A)
SEEN = ObjectState(born=BORN, author="x", fields={"content": Cell(BORN, "one")})
LATER = ObjectState(born=BORN, author="x", fields={"content": Cell(Stamp(5, B), "two")})
DEAD = ObjectState(dead=Stamp(7, B))
ABSENT = ObjectState()


def known(state: ObjectState, *, has_dead_end: bool = False) -> repair.Known:
    return repair.Known(kind="memory", key="k", state=state, has_dead_end=has_dead_end)


def facts(heads: dict[StreamId, StreamHead], *closed: StreamId) -> repair.Facts:
    return repair.Facts(objects=(), heads=heads, closed=frozenset(closed))


@pytest.mark.parametrize(("own", "theirs", "lost"), [
    (SEEN, SEEN, None), (ABSENT, SEEN, Lost.HERE), (SEEN, ABSENT, Lost.THERE), (SEEN, LATER, Lost.HERE),
    (LATER, SEEN, Lost.THERE), (SEEN, DEAD, Lost.HERE), (DEAD, SEEN, Lost.THERE),
    (SEEN, ObjectState(fields={"tags": Cell(Stamp(3, A), ("t",))}), Lost.BOTH),
])
def test_a_difference_of_what_both_know_is_a_loss_of_one_of_them(
    own: ObjectState, theirs: ObjectState, lost: Lost | None
) -> None:
    judged = judge(known(own), known(theirs), own_facts=facts(EVERYTHING), their_heads=EVERYTHING)
    assert (judged.lost, judged.is_pending) == (lost, False)


@pytest.mark.parametrize(("own_heads", "their_heads"), [(NOTHING, EVERYTHING), (EVERYTHING, NOTHING)])
def test_what_one_of_both_does_not_know_yet_is_no_loss(
    own_heads: dict[StreamId, StreamHead], their_heads: dict[StreamId, StreamHead]
) -> None:
    judged = judge(known(SEEN), known(LATER), own_facts=facts(own_heads), their_heads=their_heads)
    assert (judged.lost, judged.is_pending) == (None, True)


def test_nothing_is_waited_for_of_a_stream_with_two_histories() -> None:
    judged = judge(known(SEEN), known(LATER), own_facts=facts(NOTHING, A, B), their_heads=NOTHING)
    assert (judged.lost, judged.is_pending) == (Lost.HERE, False)


def test_two_values_under_one_stamp_are_not_joined_unless_two_histories_were_written() -> None:
    broken = ObjectState(born=BORN, author="x", fields={"content": Cell(BORN, "longer than it was")})
    judged = judge(known(SEEN), known(broken), own_facts=facts(EVERYTHING), their_heads=EVERYTHING)
    assert (judged.lost, judged.theirs.tied) == (Lost.UNCLEAR, {"content"})
    assert "content" not in judged.theirs.state.fields
    forked = judge(known(SEEN), known(broken), own_facts=facts(EVERYTHING, A), their_heads=EVERYTHING)
    assert (forked.lost, forked.theirs.tied) == (Lost.HERE, frozenset())
    other = ObjectState(born=BORN, author="y", fields=SEEN.fields)
    unclear = judge(known(SEEN), known(other), own_facts=facts(EVERYTHING), their_heads=EVERYTHING)
    assert (unclear.lost, unclear.theirs.state.author) == (Lost.UNCLEAR, None)


@pytest.mark.parametrize(("own", "theirs"), [
    (SEEN, LATER), (LATER, SEEN), (SEEN, ObjectState(dead=Stamp(7, B))), (ABSENT, ObjectState(dead=Stamp(7, B))),
])
def test_what_is_still_being_joined_of_a_stream_with_two_histories_is_no_loss(
    own: ObjectState, theirs: ObjectState
) -> None:
    closed = facts(EVERYTHING, B)
    judged = judge(known(own), known(theirs), own_facts=closed, their_heads=EVERYTHING, unsettled=frozenset({B}))
    assert (judged.lost, judged.is_pending, judged.is_unsettled) == (None, True, True)
    assert judge(known(own), known(theirs), own_facts=closed, their_heads=EVERYTHING).lost is not None


@pytest.mark.parametrize(("own", "theirs"), [
    (SEEN, ABSENT), (ABSENT, LATER), (ObjectState(dead=Stamp(7, A)), SEEN),
    (SEEN, ObjectState(born=BORN, author="x", fields={"content": LATER.fields["content"], "tags": Cell(BORN, ("t",))})),
])
def test_what_is_lost_of_another_stream_is_a_loss_meanwhile(own: ObjectState, theirs: ObjectState) -> None:
    judged = judge(
        known(own), known(theirs), own_facts=facts(EVERYTHING, B), their_heads=EVERYTHING, unsettled=frozenset({B})
    )
    assert judged.lost is not None
    assert not judged.is_pending


def test_what_is_absent_because_its_memory_is_dead_goes_with_that_memory() -> None:
    judged = judge(
        known(ABSENT, has_dead_end=True), known(SEEN), own_facts=facts(EVERYTHING), their_heads=EVERYTHING
    )
    assert (judged.lost, judged.is_pending) == (None, True)


stamps = st.builds(Stamp, st.integers(1, 4), st.sampled_from([A, B]))


def folded(written: list[tuple[Stamp, str, FieldValue]]) -> ObjectState:
    state = ObjectState()
    for stamp, what, value in written:
        if what == "dead":
            entry = Entry(kind="memory", key="k", dead=True)
        elif what == "create":
            entry = Entry(kind="memory", key="k", create=Create(author=stamp.stream))
        else:
            # One value for each stamp: what two nodes wrote is told by the stamp.
            entry = Entry(kind="memory", key="k", fields={what: f"{value and stamp.hlc}"})
        state = merge_entry(state, entry, stamp, maxima=MEMORY.maxima).state
    return state


@given(written=st.lists(stamps, max_size=6, unique=True).flatmap(
    lambda unique: st.lists(
        st.tuples(st.sampled_from(["content", "tier", "create", "dead"]), st.booleans(), st.booleans()),
        min_size=len(unique), max_size=len(unique),
    ).map(lambda what: list(zip(unique, what, strict=True)))
))
def test_two_nodes_that_lost_different_writes_are_equal_after_each_mended_itself(
    written: list[tuple[Stamp, tuple[str, bool, bool]]],
) -> None:
    one = folded([(stamp, what, "v") for stamp, (what, is_here, _) in written if is_here])
    other = folded([(stamp, what, "v") for stamp, (what, _, is_there) in written if is_there])
    mended = []
    for own, theirs in ((one, other), (other, one)):
        judged = judge(known(own), known(theirs), own_facts=facts(EVERYTHING), their_heads=EVERYTHING)
        assert not judged.is_pending
        assert judged.lost is not Lost.UNCLEAR
        assert (judged.lost is None) == (own == theirs)
        state = own
        told = snapshot.Told(kind="memory", key="k", state=judged.theirs.state)
        for stamp, entry in snapshot.entries_of(told, own):
            state = merge_entry(state, entry, stamp, maxima=MEMORY.maxima).state
        assert (state != own) == (judged.lost in (Lost.HERE, Lost.BOTH))
        mended.append(state)
    assert mended[0] == mended[1]
