"""Snapshots beside the database: each is written in one read transaction, and fetched chunk by chunk from files.

So whoever fetches slowly, or never comes back, keeps no transaction open and nobody waiting. A snapshot goes a while
after somebody last read of it; a start leaves none.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
import trio
from msgspec import Struct, field

from aimem.errors import AimemError, Code, Gone, InvalidRequest, Unavailable
from aimem.model import StreamId, Vector, dominates
from aimem.ports import Chance, Connection, Files, Threads
from aimem.store import headproofs, heldops, outbound, schema
from aimem.store.digests import DIGEST_FORMAT, hash_of_state, text_of
from aimem.store.kinds import KINDS
from aimem.store.snapshot import Told, size_of, told_all
from aimem.wire import PROTOCOL, OpOut, copies, heads_out, op_out

T = TypeVar("T")

log = logging.getLogger(__name__)

KEPT_MAX: Final = 2
KEPT_S: Final = 600.0
"""How long one is kept after the last read of it."""
FRESH_S: Final = 60.0
"""One that is younger is given to whoever asks; the rest comes by the log."""
MAKE_S: Final = 900.0
ROOM_BYTES: Final = 64 << 20
"""What a snapshot may have beyond the size of the database, packed; in truth it has a fraction of that."""
ID_BYTES: Final = 8
FOLDER_SUFFIX: Final = ".snapshot"
_HELD_BATCH: Final = 100


class Given(Struct, frozen=True, kw_only=True):
    """Who makes snapshots."""

    node: str
    stream: StreamId
    cluster: str
    most_bytes: int


class SpoolCounts(Struct):
    """For metrics: snapshots that were made or could not be, chunks that were given, and bytes that lie there."""

    made: int = 0
    failed: int = 0
    given: int = 0
    kept_bytes: int = 0


class Read(Protocol):
    """See Store.read."""

    def __call__(self, fn: Callable[[Connection], T]) -> Awaitable[T]:
        """Run a read on one consistent snapshot of the database."""
        ...


class _Kept(Struct):
    manifest: copies.Manifest
    vector: Vector
    folder: Path
    made_at: float
    read_at: float


class Making:
    """One snapshot that is made, or was, and for which any number may wait.

    Attributes:
      name: the id that it has, or will have.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = trio.Event()
        self.manifest: copies.Manifest | None = None
        self.error: AimemError | None = None

    async def made(self) -> copies.Manifest:
        """Wait until it is there. Raises: Unavailable, storage_full too, if it cannot be made."""
        await self.done.wait()
        if self.manifest is None:
            error = self.error or Unavailable("no snapshot could be made")
            raise Unavailable(error.message, code=error.code)
        return self.manifest


class Spool:
    """The snapshots of one store: KEPT_MAX at most, one being made at a time."""

    def __init__(self, folder: Path, files: Files, threads: Threads, chance: Chance) -> None:
        self.folder, self.counts = folder, SpoolCounts()
        self._files, self._threads, self._chance = files, threads, chance
        self._limiter = trio.CapacityLimiter(2)
        self._kept: dict[str, _Kept] = {}
        self._wanted = trio.Event()
        self._next: Making | None = None
        self._current: Making | None = None
        self._ends = False

    def clear(self) -> None:
        """Leave nothing, before a start and after the end; blocks."""
        self._kept.clear()
        with contextlib.suppress(OSError):      # what cannot be taken away cannot be used either
            self._files.drop_folder(self.folder)

    async def run(
        self, read: Read, given: Callable[[], Given], published: Callable[[Vector], Awaitable[None]]
    ) -> None:
        """Make what is asked for, and drop what nobody reads, until cancelled.

        Args:
          published: waits until this node was told of all that it wrote: of what a snapshot covers it could not be
            before, and a peer that knew more of it would take it for one that lost its writes.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._note_end)
            while True:
                due = min((kept.read_at + KEPT_S for kept in self._kept.values()), default=float("inf"))
                with trio.move_on_at(due):
                    await self._wanted.wait()
                if self._next is not None:
                    self._current, self._next, self._wanted = self._next, None, trio.Event()
                    await self._make(self._current, read, given(), published)
                    self._current = None
                now = trio.current_time()
                for name in [name for name, kept in self._kept.items() if kept.read_at + KEPT_S <= now]:
                    await self._drop(name)

    async def _note_end(self) -> None:
        """A thread hears of no cancellation: have it see that nobody waits for it any more."""
        try:
            await trio.sleep_forever()
        finally:
            self._ends = True

    def begin(self, covering: Vector, preferred: str) -> Making:
        """A snapshot: the preferred one if it is there or under way, else one that covers a vector, or is fresh."""
        known = self._named(preferred)
        if known is not None:
            return known
        kept = self._fitting(covering)
        return self._current or self._asked() if kept is None else _given(kept)

    def begin_anew(self, preferred: str) -> Making:
        """A snapshot that is not begun yet, or the preferred one: whoever asks for that was told that it is made."""
        return self._named(preferred) or self._asked()

    def _named(self, name: str) -> Making | None:
        for turn in (self._current, self._next):
            if turn is not None and turn.name == name:
                return turn
        kept = self._kept.get(name)
        return None if kept is None else _given(kept)

    def _fitting(self, covering: Vector) -> _Kept | None:
        now = trio.current_time()
        for kept in reversed(self._kept.values()):
            if dominates(kept.vector, covering) or now < kept.made_at + FRESH_S:
                return kept
        return None

    def _asked(self) -> Making:
        self._next = self._next or Making(self._chance.token(ID_BYTES).hex())
        self._wanted.set()
        return self._next

    async def chunk(self, name: str, number: int) -> bytes:
        """One chunk as it is fetched. Raises: Gone if that snapshot is; InvalidRequest; Unavailable."""
        kept = self._kept.get(name)
        if kept is None:
            raise Gone("that snapshot is not kept any more; begin anew", field="snapshot")
        if not 0 <= number < len(kept.manifest.chunks):
            raise InvalidRequest(
                f"that snapshot has the chunks 0 to {len(kept.manifest.chunks) - 1}, not {number}", field="chunk"
            )
        kept.read_at = trio.current_time()
        path = kept.folder / str(number)
        try:
            data = await self._threads.run(
                partial(self._files.read_up_to, path, copies.CHUNK_MAX_BYTES), limiter=self._limiter
            )
        except OSError:
            data = None
        if data is None or hashlib.sha256(data).hexdigest() != kept.manifest.chunks[number].sha256:
            await self._drop(name)
            raise Gone("that snapshot cannot be read any more; begin anew", field="snapshot")
        self.counts.given += 1
        return data

    async def _make(
        self, turn: Making, read: Read, given: Given, published: Callable[[Vector], Awaitable[None]]
    ) -> None:
        try:
            while len(self._kept) >= KEPT_MAX:
                await self._drop(min(self._kept, key=lambda name: self._kept[name].read_at))
            name = turn.name
            folder = self.folder / name
            with trio.fail_after(MAKE_S):
                manifest, vector = await read(partial(self._write, name, folder, given))
                with self._dropped_on_failure(folder):
                    await published(vector)
            now = trio.current_time()
            self._kept[name] = _Kept(manifest, vector, folder, now, now)
            turn.manifest = manifest
            self.counts.made += 1
            self.counts.kept_bytes += sum(chunk.bytes for chunk in manifest.chunks)
            log.info("snapshot.made", extra={"chunks": len(manifest.chunks), "objects": manifest.objects})
        except trio.TooSlowError:
            turn.error = Unavailable(f"no snapshot could be made within {MAKE_S:g} s")
        except AimemError as error:
            turn.error = error
        except (ValueError, msgspec.MsgspecError):
            turn.error = Unavailable("a row of this node cannot be read (ai-memory mesh verify --repair); ask another")
        finally:
            if turn.manifest is None:
                self.counts.failed += 1
                log.warning("snapshot.not_made", extra={"reason": turn.error.code.value if turn.error else "stopped"})
            turn.done.set()

    def _write(
        self, name: str, folder: Path, given: Given, conn: Connection
    ) -> tuple[copies.Manifest, Vector]:
        """Write all chunks; of a snapshot that fails nothing stays. Returns: also what it covers."""
        if not self._kept:
            self._files.clear_folder(self.folder)
        self._files.clear_folder(folder)
        writer = _Chunks(self._files, folder, given.most_bytes, lambda: self._ends)
        heads = outbound.heads(conn)
        with self._dropped_on_failure(folder):
            for told in told_all(conn):
                writer.add(told)
            writer.add_held(conn)
        proofs = headproofs.proofs_of(conn, heads.values())
        manifest = copies.Manifest(
            format=copies.SNAPSHOT_FORMAT, protocol=PROTOCOL, schema=schema.SCHEMA_VERSION,
            digest_format=DIGEST_FORMAT, cluster=given.cluster, node=given.node, stream=given.stream, id=name,
            vector=heads_out(heads), proofs={str(stream): proof for stream, proof in proofs.items()},
            objects=sum(chunk.objects for chunk in writer.chunks), held=sum(chunk.held for chunk in writer.chunks),
            digest=text_of(writer.total), chunks=tuple(writer.chunks),
        )
        return manifest, {stream: head.seq for stream, head in heads.items()}

    @contextlib.contextmanager
    def _dropped_on_failure(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.drop_folder(folder)
            raise

    async def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self.counts.kept_bytes -= sum(chunk.bytes for chunk in kept.manifest.chunks)
            with contextlib.suppress(OSError):      # the next start takes it away
                await self._threads.run(partial(self._files.drop_folder, kept.folder), limiter=self._limiter)
            if not self._kept and self._current is None:
                with contextlib.suppress(OSError):
                    await self._threads.run(partial(self._files.drop_folder, self.folder), limiter=self._limiter)


def _given(kept: _Kept) -> Making:
    """One that is there, for somebody who asks."""
    kept.read_at = trio.current_time()
    turn = Making(kept.manifest.id)
    turn.manifest = kept.manifest
    turn.done.set()
    return turn


class _Chunks(Struct):
    """Gathers objects, and writes a chunk whenever there are enough."""

    files: Files
    folder: Path
    most_bytes: int
    has_ended: Callable[[], bool]
    chunks: list[copies.ChunkOut] = field(default_factory=list)
    total: int = 0
    written_bytes: int = 0
    gathered: list[Told] = field(default_factory=list)
    gathered_bytes: int = 0

    def add(self, told: Told) -> None:
        """One more object."""
        size_bytes = size_of(told)
        if self.gathered and (
            len(self.gathered) == copies.SNAPSHOT_OBJECTS or self.gathered_bytes + size_bytes > copies.SNAPSHOT_BYTES
        ):
            self._flush()
        self.gathered.append(told)
        self.gathered_bytes += size_bytes

    def add_held(self, conn: Connection) -> None:
        """What is held, after the last object."""
        if self.gathered:
            self._flush()
        after, gathered, size_bytes = heldops.BEFORE_ALL, list[OpOut](), 0
        while batch := heldops.read(conn, after, _HELD_BATCH):
            after = batch[-1].position
            for held in batch:
                op_bytes = sum(map(len, held.op.entries))
                if gathered and size_bytes + op_bytes > copies.SNAPSHOT_BYTES:
                    self._write(copies.ChunkBody(held=tuple(gathered)), 0)
                    gathered, size_bytes = [], 0
                gathered.append(op_out(held.op))
                size_bytes += op_bytes
        if gathered:
            self._write(copies.ChunkBody(held=tuple(gathered)), 0)

    def _flush(self) -> None:
        gathered, self.gathered, self.gathered_bytes = self.gathered, [], 0
        total = sum(hash_of_state(KINDS[told.kind], told.key, told.state) for told in gathered)
        objects = tuple(copies.object_out(told.kind, told.key, told.state) for told in gathered)
        self._write(copies.ChunkBody(objects=objects), total)

    def _write(self, body: copies.ChunkBody, total: int) -> None:
        data, chunk = copies.pack_chunk(body, text_of(total))
        if self.has_ended():
            raise Unavailable("the node is stopping; ask another", code=Code.SHUTTING_DOWN)
        self.written_bytes += len(data)
        if self.written_bytes > self.most_bytes or len(self.chunks) == copies.CHUNKS_MAX:
            raise Unavailable("a snapshot of this node would be too large", code=Code.STORAGE_FULL)
        self.files.write_new(self.folder / str(len(self.chunks)), data)
        self.total += total
        self.chunks.append(chunk)
