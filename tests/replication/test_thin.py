"""What an exchange leaves out comes back as it was, whatever the two know."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aimem.model import StreamId
from aimem.replication import thin_answer, whole_request
from aimem.replication.thin import thin_request, whole_answer
from aimem.wire import ExchangeAnswer, ExchangeRequest, decode_body, encode
from aimem.wire.mesh import HeadOut

STREAMS = [StreamId(letter * 32) for letter in "abcdef"]
HEADS = st.builds(
    HeadOut, seq=st.integers(1, 3), hlc=st.just(1), hash=st.sampled_from([bytes(32), bytes([1]) + bytes(31)])
)
VECTORS = st.dictionaries(st.sampled_from(STREAMS), HEADS)
ASSUMED = st.dictionaries(st.sampled_from(STREAMS), st.integers(1, 3))


def request_of(vector: dict[str, HeadOut], assumed: dict[str, int], protocol: int = 3) -> ExchangeRequest:
    return ExchangeRequest(protocol=protocol, node="a", stream=STREAMS[0], vector=vector, assumed=assumed)


@given(vector=VECTORS, assumed=ASSUMED)
def test_a_request_comes_out_as_it_went_in(vector: dict[str, HeadOut], assumed: dict[str, int]) -> None:
    request = request_of(vector, assumed)
    sent = decode_body(ExchangeRequest, encode(thin_request(request)))
    whole = whole_request(sent)
    assert replace(whole, assumed={stream: seq for stream, seq in whole.assumed.items() if seq}) == request
    assert all(sent.assumed[stream] != head.seq for stream, head in vector.items() if stream in sent.assumed)


@given(vector=VECTORS, there=VECTORS)
def test_an_answer_comes_out_as_it_went_in(vector: dict[str, HeadOut], there: dict[str, HeadOut]) -> None:
    request = request_of(vector, {})
    answer = ExchangeAnswer(protocol=3, node="b", stream=STREAMS[1], vector=there)
    sent = decode_body(ExchangeAnswer, encode(thin_answer(answer, thin_request(request))))
    assert whole_answer(sent, request) == answer
    assert not any(vector.get(stream) == head for stream, head in sent.vector.items())


def test_nothing_is_said_twice_between_nodes_that_know_the_same() -> None:
    vector = {stream: HeadOut(7, 7, bytes(32)) for stream in STREAMS}
    request = thin_request(request_of(vector, {stream: head.seq for stream, head in vector.items()}))
    assert request.assumed == {}
    answer = ExchangeAnswer(protocol=3, node="b", stream=STREAMS[1], vector=dict(vector))
    assert thin_answer(answer, request).vector == {}


def test_a_peer_of_the_version_before_is_told_everything() -> None:
    request = request_of({STREAMS[0]: HeadOut(1, 1, bytes(32))}, {STREAMS[0]: 1}, protocol=2)
    assert thin_request(request) == request
    answer = ExchangeAnswer(protocol=2, node="b", stream=STREAMS[1], vector=dict(request.vector))
    assert thin_answer(answer, request) == whole_answer(answer, request) == answer
