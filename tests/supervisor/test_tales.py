"""Lines about what strangers cause: few, whatever they do."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from aimem.supervisor.tales import KINDS_MAX, OTHER, Tales


async def test_the_first_is_told_at_once_and_the_others_of_its_minute_together(autojump_clock: MockClock) -> None:
    told: list[tuple[float, str, int, str]] = []
    began = trio.current_time()
    tales = Tales[str](lambda *what: told.append((round(trio.current_time() - began), *what)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tales.run)
        for second in range(90):
            tales.note("a", f"{second}")
            await trio.sleep(1 if second else 0.5)
        await trio.sleep(300)
        tales.note("a", "late")
        nursery.cancel_scope.cancel()
    assert told == [(0, "a", 1, "0"), (60, "a", 60, "60"), (120, "a", 29, "89"), (390, "a", 1, "late")], told


async def test_kinds_have_a_bound(autojump_clock: MockClock) -> None:
    told: list[str] = []
    tales = Tales[None](lambda kind, *_: told.append(kind))
    for number in range(3 * KINDS_MAX):
        tales.note(f"{number}", None)
    assert len(told) == KINDS_MAX + 1 and told[-1] == OTHER
