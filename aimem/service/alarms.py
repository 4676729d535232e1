"""Sentences about what lasts and a person must look at: objects that differ, and peers that do not answer."""

from __future__ import annotations

from typing import Final

import trio

from aimem.model import Instant, format_instant
from aimem.replication import ALARM_AFTER_S, Difference, Lost, Mesh, Standing

NAMED_MAX: Final = 4
"""Objects that one alarm names."""


def lasting_alarms(mesh: Mesh) -> list[str]:
    """For whoever asks for health, who needs no key: they name no object."""
    return [*_away(mesh), *_differing(mesh, ""), *_differed(mesh)]


def named_alarms(mesh: Mesh) -> list[str]:
    """The same for operators: they name objects."""
    lasting = mesh.differences.lasting
    rest = f" and {len(lasting) - NAMED_MAX} more" if len(lasting) > NAMED_MAX else ""
    return [*_away(mesh), *_differing(mesh, f": {', '.join(map(_words, lasting[:NAMED_MAX]))}{rest}"), *_differed(mesh)]


def _away(mesh: Mesh) -> list[str]:
    """Who has not answered for long; not who answers and is somebody else, of whom there are alarms of their own."""
    now, told = trio.current_time(), []
    for peer in mesh.peers:
        away_s = 0.0 if peer.absence.since is None else now - peer.absence.since
        if away_s >= ALARM_AFTER_S and peer.state.standing is Standing.PEER:
            since = Instant(mesh.clock.now() - round(away_s * 1_000_000))
            named = peer.state.node or peer.url
            told.append(
                f"{named} ({peer.url}) has not answered since {_at(since)} ({peer.state.last_error}): start it, or see "
                f"what is between the two; if it is gone for good, say ai-memory mesh remove {named} on each node"
            )
    return told


def _differing(mesh: Mesh, named: str) -> list[str]:
    found = mesh.differences.lasting
    if not found:
        return []
    since = _at(min(one.first_at for one in found))
    sentence = (
        f"{_count(mesh, len(found))} from a peer's although both nodes know the same writes, since {since}{named}; a "
        "disk, or this program, is at fault: say ai-memory mesh verify, which tells which node lost what and what to do"
    )
    return [sentence]


def _count(mesh: Mesh, count: int) -> str:
    if mesh.differences.has_more:
        return f"more than {count} objects differ"
    return "1 object differs" if count == 1 else f"{count} objects differ"


def _differed(mesh: Mesh) -> list[str]:
    found = mesh.differences.ended
    if not found:
        return []
    first, last = min(one.first_at for one in found), max(one.last_at for one in found)
    when = f"at {_at(first)}" if _at(first) == _at(last) else f"from {_at(first)} to {_at(last)}"
    objects = "1 object" if len(found) == 1 else f"{len(found)} objects"
    sentence = (
        f"{objects} differed from a peer's {when} although both nodes knew the same writes; that is mended: look at "
        "the disks of both before one loses more (this is said until the next start)"
    )
    return [sentence]


def _words(one: Difference) -> str:
    places = {
        Lost.HERE: "lost here", Lost.THERE: f"lost on {', '.join(sorted(one.urls))}", Lost.BOTH: "lost in part on both",
        Lost.UNCLEAR: "two values under one write",
    }
    return f"{one.kind} {one.key} ({places[one.lost]})"


def _at(instant: Instant) -> str:
    """To the minute."""
    return f"{format_instant(instant)[:16]}Z"
