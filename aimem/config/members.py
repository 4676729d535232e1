"""Where a node is told of its mesh, and the list of peers in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from aimem.config.checks import Given, subject
from aimem.config.told import Place, Told
from aimem.config.tomlfile import read_text
from aimem.errors import Code, InvalidRequest

PEERS: Final = "mesh.quorum_peers"
WRITES: Final = "mesh.quorum_writes"
LIST_MARK: Final = "@"
"""Before the path of a file that lists the peers."""


def told_of(
    given: Mapping[str, Given], of_file: Mapping[str, Given], file: Path | None, listed: Path | None
) -> Told:
    """Where the members are told.

    Args:
      given: what holds.
      of_file: what stands in the configuration file.
    """
    peers, writes = given.get(PEERS), given.get(WRITES)
    return Told(
        peers=_place(peers), writes=_place(writes), peers_by=_name(peers), writes_by=_name(writes), file=file,
        listed=listed, overruled=tuple(_overruled(given, of_file)),
    )


def _place(item: Given | None) -> Place:
    if item is None:
        return Place.NOWHERE
    if item.origin.startswith("-"):
        return Place.FLAG
    return Place.VARIABLE if item.origin.startswith("AI_MEMORY_") else Place.FILE


def _name(item: Given | None) -> str:
    return "" if item is None else item.origin


def _overruled(given: Mapping[str, Given], of_file: Mapping[str, Given]) -> Iterator[str]:
    for key in (PEERS, WRITES):
        written, holds = of_file.get(key), given.get(key)
        if written is not None and holds is not None and written != holds:
            yield f"{subject(written.origin, key)} does not hold, as {holds.origin} is given"


def listed_in(given: Mapping[str, Given]) -> str | None:
    """The name of the file that lists the peers, as it was written; None if they stand in the setting itself."""
    text = str(given[PEERS].value).strip() if PEERS in given else ""
    return text[1:].strip() if text.startswith(LIST_MARK) else None


class Entry(Struct, frozen=True, kw_only=True):
    """One peer as it was written, and where: `place` begins a sentence, `at` tells it from the others there."""

    text: str
    place: str
    at: str


def read_list(path: Path, origin: str) -> tuple[Entry, ...]:
    """The entries of a list, one a line; what follows # is a comment. Raises: InvalidRequest(config_invalid)."""
    try:
        text = read_text(path, "the list of peers")
    except InvalidRequest as error:
        raise InvalidRequest(f"{origin}: {error.message}", code=Code.CONFIG_INVALID, field=PEERS) from error
    return tuple(
        Entry(text=entry, place=f"{path}, line {number}", at=f"line {number}")
        for number, line in enumerate(text.splitlines(), 1) if (entry := entry_of(line))
    )


def entry_of(line: str) -> str:
    """What a line of a list names; empty for a comment."""
    return line.partition("#")[0].strip()
