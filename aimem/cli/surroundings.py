"""The process's surroundings as one value: streams, environment, folders, names. Tests make their own."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct

from aimem.config import system_environ
from aimem.errors import AimemError
from aimem.model import Instant


class OutputLost(AimemError):
    """Standard output takes no more: its disk is full, or its device failed."""


def write_out(stream: TextIO, text: str) -> None:
    """Write data, and what is still buffered of it if the text is empty.

    Raises: OutputLost; BrokenPipeError if the reader went away, which is its right.
    """
    try:
        if text:
            stream.write(text)
        else:
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(f"cannot write standard output: {error.strerror or error}") from error


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a command sees of the machine.

    Attributes:
      stdin: bytes, because content must be checked to be UTF-8.
      stdout, stderr: data and talk.
      environ, cwd, home: as the process has them; the folders are absolute.
      host, pid: for generated agent ids.
      program: how to start this program again: an absolute path and the arguments before ours.
      now, rng: clock and chance; functions, because the ports load Trio and `--help` must not.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    cwd: Path
    home: Path
    host: str
    pid: int
    program: tuple[str, ...]
    now: Callable[[], Instant]
    rng: Callable[[], random.Random]

    def abandon_stdout(self) -> None:
        """Stop writing to a reader that went away: what is still buffered goes nowhere, also at interpreter exit."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)


def system_surroundings() -> Surroundings:
    """The real ones. Both output streams become UTF-8; what UTF-8 cannot hold is shown escaped rather than fatal."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    environ = system_environ()
    return Surroundings(
        stdin=sys.stdin.buffer, stdout=sys.stdout, stderr=sys.stderr, environ=environ, cwd=_working_folder(),
        home=Path(environ.get("HOME") or Path.home()), host=os.uname().nodename, pid=os.getpid(), program=_program(),
        now=_now, rng=_rng,
    )


def _working_folder() -> Path:
    """The current folder; if it was removed under us, the root, where a relative path fails with its own name."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def _program() -> tuple[str, ...]:
    started = Path(sys.argv[0])
    if started.name in ("__main__.py", "-m", "-c", ""):
        return (sys.executable, "-m", "aimem")
    return (str(started.absolute()),)


def _now() -> Instant:
    from aimem.ports import system_clock

    return system_clock().now()


def _rng() -> random.Random:
    from aimem.ports import system_chance

    return system_chance().rng
