"""The chunks of a peer's snapshot, kept beside the database until all of them are there and can be joined at once."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.ports import Files, Threads
from aimem.store.faults import translated

FOLDER_SUFFIX: Final = ".joining"


class Inbox:
    """Of one snapshot at a time. What is kept outlives a restart, and need not outlive a crash."""

    def __init__(self, db: Path, files: Files, threads: Threads) -> None:
        self.folder = db.with_name(db.name + FOLDER_SUFFIX)
        self._files, self._threads = files, threads
        self._limiter = trio.CapacityLimiter(1)

    async def begin(self) -> None:
        """Have an empty folder. Raises: Unavailable, storage_full too."""
        await self._threads.run(partial(self._clear), limiter=self._limiter)

    async def has(self, number: int) -> bool:
        """Whether a chunk is kept: the folder may be gone, as after a power cut or a restore."""
        return await self._threads.run(partial(self._has, number), limiter=self._limiter)

    async def keep(self, number: int, data: bytes) -> None:
        """Keep a chunk as it was fetched; where there is no room, none is kept: what the node writes itself needs some.

        Raises: Unavailable, storage_full too.
        """
        await self._threads.run(partial(self._write, number, data), limiter=self._limiter)

    def read(self, number: int, limit_bytes: int) -> bytes:
        """A chunk that was kept, empty if it cannot be read any more; blocks."""
        with contextlib.suppress(OSError):
            return self._files.read_up_to(self.folder / str(number), limit_bytes) or b""
        return b""

    async def end(self) -> None:
        """Leave nothing."""
        await self._threads.run(self.drop, limiter=self._limiter)

    def drop(self) -> None:
        """The same; blocks."""
        with contextlib.suppress(OSError):      # what cannot be taken away is not used either
            self._files.drop_folder(self.folder)

    def _clear(self) -> None:
        with translated(self.folder):
            self._files.clear_folder(self.folder)

    def _has(self, number: int) -> bool:
        with contextlib.suppress(OSError):
            return self._files.size_bytes(self.folder / str(number)) > 0
        return False

    def _write(self, number: int, data: bytes) -> None:
        try:
            with translated(self.folder):
                self._files.write_new(self.folder / str(number), data)
        except Unavailable:
            self.drop()
            raise
