"""Four daemons under a steady load, looked at from outside: whether they stay as they are and keep their promises."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
import trio
from msgspec import Struct

from aimem.errors import leaves
from tests.cycles.book import Book
from tests.cycles.clients import CLIENTS, REQUEST_S
from tests.cycles.cycles import violations_of
from tests.cycles.nodes import COUNT, Nodes, Violated
from tests.cycles.tether import tether
from tests.mesh.certified import NAMES
from tests.soak.guests import Caller, Guests
from tests.soak.samples import Sample, sample_of
from tests.soak.verdict import REST_S, grown, kept, undecided

ROUND_S: Final = 180.0
"""Between two rounds of the operator; shorter where the whole is."""
VISITS_SHARE: Final = 0.75
"""So many visits of others for each act of a caller."""
REST_COUNT: Final = 5
REST_EVERY_S: Final = 0.5
MINUTE_S: Final = 60.0


class Plan(Struct, frozen=True, kw_only=True):
    """How long and how hard.

    Attributes:
      rate: acts of callers a second, all nodes together.
      every_s: between two samples of a node.
      rest_s: how long nobody comes before the nodes are looked at at rest.
    """

    minutes: float
    seed: int = 1
    rate: float = 4.0
    every_s: float = 15.0
    rest_s: float = REST_S


class Report(Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
      seconds: of the load.
      acked, refused, unknown: how the acts of callers ended; visits: of others, by kind.
      answers: how often each answer came to callers, and how often none did to others.
      before, after: each node at rest; samples: under load, of all nodes as they were taken.
      undecided: why the samples do not show whether anything grew or was kept; empty if they do.
      grown: what did.
      violations: what was not as promised.
    """

    plan: Plan
    seconds: float
    acked: int
    refused: int
    unknown: int
    visits: dict[str, int]
    answers: dict[str, int]
    before: tuple[Sample, ...]
    samples: tuple[Sample, ...]
    after: tuple[Sample, ...]
    undecided: str
    grown: tuple[str, ...]
    violations: tuple[str, ...]

    @property
    def is_flat(self) -> bool:
        """Whether it was long enough to show that nothing grew, and everything was as promised."""
        return not (self.undecided or self.grown or self.violations)


class Daemons(Nodes):
    """Nodes as anybody would run them: nothing in them is armed, and their minutes are minutes."""

    PROGRAM = "tests.cycles.tethered"


@contextlib.asynccontextmanager
async def daemons(folder: Path) -> AsyncIterator[Daemons]:
    """A mesh with W of 2 whose nodes all serve; they are killed with the block, and end with this process."""
    with tether() as tied:
        async with trio.open_nursery() as nursery:
            mesh = Daemons(folder, nursery, frozenset(), tied)
            await mesh.run_links()
            for number in range(COUNT):
                await mesh.start(number)
            await mesh.level()
            yield mesh
            mesh.expected |= set(range(COUNT))
            nursery.cancel_scope.cancel()


async def soak(folder: Path, plan: Plan, say: Callable[[str], None]) -> Report:
    """Run it. `say` is handed a line a minute."""
    book, samples, violations = Book(), list[Sample](), list[str]()
    async with daemons(folder) as mesh:
        guests = Guests(mesh, book, str(plan.seed))
        before = await _at_rest(mesh, plan)
        began = trio.current_time()
        try:
            await _load(mesh, plan, book, guests, samples, say)
            seconds = trio.current_time() - began
            violations = [one async for one in violations_of(mesh, book)]
        except* (Violated, httpx.HTTPError, trio.TooSlowError, OSError) as group:
            seconds = trio.current_time() - began
            violations = [f"{type(error).__name__}: {error}" for error in leaves(group)]
        after = await _at_rest(mesh, plan)
    return judged(plan, seconds, book, guests.visits, (before, samples, after), violations)


async def soak_until_told(folder: Path, plan: Plan, say: Callable[[str], None]) -> Report | None:
    """The same. Returns: None if SIGTERM or SIGINT came, once the daemons have ended."""
    report = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as told:
        async with trio.open_nursery() as nursery:

            async def end() -> None:
                await anext(told)
                nursery.cancel_scope.cancel()

            nursery.start_soon(end)
            report = await soak(folder, plan, say)
            nursery.cancel_scope.cancel()
    return report


def judged(
    plan: Plan, seconds: float, book: Book, visits: Mapping[str, int],
    looks: tuple[Sequence[Sample], Sequence[Sample], Sequence[Sample]], violations: Sequence[str],
) -> Report:
    """What is to be said of it all. `looks` are samples before, under and after the load."""
    before, samples, after = ({name: [one for one in look if one.node == name] for name in NAMES} for look in looks)
    more, reasons = list[str](), {reason for name in NAMES if (reason := undecided(samples[name]))}
    if not reasons:
        more += [one for name in NAMES for one in grown(samples[name])]
    if plan.rest_s >= REST_S:
        more += [one for name in NAMES for one in kept(before[name], after[name])]
    else:
        reasons.add(f"a rest of {plan.rest_s:g} s is too short: {REST_S:g} s are the least")
    return Report(
        plan=plan, seconds=seconds, acked=book.acked, refused=book.refusals, unknown=book.unknown,
        visits=dict(sorted(visits.items())), answers=dict(sorted(book.answers.items())),
        before=tuple(looks[0]), samples=tuple(looks[1]), after=tuple(looks[2]),
        undecided="; ".join(sorted(reasons)), grown=tuple(more), violations=tuple(violations),
    )


async def _load(
    mesh: Daemons, plan: Plan, book: Book, guests: Guests, samples: list[Sample], say: Callable[[str], None]
) -> None:
    """Everybody comes, for as long as it is to last; nobody is connected any more when it ends."""
    total_s, until = MINUTE_S * plan.minutes, trio.Event()
    pause_s = CLIENTS / plan.rate
    async with mesh.client(timeout=REQUEST_S) as http, trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            caller = Caller(f"c{number}", mesh, book, str(plan.seed), pause_s)
            nursery.start_soon(caller.work, http, until)
        nursery.start_soon(guests.visit, http, 1 / (VISITS_SHARE * plan.rate), until)
        nursery.start_soon(guests.follow, http, until)
        nursery.start_soon(guests.operate, min(ROUND_S, total_s / 4), until)
        began = trio.current_time()
        told = 0
        for number in range(1, math.ceil(total_s / plan.every_s) + 1):
            await trio.sleep_until(began + min(total_s, number * plan.every_s))
            samples += await _look(mesh, began)
            if (minute := int((trio.current_time() - began) / MINUTE_S)) > told:
                told = minute
                say(_progress(minute, plan, book, samples[-COUNT:]))
        until.set()


async def _at_rest(mesh: Daemons, plan: Plan) -> list[Sample]:
    """Look a few times at nodes that nobody has asked for a while."""
    await trio.sleep(plan.rest_s)
    began, found = trio.current_time(), list[Sample]()
    for _ in range(REST_COUNT):
        found += await _look(mesh, began)
        await trio.sleep(REST_EVERY_S)
    return found


async def _look(mesh: Daemons, began: float) -> list[Sample]:
    found = []
    for number, name in enumerate(NAMES):
        async with mesh.owner(number) as http:
            at_s = round(trio.current_time() - began, 3)
            found.append(await sample_of(name, mesh.processes[number].pid, http, at_s))
    return found


def _progress(minute: int, plan: Plan, book: Book, samples: Sequence[Sample]) -> str:
    def each(values: Sequence[object]) -> str:
        return " ".join(map(str, values))

    return (
        f"{minute} of {plan.minutes:g} min: {book.acked} acts acknowledged, {book.refusals} refused; "
        f"MiB {each([one.rest_kib >> 10 for one in samples])}, "
        f"of SQLite {each([one.sqlite_bytes >> 20 for one in samples])}, "
        f"handles {each([one.handles for one in samples])}, "
        f"threads {each([one.process.threads for one in samples])}, tasks {each([one.tasks for one in samples])}, "
        f"memories {samples[0].memories}, log {samples[0].log_ops} ops"
    )
