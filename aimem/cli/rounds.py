"""Verbs that go on by themselves: a round after the other, until a signal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable


async def run_rounds(act: Callable[[], Awaitable[None]], interval_s: float) -> None:
    """Act, wait, and act again until SIGTERM or SIGINT; a round that is under way then ends first.

    Raises: what `act` raises.
    """
    import signal

    import trio

    stop = trio.Event()

    async def wait_for_signal(signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            stop.set()

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_signal, signals)
            while not stop.is_set():
                await act()
                with trio.move_on_after(interval_s):
                    await stop.wait()
            nursery.cancel_scope.cancel()
