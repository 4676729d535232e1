"""The members of a mesh, and where a node is told of them: what it says when it reads its configuration anew."""

from __future__ import annotations

from msgspec import Struct


class ToldOut(Struct, kw_only=True):
    """Where a node is told of its peers and of W, for whoever changes them.

    Attributes:
      peers, writes: `flag`, `variable`, `file` (the configuration) or `nowhere`.
      peers_by, writes_by: the flag, the variable, or the place in the file; empty for `nowhere`.
      file: the configuration file; where there is none, the one that would be read; None if none is read at all.
      listed: the file that lists the peers; None if they stand in the setting itself.
      overruled: sentences about what stands in the file and does not hold.
    """

    peers: str
    writes: str
    peers_by: str
    writes_by: str
    file: str | None
    listed: str | None
    overruled: tuple[str, ...] = ()


class ReloadAnswer(Struct, kw_only=True):
    """What holds after the configuration was read anew.

    Attributes:
      peers: addresses.
      members, writes: N and W.
      added, removed: addresses that are among the peers now and were not before, and the other way round.
      notices: sentences for the operator.
      restart: what else was changed and holds from the next start on.
    """

    node: str
    peers: tuple[str, ...]
    members: int
    writes: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    told: ToldOut
    notices: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
