"""`python -m tests.sim.planted [NAME...]`: put each named bug into the nodes, and say which check found it."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Sequence

from tests.sim.planting import Hunt, Planted, findings, hunt
from tests.sim.plants import acks, beliefs, joins, looking, serving, streams

TABLE: tuple[Planted, ...] = (*acks.ROWS, *streams.ROWS, *joins.ROWS, *serving.ROWS, *looking.ROWS, *beliefs.ROWS)
PAGE_COLUMNS = 120
BY_NAME = {row.name: row for row in TABLE}


def main(arguments: Sequence[str]) -> int:
    """Look for the bugs, and then for anything at all under the same seeds without them.

    Returns: 1 if one was not found, or by a check that is not for it, or something was found without it.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.sim.planted", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these bugs alone")
    parser.add_argument("--page", action="store_true", help="print the rows of ai-memory-reliability(7), and end")
    options = parser.parse_args(arguments)
    if options.page:
        print(page_rows(), end="")
        return 0
    names = options.names
    unknown = sorted(set(names) - BY_NAME.keys())
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    rows, failed, began = [BY_NAME[name] for name in names] or TABLE, list[str](), time.process_time()
    for row in rows:
        found = hunt(row)
        alarms = [text for seed in row.seeds[:found.tried] for text in findings(row, seed)]
        print(line_of(row, found, alarms), flush=True)
        if alarms or not is_caught(row, found):
            failed.append(row.name)
    spent_s = time.process_time() - began
    print(f"{len(rows)} bugs, {len(rows) - len(failed)} found; {spent_s:.0f} s of processor time {' '.join(failed)}")
    return 1 if failed else 0


def page_rows() -> str:
    """The table as it stands in the manual."""
    rows = []
    for row in TABLE:
        checks = sorted(row.checks)
        rows += [f".It Li {row.name}", *textwrap.wrap(row.broken, PAGE_COLUMNS), ".Pq " + " , ".join(checks)]
    return "\n".join([".Bl -tag -width Ds", *rows, ".El", ""])


def is_caught(row: Planted, found: Hunt) -> bool:
    """Whether a bug was found, and by nothing but the checks that are for it."""
    return bool(found.checks) and row.checks.issuperset(found.checks)


def line_of(row: Planted, found: Hunt, alarms: Sequence[str]) -> str:
    """One row of what is printed."""
    if not found.checks:
        said = f"NOT FOUND in {found.tried} seeds"
    else:
        word = "found by" if is_caught(row, found) else "NOT WHAT IT IS:"
        said = f"{word} {', '.join(found.checks)}, seed {found.seed}, in {found.tried} of {len(row.seeds)} tried"
    return "\n".join([f"{row.name}: {said}, {found.spent_s:.1f} s", *(f"  without it: {text}" for text in alarms)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
