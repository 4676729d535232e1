"""What a node takes of a batch: the prefix rule, the chain, signatures, forks and clocks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.model import (
    HLC_MAX,
    Dot,
    Entry,
    Intake,
    Op,
    StreamHead,
    StreamId,
    after,
    chain_hash,
    encode_entry,
    hlc_at,
)
from aimem.replication import examine, is_ahead
from tests.nodes import START
from tests.streams import BASE, Author, memory_entry, tampered

OURS = StreamId("f" * 32)
TICK = 1
SECOND = 1000 << 16


class Book:
    """What a node knows, in memory."""

    def __init__(self, *known: Op, keys: Sequence[Author] = (), closed: Sequence[StreamId] = ()) -> None:
        self.now, self.hlc = START, BASE
        self.own_stream = OURS
        self.closed = closed
        self.keys = {author.stream: author.signer.public_key for author in keys}
        self.ops = {op.dot: op for op in known}
        self.heads: dict[StreamId, StreamHead] = {}
        for op in known:
            self.learn(op)
        self.stream_count = len(self.heads)

    def learn(self, op: Op) -> None:
        self.ops[op.dot] = op
        chained = hash_of(op)
        self.heads[op.dot.stream] = StreamHead(
            stream=op.dot.stream, seq=op.dot.seq, hlc=op.stamp.hlc, chain_hash=chained
        )
        self.hlc = max(self.hlc, op.stamp.hlc)

    def head(self, stream: StreamId) -> StreamHead:
        return self.heads.get(stream) or StreamHead(stream=stream, seq=0, hlc=0, chain_hash=bytes(32))

    def hash_at(self, dot: Dot) -> bytes | None:
        after = self.ops.get(Dot(dot.stream, dot.seq + 1))
        return None if after is None else after.previous

    def public_key(self, stream: StreamId) -> bytes | None:
        return self.keys.get(stream)

    def is_closed(self, stream: StreamId) -> bool:
        return stream in self.closed


def hash_of(op: Op) -> bytes:
    return chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)


def taken(intake: Intake) -> list[Dot]:
    return [item.op.dot for item in intake.takes]


def told(intake: Intake) -> tuple[str, str]:
    return ("", "") if intake.stop is None else (intake.stop.reason, str(intake.stop.dot))


def test_a_stream_is_taken_from_its_opening_on_and_its_last_op_moves_the_head() -> None:
    author = Author(1)
    author.memory("m1")
    intake = examine(author.ops, Book())
    assert taken(intake) == [Dot(author.stream, 1), Dot(author.stream, 2)]
    assert intake.takes[-1].head == author.head
    assert told(intake) == ("", "")


def test_what_is_known_is_skipped_and_the_rest_taken() -> None:
    author = Author(1)
    for number in range(4):
        author.memory(f"m{number}")
    intake = examine(author.ops, Book(*author.ops[:3], keys=[author]))
    assert (intake.skipped, taken(intake)) == (3, [op.dot for op in author.ops[3:]])


def test_an_op_behind_a_gap_ends_the_batch_for_all_streams() -> None:
    one, other = Author(1), Author(2)
    for number in range(3):
        one.memory(f"m{number}")
    intake = examine([*one.ops[:2], one.ops[3], *other.ops], Book())
    assert taken(intake) == [op.dot for op in one.ops[:2]]
    assert told(intake) == ("gap", str(one.ops[3].dot))


def two_histories(seed: int = 1) -> tuple[Author, Op]:
    """A writer that signed a second op 2, and then a third behind it."""
    honest, twice = Author(seed), Author(seed)
    honest.memory("m1", content="one thing")
    honest.memory("m2")
    twice.memory("m1", content="another thing")
    twice.memory("m3")
    return honest, twice.ops[1]


@pytest.mark.parametrize("known_count", [2, 3])
def test_a_second_history_that_is_signed_is_a_fork(known_count: int) -> None:
    honest, second = two_histories()
    intake = examine([second], Book(*honest.ops[:known_count], keys=[honest]))
    assert told(intake) == ("fork", str(second.dot))
    assert taken(intake) == []


def test_an_op_behind_another_history_is_a_fork_if_it_is_signed() -> None:
    honest, twice = Author(1), Author(1)
    honest.memory("m1", content="one thing")
    twice.memory("m1", content="another thing")
    twice.memory("m2")
    intake = examine([twice.ops[2]], Book(*honest.ops, keys=[honest]))
    assert told(intake) == ("fork", str(twice.ops[2].dot))


def test_whoever_alters_an_op_on_the_way_closes_nobodys_stream() -> None:
    author = Author(1)
    author.memory("m1")
    altered = tampered(author.ops[1], entries=(encode_entry(memory_entry("m1", "t", "altered")),))
    assert told(examine([altered], Book(*author.ops, keys=[author])))[0] == "forged"
    assert told(examine([altered], Book(author.ops[0], keys=[author])))[0] == "forged"
    moved = tampered(author.ops[1], previous=bytes(range(32)))
    assert told(examine([moved], Book(author.ops[0], keys=[author])))[0] == "forged"


def test_a_batch_ends_before_the_first_op_that_its_writer_did_not_sign_wherever_that_stands() -> None:
    author, other = Author(1), Author(2)
    for number in range(3):
        author.memory(f"m{number}")
    for at in range(4):
        ops = list(author.ops)
        ops[at] = tampered(ops[at], signature=bytes(64))
        intake = examine([*other.ops, *ops], Book())
        assert taken(intake) == [op.dot for op in (*other.ops, *author.ops[:at])]
        assert told(intake) == ("forged", str(author.ops[at].dot))


def test_a_stream_without_its_opening_has_no_key_and_is_not_taken() -> None:
    author, liar = Author(1), Author(2)
    author.memory("m1")
    assert told(examine(author.ops[1:], Book()))[0] == "gap"
    opening = liar.ops[0]
    claimed = tampered(opening, dot=Dot(author.stream, 1))
    assert told(examine([claimed], Book()))[0] == "malformed"     # it is about another stream


def test_a_closed_stream_is_taken_no_further_and_what_is_known_of_it_does_no_harm() -> None:
    author, other = Author(1), Author(2)
    author.memory("m1")
    book = Book(author.ops[0], keys=[author], closed=[author.stream])
    intake = examine([author.ops[0], *other.ops, author.ops[1]], book)
    assert taken(intake) == [other.ops[0].dot]
    assert told(intake) == ("closed", str(author.ops[1].dot))


def test_nobody_else_writes_our_stream() -> None:
    author = Author(1)
    author.memory("m1")
    book = Book(author.ops[0], keys=[author])
    book.own_stream = author.stream
    assert told(examine([author.ops[1]], book)) == ("own", str(author.ops[1].dot))


MALFORMED: dict[str, Callable[[Author], Op]] = {
    "no entries": lambda author: author.made("store", (), author.head.hlc + 1),
    "too many entries": lambda author: author.made("store", (b"{}",) * 1001, author.head.hlc + 1),
    "too many bytes": lambda author: author.made("store", (b" " * 3_000_000,), author.head.hlc + 1),
    "a clock that stands": lambda author: author.made("store", (b"{}",), author.head.hlc),
    "a clock beyond all": lambda author: author.made("store", (b"{}",), HLC_MAX + 1),
}


@pytest.mark.parametrize("make", MALFORMED.values(), ids=MALFORMED)
def test_what_no_origin_of_ours_can_have_made_is_not_taken(make: Callable[[Author], Op]) -> None:
    author = Author(1)
    op = make(author)
    assert told(examine([op], Book(*author.ops, keys=[author]))) == ("malformed", str(op.dot))


def test_a_blank_that_is_none_is_malformed() -> None:
    author = Author(1)
    op = tampered(author.made("store", (b"{}",), author.head.hlc + 1), entries=(b'{"dead_since":7}',))
    assert told(examine([op], Book(*author.ops, keys=[author])))[0] == "malformed"


def test_a_writer_whose_clock_leaps_is_refused_at_first_hand_only() -> None:
    author = Author(1)
    leap = author.memory("m1", hlc=BASE + 6 * SECOND)
    book = Book(author.ops[0], keys=[author])
    assert told(examine([leap], book, writer=author.stream)) == ("clock", str(leap.dot))
    assert told(examine([leap], book, writer=None)) == ("", "")
    assert taken(examine([leap], book, writer=OURS)) == [leap.dot]


@pytest.mark.parametrize(
    ("hlc", "own", "refused"),
    [
        (BASE + 5 * SECOND, BASE, False),
        (BASE + 5 * SECOND + 1, BASE, True),
        (BASE + 9 * SECOND, BASE + 9 * SECOND, False),
        (BASE + 9 * SECOND + TICK, BASE + 9 * SECOND, False),
        (BASE + 9 * SECOND + TICK + 1, BASE + 9 * SECOND, True),
    ],
)
def test_a_clock_is_ahead_only_beyond_the_bound_and_beyond_what_is_known(hlc: int, own: int, refused: bool) -> None:
    assert is_ahead(hlc, START, own) is refused


@pytest.mark.parametrize("writer", [None, OURS])
@pytest.mark.parametrize("hlc", [HLC_MAX, hlc_at(after(START, 101 * 365 * 86400))])
def test_a_clock_of_another_century_is_taken_from_nobody_as_no_number_would_be_left(
    writer: StreamId | None, hlc: int
) -> None:
    author = Author(1)
    late = author.memory("m1", hlc=hlc)
    intake = examine([*author.ops[:1], late], Book(), writer=writer)
    assert (told(intake), taken(intake)) == (("clock", str(late.dot)), [author.ops[0].dot])


def test_honest_ops_are_not_refused_because_a_fast_clock_was_taken_elsewhere() -> None:
    fast, honest = Author(1), Author(2)
    pulled = fast.memory("m1", hlc=BASE + 9 * SECOND)
    answer = honest.memory("m2", hlc=pulled.stamp.hlc + TICK)
    book = Book(*fast.ops, honest.ops[0], keys=[fast, honest])
    assert taken(examine([answer], book, writer=honest.stream)) == [answer.dot]


def written(rng: random.Random, authors: Sequence[Author]) -> list[Op]:
    """A log in which every stream is in order."""
    log = [author.ops[0] for author in authors]
    for number in range(rng.randint(0, 12)):
        log.append(rng.choice(authors).memory(f"m{number}"))
    return log


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_whatever_arrives_a_node_knows_gapless_signed_prefixes_and_never_less(seed: int) -> None:
    rng = random.Random(seed)
    authors = [Author(number) for number in range(3)]
    log = written(rng, authors)
    true = {op.dot: op for op in log}
    book = Book(keys=[])
    for _ in range(20):
        low = rng.randrange(len(log))
        batch = log[low : low + rng.randint(1, 6)]
        match rng.randrange(5):
            case 0:
                rng.shuffle(batch)
            case 1:
                batch = [op for op in batch if rng.random() < 0.7]
            case 2:
                batch = [
                    tampered(op, entries=(encode_entry(Entry(kind="memory", key="x", dead=True)),))
                    if rng.random() < 0.3 else op for op in batch
                ]
            case 3:
                batch = batch * 2
            case _:
                pass
        before = {stream: head.seq for stream, head in book.heads.items()}
        for item in examine(batch, book).takes:
            assert item.op == true[item.op.dot], "an altered op was taken"
            assert item.op.dot.seq == book.head(item.op.dot.stream).seq + 1, "an op was taken past a gap"
            book.learn(item.op)
            if item.op.dot.seq == 1:
                author = next(author for author in authors if author.stream == item.op.dot.stream)
                book.keys[author.stream] = author.signer.public_key
        assert all(book.head(stream).seq >= seq for stream, seq in before.items())
    for item in examine(log, book).takes:
        book.learn(item.op)
    assert {stream: head.seq for stream, head in book.heads.items()} == {
        author.stream: author.head.seq for author in authors
    }


def test_nobody_writes_the_name_or_the_key_of_another_stream() -> None:
    author, other = Author(1), Author(2)
    author.write("stream", [Entry(kind="stream", key=other.stream, fields={"node": "somebody else"})])
    found = examine(author.ops, Book())
    assert (taken(found), told(found)[0]) == ([author.ops[0].dot], "malformed")
    author = Author(1)
    author.write("stream", [Entry(kind="stream", key=author.stream, fields={"certificate": "ab"})])
    assert examine(author.ops, Book()).stop is None
