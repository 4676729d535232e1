"""What a node is handed of the outside world, and how much of a node is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

from aimem.ports import (
    Chance,
    Clock,
    Embedder,
    Files,
    Resolver,
    Threads,
    system_chance,
    system_clock,
    system_files,
    system_resolver,
    trio_threads,
)
from aimem.supervisor.links import Links
from aimem.supervisor.secured import PeerTls

NOTHING_KEPT: Final = httpx.Limits(max_connections=8, max_keepalive_connections=0)
"""A call of a model takes seconds, a new connection to it next to nothing; so nothing has to be closed at the end."""


class Ports(Struct, frozen=True, kw_only=True):
    """The outside world of a node.

    Attributes:
      open_embedder: loads the embedding model of a folder (None: the installed package); blocks.
      open_remote_embedder: finds the embedding model of the Ollama server at an address; blocks.
      open_network: the way of HTTP requests that this node makes of itself.
      open_peers: the way of exchanges with other nodes, which keeps their connections; it is handed how those with
        TLS are asked.
      resolve: which addresses a host has.
      say: one line for the operator, as it is.
    """

    clock: Clock
    chance: Chance
    threads: Threads
    files: Files
    open_embedder: Callable[[Path | None], Embedder]
    open_remote_embedder: Callable[[str], Embedder]
    open_network: Callable[[], httpx.AsyncBaseTransport]
    resolve: Resolver
    say: Callable[[str], None]
    open_peers: Callable[[PeerTls], httpx.AsyncBaseTransport] = Links


class Extent(Struct, frozen=True, kw_only=True):
    """Which services run beside the HTTP app.

    Attributes:
      embeds: whether the model is loaded and the backlog embedded.
      curates: whether expired rows are collected as time goes by.
      exchanges: whether it talks with its peers.
      is_daemon: whether its W holds for those, too, who open the database while it does not run.
    """

    embeds: bool
    curates: bool
    exchanges: bool = False
    is_daemon: bool = False


def system_ports() -> Ports:
    """The machine's."""
    return Ports(
        clock=system_clock(), chance=system_chance(), threads=trio_threads(), files=system_files(),
        open_embedder=_open_minilm, open_remote_embedder=_open_ollama, open_network=_open_network,
        resolve=system_resolver(), say=_say,
    )


def _open_minilm(model_dir: Path | None) -> Embedder:
    # numpy is slow to load, and a client of another process needs none of it.
    from aimem.search import open_minilm

    return open_minilm(model_dir)


def _open_ollama(url: str) -> Embedder:
    from aimem.language import open_ollama_embedder

    return open_ollama_embedder(httpx.Client(base_url=url, trust_env=False, limits=NOTHING_KEPT))


def _open_network() -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(trust_env=False, limits=NOTHING_KEPT)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
