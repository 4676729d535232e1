"""What a node is handed of the outside world, and how much of a node is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aimem.ports import Chance, Clock, Embedder, Files, Threads, system_chance, system_clock, system_files, trio_threads


class Ports(Struct, frozen=True, kw_only=True):
    """The outside world of a node.

    Attributes:
      open_embedder: loads the embedding model of a folder (None: the installed package); blocks.
      say: one line for the operator, as it is.
    """

    clock: Clock
    chance: Chance
    threads: Threads
    files: Files
    open_embedder: Callable[[Path | None], Embedder]
    say: Callable[[str], None]


class Extent(Struct, frozen=True, kw_only=True):
    """Which services run beside the HTTP app.

    Attributes:
      embeds: whether the model is loaded and the backlog embedded.
      curates: whether expired rows are collected as time goes by.
    """

    embeds: bool
    curates: bool


def system_ports() -> Ports:
    """The machine's."""
    return Ports(
        clock=system_clock(), chance=system_chance(), threads=trio_threads(), files=system_files(),
        open_embedder=_open_minilm, say=_say,
    )


def _open_minilm(model_dir: Path | None) -> Embedder:
    # numpy is slow to load, and a client of another process needs none of it.
    from aimem.search import open_minilm

    return open_minilm(model_dir)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
