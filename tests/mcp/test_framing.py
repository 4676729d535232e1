from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aimem.mcp.framing import LineSplitter, Overlong, Refusal, read_line


@given(st.lists(st.binary(max_size=12).map(lambda part: part.replace(b"x", b"\n")), max_size=8))
def test_lines_do_not_depend_on_how_the_bytes_were_cut(chunks):
    whole, cut = LineSplitter(6), LineSplitter(6)
    data = b"".join(chunks)
    expected = whole.feed(data) + whole.finish()
    assert [line for chunk in chunks for line in cut.feed(chunk)] + cut.finish() == expected
    assert expected == [
        Overlong() if len(line) > 6 else line.strip() for line in data.split(b"\n") if len(line) > 6 or line.strip()
    ]


def test_a_line_of_the_bound_is_kept_and_one_byte_more_is_not():
    splitter = LineSplitter(4)
    assert splitter.feed(b"1234\n12345\n12") == [b"1234", Overlong()]
    assert splitter.feed(b"34\n") == [b"1234"]


def test_what_is_kept_of_an_overlong_line_is_bounded():
    splitter = LineSplitter(1024)
    for _ in range(100):
        assert splitter.feed(b"x" * 1000) == []
    assert len(splitter._rest) <= 1024
    assert splitter.feed(b"\nnext\n") == [Overlong(), b"next"]


@given(st.binary(max_size=60))
def test_any_line_is_a_message_or_a_refusal(line):
    assert isinstance(read_line(line), dict | Refusal)
