"""One bit a dimension: a scan of all vectors that is fast because it reads an eighth of a byte for each number.

A vector's code says on which side of the centre it lies in each dimension. The number of dimensions in which two codes
differ grows with the angle between the vectors (Charikar, STOC 2002), so the nearest codes are where the nearest
vectors are; whoever wants those computes exact products for some thousand of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from aimem.search.halves import Floats
from aimem.search.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Codes: TypeAlias = "NDArray[np.uint64]"
Distances: TypeAlias = "NDArray[np.uint16]"
Positions: TypeAlias = "NDArray[np.int64]"

_WORD_BITS: Final = 64
_BLOCK: Final = 131_072
"""Codes at a time: a column of so many is 1 MB, so that what the passes pass on stays in the cache."""


_TIES_FACTOR: Final = 4
"""Ten thousand copies of one text must not make each search compute ten thousand products."""


def word_count(dimension: int) -> int:
    """Words of 64 bits that a code takes."""
    return -(-dimension // _WORD_BITS)


def encode(rows: Floats, centre: Floats) -> Codes:
    """The codes of some vectors: shape (words, n), a column of one word for each, so that a scan streams."""
    bits = np.packbits(rows > centre, axis=1)
    padded = np.zeros((len(rows), 8 * word_count(rows.shape[1])), np.uint8)
    padded[:, :bits.shape[1]] = bits
    return np.ascontiguousarray(padded.view(np.uint64).T)


def distances(codes: Codes, code: Codes) -> Distances:
    """In how many dimensions each code differs from one: `codes` of shape (words, n), `code` of shape (words, 1)."""
    count = codes.shape[1]
    total = np.zeros(count, np.uint16)
    size = min(_BLOCK, count)
    differing, bits = np.empty(size, np.uint64), np.empty(size, np.uint8)
    for start in range(0, count, _BLOCK):
        part = total[start:start + _BLOCK]
        for column, word in zip(codes, code[:, 0], strict=True):
            np.bitwise_xor(column[start:start + _BLOCK], word, out=differing[:len(part)])
            np.bitwise_count(differing[:len(part)], out=bits[:len(part)])
            np.add(part, bits[:len(part)], out=part)
    return total


def nearest(found: Distances, wide: int) -> Positions:
    """Positions of the `wide` smallest distances, in order of position.

    What ties with the last of them comes along, up to four times as many: beyond, of equals the first stay.
    """
    if wide >= len(found):
        return np.arange(len(found))
    # Distances are small integers: counting them finds the cut in a third of the time that partitioning takes.
    cut = np.searchsorted(np.cumsum(np.bincount(found)), wide)
    near = np.flatnonzero(found <= cut)
    if len(near) > _TIES_FACTOR * wide:
        surely = np.flatnonzero(found < cut)
        tied = np.flatnonzero(found == cut)[:_TIES_FACTOR * wide - len(surely)]
        near = np.sort(np.concatenate([surely, tied]))
    return near
