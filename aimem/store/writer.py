"""Group commit: one task commits what many callers hand it as one SQLite transaction.

A job is a plain function of a transaction. Up to N queued jobs run as savepoints in one BEGIN IMMEDIATE … COMMIT; one
that fails is rolled back alone; callers wake after the COMMIT. A queued job whose caller leaves is withdrawn; once
begun it ends, and its outcome is known before the cancellation goes on: nothing is written behind the back of a
caller that has left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final  # a job's result has its caller's type; the queue holds jobs of all types

import outcome
import trio
from msgspec import Struct

from aimem.errors import AimemError, Bug, Code, Corrupt, Unavailable
from aimem.model import Dot, StreamHead, StreamId
from aimem.ports import Clock, Connection, DatabaseError, DatabaseFault, Signer, Threads
from aimem.store import oplog, schema
from aimem.store.fold import Merge
from aimem.store.outbound import Logged
from aimem.store.pace import Pace
from aimem.store.textindex import write_index
from aimem.store.transaction import ROLLBACK_TO_JOB, Tip, Transaction
from aimem.store.view import Reindex, join_reindex

_BEGIN = "BEGIN IMMEDIATE"
_COMMIT = "COMMIT"
_ROLLBACK = "ROLLBACK"
_SAVEPOINT = "SAVEPOINT job"
_RELEASE = "RELEASE job"

LOG_PAGES: Final = 1_000
"""A write-ahead log of so many pages is moved into the database: as many as SQLite waits for by itself."""

SIGN_STEPS: Final = 20_000
"""Steps of SQLite, a few milliseconds' worth, after which a writer at work gives a sign of life."""

_WHOLE_GROUP = frozenset(
    {
        DatabaseFault.FULL,
        DatabaseFault.IO,
        DatabaseFault.CORRUPT,
        DatabaseFault.NOT_A_DATABASE,
        DatabaseFault.INTERRUPTED,
        DatabaseFault.READ_ONLY,
        DatabaseFault.BUSY,
    }
)


class Written(Struct, frozen=True):
    """A committed job: its result, the dots of the ops that it wrote, and of those that its answer stands on."""

    value: Any
    dots: tuple[Dot, ...]
    stands_on: tuple[Dot, ...] = ()


class WriterCounts(Struct):
    """What the writer did so far."""

    groups: int = 0
    jobs: int = 0
    rolled_back: int = 0
    failed_groups: int = 0
    largest_group: int = 0


class _Job:
    def __init__(self, run: Callable[[Transaction], Any]) -> None:
        self.run = run
        self.is_begun = False
        self.done = trio.Event()
        self.outcome: outcome.Outcome[Written] | None = None

    def finish(self, result: outcome.Outcome[Written]) -> None:
        self.outcome = result
        self.done.set()


class _Group(Struct):
    """The result of one transaction: an outcome per job, the tip after it, what changed, the heads that moved."""

    results: list[outcome.Outcome[Written]]
    tip: Tip
    signer: Signer
    changed: set[int]
    reindex: dict[int, Reindex]
    heads: dict[StreamId, StreamHead]
    kinds: set[str]
    logged: list[Logged] = []
    has_events: bool = False
    jobs_s: float = 0.0
    fatal: AimemError | None = None


class Writer:
    """The only code that writes to the database.

    The queue holds `queue_count` jobs; where it is full the caller waits, up to its own deadline.

    Attributes:
      stream: which it writes; None before somebody says so.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        threads: Threads,
        merge: Merge,
        queue_count: int,
        group_count: int,
        translate: Callable[[DatabaseError], AimemError],
        log_kept: Callable[[], AbstractContextManager[None]],
        publish_heads: Callable[[Mapping[StreamId, StreamHead], Sequence[Logged]], None],
        publish: Callable[[set[int], set[str]], None],
        publish_events: Callable[[], None],
    ) -> None:
        self.counts = WriterCounts()
        self.pace = Pace()
        self.limiter = trio.CapacityLimiter(1)
        self.stream: StreamId | None = None
        self._clock, self._threads, self._merge = clock, threads, merge
        self._group_count = group_count
        self._translate, self._log_kept, self._publish = translate, log_kept, publish
        self._publish_heads, self._publish_events = publish_heads, publish_events
        self._queue_in, self._queue_out = trio.open_memory_channel[_Job](queue_count)
        self._waiting: dict[_Job, None] = {}
        self._busy_since: float | None = None
        self._seen_at = 0.0

    @property
    def queued_count(self) -> int:
        """Jobs that wait for their group."""
        return self._queue_in.statistics().current_buffer_used

    @property
    def waiting_count(self) -> int:
        """Jobs that are not done, those at the queue's door too."""
        return len(self._waiting)

    @property
    def wait_s(self) -> float:
        """Seconds that one more job would wait, as things go: for what waits, by the recent pace."""
        expected_s = self.pace.wait_s(self.waiting_count, self._group_count)
        if self._busy_since is None:
            return expected_s
        # A group that hangs says more than those before it did: of what has lasted, expect as much again.
        return max(expected_s, trio.current_time() - self._busy_since)

    @property
    def still_s(self) -> float:
        """Seconds since the writer, at work, last gave a sign of life; 0 while it rests.

        A group may take minutes, as the state of a whole node does; SQLite then goes from step to step. What is still
        waits for the disk or for a lock, or hangs.
        """
        return 0.0 if self._busy_since is None else trio.current_time() - max(self._busy_since, self._seen_at)

    async def write(self, run: Callable[[Transaction], Any]) -> Written:
        """Queue a job and wait for its commit.

        Raises: what the job raised; Unavailable if the group failed (nothing of it is stored) or the writer stopped.
        """
        job = _Job(run)
        # Before it is sent: a writer that ends while `send` is on its way back must find whom to tell.
        self._waiting[job] = None
        try:
            await self._queue_in.send(job)  # full: the caller waits; cancelled here, it never runs
            await job.done.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _stopped() from None
        finally:
            del self._waiting[job]
            if job.is_begun:
                with trio.CancelScope(shield=True):  # bounded by one commit
                    await job.done.wait()
            job.is_begun = True  # still queued: withdrawn, the writer passes it over
        if job.outcome is None:
            raise Bug("a job ended without an outcome")
        return job.outcome.unwrap()

    async def run(self, conn: Connection, signer: Signer, tip: Tip) -> None:
        """Serve jobs until cancelled.

        Raises: Corrupt when the result of a commit is unknown or the file cannot be trusted: the process must end.
        """
        clock = trio.lowlevel.current_clock()

        def see() -> bool:
            self._seen_at = clock.current_time()    # in the writer's thread
            return False

        conn.stop_when(see, every_steps=SIGN_STEPS)
        try:
            with self._queue_out:
                async for first in self._queue_out:
                    signer, tip = await self._serve(conn, signer, tip, self._take_group(first))
        finally:
            for job in list(self._waiting):
                if not job.is_begun:
                    job.is_begun = True
                    job.finish(outcome.Error(_stopped()))

    def _take_group(self, first: _Job) -> list[_Job]:
        group = [first]
        while len(group) < self._group_count:
            try:
                group.append(self._queue_out.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        # Decided here, on Trio's thread: a caller cannot withdraw a job between this line and its group.
        begun = [job for job in group if not job.is_begun]
        for job in begun:
            job.is_begun = True
        return begun

    async def _serve(self, conn: Connection, signer: Signer, tip: Tip, jobs: list[_Job]) -> tuple[Signer, Tip]:
        if not jobs:
            return signer, tip
        stopped: list[outcome.Outcome[Written]] = [outcome.Error(_stopped()) for _ in jobs]
        done = _Group(results=stopped, tip=tip, signer=signer, changed=set(), reindex={}, heads={}, kinds=set())
        clock = trio.lowlevel.current_clock()   # asked in the writer's thread too, where Trio itself cannot be
        began = self._busy_since = clock.current_time()
        try:
            run = partial(self._commit, conn, signer, tip, [job.run for job in jobs], clock)
            done = await self._threads.run(run, limiter=self.limiter)
            self.pace.note(len(jobs), done.jobs_s, clock.current_time() - began)
        finally:
            self._busy_since = None
            for job, result in zip(jobs, done.results, strict=True):
                job.finish(result)
        self.stream = done.tip.head.stream
        self._publish_heads(done.heads, done.logged)
        # No checkpoint since the callers were told: they run after whoever follows has heard of it.
        self._publish(done.changed, done.kinds)
        if done.has_events:
            self._publish_events()
        if done.fatal is not None:
            raise done.fatal
        return done.signer, done.tip

    def _commit(
        self, conn: Connection, signer: Signer, tip: Tip, runs: Sequence[Callable[[Transaction], Any]],
        clock: trio.abc.Clock,
    ) -> _Group:
        """One transaction, in the writer's thread."""
        group = _Group(results=[], tip=tip, signer=signer, changed=set(), reindex={}, heads={}, kinds=set())
        is_committing = False
        try:
            conn.execute(_BEGIN)
            began = clock.current_time()
            for run in runs:
                self._run_job(conn, group, run)
            group.jobs_s = clock.current_time() - began
            write_index(conn, group.reindex)
            if group.tip != tip:
                oplog.set_head(conn, group.tip.head)
            if group.tip.head != tip.head:
                group.heads[group.tip.head.stream] = group.tip.head
            is_committing = True
            conn.execute(_COMMIT)
        except DatabaseError as error:
            return self._failed(conn, signer, tip, len(runs), error, is_committing=is_committing)
        self.counts.groups += 1
        self.counts.jobs += len(runs)
        self.counts.largest_group = max(self.counts.largest_group, len(runs))
        group.fatal = self._shorten_log(conn)
        return group

    def _shorten_log(self, conn: Connection) -> AimemError | None:
        """What was committed is in the log, whatever comes of this. Returns: why the process must end, if it must."""
        try:
            with self._log_kept():
                schema.checkpoint_long_log(conn, LOG_PAGES)
        except Unavailable:
            return None     # a full disk: the log is moved after a later commit
        except AimemError as error:
            return error
        return None

    def _run_job(self, conn: Connection, group: _Group, run: Callable[[Transaction], Any]) -> None:
        transaction = Transaction(conn, self._merge, group.signer, group.tip, self._clock.now())
        conn.execute(_SAVEPOINT)
        try:
            value = run(transaction)
        except Exception as error:
            if isinstance(error, DatabaseError) and (error.fault in _WHOLE_GROUP or not conn.in_transaction):
                raise
            if not conn.in_transaction:
                raise DatabaseError("the transaction ended early", DatabaseFault.OTHER) from error
            conn.execute(ROLLBACK_TO_JOB)
            conn.execute(_RELEASE)
            self.counts.rolled_back += 1
            known = self._translate(error) if isinstance(error, DatabaseError) else error
            group.results.append(outcome.Error(known))
            return
        if not conn.in_transaction:  # a full disk or an interrupt ends the transaction, not only the savepoint
            raise DatabaseError("the transaction ended early", DatabaseFault.OTHER)
        conn.execute(_RELEASE)
        group.tip, group.signer = transaction.tip, transaction.signer
        group.changed |= transaction.changed
        group.heads |= transaction.heads
        group.logged += transaction.logged
        group.kinds |= transaction.kinds
        group.has_events = group.has_events or transaction.has_events
        join_reindex(group.reindex, transaction.reindex)
        written = Written(value, tuple(transaction.dots), tuple(transaction.stands_on))
        group.results.append(outcome.Value(written))

    def _failed(
        self, conn: Connection, signer: Signer, tip: Tip, count: int, error: DatabaseError, *, is_committing: bool
    ) -> _Group:
        """Nothing of the group is stored, or (fatal) nobody can say."""
        self.counts.failed_groups += 1
        known = self._translate(error)
        # Without room the log lacks the frame that would have made the commit: SQLite rolled back, and said so.
        is_told = error.fault is DatabaseFault.FULL or conn.in_transaction
        if is_committing and (error.fault is DatabaseFault.IO or not is_told):
            known = Corrupt(
                f"it is unknown whether the last commit is stored ({error}); the process ends, start it again",
                outcome="indeterminate",
            )
        elif conn.in_transaction:
            try:
                conn.execute(_ROLLBACK)
            except DatabaseError as again:
                known = Corrupt(f"a failed write could not be rolled back ({again}); the process ends, start it again")
        fatal = known if isinstance(known, Corrupt) else None
        results: list[outcome.Outcome[Written]] = [outcome.Error(known) for _ in range(count)]
        return _Group(
            results=results, tip=tip, signer=signer, changed=set(), reindex={}, heads={}, kinds=set(), fatal=fatal
        )


def _stopped() -> Unavailable:
    return Unavailable(
        "the node is stopping; nothing was stored: retry", code=Code.SHUTTING_DOWN, outcome="not_applied"
    )
