"""Which place told a node of its mesh, and which file would have to be changed: values for whoever changes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class Place(StrEnum):
    """Where a setting was given."""

    NOWHERE = "nowhere"
    FILE = "file"            # the configuration file
    VARIABLE = "variable"
    FLAG = "flag"


class Told(Struct, frozen=True, kw_only=True):
    """Where the peers and W are told.

    Attributes:
      peers, writes: which place won.
      peers_by, writes_by: its name: `--quorum-peers`, `AI_MEMORY_QUORUM_PEERS`, `config.toml, line 3`; or empty.
      file: the configuration file; where there is none, the one that would be read; None if none is.
      listed: the file that lists the peers, wherever its name stands; None without one.
      overruled: sentences about what stands in the file and does not hold.
    """

    peers: Place = Place.NOWHERE
    writes: Place = Place.NOWHERE
    peers_by: str = ""
    writes_by: str = ""
    file: Path | None = None
    listed: Path | None = None
    overruled: tuple[str, ...] = ()
