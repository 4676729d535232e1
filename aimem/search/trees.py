"""Annoy's trees over a segment's rows: they nominate candidates where even the scan of the codes takes too long.

The only module that knows annoy. Measured on 100,000 and 1,000,000 vectors the scan is faster and misses less (see
`Bounds`); what trees cost grows with the logarithm of the count only, so above some millions they win.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aimem.search.codes import Positions
from aimem.search.halves import Floats, Halves
from aimem.search.numeric import np

if TYPE_CHECKING:
    from annoy import AnnoyIndex

TREE_COUNT: Final = 20
_EFFORT: Final = 16
"""Nodes to look at for each candidate wanted: with less, the nearest are often not among them."""

_SEED: Final = 1                # the same rows give the same trees
_BLOCK: Final = 512             # rows added at a time: `add_item` wants a list and holds the interpreter, some 8 ms
_NODE_OVERHEAD: Final = 2.0     # of the file over the rows in float32: the trees' inner nodes, with room to spare
_JOBS: Final = 1                # one core is left to whoever asks meanwhile


class Trees:
    """Opened trees, memory-mapped; any thread may ask."""

    def __init__(self, index: AnnoyIndex) -> None:
        self._index = index

    @classmethod
    def open(cls, path: Path, dimension: int, count: int) -> Trees:
        """Map a file of trees. Raises: OSError if it cannot be read, or without annoy; ValueError if of other rows."""
        index = _index(dimension)
        index.load(str(path))
        if index.get_n_items() != count:
            raise ValueError(f"the trees are over {index.get_n_items()} rows, not {count}")
        return cls(index)

    def nearest(self, query: Floats, wide: int) -> Positions:
        """Positions of about `wide` rows that are probably the nearest, in order of position."""
        found = self._index.get_nns_by_vector(query.tolist(), wide, _EFFORT * wide)
        return np.sort(np.array(found, np.int64))


def grow(rows: Halves, path: Path) -> Iterator[None]:
    """Build the trees of some rows into a file, in steps; after the last one it is whole and synced.

    All steps but the last are short. The last one builds with the interpreter free, about a minute for each million
    rows, and cannot be interrupted.

    Raises: OSError if the disk has not the room: annoy writes through a memory map, where a full disk would kill us.
    """
    needed = int(_NODE_OVERHEAD * rows.shape[0] * rows.shape[1] * np.dtype(np.float32).itemsize)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(f"trees of {len(rows)} vectors may take {needed} bytes; {path.parent} has {free} left")
    index = _index(rows.shape[1])
    index.set_seed(_SEED)
    index.on_disk_build(str(path))      # save() would copy all of it with the interpreter held
    for start in range(0, len(rows), _BLOCK):
        for position, vector in enumerate(rows[start:start + _BLOCK].astype(np.float32).tolist(), start):
            index.add_item(position, vector)
        yield
    index.build(TREE_COUNT, n_jobs=_JOBS)
    index.unload()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    yield


def _index(dimension: int) -> AnnoyIndex:
    # Loaded for those who need it: it is compiled for the machine that installed it, and most indexes are small.
    try:
        from annoy import AnnoyIndex
    except ImportError as error:
        raise OSError(f"annoy is not installed: {error}") from error
    return AnnoyIndex(dimension, "angular")
