"""A daemon of ours that kills itself at a named point of its code: `python -m tests.cycles.armed serve ...`.

The variable TEST_ARMED names a file. Once `NAME COUNT DELAY_MS` stands in it, the process gets SIGKILL when it is at
that point for the COUNT-th time, or so many milliseconds after; the file goes before that, so that its next life is
not armed. Besides, minutes are shorter, logs and chunks smaller, so that a few seconds have all that there is to be
interrupted.

It ends with whoever started it: see tests/cycles/tether.py.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from aimem.__main__ import carry_out
from aimem.ports import sqlite
from aimem.replication import catchup
from aimem.replication import renewal as renewals
from aimem.service import upkeep
from aimem.store import adoption, buffers, inbound, renewal, schema, snapshot, spool, store, trimming
from aimem.store.transaction import Transaction
from aimem.supervisor import secured, trust
from aimem.wire import copies
from tests.cycles.tether import follow, kill_self

ARMED: Final = "TEST_ARMED"
SHORT_S: Final = 0.5
KEPT_OPS: Final = 100
CHUNK_BYTES: Final = 64 << 10
FREE_BYTES: Final = 16 << 10
RENEWALS: Final = 1000


class Point(StrEnum):
    """Where a process may end."""

    OWN_BEFORE_COMMIT = "own-before-commit"         # a caller's write is in the transaction, and not committed
    OWN_IN_COMMIT = "own-in-commit"                 # the same while it is committed
    OWN_AFTER_COMMIT = "own-after-commit"           # committed, and no peer has it
    OWN_BEFORE_ANSWER = "own-before-answer"         # enough peers have it, and the caller was not told
    TAKEN_BEFORE_COMMIT = "taken-before-commit"     # a peer's ops are in the transaction
    TAKEN_IN_COMMIT = "taken-in-commit"
    TAKEN_AFTER_COMMIT = "taken-after-commit"       # committed, and that peer has no acknowledgement
    TRIM = "trim"                                   # ops left the log in this transaction
    SHRINK = "shrink"                               # pages were given back in this transaction
    CHECKPOINT = "checkpoint"                       # while the write-ahead log moves into the database
    SNAPSHOT_MADE = "snapshot-made"                 # while a snapshot is written for a peer
    SNAPSHOT_GIVEN = "snapshot-given"               # a chunk of it was read, and not sent
    SNAPSHOT_KEPT = "snapshot-kept"                 # a chunk was fetched, and that is in the transaction
    SNAPSHOT_JOINED = "snapshot-joined"             # the objects of a chunk are in the transaction, not those of all
    SNAPSHOT_ENDED = "snapshot-ended"               # so is what the snapshot covers
    RENEWAL = "renewal"                             # a new stream's key is on the disk, its first op is not committed
    RENEWED = "renewed"                             # that is committed, and the key not confirmed
    RELOAD = "reload"                               # new certificates are read, and none is used
    RELOADED = "reloaded"                           # the server's is used, what peers are shown is not


class Trigger:
    """What ends the process: armed by its file."""

    def __init__(self, path: Path, end: Callable[[], None]) -> None:
        self._path, self._end = path, end
        self._reached = 0

    def reach(self, point: str) -> None:
        """End the process, if it is armed for this point and was there often enough."""
        try:
            wanted, count, delay_ms = self._path.read_text().split()
        except (FileNotFoundError, ValueError):     # ValueError: it is just being written
            return
        if wanted != point:
            return
        self._reached += 1
        if self._reached != int(count):
            return
        self._path.unlink(missing_ok=True)
        if float(delay_ms):
            threading.Timer(float(delay_ms) / 1000, self._end).start()
        else:
            self._end()


def before(owner: Any, name: str, reach: Callable[[], None]) -> None:
    """Have a function of a class or module say that it is about to begin."""
    _wrap(owner, name, lambda _: reach(), lambda _, __: None)


def after(owner: Any, name: str, reach: Callable[[tuple[Any, ...], Any], None]) -> None:
    """Have it say that it ended, with its arguments and its result."""
    _wrap(owner, name, lambda _: None, reach)


def _wrap(
    owner: Any, name: str, begun: Callable[[tuple[Any, ...]], None], ended: Callable[[tuple[Any, ...], Any], None]
) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        begun(args)
        result = real(*args, **kwargs)
        ended(args, result)
        return result

    @functools.wraps(real)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        begun(args)
        result = await real(*args, **kwargs)
        ended(args, result)
        return result

    setattr(owner, name, call_async if inspect.iscoroutinefunction(real) else call)


def arm(trigger: Trigger) -> None:
    """Have the code say when it is at each point."""
    _arm_commits(trigger)

    def at(point: Point) -> Callable[..., None]:
        return lambda *_: trigger.reach(point)

    def at_trim(args: tuple[Any, ...], left: trimming.LogSize) -> None:
        size: trimming.LogSize = args[2]
        if left.count < size.count:
            trigger.reach(Point.TRIM)

    after(store.Store, "write_agreed", at(Point.OWN_BEFORE_ANSWER))
    after(trimming, "trim", at_trim)
    after(buffers, "shrink", at(Point.SHRINK))
    before(schema, "checkpoint", at(Point.CHECKPOINT))
    after(spool._Chunks, "add", at(Point.SNAPSHOT_MADE))
    after(spool.Spool, "chunk", at(Point.SNAPSHOT_GIVEN))
    after(adoption, "note", at(Point.SNAPSHOT_KEPT))
    after(snapshot, "join_objects", at(Point.SNAPSHOT_JOINED))
    after(adoption, "adopt", at(Point.SNAPSHOT_ENDED))
    after(renewal, "open_stream", at(Point.RENEWAL))
    before(store.Store, "_confirm", at(Point.RENEWED))
    before(trust.Gate, "replace", at(Point.RELOAD))
    before(secured.PeerTls, "replace", at(Point.RELOADED))


def _arm_commits(trigger: Trigger) -> None:
    """The writer's thread knows whose ops are in the transaction that it commits."""
    within = threading.local()
    after(Transaction, "emit", lambda *_: setattr(within, "own", True))
    after(inbound, "take", lambda args, _: setattr(within, "taken", bool(args[1])))

    def reach(own: Point, taken: Point) -> None:
        if getattr(within, "own", False):
            trigger.reach(own)
        if getattr(within, "taken", False):
            trigger.reach(taken)

    real = sqlite._Connection.execute

    def execute(self: Any, sql: str, parameters: Any = ()) -> Any:
        if sql not in {"COMMIT", "ROLLBACK"}:
            return real(self, sql, parameters)
        if sql == "COMMIT":
            reach(Point.OWN_BEFORE_COMMIT, Point.TAKEN_BEFORE_COMMIT)
            reach(Point.OWN_IN_COMMIT, Point.TAKEN_IN_COMMIT)
        found = real(self, sql, parameters)
        if sql == "COMMIT":
            reach(Point.OWN_AFTER_COMMIT, Point.TAKEN_AFTER_COMMIT)
        within.own = within.taken = False
        return found

    sqlite._Connection.execute = execute  # type: ignore[method-assign]


def hurry() -> None:
    """Let minutes be shorter, and logs and chunks smaller."""
    catchup.TRIM_INTERVAL_S = upkeep.INTERVAL_S = SHORT_S  # type: ignore[misc]  # final but for us
    renewals.RENEWALS_MAX = RENEWALS  # type: ignore[misc]  # as many years are in an hour
    copies.SNAPSHOT_BYTES = CHUNK_BYTES  # type: ignore[misc]
    upkeep.FREE_KEPT_BYTES = FREE_BYTES  # type: ignore[misc]
    trimming.LogBounds.fitted = lambda bounds, _: replace(bounds, kept_count=KEPT_OPS)  # type: ignore[method-assign]


if __name__ == "__main__":
    follow(kill_self)
    hurry()
    arm(Trigger(Path(os.environ[ARMED]), kill_self))
    carry_out(sys.argv[1:])
