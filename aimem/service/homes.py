"""Which node decides on an action: the member that queued it, whichever stream it writes by now.

A member that was restored, or that lost its key, goes on under a new stream and decides for those before it. It may
have decided already and forgotten that: so it decides for them only once it knows all that the others know.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from aimem.model import StreamId
from aimem.ports import Connection
from aimem.replication import Roll, roll_of
from aimem.service.node import Node
from aimem.store import approvals, lineage

ALONE: Final = Roll()
"""The roll of a node without peers."""


class Home(StrEnum):
    """Who decides on an action, as this node sees it."""

    HERE = "here"
    LATER = "later"          # this node, once it knows all that its peers know
    ELSEWHERE = "elsewhere"  # another member; or nobody can say yet
    NOBODY = "nobody"        # none of the members queued it


class Place(Struct, frozen=True, kw_only=True):
    """This node, for judging whose an action is.

    Attributes:
      line: the stream that it writes, and those of which it says itself that they came before.
    """

    name: str
    line: tuple[StreamId, ...]
    roll: Roll


def judge_home(place: Place, home: StreamId, name: str | None) -> Home:
    """Whose an action is.

    Args:
      home: the stream that queued it.
      name: of the node that wrote that stream; None if nothing is known of it.
    """
    roll = place.roll
    if home == place.line[0]:
        return Home.HERE
    if home in roll.streams:
        return Home.ELSEWHERE
    if home in place.line or name == place.name:
        # Of two members with one name, copies of each other perhaps, each would take itself for the one.
        if place.name in roll.names:
            return Home.ELSEWHERE
        return Home.HERE if roll.is_covered else Home.LATER
    if name in roll.names or (name is not None and not roll.is_complete):
        return Home.ELSEWHERE
    return Home.NOBODY


def place_of(conn: Connection, node: Node) -> Place:
    """This node as of now."""
    return Place(
        name=node.store.node_name, line=lineage.line_of(conn, node.store.stream),
        roll=ALONE if node.mesh is None else roll_of(node.mesh),
    )


def home_of(conn: Connection, node: Node, pending: approvals.Pending) -> Home:
    """Who decides on an action."""
    if pending.home == node.store.stream:
        return Home.HERE
    return judge_home(place_of(conn, node), pending.home, approvals.node_of(conn, pending.home))


class Mandate(Struct, frozen=True, kw_only=True):
    """The streams for which this node decides, its own first, and whether further ones wait until it knows more."""

    streams: tuple[StreamId, ...]
    is_partial: bool


def mandate_of(conn: Connection, node: Node) -> Mandate:
    """For which streams this node decides now."""
    place = place_of(conn, node)
    own, *before = place.line
    earlier = sorted({*before, *approvals.streams_named(conn, place.name)} - {own})
    judged = {stream: judge_home(place, stream, approvals.node_of(conn, stream)) for stream in earlier}
    return Mandate(
        streams=(own, *(stream for stream, home in judged.items() if home is Home.HERE)),
        # Also where a member seems to have this name: it did, perhaps, and has not said yet that it has another.
        is_partial=any(home is not Home.HERE for home in judged.values()),
    )
