"""Comparing this node's rows with a peer's, range by range, and mending what was lost here.

Each node mends itself alone, by asking: nobody can have a node take a state that it did not ask for. Ranges are small
reads of both nodes at any two moments, so nothing waits for a comparison, and it may run while everybody writes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import trio
from msgspec import Struct, field

from aimem.errors import AimemError, Corrupt, InvalidRequest, Unavailable
from aimem.model import StreamHead, StreamId
from aimem.replication import closure
from aimem.replication.differences import Different
from aimem.replication.divergence import Lost, judge
from aimem.replication.following import following
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.peer import Standing
from aimem.store import digests, repair, walking
from aimem.wire import copies, heads_in

log = logging.getLogger(__name__)

ASK_DEADLINE_S: Final = 20.0
SHRINKS_MAX: Final = 8
"""Answers to one range that hold more than fits, before it is left for another time."""
MEND_MAX: Final = 64
"""Objects that are mended in one transaction: other writes wait for it."""
HELD_CHARS: Final = 32
FOUND_MAX: Final = 100
"""Differing objects that are named; beyond them they are only counted."""


class Mending(StrEnum):
    """Whether what was lost here is joined."""

    LOOK = "look"
    MEND = "mend"


class Compared(Struct, frozen=True, kw_only=True):
    """What the comparison of one range came to; see wire.VerifyAnswer. `after` is its end, None at the end of all."""

    after: walking.Place | None
    compared: int
    different: tuple[Different, ...] = ()
    pending: int = 0
    repaired: int = 0
    undecided: int = 0


class _Looked(Struct):
    """Sums up what a range came to."""

    compared: int = 0
    different: list[Different] = field(default_factory=list)
    pending: int = 0
    repaired: int = 0
    undecided: int = 0


class _Told(Struct, frozen=True):
    """What a peer knew when it told its objects: see repair.Facts."""

    heads: Mapping[StreamId, StreamHead]
    held: str


async def compare_span(mesh: Mesh, peer: Peer, after: walking.Place | None, mending: Mending) -> Compared:
    """Compare, and mend, the objects of one range of keys.

    What only one of both can apply makes a difference that is pending. Raises: Unavailable if the peer does not answer;
    Corrupt.
    """
    looked = _Looked()
    try:
        own, there = await _spans(mesh, peer, after)
        looked.compared = len(own.terms)
        suspects = _suspects(own, there)
        _settle(mesh, peer, [*own.terms, *(there or ())], suspects)
        await _look_at(mesh, peer, suspects, mending, looked)
    except trio.TooSlowError:
        raise Unavailable("timeout") from None
    except InvalidRequest as error:
        raise Unavailable(f"nonsense: {error.message}") from None
    except ValueError as error:
        raise Unavailable(f"nonsense: an object that cannot be ({type(error).__name__})") from None
    finally:
        _count(mesh, peer, looked)
    return Compared(
        after=own.until, compared=looked.compared, different=tuple(looked.different), pending=looked.pending,
        repaired=looked.repaired, undecided=looked.undecided,
    )


async def _spans(
    mesh: Mesh, peer: Peer, after: walking.Place | None
) -> tuple[digests.Span, Sequence[digests.Term] | None]:
    """The same range on both nodes; None for the peer's if they are equal."""
    until: walking.Place | None = None
    for _ in range(SHRINKS_MAX):
        own = await mesh.store.read(digests.read_span, after, until, copies.SPAN_OBJECTS)
        request = copies.DigestRequest(
            protocol=peer.tongue.protocol, format=digests.DIGEST_FORMAT, after=_text(after), until=_text(own.until),
            digest=own.digest,
        )
        with trio.fail_after(ASK_DEADLINE_S):
            there = await mesh.road.digests(peer.url, request)
        if there.until == request.until:
            is_equal = there.digest == own.digest
            return own, None if is_equal else tuple(_term(sent, after, own.until) for sent in there.objects)
        until = _shrunk(there.until, after, own.until)
    raise Unavailable("it changes faster than it can be compared")


def _text(place: walking.Place | None) -> str | None:
    return None if place is None else walking.place_text(place)


def _shrunk(text: str | None, after: walking.Place | None, until: walking.Place | None) -> walking.Place:
    """Where the peer's answer ends. Raises: Unavailable for a place outside the range."""
    place = None if text is None else walking.parse_place(text)
    if place is None or walking.is_behind(place, until) or (after is not None and not walking.is_behind(place, after)):
        raise Unavailable("nonsense: its range is another")
    return place


def _term(sent: copies.TermOut, after: walking.Place | None, until: walking.Place | None) -> digests.Term:
    place = walking.Place(sent.table, sent.key)
    walking.check_place(place)
    if walking.is_behind(place, until) or (after is not None and not walking.is_behind(place, after)):
        raise Unavailable("nonsense: its range is another")
    return digests.Term(place, copies.term_hash(sent))


def _suspects(own: digests.Span, there: Sequence[digests.Term] | None) -> dict[tuple[str, str], bool]:
    """The objects whose rows are not equal, by kind and key, and whether that is seen by a tombstone alone."""
    if there is None:
        return {}
    found: dict[tuple[str, str], bool] = {}
    for term in sorted(set(own.terms) ^ set(there), key=lambda term: (term.place.table, term.place.key)):
        name, is_dead = digests.object_of(term.place), term.place.table == walking.TOMBSTONES
        found[name] = found.get(name, True) and is_dead
    return found


def _settle(
    mesh: Mesh, peer: Peer, terms: Sequence[digests.Term], suspects: Mapping[tuple[str, str], bool]
) -> None:
    """What differed before and whose rows are equal now does not any more."""
    if mesh.differences.lasting:
        mesh.differences.settle(peer.url, {digests.object_of(term.place) for term in terms} - suspects.keys())


async def _look_at(
    mesh: Mesh, peer: Peer, suspects: Mapping[tuple[str, str], bool], mending: Mending, looked: _Looked
) -> None:
    """Fetch, judge and mend the suspects, some at a time."""
    names = list(suspects)
    while names:
        open_before = closure.unsettled(mesh, peer)
        pairs, facts, there = await _fetched(mesh, peer, tuple(names[: repair.NAMED_MAX]))
        unsettled = open_before | closure.unsettled(mesh, peer)
        doubtful = await mesh.store.read(repair.doubtful, there.heads)
        del names[: len(pairs)]
        mend: list[repair.Theirs] = []
        for own, theirs in pairs:
            if suspects[own.kind, own.key] and (own.state.fields or theirs.state.fields):
                continue    # one of both has it alive: that was seen where its row is
            judged = judge(
                own, theirs, own_facts=facts, their_heads=there.heads, unsettled=unsettled, doubtful=doubtful,
                their_held=there.held,
            )
            looked.pending += judged.is_pending
            if judged.lost is not None:
                looked.different.append(Different(own.kind, own.key, judged.lost))
            if judged.is_unsettled or judged.lost not in (None, Lost.THERE):
                mend.append(judged.theirs)
        for at in range(0, len(mend) if mending is Mending.MEND else 0, MEND_MAX):
            mended: repair.Mended = (await mesh.store.write(repair.mend, mend[at : at + MEND_MAX])).value
            looked.repaired += mended.mended
            looked.undecided += mended.undecided


async def _fetched(
    mesh: Mesh, peer: Peer, names: tuple[tuple[str, str], ...]
) -> tuple[list[tuple[repair.Known, repair.Known]], repair.Facts, _Told]:
    """The first of some objects as this node and the peer have them, and what each of both knew then.

    Raises: Unavailable, also for nonsense.
    """
    with trio.fail_after(ASK_DEADLINE_S):
        answer = await mesh.road.snapshot(peer.url, copies.SnapshotRequest(protocol=peer.tongue.protocol, named=names))
    ended = frozenset(answer.ended)
    theirs = [
        repair.Known(kind=sent.kind, key=sent.key, state=copies.object_in(sent), has_dead_end=at in ended)
        for at, sent in enumerate(answer.objects)
    ]
    if not theirs or [(one.kind, one.key) for one in theirs] != list(names[: len(theirs)]):
        raise Unavailable("nonsense: its objects are others")
    facts = await mesh.store.read(repair.facts_of, names[: len(theirs)], copies.SNAPSHOT_BYTES)
    told = _Told(heads_in(answer.vector), answer.held[:HELD_CHARS])
    return list(zip(facts.objects, theirs, strict=False)), facts, told


def _count(mesh: Mesh, peer: Peer, looked: _Looked) -> None:
    """For metrics, and for a person: whatever lost a row may lose more."""
    counts = mesh.counts.compared
    counts.objects += looked.compared
    counts.differing += len(looked.different)
    counts.repaired += looked.repaired
    counts.undecided += looked.undecided
    mesh.differences.note(peer.url, looked.different, mesh.clock.now())
    for one in looked.different[:1]:
        # One line for a range: whoever lost a table needs no line for each row.
        log.error("peer.differs", extra={
            "peer": peer.url, "object_count": len(looked.different), "kind": one.kind, "key": one.key,
            "lost": one.lost.value,
        })


async def run_comparer(mesh: Mesh) -> None:
    """Now and then compare all rows with those of one peer, the next one each time, and mend what was lost here."""
    peer: Peer | None = None
    while True:
        await _wait_turn(mesh)
        peer = following(mesh.peers, peer)
        if peer is None or peer.state.standing is not Standing.PEER or peer.state.failures:
            continue
        try:
            await _compare_all(mesh, peer)
        except Corrupt:
            raise
        except AimemError as error:
            log.warning("peer.not_compared", extra={"peer": peer.url, "reason": error.message})


async def _wait_turn(mesh: Mesh) -> None:
    """Wait for the interval's time, whatever it becomes meanwhile, and until there is anybody to compare with."""
    began, share = trio.current_time(), mesh.draw_share()
    while True:
        changed, interval_s = mesh.next_members, mesh.settings.compare_s
        due_at = math.inf if interval_s is None or not mesh.peers else began + interval_s * (0.5 + share)
        with trio.move_on_at(due_at) as waiting:
            await changed.wait()
        if waiting.cancelled_caught:
            return


async def _compare_all(mesh: Mesh, peer: Peer) -> None:
    after, differing = None, 0
    while peer in mesh.peers:
        began = trio.current_time()
        compared = await compare_span(mesh, peer, after, Mending.MEND)
        differing += len(compared.different)
        after = compared.after
        if after is None:
            break
        # Half of the time at most goes into this: writes and recalls are what the processor is for.
        await trio.sleep(trio.current_time() - began)
    peer.compared_at, peer.differing = trio.current_time(), differing
    log.info("peer.compared", extra={"peer": peer.url, "differing": differing})
