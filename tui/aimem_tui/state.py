"""What the console knows, as frozen values: of each node, what it said last and when; what happened; what was asked.

Times in seconds are of one monotonic clock, the console's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from aimem.model import Instant
from aimem.wire import Health, MeshDocument, PendingDetail, PendingPage, VerifyOut, WriteOutcome
from aimem_tui.trouble import Trouble

HISTORY_MAX: Final = 60
HAPPENED_MAX: Final = 500
STALE_S: Final = 8.0
"""A node is asked every two seconds; after four times in vain what it said last is old."""


class Acks(Struct, frozen=True, kw_only=True):
    """Acks of one peer so far, as a node counts them, and the mean of those between two looks, in milliseconds."""

    count: float = 0.0
    total_s: float = 0.0
    means_ms: tuple[float, ...] = ()


class Figure(Struct, frozen=True, kw_only=True):
    """A metric of a node: its value, or of a counter how much it grew a second between the last looks."""

    is_counter: bool
    value: float
    read_s: float
    course: tuple[float, ...] = ()


class NodeView(Struct, frozen=True, kw_only=True):
    """A node that is asked.

    Attributes:
      door: how the user named it.
      health, mesh: what it said last; `mesh_trouble` why it does not tell of the mesh.
      heard_s: when it last answered; None before.
      rtts_ms: how long its last answers took.
      acks: by the address of its peers; `figures` its metrics, by name: counters of all labels together, gauges of
        each as they stand behind the name.
      trouble: why its last answer did not come; None if it did.
      is_followed: whether it tells of events as they happen.
    """

    door: str
    health: Health | None = None
    mesh: MeshDocument | None = None
    mesh_trouble: Trouble | None = None
    heard_s: float | None = None
    rtts_ms: tuple[float, ...] = ()
    acks: Mapping[str, Acks] = {}
    figures: Mapping[str, Figure] = {}
    trouble: Trouble | None = None
    is_followed: bool = False

    @property
    def name(self) -> str:
        """Its own name, or how the user named it."""
        return (self.mesh.node if self.mesh is not None else "") or self.door

    @property
    def stream(self) -> str:
        """Which it writes; empty before it said so."""
        if self.mesh is not None:
            return self.mesh.stream
        return "" if self.health is None else self.health.stream

    def is_stale(self, now_s: float) -> bool:
        """Whether what it said last is old."""
        return self.heard_s is None or now_s - self.heard_s > STALE_S


class Happening(Struct, frozen=True, kw_only=True):
    """One change, and the nodes that told of it, in that order."""

    at: str
    event: str
    kind: str
    key: str
    version: str
    namespace: str = ""
    agent_id: str = ""
    nodes: tuple[str, ...] = ()


class Verified(Struct, frozen=True, kw_only=True):
    """What comparing the digests of all copies showed.

    Attributes:
      seen_by: the node that compared; `digest` is its own, and `verdicts` are its peers'.
      trouble: why nothing could be compared.
    """

    seen_by: str = ""
    digest: str = ""
    verdicts: tuple[VerifyOut, ...] = ()
    is_running: bool = False
    at_s: float | None = None
    trouble: Trouble | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What the user did about an action, the node's answer in words, and how far the write has come."""

    did: str
    said: str
    version: str = ""
    spread: WriteOutcome | None = None


class Docket(Struct, frozen=True, kw_only=True):
    """Actions that wait, or waited, for a decision.

    Attributes:
      page: the list, None before it was read; `shows_all` whether also what is decided.
      detail: the one that is looked at.
      outcomes: id -> what was decided here in this session, and what became of the write.
    """

    page: PendingPage | None = None
    shows_all: bool = False
    detail: PendingDetail | None = None
    trouble: Trouble | None = None
    outcomes: Mapping[str, Outcome] = {}


class Look(Struct, frozen=True, kw_only=True):
    """What a node answered to a question of a screen, or why it did not; `of` is what it was asked about."""

    of: str = ""
    value: Struct | None = None
    trouble: Trouble | None = None


class Deed(Struct, frozen=True, kw_only=True):
    """What the user had done last on a screen, and what came of it; what was not refused may still have to wait."""

    said: str
    is_done: bool
    is_refused: bool = False


class State(Struct, frozen=True, kw_only=True):
    """All that the screens show.

    Attributes:
      now_s, wall: the time as of the last tick.
      nodes: in the order of the doors.
      chosen: place of the node whose view is shown, as long as it answers.
      happened: the latest first.
      looks: by what was asked for; `deeds` by the name of the screen.
      happened_count: all that was told of, also what is not kept.
    """

    nodes: tuple[NodeView, ...]
    now_s: float = 0.0
    wall: Instant = Instant(0)
    chosen: int = 0
    happened: tuple[Happening, ...] = ()
    happened_count: int = 0
    verified: Verified = Verified()
    docket: Docket = Docket()
    looks: Mapping[str, Look] = {}
    deeds: Mapping[str, Deed] = {}

    @property
    def eye(self) -> NodeView | None:
        """The node whose view is shown: the chosen one, or while that says nothing the first that does.

        One that just failed is it only while there is no other.
        """
        order = (self.nodes[self.chosen], *self.nodes)
        fresh = [node for node in order if node.mesh is not None and not node.is_stale(self.now_s)]
        return next((node for node in fresh if node.trouble is None), fresh[0] if fresh else None)

    @property
    def door(self) -> int:
        """Place of the node that is asked: the eye's, or the chosen one's while no node answers."""
        eye = self.eye
        return self.chosen if eye is None else self.nodes.index(eye)
