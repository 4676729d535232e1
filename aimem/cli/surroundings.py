"""The process's surroundings as one value: streams, environment, folders, names. Tests make their own."""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

from msgspec import Struct

from aimem.config import system_environ
from aimem.model import Instant


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


def abandon(stream: TextIO) -> None:
    """Stop writing to a stream that takes no more: what is still buffered goes nowhere, also at interpreter exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def system_surroundings() -> Surroundings:
    """The real ones. Both output streams become UTF-8; what UTF-8 cannot hold is shown escaped rather than fatal."""
    stdin, stdout, stderr = _standard_streams()
    for stream in (stdout, stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    environ = system_environ()
    return Surroundings(
        stdin=stdin, stdout=stdout, stderr=stderr, environ=environ, cwd=_working_folder(),
        home=Path(environ.get("HOME") or Path.home()), host=os.uname().nodename, pid=os.getpid(), program=_program(),
        now=_now, rng=_rng,
    )


def _standard_streams() -> tuple[BinaryIO, TextIO, TextIO]:
    """Standard input, output and error, also if the caller closed them (`ai-memory serve <&- >&-`).

    A closed input is empty, a closed error is silent, and a closed output fails when it is written to: an export that
    went nowhere must not look like success.
    """
    # In this order each takes the lowest free number, its own: else the database's or a socket's would be 0, 1 or 2,
    # and a stray print would be written there.
    for stream, mode in ((sys.stdin, os.O_RDONLY), (sys.stdout, os.O_RDONLY), (sys.stderr, os.O_WRONLY)):
        if stream is None:
            os.open(os.devnull, mode)
    return (
        io.BytesIO() if sys.stdin is None else sys.stdin.buffer,
        open(1, "w", encoding="utf-8", closefd=False) if sys.stdout is None else sys.stdout,
        open(2, "w", encoding="utf-8", closefd=False) if sys.stderr is None else sys.stderr,
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
