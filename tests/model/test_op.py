"""Ops: their bytes are made once, and a blanked entry breaks no chain."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import (
    Blank,
    Create,
    Dot,
    Entry,
    Stamp,
    StreamId,
    blank_entry,
    chain_hash,
    decode_entry,
    encode_entry,
    entry_hash,
    is_blank,
    pack_entries,
    unpack_entries,
)

STREAM = StreamId("0" * 31 + "1")
STAMP, DOT = Stamp(7 << 16, STREAM), Dot(STREAM, 3)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.one_of(scalars, st.lists(scalars, max_size=3).map(tuple))
entries = st.builds(
    Entry,
    kind=texts,
    key=texts,
    create=st.none() | st.builds(Create, author=texts),
    dead=st.booleans(),
    fields=st.dictionaries(texts, values, max_size=3),
    base=st.dictionaries(texts, st.just(STAMP.text()), max_size=2),
)


@given(entries)
def test_an_entry_survives_its_encoding_byte_for_byte(entry: Entry) -> None:
    data = encode_entry(entry)
    assert decode_entry(data) == entry
    assert encode_entry(entry) == data
    assert not is_blank(data)


@given(entries)
def test_a_blank_stands_for_the_hash_of_its_entry_and_tells_nothing_else(entry: Entry) -> None:
    data = encode_entry(entry)
    blank = blank_entry(data, entry, STAMP)
    assert is_blank(blank)
    assert entry_hash(blank) == entry_hash(data)
    assert decode_entry(blank) == Blank(
        kind=entry.kind, key=entry.key, dead_since=STAMP.text(), hash=entry_hash(data).hex()
    )


@given(st.lists(entries, min_size=1, max_size=4), st.data())
def test_blanking_any_entries_keeps_the_chain(ops: list[Entry], data: st.DataObject) -> None:
    encoded = [encode_entry(entry) for entry in ops]
    before = chain_hash(DOT, STAMP, "store", encoded, bytes(32))
    for position in data.draw(st.sets(st.integers(0, len(ops) - 1))):
        encoded[position] = blank_entry(encoded[position], ops[position], STAMP)
    assert chain_hash(DOT, STAMP, "store", encoded, bytes(32)) == before


def test_the_chain_is_bound_to_every_part_of_an_op() -> None:
    one, two = (encode_entry(Entry(kind="memory", key=key)) for key in ("a", "b"))
    hashes = {
        chain_hash(DOT, STAMP, "store", [one, two], bytes(32)),
        chain_hash(DOT, STAMP, "store", [two, one], bytes(32)),
        chain_hash(DOT, STAMP, "store", [one], bytes(32)),
        chain_hash(DOT, STAMP, "delete", [one, two], bytes(32)),
        chain_hash(DOT, STAMP, "store", [one, two], bytes(31) + b"\1"),
        chain_hash(DOT, Stamp(STAMP.hlc + 1, STREAM), "store", [one, two], bytes(32)),
        chain_hash(Dot(STREAM, 4), STAMP, "store", [one, two], bytes(32)),
        chain_hash(DOT, Stamp(STAMP.hlc, StreamId("0" * 31 + "2")), "store", [one, two], bytes(32)),
    }
    assert len(hashes) == 8


@given(st.lists(entries, min_size=1, max_size=4))
def test_entries_that_are_packed_are_unpacked(ops: list[Entry]) -> None:
    encoded = tuple(encode_entry(entry) for entry in ops)
    assert unpack_entries(pack_entries(encoded)) == encoded


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"kind":"m","key":"k","extra":1}', b'{"dead_since":"x"}'])
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_entry(data)
