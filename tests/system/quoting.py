"""`python -m tests.system.quoting WORD...`: our command line, whose errors and libraries quote what they get."""

from __future__ import annotations

import logging
import sys
from typing import Any, Never

import trio

from aimem import service
from aimem.__main__ import carry_out
from aimem.supervisor import furnish

MARK = "UNSPEAKABLE"


async def quote(*given: Any) -> Never:
    """Fails as code does that was handed the text of somebody."""
    logging.getLogger("some.package").error("cannot read %s", given)
    try:
        raise KeyError(str(given))
    except KeyError as error:
        raise ExceptionGroup(f"{MARK} {given}", [ValueError(str(given))]) from error


class Touches:
    """A task that fails once, and is then there."""

    failed = False

    async def run(self, node: object, *, task_status: trio.TaskStatus[None]) -> None:
        """Fail, or stay."""
        task_status.started()
        if not self.failed:
            self.failed = True
            await quote(MARK)
        await trio.sleep_forever()


def main(*words: str) -> None:
    service.recall = quote
    furnish.run_touches = Touches().run
    carry_out(words)


if __name__ == "__main__":
    main(*sys.argv[1:])
