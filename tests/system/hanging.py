"""`python -m tests.system.hanging WHAT WORD...`: our command line, in which at SIGUSR1 the loop or the writer hangs.

A writer counts as one that hangs after a second; the watchdog of a real daemon waits for minutes.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from aimem.__main__ import carry_out
from aimem.store import writer
from aimem.supervisor import notify

STILL_MAX_S = 1.0


def main(what: str, *words: str) -> None:
    for_ever, is_told = threading.Event(), threading.Event()
    write_index = writer.write_index

    def write_or_hang(*args: Any) -> None:
        if is_told.is_set():
            for_ever.wait()
        write_index(*args)

    if what == "loop":
        signal.signal(signal.SIGUSR1, lambda *_: for_ever.wait())
    else:
        signal.signal(signal.SIGUSR1, lambda *_: is_told.set())
        writer.write_index = write_or_hang
        notify.STILL_MAX_S = STILL_MAX_S    # type: ignore[misc]
    carry_out(words)


if __name__ == "__main__":
    main(*sys.argv[1:])
