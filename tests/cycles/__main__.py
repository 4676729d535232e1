"""`python -m tests.cycles --cycles N --fault NAME`: break a mesh of real processes, and see what it kept."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from tests.cycles.cycles import run_cycles
from tests.cycles.faults import FAULTS, KILLS
from tests.cycles.machine import enter_namespaces, lacks
from tests.cycles.tether import follow


def main(arguments: Sequence[str]) -> int:
    """Run cycles, and print each. Returns: 1 if anything was not as promised; then the folder stays."""
    parser = _parser()
    options = parser.parse_args(arguments)
    needs = {need for name in options.fault for need in FAULTS[name].needs}
    if reason := lacks(needs):
        parser.error(f"{reason}; plain for all faults that need nothing")
    enter_namespaces(needs, arguments)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))    # whose handler is Trio's
    if options.tethered:
        follow(lambda: os.kill(os.getpid(), signal.SIGINT))
    folder = Path(tempfile.mkdtemp(prefix="cycles.", dir=options.folder))
    report = trio.run(partial(
        run_cycles, folder, options.fault, options.cycles, options.seed, partial(print, flush=True),
        within_s=options.seconds,
    ))
    print(report.line())
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if report.is_clean:
        shutil.rmtree(folder)
        return 0
    print(f"see {folder}")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cycles", description=__doc__)
    parser.add_argument("--cycles", type=int, default=len(FAULTS), metavar="N")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no cycle begins after so long")
    parser.add_argument(
        "--fault", type=_names, default=sorted(FAULTS), metavar="A,B", help="some of " + ", ".join(FAULTS) +
        "; kills for all ways to die, plain for all that any machine can do, all for everything",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="what came of each cycle")
    parser.add_argument("--tethered", action="store_true", help="end when stdin does")
    parser.add_argument("--folder", type=Path, help="where the nodes have their folders for the time being")
    return parser


def _names(text: str) -> list[str]:
    plain = [name for name, fault in FAULTS.items() if not fault.needs]
    groups = {"all": list(FAULTS), "kills": list(KILLS), "plain": plain}
    names = [name for word in text.split(",") for name in groups.get(word, [word])]
    if unknown := sorted(set(names) - set(FAULTS)):
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
