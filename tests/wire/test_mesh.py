"""Ops and vectors on the wire: the origin's bytes come out as they went in, and what can be none is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import Code, InvalidRequest
from aimem.model import HLC_MAX, Entry, encode_entry
from aimem.wire import (
    ExchangeRequest,
    HeadOut,
    OpOut,
    decode_body,
    encode,
    heads_in,
    heads_out,
    op_in,
    op_out,
    protocol_of,
    vector_in,
)
from tests.streams import Author

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
AUTHOR = Author(1)
GOOD = op_out(AUTHOR.ops[0])


@given(texts, texts)
def test_an_op_survives_the_wire_to_the_byte(key: str, content: str) -> None:
    author = Author(1)
    op = author.write("store", [encode_entry(Entry(kind="memory", key=key, fields={"content": content}))])
    sent = encode(ExchangeRequest(protocol=1, node="n", stream=author.stream, ops=(op_out(op),)))
    assert op_in(decode_body(ExchangeRequest, sent).ops[0]) == op


def test_a_vector_survives_the_wire() -> None:
    heads = {AUTHOR.stream: AUTHOR.head}
    sent = encode(ExchangeRequest(protocol=1, node="n", stream=AUTHOR.stream, vector=heads_out(heads)))
    assert heads_in(decode_body(ExchangeRequest, sent).vector) == heads


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": "xyz"}, {"stream": GOOD.stream.upper() + "A"}, {"seq": 0}, {"seq": 1 << 63}, {"hlc": 0},
        {"hlc": HLC_MAX + 1}, {"previous": b"short"}, {"signature": b""}, {"kind": "k" * 65}, {"entries": ("\ud800",)},
    ],
)
def test_what_cannot_be_an_op_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        op_in(msgspec.structs.replace(GOOD, **changed))
    assert caught.value.code is Code.SCHEMA_MISMATCH


@pytest.mark.parametrize(
    "vector",
    [
        {"xyz": HeadOut(1, 1, bytes(32))},
        {AUTHOR.stream: HeadOut(-1, 1, bytes(32))},
        {AUTHOR.stream: HeadOut(1, 1, bytes(31))},
        {f"{number:032x}": HeadOut(1, 1, bytes(32)) for number in range(8193)},
    ],
    ids=["name", "seq", "hash", "streams"],
)
def test_what_cannot_be_a_vector_is_refused(vector: dict[str, HeadOut]) -> None:
    with pytest.raises(InvalidRequest):
        heads_in(vector)


@pytest.mark.parametrize("vector", [{"xyz": 1}, {AUTHOR.stream: -1}, {f"{n:032x}": 1 for n in range(8193)}])
def test_what_cannot_be_a_plain_vector_is_refused(vector: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest):
        vector_in(vector)


def test_a_body_says_which_protocol_it_speaks_and_one_of_v0_6_3_does_not() -> None:
    assert protocol_of(b'{"protocol": 7}') == 7
    assert protocol_of(b'{"sender_agent_id": "host:a", "memories": []}') == 0
    with pytest.raises(InvalidRequest):
        protocol_of(b"\xff")


def test_an_op_that_is_no_op_at_all_does_not_decode() -> None:
    with pytest.raises(InvalidRequest):
        decode_body(OpOut, b'{"stream": 1}')
