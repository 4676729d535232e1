"""JSON piece by piece: the same pieces as a parser of the whole finds, whatever the chunks."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimem.cli import jsonstream
from aimem.cli.jsonstream import pieces
from aimem.errors import InvalidRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(['"', "\\", '\\"', "]", "}{", "\u00e9\U0001f600"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=12)


class Drops(io.BytesIO):
    """A file that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self._size, size) if size and size > 0 else self._size)


def read(data: bytes, size: int = 1 << 20, max_bytes: int = 1 << 20) -> list[tuple[str, int | None, object]]:
    return [(one.name, one.place, json.loads(one.raw)) for one in pieces(Drops(data, size), max_bytes=max_bytes)]


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1, "\t"]), st.integers(1, 40), st.booleans())
def test_a_list_gives_its_elements(values: list[object], indent: int | str | None, size: int, is_ascii: bool) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    assert read(b" \n" + data + b"\n", size) == [("", place, value) for place, value in enumerate(values)]


@QUICK
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5), st.integers(1, 40))
def test_an_object_gives_its_fields_and_the_elements_of_its_lists(fields: dict[str, object], size: int) -> None:
    expected: list[tuple[str, int | None, object]] = []
    for name, value in fields.items():
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        expected += [(name, place, item) for place, item in items]
    assert read(b"\xef\xbb\xbf" + json.dumps(fields).encode(), size) == expected


@pytest.mark.parametrize("data", [
    b"", b"   ", b"5", b'"text"', b"[", b"[1", b"[1,", b"[1 2]", b"[1,]", b"[,1]", b'["open', b"[{]", b'{"a"', b'{"a":',
    b'{"a":1', b'{"a":1,}', b'{"a" 1}', b"{1:2}", b"{'a':1}", b"[1] 2", b"[1][2]", b'{"a":1}{', b'{"\xff":1}', b"\x00[",
])
def test_what_has_no_structure_is_refused_with_its_place(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^byte [0-9]+: "):
        list(pieces(io.BytesIO(data), max_bytes=1000))


@pytest.mark.parametrize(("head", "filling"), [(b'["', b"x"), (b"[", b"["), (b"[", b"1"), (b'{"', b"a")])
def test_a_piece_without_an_end_is_refused_at_the_bound(head: bytes, filling: bytes) -> None:
    stream = io.BytesIO(head + filling * 7_000_000)
    with pytest.raises(InvalidRequest, match="more than 1000000 bytes"):
        list(pieces(stream, max_bytes=1_000_000))
    assert stream.tell() < 3_000_000


def test_pieces_before_a_fault_were_given_and_a_closed_list_ends_where_it_says() -> None:
    found = pieces(io.BytesIO(b'[{"a": 1}, {"b": 2}, oops'), max_bytes=100)
    assert [next(found).raw, next(found).raw, next(found).raw] == [b'{"a": 1}', b'{"b": 2}', b"oops"]
    with pytest.raises(InvalidRequest):
        next(found)


def test_many_pieces_are_read_with_few_bytes_held() -> None:
    data = b"[" + b",".join(b'{"n": %d}' % n for n in range(50_000)) + b"]"
    stream = io.BytesIO(data)
    behind = [stream.tell() - one.end for one in pieces(stream, max_bytes=100)]
    assert len(behind) == 50_000
    assert max(behind) <= 2 * jsonstream.CHUNK_BYTES
