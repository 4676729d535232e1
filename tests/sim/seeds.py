"""Which seeds are run: fixed ones, those of a commit, and the ones that ever failed."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from msgspec import Struct

from tests.sim.swarm import Fault

HERE = Path(__file__).parent
CORPUS = HERE / "corpus.txt"
BRIEF_COUNT, BRIEF_S = 4, 20.0
FULL_COUNT, FULL_S = 28, 60.0
LIARS_EVERY = 4


class Case(Struct, frozen=True):
    """One run: the seed, how long its storm lasts, how many honest nodes, if not what the seed says, whether one more
    lies to them, and which faults there are, if not those of the seed.
    """

    seed: int
    seconds: float
    nodes: int | None = None
    has_liar: bool = False
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        nodes = f"x{self.nodes}" if self.nodes else ""
        return f"{self.seed}x{self.seconds:g}s{nodes}{'+liar' if self.has_liar else ''}"


def brief() -> list[Case]:
    """The slice of a plain run: always the same seeds, so that it fails for whoever broke something."""
    return [*(Case(seed, BRIEF_S, 3) for seed in range(1, BRIEF_COUNT + 1)), Case(BRIEF_COUNT + 1, BRIEF_S, 3, True)]


def full() -> list[Case]:
    """Other seeds for each commit: in the long run they are many."""
    first = int.from_bytes(hashlib.sha256(_commit()).digest()[:4], "big")
    return [Case(first + number, FULL_S, has_liar=number % LIARS_EVERY == 0) for number in range(FULL_COUNT)]


def corpus() -> list[Case]:
    """The runs that ever failed, each line `seed seconds nodes|- [liar]  # what was found`."""
    cases = []
    for line in CORPUS.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            nodes = None if words[2] == "-" else int(words[2])
            cases.append(Case(int(words[0]), float(words[1]), nodes, "liar" in words[3:]))
    return cases


def _commit() -> bytes:
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, check=False)
    return asked.stdout.strip()
