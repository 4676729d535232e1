"""A soak beside other parts of a campaign, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.cycles.tether import tether
from tests.soak.figures import Soaked, soaked_of
from tests.soak.soak import Plan, Report


@contextlib.contextmanager
def soaking(minutes: float, seed: int) -> Iterator[Callable[[float | None], Soaked | None]]:
    """Soak daemons for so long; that ends with the block at the latest, and with this process.

    Yields: what waits for the figures, for so many seconds or as long as it takes; None if they are not there by then,
      or if a soak of 0 minutes is to be left out.
    """
    if not minutes:
        yield lambda _: None
        return
    with tempfile.TemporaryDirectory() as folder, tether() as tied:
        told = Path(folder) / "soak.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak", "--minutes", str(minutes), "--seed", str(seed), "--json", str(told),
             "--tethered"],
            stdin=tied, stdout=sys.stderr,
        )

        def wait(patience_s: float | None) -> Soaked | None:
            try:
                status = process.wait(patience_s)
            except subprocess.TimeoutExpired:
                return None
            if told.exists():
                return soaked_of(msgspec.json.decode(told.read_bytes(), type=Report))
            plan = Plan(minutes=minutes, seed=seed)
            return Soaked(
                minutes=0.0, seed=seed, rate=plan.rate, acked=0, refused=0, unknown=0, visits=0, nodes=(),
                failed=(f"soak: ended with status {status}, and told nothing",),
            )

        try:
            yield wait
        finally:
            process.terminate()
            process.wait()
