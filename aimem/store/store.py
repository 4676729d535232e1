"""The store of one node: one writer, N readers, one identity, one lock."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar  # Any: see Store.write

import trio
from msgspec import Struct

from aimem.errors import AimemError, Bug
from aimem.model import Dot, StreamHead, StreamId, Vector
from aimem.ports import Chance, Clock, Connection, DatabaseError, DatabaseFault, Files, Mode, Threads
from aimem.store import adoption, closure, cluster, headproofs, heldops, inbound, oplog, outbound, renewal, schema
from aimem.store.changes import ChangeFeed, Pulse
from aimem.store.faults import log_kept, single, translate, translated
from aimem.store.fields import Kind
from aimem.store.fold import Merge
from aimem.store.identity import Identity, confirm, load_identity, mint, sidecar_path
from aimem.store.inbox import Inbox
from aimem.store.logfeed import LogFeed
from aimem.store.outbound import HeldDots, LogPage
from aimem.store.readers import Readers
from aimem.store.served import ALONE, served_writes
from aimem.store.spool import FOLDER_SUFFIX, ROOM_BYTES, Given, Spool
from aimem.store.transaction import Tip, Transaction
from aimem.store.writer import Writer, WriterCounts, Written

P = ParamSpec("P")
T = TypeVar("T")

SOCKET_SUFFIX = ".sock"
STOP_GRACE_S = 30.0
REFOLD_BATCH = 500


class StoreSettings(Struct, frozen=True, kw_only=True):
    """Bounds of a store; see ai-memory-config(5)."""

    db: Path
    node: str
    queue_count: int = 1024
    group_count: int = 64
    reader_count: int = 4


class StorePorts(Struct, frozen=True, kw_only=True):
    """What a store needs of the outside world, and the rule by which ops join."""

    clock: Clock
    chance: Chance
    threads: Threads
    files: Files
    merge: Merge


class Wrote(Struct, frozen=True):
    """A committed write: what its function returned, and the version (`stream:seq`) of its last op, if it wrote one.

    `acks` counts the nodes that have it, this one included; None where nobody was asked.
    """

    value: Any
    version: str | None
    acks: int | None = None


class Assent(Protocol):
    """What one write asks of other nodes: see `replication.Mesh`."""

    def agree(self) -> None:
        """Before the first op of the write, in the writer's thread. Raises: Unavailable(not_applied)."""
        ...

    async def wait(self, dots: Sequence[Dot]) -> int:
        """After the commit: until enough nodes have these ops. Returns: how many. Raises: Unavailable."""
        ...


class Store:
    """Reads and writes of one database.

    Two tasks follow its commits: `feed` is for whoever keeps vectors, `worded` for whoever keeps the indexes of words.
    Any number may follow `happened`, which beats after each commit that noted events.

    Every write is a plain function of a Transaction, every read one of a Connection; both run in one hop. `log` tells
    how far the op log is known, `belonging` what is known of the mesh's id, `served_writes` the W of the daemon that
    served it last; `inbox` is for snapshots of others.
    """

    def __init__(
        self, settings: StoreSettings, ports: StorePorts, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.settings = settings
        self.feed, self.worded = ChangeFeed(), ChangeFeed()
        self.happened, self.log = Pulse(), LogFeed()
        self._revisions: Counter[str] = Counter()
        self._ports, self._tell = ports, tell
        self._writer = Writer(
            clock=ports.clock,
            threads=ports.threads,
            merge=ports.merge,
            queue_count=settings.queue_count,
            group_count=settings.group_count,
            translate=partial(translate, path=settings.db), log_kept=partial(log_kept, settings.db),
            publish=self._publish_nowait,
            publish_heads=self.log.publish_nowait,
            publish_events=self.happened.beat_nowait,
        )
        self._readers = Readers(files=ports.files, threads=ports.threads, path=settings.db, count=settings.reader_count)
        folder = settings.db.with_name(settings.db.name + FOLDER_SUFFIX)
        self.spool = Spool(folder, ports.files, ports.threads, ports.chance)
        self.inbox = Inbox(settings.db, ports.files, ports.threads)
        self._conn: Connection | None = None    # the writer's; used by whoever has its limiter
        self._identity: Identity | None = None
        self._minted: Identity | None = None
        self._holds_ops = self._lacks_past = False
        self.belonging, self.served_writes = cluster.Belonging(), ALONE

    @property
    def stream(self) -> StreamId:
        """The stream that this node writes; `renew` begins another one."""
        if self._writer.stream is None:
            raise Bug("the store is not open yet")
        return self._writer.stream

    @property
    def node_name(self) -> str:
        """The name in this stream's opening op."""
        return "" if self._identity is None else self._identity.node

    @property
    def identity(self) -> Identity:
        """Who writes the stream: its key, and those before it."""
        fresh = self._minted
        found = fresh if fresh is not None and fresh.head.stream == self.stream else self._identity
        if found is None:
            raise Bug("the store is not open yet")
        return found

    @property
    def cluster(self) -> str:
        """Id of the mesh that this database belongs to, 32 hex digits; empty while none is known."""
        return self.belonging.cluster

    async def learn_cluster(self, found: str) -> str:
        """Take a mesh's id, where none is known. Returns: the one in force. Raises: InvalidRequest, Unavailable."""
        self.belonging = (await self.write(cluster.learn, found)).value
        return self.cluster

    async def propose_cluster(self, found: str | None) -> None:
        """Take what the mesh's id is to be, None for a fresh one: see `cluster.propose`. Raises: as learn_cluster."""
        fresh = self._ports.chance.token(cluster.CLUSTER_BYTES).hex() if found is None else found
        self.belonging = (await self.write(cluster.propose, fresh)).value

    async def settle_cluster(self) -> None:
        """Have the mesh's id be what is proposed here. Raises: Unavailable."""
        self.belonging = (await self.write(cluster.settle, self.belonging.proposed)).value

    async def forget_cluster(self) -> None:
        """Belong to no mesh, until one is learned. Raises: Unavailable."""
        self.belonging = (await self.write(cluster.forget)).value

    async def held(self, limit: int, first: str = "") -> HeldDots:
        """See `outbound.held`; without looking where none was ever held. Raises: Unavailable."""
        return await self.read(outbound.held, limit, first) if self._holds_ops else HeldDots(dots=(), count=0)

    def note_held_nowait(self) -> None:
        """An op is held: from now on it is looked for."""
        self._holds_ops = True

    @property
    def lacks_past(self) -> bool:
        """Whether the stream is new, and peers may still know more of those before it."""
        return self._lacks_past

    async def note_caught_up(self) -> None:
        """This node knows what its peers knew when it began its stream. Raises: Unavailable."""
        await self.write(renewal.note_caught_up)
        self._lacks_past = False

    async def renew(self) -> StreamId:
        """Go on under a fresh key, in a stream of its own; what is under way of the one before ends there.

        The key is durable before the first op that it signs: a crash in between only mints once more at the next start.
        Returns: the new stream. Raises: Unavailable, and then the old one goes on; Corrupt.
        """
        identity: Identity = (await self.write(self._begin_stream)).value
        self._identity, self._lacks_past = identity, True
        await self._confirm(identity)
        return self.stream

    async def wait_renewed(self) -> None:
        """Wait for the next `renew`."""
        stream, seen_count = self.stream, 0
        while self.stream == stream:
            seen_count = await self.log.wait_change(seen_count)

    @property
    def counts(self) -> WriterCounts:
        """What the writer did so far."""
        return self._writer.counts

    @property
    def queued_count(self) -> int:
        """Writes that wait."""
        return self._writer.queued_count

    @property
    def waiting_count(self) -> int:
        """Writes whose callers wait, those at the door of a full queue too."""
        return self._writer.waiting_count

    @property
    def write_wait_s(self) -> float:
        """Seconds that one more write would wait for the writer, as an estimate."""
        return self._writer.wait_s

    @property
    def writer_still_s(self) -> float:
        """Seconds since the writer, at work, last gave a sign of life; 0 while it rests."""
        return self._writer.still_s

    def file_bytes(self) -> int:
        """Size of the database with its write-ahead log."""
        return self._ports.files.size_bytes(self.settings.db) + self.wal_bytes

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        db = self.settings.db
        return self._ports.files.size_bytes(db.with_name(db.name + "-wal"))

    async def shorten_wal(self) -> None:
        """Empty the write-ahead log, between two groups, unless a reader needs it. Raises: Unavailable, Corrupt."""
        if self._conn is not None:
            run = partial(schema.shorten_wal, self._conn)
            with log_kept(self.settings.db):
                await self._ports.threads.run(run, limiter=self._writer.limiter)

    def revision(self, kind: Kind) -> int:
        """A number that rises with each commit that touched objects of a kind, before its callers are answered.

        Whoever keeps such objects in memory reads this, then reads them, and reads them again once this has risen.
        """
        return self._revisions[kind.name]

    def _publish_nowait(self, rows: Set[int], kinds: Set[str]) -> None:
        self._revisions.update(kinds)
        self.feed.publish_nowait(rows)
        self.worded.publish_nowait(rows)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the database and serve writes until cancelled; then close readers, checkpoint and close.

        Raises: Corrupt (fatal), Unavailable, InvalidRequest if it cannot be opened; Corrupt if it cannot be trusted.
        """
        threads, limiter = self._ports.threads, self._writer.limiter
        conn, identity, tip, heads = await threads.run(self._open, limiter=limiter)
        self._conn, self._identity, self._writer.stream = conn, identity, identity.head.stream
        self.log.publish_nowait(heads)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._writer.run, conn, identity.signer, tip)
                nursery.start_soon(self._readers.wait_corrupt)
                nursery.start_soon(self.spool.run, self.read, self._given, self.log.wait_known)
                if identity.opening:
                    await self.write(renewal.open_stream, identity)
                    await self._confirm(identity)
                if self._holds_ops:
                    await self._refold_held()
                task_status.started()
        except* (AimemError, OSError) as group:
            raise single(group) from group
        finally:
            with trio.move_on_after(STOP_GRACE_S, shield=True):
                await threads.run(partial(self._close, conn), limiter=limiter)

    async def write(self, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> Wrote:
        """Run `fn(transaction, …)` in the next group and wait for its commit.

        Returns: its result (typed Any: a queue of jobs of all types lies between) and the version token.
        Raises: what `fn` raises, Unavailable, Corrupt.
        """
        written: Written = await self._writer.write(lambda transaction: fn(transaction, *args, **kwargs))
        return _wrote(written, None)

    async def write_agreed(
        self, assent: Assent, fn: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Wrote:
        """The same with the assent of other nodes: asked before its first op, and after the commit of its ops.

        Raises: also what the assent raises; before the first op nothing is stored then, after the commit it is.
        """

        def run(transaction: Transaction) -> T:
            transaction.agree_before_ops(assent.agree)
            return fn(transaction, *args, **kwargs)

        written: Written = await self._writer.write(run)
        dots = written.dots + written.stands_on
        return _wrote(written, await assent.wait(dots) if dots else None)

    async def _refold_held(self) -> None:
        """Apply what an earlier version could not; this one may."""
        position: int | None = heldops.BEFORE_ALL
        while position is not None:
            position = (await self.write(inbound.refold_held, position, REFOLD_BATCH)).value

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, …)` on one consistent snapshot, stopped at the caller's deadline.

        Raises: what `fn` raises, Unavailable, Corrupt.
        """
        return await self._readers.read(lambda conn: fn(conn, *args, **kwargs))

    def _given(self) -> Given:
        return Given(
            node=self.node_name, stream=self.stream, cluster=self.cluster, most_bytes=self.file_bytes() + ROOM_BYTES
        )

    def _begin_stream(self, transaction: Transaction) -> Identity:
        ports, path = self._ports, sidecar_path(self.settings.db)
        self._identity = before = self.identity
        with translated(self.settings.db):
            fresh = mint(ports.files, ports.chance, path, before.node, transaction.tip.head.stream, before)
        self._minted = fresh        # others read it from the commit on, when the stream is this one
        renewal.open_stream(transaction, fresh)
        return fresh

    async def _confirm(self, identity: Identity) -> None:
        run = partial(confirm, self._ports.files, sidecar_path(self.settings.db), identity)
        with contextlib.suppress(OSError):      # where the disk is full, the next start says so in the key's file
            await self._ports.threads.run(run, limiter=self._writer.limiter)

    async def lacking(
        self, known: Vector, max_count: int, max_bytes: int, *, until: Vector | None = None
    ) -> LogPage:
        """The ops that somebody with this vector lacks: see `outbound.lacking`. What was just written is at hand.

        Args:
          until: of what others may lack, what is wanted; all by default.
        Raises: Gone, Unavailable, Corrupt.
        """
        until = self.log.shipped if until is None else until
        page = self.log.recent.lacking(known, until, max_count, max_bytes)
        if page is not None:
            return page
        return await self.read(outbound.lacking, known, max_count, max_bytes, until=until)

    def _open(self) -> tuple[Connection, Identity, Tip, Mapping[StreamId, StreamHead]]:
        db, ports = self.settings.db, self._ports
        self.spool.clear()
        with translated(db):
            conn = ports.files.connect(db, Mode.READ_WRITE_CREATE)
            try:
                version = schema.recognise(conn, db)
                schema.prepare_writer(conn, db)
                schema.ensure_schema(conn, ports.files, db, version, self._tell)
                identity = load_identity(conn, ports.files, ports.chance, db, self.settings.node)
                tip = Tip(head=identity.head, hlc=max(identity.head.hlc, oplog.last_hlc(conn)))
                heads, self.belonging = outbound.heads(conn), cluster.load(conn)
                self.served_writes = served_writes(conn)
                self.log.closed, (self.log.evidence, self.log.unproven) = closure.load(conn), headproofs.load(conn)
                self._holds_ops = outbound.held(conn, 1).count > 0
                if not adoption.load(conn).id:
                    self.inbox.drop()
                self._lacks_past = bool(identity.opening) or renewal.lacks_past(conn)
            except BaseException:
                conn.close()
                raise
            return conn, identity, tip, heads

    def _close(self, conn: Connection) -> None:
        self.spool.clear()
        self._conn = None
        try:
            self._readers.close()
            if not conn.in_transaction:
                schema.checkpoint(conn)
        except DatabaseError as error:
            # All that was acknowledged is in the log already; the next start checkpoints.
            if error.fault is DatabaseFault.OTHER:
                raise translate(error, self.settings.db) from error
        finally:
            with contextlib.suppress(DatabaseError):  # the same fault once more; closed it is in any case
                conn.close()


def _wrote(written: Written, acks: int | None) -> Wrote:
    return Wrote(written.value, str(written.dots[-1]) if written.dots else None, acks)
