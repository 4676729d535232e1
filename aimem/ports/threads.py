"""Blocking calls: where they run, and how a caller's deadline reaches them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")


class Threads(Protocol):
    """Runs blocking functions for coroutines. Simulated, it runs them inline."""

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        """Run `fn` to its end, even if the caller is cancelled meanwhile; the cancellation is delivered after it.

        If the caller is cancelled before `fn` began, it never runs.
        """
        ...

    def is_late(self) -> Callable[[], bool]:
        """A function for use inside `fn`: whether the deadline that the caller has *now* is past."""
        ...


class _TrioThreads:
    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        return await trio.to_thread.run_sync(fn, limiter=limiter)

    def is_late(self) -> Callable[[], bool]:
        left_s = trio.current_effective_deadline() - trio.current_time()
        if left_s == float("inf"):
            return lambda: False
        until = time.monotonic() + left_s
        return lambda: time.monotonic() > until


class _DelayedThreads(_TrioThreads):
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def run(self, fn: Callable[[], T], *, limiter: trio.CapacityLimiter) -> T:
        def slowly() -> T:
            try:
                return fn()
            finally:
                time.sleep(self._delay_s)

        # One at a time is how the store's writer works, which alone syncs; readers are many at a time.
        return await super().run(slowly if limiter.total_tokens == 1 else fn, limiter=limiter)


async def run_or_abandon(fn: Callable[[], T]) -> T:
    """Run a blocking function in a thread that is left behind if the caller is cancelled.

    For a command that ends soon and must not hang with what it looks at; whatever `fn` does then is nobody's.
    """
    return await trio.to_thread.run_sync(fn, abandon_on_cancel=True)


def trio_threads() -> Threads:
    """Trio's worker threads."""
    return _TrioThreads()


def delayed_threads(delay_s: float) -> Threads:
    """Threads in which every hop of a limiter of one takes `delay_s` longer: a disk whose sync is slow.

    For benches and tests alone.
    """
    return _DelayedThreads(delay_s)
