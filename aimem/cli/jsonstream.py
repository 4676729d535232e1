"""JSON files of any size, piece by piece: only one piece is held at a time.

Only the structure is looked at here; whether a piece is sound JSON is found when it is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from aimem.errors import InvalidRequest

CHUNK_BYTES: Final = 65_536
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_TOKEN: Final = re.compile(rb'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<open>")|(?P<down>[\[{])|(?P<up>[\]}])', re.DOTALL)
_SCALAR: Final = re.compile(rb'[^\s,:\[\]{}"]+')


class Piece(Struct, frozen=True, kw_only=True):
    """One value.

    Attributes:
      name: the field of the object in which it, or its list, stands; empty in a list alone.
      place: its place in the list, from 0; None for a field that is no list.
      end: bytes of the file up to its end.
    """

    name: str
    place: int | None
    raw: bytes
    end: int


def pieces(stream: BinaryIO, *, max_bytes: int, head: bytes = b"") -> Iterator[Piece]:
    """The elements of a list, or of the lists that are fields of an object, and its other fields.

    Args:
      max_bytes: of one piece.
      head: what was read of the stream already.
    Raises: InvalidRequest for what has no such structure, or a piece that is larger; what came before was given.
    """
    reader = _Reader(stream, max_bytes, head)
    first = reader.peek()
    if first == b"[":
        yield from reader.elements("")
    elif first == b"{":
        yield from reader.fields()
    else:
        raise reader.fault("neither a JSON list nor a JSON object begins here")
    if reader.peek():
        raise reader.fault("something follows behind the end")


class _Reader:
    def __init__(self, stream: BinaryIO, max_bytes: int, head: bytes) -> None:
        self._stream, self._max_bytes = stream, max_bytes
        self._data, self._at, self._passed = head, 0, 0
        while len(self._data) < len(BYTE_ORDER_MARK) and self._read_more(0):
            pass
        if self._data.startswith(BYTE_ORDER_MARK):
            self._at = len(BYTE_ORDER_MARK)

    def fault(self, what: str) -> InvalidRequest:
        return InvalidRequest(f"byte {self._passed + self._at}: {what}", field="file")

    def peek(self) -> bytes:
        """The next byte that is not blank; empty at the end of the file."""
        while True:
            self._at = self._end_of_match(_BLANK)
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._read_more(self._at):
                return b""

    def _end_of_match(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._data, self._at)
        return found.end() if found else self._at

    def _read_more(self, keep_from: int) -> bool:
        """Read on, keeping what stands from there; more each time, or long pieces would be searched over and over."""
        kept = self._data[keep_from:]
        more = self._stream.read(max(CHUNK_BYTES, len(kept)))
        self._passed += keep_from
        self._at -= keep_from
        self._data = kept + more
        return bool(more)

    def _take(self, wanted: bytes) -> bytes:
        found = self.peek()
        if not found or found not in wanted:
            shown = " or ".join(chr(one) for one in wanted)
            raise self.fault(f"{shown} is expected here, not {found.decode('latin-1') or 'the end'}")
        self._at += 1
        return found

    def elements(self, name: str) -> Iterator[Piece]:
        self._take(b"[")
        place = 0
        if self.peek() == b"]":
            self._at += 1
            return
        while True:
            yield Piece(name=name, place=place, raw=self._value(), end=self._passed + self._at)
            place += 1
            if self._take(b",]") == b"]":
                return

    def fields(self) -> Iterator[Piece]:
        self._take(b"{")
        if self.peek() == b"}":
            self._at += 1
            return
        while True:
            name = self._name()
            self._take(b":")
            if self.peek() == b"[":
                yield from self.elements(name)
            else:
                yield Piece(name=name, place=None, raw=self._value(), end=self._passed + self._at)
            if self._take(b",}") == b"}":
                return

    def _name(self) -> str:
        if self.peek() != b'"':
            raise self.fault("the name of a field is expected here")
        try:
            return msgspec.json.decode(self._value(), type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self.fault("the name of a field is no text") from None

    def _value(self) -> bytes:
        """The next value as it is written. Raises: InvalidRequest if it is too long, or the file ends within."""
        is_structure = self.peek() in (b"{", b"[", b'"')
        end = self._end_of_structure() if is_structure else self._end_of_scalar()
        raw, self._at = self._data[self._at : end], end
        return raw

    def _end_of_scalar(self) -> int:
        while True:
            end = self._end_of_match(_SCALAR)
            if end < len(self._data) or not self._read_more(self._at):
                break
            self._bound()
        end = self._end_of_match(_SCALAR)
        if end == self._at:
            raise self.fault("a value is expected here")
        return end

    def _end_of_structure(self) -> int:
        depth, seen = 0, self._at
        while True:
            for found in _TOKEN.finditer(self._data, seen):
                if found["open"] is not None:
                    break       # a text that goes on in the next chunk
                depth += (found["down"] is not None) - (found["up"] is not None)
                seen = found.end()
                if depth <= 0:
                    return seen
            self._bound()
            behind = seen - self._at
            if not self._read_more(self._at):
                raise self.fault("the file ends within a value")
            seen = self._at + behind

    def _bound(self) -> None:
        if len(self._data) - self._at > self._max_bytes:
            raise self.fault(f"a value of more than {self._max_bytes} bytes begins here")
