"""One cycle after the other: everybody writes, something breaks, it is mended, and what was promised is looked for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import trio
from msgspec import Struct

from aimem.errors import leaves
from tests.cycles.book import Book
from tests.cycles.clients import CLIENTS, REQUEST_S, Client
from tests.cycles.faults import FAULTS
from tests.cycles.nodes import COUNT, Nodes, Violated, nodes
from tests.mesh.certified import NAMES

BEFORE_S: Final = 0.3
AFTER_S: Final = 0.3
"""How long everybody writes before and after the fault."""
SHOWN_MAX: Final = 5
MEASURED: Final = "the clock is "
"""How an alarm begins that holds until clocks are compared again, and comes of exchanges that took long."""


class Cycle(Struct, frozen=True, kw_only=True):
    """What came of one.

    Attributes:
      node: which the fault befell.
      acked, refused, unknown: how the acts of its callers ended.
      answers: how often each answer came, by status or code.
      violations: what was not as promised.
    """

    number: int
    fault: str
    node: str
    seconds: float
    acked: int
    refused: int
    unknown: int
    answers: dict[str, int]
    violations: tuple[str, ...] = ()

    def line(self) -> str:
        """All of it in one."""
        told = f"{self.number:4} {self.fault:26} {self.node:7} {self.seconds:5.1f} s  acked {self.acked:4}  "
        return f"{told}refused {self.refused:4}  unknown {self.unknown:4}" + "".join(
            f"\n       VIOLATED {one}" for one in self.violations
        )


class Report(Struct, frozen=True, kw_only=True):
    """What came of all."""

    seed: int
    seconds: float
    cycles: tuple[Cycle, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was violated."""
        return not any(one.violations for one in self.cycles)

    def line(self) -> str:
        """The figures."""
        kinds = Counter(one.fault for one in self.cycles)
        acked, refused, unknown = (
            sum(getattr(one, name) for one in self.cycles) for name in ("acked", "refused", "unknown")
        )
        return (
            f"{len(self.cycles)} cycles of {len(kinds)} faults in {self.seconds:.0f} s (seed {self.seed}): "
            f"{acked} acknowledged, {refused} refused, {unknown} of which nobody knows; "
            f"{sum(bool(one.violations) for one in self.cycles)} cycles violated"
        )


def plan(names: Sequence[str], count: int, rng: random.Random) -> Iterator[str]:
    """So many faults, each as often as any other, in any order."""
    left: list[str] = []
    for _ in range(count):
        if not left:
            left = rng.sample(names, len(names))
        yield left.pop()


async def run_cycles(
    folder: Path, names: Sequence[str], count: int, seed: int, say: Callable[[str], None],
    within_s: float = float("inf"),
) -> Report:
    """Run so many cycles of these faults, or as many as begin in that time; the first one violated is the last."""
    began, rng, book = trio.current_time(), random.Random(seed), Book()
    done: list[Cycle] = []
    needs = [need for name in names for need in FAULTS[name].needs]
    async with nodes(folder, needs) as mesh, AsyncExitStack() as stack:
        clients = [Client(f"c{number}", mesh, book, str(seed)) for number in range(CLIENTS)]
        http = await stack.enter_async_context(mesh.client(timeout=REQUEST_S))
        for number, name in enumerate(plan(names, count, rng), start=1):
            if trio.current_time() - began > within_s:
                break
            done.append(await _cycle(mesh, http, clients, book, number, name, rng))
            say(done[-1].line())
            if done[-1].violations:
                break
    return Report(seed=seed, seconds=trio.current_time() - began, cycles=tuple(done))


async def _cycle(
    mesh: Nodes, http: httpx.AsyncClient, clients: Sequence[Client], book: Book, number: int, name: str,
    rng: random.Random,
) -> Cycle:
    began, before = trio.current_time(), (book.acked, book.refusals, book.unknown)
    answers = book.answers.copy()
    victim, violations = rng.randrange(COUNT), list[str]()
    try:
        is_over = trio.Event()
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(client.work, http, is_over)
            await trio.sleep(BEFORE_S)
            victim = await FAULTS[name].do(mesh, rng, victim)
            await trio.sleep(AFTER_S)
            is_over.set()
        violations = [violation async for violation in violations_of(mesh, book)]
    except* (Violated, httpx.HTTPError, trio.TooSlowError, OSError) as group:
        violations = [f"{type(error).__name__}: {error}" for error in leaves(group)]
    acked, refused, unknown = (now - then for now, then in zip(
        (book.acked, book.refusals, book.unknown), before, strict=True
    ))
    if not acked:
        violations.append("nothing was acknowledged")
    return Cycle(
        number=number, fault=name, node=NAMES[victim], seconds=trio.current_time() - began, acked=acked,
        refused=refused, unknown=unknown, answers=dict(book.answers - answers), violations=tuple(violations),
    )


async def violations_of(mesh: Nodes, book: Book) -> AsyncIterator[str]:
    """What is not as promised, once all nodes are level. Raises: Violated if they do not come so."""
    documents = await mesh.level()
    for one in book.surprises:
        yield one
    for number, status in mesh.died.items():
        yield f"{NAMES[number]} ended by itself, with status {status}: see its log"
    for number, name in enumerate(NAMES):
        for alarm in documents[number]["alarms"]:
            if not alarm.startswith(MEASURED):
                yield f"{name} alarms: {alarm}"
        for unsound in await mesh.unsound(number):
            yield f"{name}: {unsound}"
        for fault in [*book.faults(await mesh.shown(number))][:SHOWN_MAX]:
            yield f"{name}: {fault}"
    digests = [one["digest"] for one in documents]
    if len(set(digests)) > 1:
        yield f"the nodes differ: {digests}"
