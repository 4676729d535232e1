"""The fold's algebra: order, repetition and road do not matter."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from aimem.model import Blank, Create, Entry, ObjectState, Stamp, StreamId
from aimem.replication import merge_entry

STREAMS = [StreamId(f"{n:032x}") for n in range(3)]
MAXIMA = frozenset({"extended"})

stamps = st.builds(Stamp, st.integers(1, 6), st.sampled_from(STREAMS))
fields = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(["x", "y", None, 1, 1.5]),
        "b": st.tuples(st.sampled_from(["p", "q"])),
        "extended": st.tuples(st.sampled_from(["s1", "s2"]), st.integers(0, 3)),
    },
)
entries = st.builds(
    Entry,
    kind=st.just("memory"),
    key=st.just("k"),
    fields=fields,
    create=st.none() | st.builds(Create, author=st.sampled_from(["alice", "bob"])),
)
deaths = st.just(Entry(kind="memory", key="k", dead=True)) | st.builds(
    lambda stamp: Blank(kind="memory", key="k", dead_since=stamp.text(), hash="00"), stamps
)
histories = st.lists(st.tuples(stamps, st.one_of(entries, entries, entries, deaths)), max_size=8).map(
    # One stamp is one op: a second content under it would be a fork, which has a test of its own.
    lambda ops: list(dict(ops).items())
)


def fold(ops: list[tuple[Stamp, Entry | Blank]]) -> ObjectState:
    state = ObjectState()
    for stamp, entry in ops:
        state = merge_entry(state, entry, stamp, maxima=MAXIMA).state
    return state


@given(histories, st.integers(0, 2**32))
def test_any_order_and_any_repetition_give_the_same_state(ops: list[tuple[Stamp, Entry]], seed: int) -> None:
    rng = random.Random(seed)
    shuffled = ops + [rng.choice(ops) for _ in range(rng.randrange(4)) if ops]
    rng.shuffle(shuffled)
    assert fold(shuffled) == fold(ops)


@given(stamps, entries, entries, st.booleans())
def test_a_forked_stamp_still_converges(stamp: Stamp, one: Entry, other: Entry, is_swapped: bool) -> None:
    pair = [(stamp, one), (stamp, other)]
    first = fold(pair)
    second = fold(pair[::-1] if is_swapped else pair)
    assert first.fields == second.fields
    assert (first.born, first.author) == (second.born, second.author)


@given(histories)
def test_a_death_is_never_undone(ops: list[tuple[Stamp, Entry]]) -> None:
    state, was_dead = ObjectState(), False
    for stamp, entry in ops:
        state = merge_entry(state, entry, stamp, maxima=MAXIMA).state
        assert not was_dead or state.dead is not None
        was_dead = state.dead is not None
        assert not was_dead or not state.fields


def test_the_greatest_stamp_wins_a_field_and_the_loser_is_a_conflict_only_if_it_was_not_seen() -> None:
    old, new = Stamp(5, STREAMS[0]), Stamp(6, STREAMS[1])
    known = merge_entry(ObjectState(), Entry(kind="m", key="k", fields={"a": "old"}), old, maxima=MAXIMA).state
    seen = Entry(kind="m", key="k", fields={"a": "new"}, base={"a": old.text()})
    unseen = Entry(kind="m", key="k", fields={"a": "new"})
    assert merge_entry(known, seen, new, maxima=MAXIMA).conflicts == ()
    merged = merge_entry(known, unseen, new, maxima=MAXIMA)
    assert merged.state.fields["a"].value == "new"
    assert [(c.field, c.value, c.stamp) for c in merged.conflicts] == [("a", "old", old)]


def test_the_least_create_is_the_birth_and_names_the_author() -> None:
    def create(author: str) -> Entry:
        return Entry(kind="m", key="k", create=Create(author=author))

    state = fold([(Stamp(7, STREAMS[0]), create("late")), (Stamp(3, STREAMS[0]), create("early"))])
    assert (state.born, state.author) == (Stamp(3, STREAMS[0]), "early")


def test_a_register_keeps_its_greatest_value_whenever_it_was_written() -> None:
    high = Entry(kind="m", key="k", fields={"extended": ("s1", 9)})
    low = Entry(kind="m", key="k", fields={"extended": ("s1", 2)})
    state = fold([(Stamp(1, STREAMS[0]), high), (Stamp(2, STREAMS[0]), low)])
    assert state.fields["extended"].value == ("s1", 9)


def test_nobody_but_its_owner_says_what_a_stream_is() -> None:
    owner, other = STREAMS[:2]
    opening = Entry(kind="stream", key=owner, create=Create(author="a"), fields={"node": "a", "public_key": "00"})
    known = merge_entry(ObjectState(), opening, Stamp(1, owner), maxima=MAXIMA).state
    assert known.fields["node"].value == "a"
    lies: list[Entry | Blank] = [
        Entry(kind="stream", key=owner, create=Create(author="b"), fields={"node": "b", "public_key": "11"}),
        Entry(kind="stream", key=owner, dead=True),
        Blank(kind="stream", key=owner, dead_since=Stamp(9, owner).text(), hash="00"),
    ]
    for lie in lies:
        assert merge_entry(known, lie, Stamp(9, other), maxima=MAXIMA).state == known
    certified = Entry(kind="stream", key=owner, fields={"certificate": "c"})
    assert merge_entry(known, certified, Stamp(9, owner), maxima=MAXIMA).state.fields["certificate"].value == "c"
