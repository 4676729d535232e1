"""`python -m tests.endurance --ops 1000000`: a mesh that lives for long in quick motion, and what is left on its disks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.endurance.life import Life, live
from tests.endurance.table import table_of


def main(arguments: Sequence[str]) -> int:
    """Run, and print a table. Returns: 1 if a database is larger than it may be."""
    options = _parser().parse_args(arguments)
    life = Life(ops=options.ops, live=options.live, nodes=options.nodes, days=options.days, seed=options.seed)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        report = live(life, Path(folder), lambda line: print(line, flush=True))
    print(table_of(report))
    return 0 if report.is_bounded else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--ops", type=int, default=1_000_000, help="writes of objects, all nodes together")
    parser.add_argument("--live", type=int, default=50_000, help="about so many memories live at a time")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--days", type=float, default=10.0, help="virtual time that the writes are spread over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the databases are for the time being")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
