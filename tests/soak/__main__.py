"""`python -m tests.soak --minutes 60`: four daemons under a steady load, and whether they stay as they are."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from tests.cycles.tether import follow
from tests.soak.figures import soaked_of
from tests.soak.soak import Plan, soak_until_told
from tests.soak.verdict import REST_S


def main(arguments: Sequence[str]) -> int:
    """Run it, and print what came of it. Returns: 1 if anything grew or was not as promised, or it was too short."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=4.0, help="acts of callers a second")
    parser.add_argument("--every-seconds", type=float, default=15.0, help="between two looks at each node")
    parser.add_argument("--rest-seconds", type=float, default=REST_S, help="before a node is looked at at rest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample, and the verdict")
    parser.add_argument("--folder", type=Path, help="where the nodes have their folders for the time being")
    parser.add_argument("--tethered", action="store_true", help="end when stdin does")
    options = parser.parse_args(arguments)
    if options.tethered:
        follow(lambda: os.kill(os.getpid(), signal.SIGTERM))
    plan = Plan(
        minutes=options.minutes, seed=options.seed, rate=options.rate, every_s=options.every_seconds,
        rest_s=options.rest_seconds,
    )
    with tempfile.TemporaryDirectory(prefix="soak.", dir=options.folder) as folder:
        report = trio.run(soak_until_told, Path(folder), plan, partial(print, file=sys.stderr, flush=True))
    if report is None:
        return 1
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print("\n".join(soaked_of(report).sentences()))
    return 0 if report.is_flat else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
