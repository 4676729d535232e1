"""Judging what another node hands over: the prefix rule, the chain, signatures, forks, and clocks that run ahead.

A pure function of the batch and of what is known. It never skips an op that is new: what cannot be taken ends the
batch, so that a vector always names gapless prefixes and nothing is seen before its cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from aimem.model import (
    HLC_MAX,
    MAX_OP_ENTRIES,
    Dot,
    Entry,
    Instant,
    Intake,
    Op,
    Stop,
    StopReason,
    StreamHead,
    StreamId,
    Take,
    after,
    chain_hash,
    decode_entry,
    hlc_at,
    is_beyond,
    stream_id,
)
from aimem.replication.headproof import was_signed
from aimem.store import OP_MAX_BYTES, STREAM, LogBook
from aimem.wire import STREAMS_MAX

CLOCK_BOUND_S: Final = 5.0
"""How far a writer's clock may be ahead of the node that takes its ops first."""
CLOCK_WARN_S: Final = 0.5
_TICK: Final = 1


def is_ahead(hlc: int, now: Instant, own_hlc: int) -> bool:
    """Whether an op's clock is too far ahead to be taken from its own writer.

    The second half matters: an honest clock that was pulled forward by ops taken elsewhere is not ahead of what is
    known, and refusing it would spread from node to node. Only its writer's own jump is refused.
    """
    return hlc > hlc_at(after(now, CLOCK_BOUND_S)) and hlc > own_hlc + _TICK


def examine(ops: Sequence[Op], book: LogBook, *, writer: StreamId | None = None) -> Intake:
    """Decide how much of a batch may be taken, in its order.

    Args:
      writer: the stream of the node that hands the batch over: on its ops, at first hand, the clock is checked. What
        one member took, all take.
    """
    walk = _Walk(book, writer)
    stop: Stop | None = None
    for op in ops:
        reason = walk.judge(op)
        if reason is not None:
            stop = Stop(reason, op.dot)
            break
    return walk.verdict(stop)


class _Walk:
    """Goes over a batch once, with the heads as they would be."""

    def __init__(self, book: LogBook, writer: StreamId | None) -> None:
        self._book, self._writer = book, writer
        self._heads: dict[StreamId, StreamHead] = {}
        self._hashes: dict[Dot, bytes] = {}
        self._keys: dict[StreamId, bytes] = {}
        self._takes: list[Take] = []
        self._skipped = 0
        self._hlc = book.hlc
        self._new_streams = 0

    def judge(self, op: Op) -> StopReason | None:
        """Take one op into the walk, or say why it ends here."""
        stream, seq = op.dot.stream, op.dot.seq
        head = self._heads.get(stream) or self._book.head(stream)
        if seq > head.seq + 1:
            return StopReason.GAP
        try:
            chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
        except (msgspec.MsgspecError, ValueError):
            return StopReason.MALFORMED     # a blank that is none
        if seq <= head.seq:
            return self._skip(op, chained, head)
        reason = self._refusal(op, chained, head)
        if reason is None:
            self._take(op, chained)
        return reason

    def _skip(self, op: Op, chained: bytes, head: StreamHead) -> StopReason | None:
        if op.dot.seq == head.seq:
            known: bytes | None = head.chain_hash
        else:
            known = self._hashes.get(op.dot) or self._book.hash_at(op.dot)
        # Below the log nothing tells the two apart; the ops that follow do, by the hash of the one before.
        if known is None or known == chained:
            self._skipped += 1
            return None
        return self._other_history(op, chained)

    def _other_history(self, op: Op, chained: bytes) -> StopReason:
        """A second history is its writer's doing only if the writer signed it; else it is whose who sent it."""
        key = self._key(op.dot.stream)
        return StopReason.FORK if key is not None and was_signed(key, chained, op.signature) else StopReason.FORGED

    def _refusal(self, op: Op, chained: bytes, head: StreamHead) -> StopReason | None:
        if self._book.is_closed(op.dot.stream):
            return StopReason.CLOSED
        if op.previous != head.chain_hash:
            return self._other_history(op, chained)
        if op.dot.stream == self._book.own_stream:
            return StopReason.OWN
        if not _is_sound(op, head):
            return StopReason.MALFORMED
        if op.dot.stream == self._writer and is_ahead(op.stamp.hlc, self._book.now, self._hlc):
            return StopReason.CLOCK
        if is_beyond(op.stamp.hlc, self._book.now, self._hlc):
            return StopReason.CLOCK     # from whomever: taken once, it could be got rid of nowhere
        if head.seq == 0 and self._book.stream_count + self._new_streams >= STREAMS_MAX:
            return StopReason.STREAMS
        # Each one, though the chain covers those before it: what was taken is handed on in batches that end anywhere,
        # and a node that hands on what its writer did not sign is refused for it.
        return None if self._is_signed(op, chained) else StopReason.FORGED

    def _is_signed(self, op: Op, chained: bytes) -> bool:
        key = self._key(op.dot.stream)
        if key is None and op.dot.seq == 1:
            key = opening_key(op)
        if key is None or not was_signed(key, chained, op.signature):
            return False
        self._keys[op.dot.stream] = key
        return True

    def _take(self, op: Op, chained: bytes) -> None:
        stream = op.dot.stream
        self._new_streams += op.dot.seq == 1
        self._hashes[op.dot] = chained
        self._hlc = max(self._hlc, op.stamp.hlc)
        head = StreamHead(stream=stream, seq=op.dot.seq, hlc=op.stamp.hlc, chain_hash=chained)
        self._heads[stream] = head
        self._takes.append(Take(op, head))

    def _key(self, stream: StreamId) -> bytes | None:
        """The key that signs a stream: known, or from its opening op, which is in this batch then."""
        known = self._keys.get(stream) or self._book.public_key(stream)
        return known if known is not None and stream_id(known) == stream else None

    def verdict(self, stop: Stop | None) -> Intake:
        """What came of it."""
        return Intake(takes=tuple(self._takes), skipped=self._skipped, stop=stop)


def _is_sound(op: Op, head: StreamHead) -> bool:
    """What holds for every op of ours, whatever it carries: the same on every node, so what one takes all take."""
    has_room = 0 < len(op.entries) <= MAX_OP_ENTRIES and sum(map(len, op.entries)) <= OP_MAX_BYTES + _BLANKS_BYTES
    return has_room and head.hlc < op.stamp.hlc <= HLC_MAX and not any(
        _STREAM_MARK in data and _is_of_another(op, data) for data in op.entries
    )


_STREAM_MARK: Final = b'"kind":"%s"' % STREAM.name.encode()
"""Stands in each entry about a stream; in others only where a field or its name says the same."""


def _is_of_another(op: Op, data: bytes) -> bool:
    """Whether an entry is about a stream that its op is not of: name and key of a stream are its own writer's word."""
    try:
        entry = decode_entry(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return entry.kind == STREAM.name and entry.key != op.dot.stream


_BLANKS_BYTES: Final = MAX_OP_ENTRIES * 512
"""A blank may be longer than the entry that it stands for."""


def opening_key(opening: Op) -> bytes | None:
    """The key that a stream's opening op names, if the stream is named after it."""
    try:
        entry = decode_entry(opening.entries[0])
        if isinstance(entry, Entry) and (entry.kind, entry.key) == (STREAM.name, opening.dot.stream):
            key = bytes.fromhex(str(entry.fields["public_key"]))
            return key if stream_id(key) == opening.dot.stream else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LookupError, ValueError):
        pass
    return None
