"""Order without a shared clock: hybrid logical clocks, stamps, dots and vectors.

A hybrid logical clock value (Kulkarni et al., 2014) is an integer of 64 bits: milliseconds since 1970 shifted left by
16, plus a counter. Because it moves past everything that a node has applied, the order of stamps extends causality.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType

from msgspec import Struct

from aimem.errors import InvalidRequest
from aimem.model.ids import StreamId
from aimem.model.instant import Instant, after

Hlc = NewType("Hlc", int)

COUNTER_BITS = 16
HLC_MAX = Hlc((1 << 63) - 1)
HLC_REACH_S = 100 * 365 * 86400.0
"""A hundred years: whose own clock begins at 1970 still takes what others wrote; there is room for 4,400."""
STAMP_BYTES = 24


def hlc_at(instant: Instant) -> Hlc:
    """The least clock value of this moment's millisecond."""
    return Hlc((instant // 1000) << COUNTER_BITS)


def instant_of(hlc: Hlc) -> Instant:
    """The moment (a whole millisecond) that a clock value carries."""
    return Instant((hlc >> COUNTER_BITS) * 1000)


def is_beyond(hlc: int, now: Instant, own_hlc: int) -> bool:
    """Whether a clock value is none that any clock showed: so far ahead of the time, and of what is known already.

    All clocks follow the greatest value that anybody took; one near the end would leave no number for later writes.
    """
    return hlc > own_hlc + 1 and hlc > hlc_at(after(now, HLC_REACH_S))


def next_hlc(last: Hlc, now: Instant) -> Hlc:
    """The value of a new event: after `last`, and not before the physical time `now`."""
    return Hlc(max(last + 1, hlc_at(now)))


# No cycle can lead through a stamp, and thousands live at once: the collector need not look at them.
class Stamp(Struct, frozen=True, order=True, gc=False):
    """The identity and rank of one op: greater stamps win a field. The stream breaks ties between equal clocks."""

    hlc: int
    stream: StreamId

    def pack(self) -> bytes:
        """24 bytes whose byte order is the stamps' order (8 of the clock, 16 of the stream)."""
        return self.hlc.to_bytes(8, "big") + bytes.fromhex(self.stream)

    def text(self) -> str:
        """48 hex digits whose text order is the stamps' order: the form in op bodies."""
        return self.pack().hex()


def unpack_stamp(packed: bytes) -> Stamp:
    """Inverse of Stamp.pack. Raises: ValueError for any other length."""
    if len(packed) != STAMP_BYTES:
        raise ValueError(f"a stamp has {STAMP_BYTES} bytes, not {len(packed)}")
    return Stamp(int.from_bytes(packed[:8], "big"), StreamId(packed[8:].hex()))


def parse_stamp(text: str) -> Stamp:
    """Inverse of Stamp.text. Raises: ValueError."""
    return unpack_stamp(bytes.fromhex(text))


class Dot(Struct, frozen=True, order=True, gc=False):
    """Names one op for ever: the `seq`-th op (from 1) of a stream."""

    stream: StreamId
    seq: int

    def __str__(self) -> str:
        return f"{self.stream}:{self.seq}"


def parse_dot(text: str, *, field: str) -> Dot:
    """Read `stream:seq`. Raises: InvalidRequest naming `field`."""
    stream, _, seq = text.partition(":")
    is_stream = len(stream) == 32 and all(c in "0123456789abcdef" for c in stream)
    if not (is_stream and seq.isascii() and seq.isdigit() and 0 < len(seq) < 19):
        raise InvalidRequest(
            f"{field}: {text[:80]!r} is no version; expected 32 hex digits, a colon, a number", field=field
        )
    return Dot(StreamId(stream), int(seq))


Vector = Mapping[StreamId, int]
"""How much of each stream is known: stream -> the head of a gapless prefix. A missing stream counts 0."""


def covers(vector: Vector, dot: Dot) -> bool:
    """Whether a node with this vector knows the op (prefix rule: all up to the head are known)."""
    return vector.get(dot.stream, 0) >= dot.seq


def dominates(upper: Vector, lower: Vector) -> bool:
    """Whether everything that `lower` knows is known to `upper`."""
    return all(upper.get(stream, 0) >= head for stream, head in lower.items())


def join(one: Vector, other: Vector) -> dict[StreamId, int]:
    """The least vector that dominates both."""
    return {stream: max(one.get(stream, 0), other.get(stream, 0)) for stream in {**one, **other}}
