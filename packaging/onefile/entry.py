"""Where the one-file program begins: what its loader did to the environment is undone, then it is `ai-memory`."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping


def restore(environ: MutableMapping[str, str]) -> None:
    """Leave to the programs that we start, git and ourselves, the environment that we were started with.

    launch.c and PyInstaller's loader have our libraries found by LD_LIBRARY_PATH, which a process reads once, at its
    start. In another program they would take the place of its own.
    """
    before = environ.pop("LD_LIBRARY_PATH_BEFORE", "")
    for name in [name for name in environ if name.startswith(("_PYI_", "LD_LIBRARY_PATH"))]:
        del environ[name]
    if before:
        environ["LD_LIBRARY_PATH"] = before


if __name__ == "__main__":
    restore(os.environ)  # noqa: TID251 - before anything else has looked at it
    if sys.argv[1:3] == ["-m", "aimem.slowed"]:     # an interpreter's part, see operations.Program.other
        from aimem.slowed import main

        del sys.argv[1:3]
    else:
        from aimem.__main__ import main
    main()
