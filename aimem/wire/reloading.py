"""The members of a mesh, and where a node is told of them: what it says when it reads its configuration anew."""

from __future__ import annotations

from msgspec import Struct

from aimem.config import Told


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


class RejoinRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Join the mesh anew.

    Attributes:
      forget_cluster: also learn the mesh's id anew.
      look: only wait for what is under way.
    """

    forget_cluster: bool = False
    look: bool = False


class RejoinAnswer(Struct, kw_only=True):
    """How far that is.

    Attributes:
      stream: which the node writes by now.
      ready: whether it is done.
      known: writes that are known here.
      failing: peers that cannot be asked, and why.
    """

    stream: str
    ready: bool
    known: int
    failing: tuple[str, ...] = ()


class LookRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Look who answers at an address, and exchange nothing."""

    url: str


class LookedAt(Struct, kw_only=True):
    """Who answers at an address, by its own unsigned words: nobody is remembered by them.

    Attributes:
      verdict: `none` (nobody does, or no node: `reason`), `self`, `peer` (which is one already: `node`), `member` (of
        the same mesh, and no peer), `other_cluster`, or `new` (the two are not known to be of meshes).
      version, stream, cluster: of the node that answers.
    """

    url: str
    verdict: str
    reason: str = ""
    node: str = ""
    version: str = ""
    stream: str = ""
    cluster: str = ""


class Saying(Struct, frozen=True):
    """What is to be said on another node: its name or address, and a command line."""

    node: str
    command: str


class MembersChanged(Struct, kw_only=True):
    """What `mesh add` and `mesh remove` came to.

    Attributes:
      files: those that were changed, or would be.
      is_dry: whether nothing was done.
      in_force: whether a daemon runs that goes by it now.
      peers, members, writes: addresses, N and W that hold now.
      say: so that all nodes are told of the same members.
      notices: sentences for the operator.
      found: who answers at the address, where nothing was done and a daemon could look; else None.
    """

    files: tuple[str, ...]
    is_dry: bool
    in_force: bool
    peers: tuple[str, ...]
    members: int
    writes: int
    say: tuple[Saying, ...] = ()
    notices: tuple[str, ...] = ()
    found: LookedAt | None = None


def told_out(told: Told) -> ToldOut:
    """Where the members are told, in wire form."""
    return ToldOut(
        peers=told.peers.value, writes=told.writes.value, peers_by=told.peers_by, writes_by=told.writes_by,
        file=None if told.file is None else str(told.file), listed=None if told.listed is None else str(told.listed),
        overruled=told.overruled,
    )
