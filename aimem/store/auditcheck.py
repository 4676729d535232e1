"""Whether the audit is whole, and the only way in which rows leave it: behind a checkpoint that this node signs.

What this proves: nobody changed a row who could not also compute all later hashes anew, and none behind a checkpoint
who does not have the node's key. Whoever holds the file can do the first, so the hash of the end belongs elsewhere too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import takewhile
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Instant, StreamId, stream_id
from aimem.ports import Connection, is_signed
from aimem.store.audit import GENESIS, AuditRow, Entry, Mark, after, append, counted, hash_at, row_hash
from aimem.store.lineage import line_of
from aimem.store.transaction import Transaction

CHECKPOINT_FORMAT: Final = "aimem.audit.checkpoint.1"

_CHECKPOINT = (
    "SELECT seq, hash, row_count, made_at, made_by, public_key, signature FROM audit_checkpoints "
    "ORDER BY seq DESC LIMIT 1"
)
_SET_CHECKPOINT = (
    "INSERT INTO audit_checkpoints (seq, hash, row_count, made_at, made_by, public_key, signature) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_DROP_CHECKPOINTS = "DELETE FROM audit_checkpoints"
_DROP_ROWS = "DELETE FROM audit WHERE seq <= ?"


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Where the audit was cut.

    Attributes:
      mark: the last row that is gone.
      row_count: rows that are gone, over all cuts.
      public_key: of the stream that signed it (hex).
    """

    mark: Mark
    row_count: int
    made_at: Instant
    made_by: str
    public_key: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return msgspec.json.encode([
            CHECKPOINT_FORMAT, self.mark.seq, self.mark.hash.hex(), self.row_count, self.made_at, self.made_by,
            self.public_key,
        ])


class Damage(StrEnum):
    """What is wrong with the audit."""

    MISSING = "missing"        # a row is not there
    CHANGED = "changed"        # a row is not as it was written
    REORDERED = "reordered"    # a row stands in the place of another
    FORGED = "forged"          # the checkpoint is not signed by this node


class Finding(Struct, frozen=True):
    """The first thing that is wrong, and at which row."""

    seq: int
    damage: Damage
    other_seq: int | None = None


class Checked(Struct, frozen=True, kw_only=True):
    """What was found of a portion of the audit.

    Attributes:
      first: where it began: the row of this number and hash was taken for granted.
      end: the last row that is sound.
      is_whole: whether `end` is the end of the audit, so that nothing is left to check.
    """

    first: Mark
    end: Mark
    row_count: int
    is_whole: bool
    finding: Finding | None = None


def checkpoint(conn: Connection) -> Checkpoint | None:
    """Where the audit was last cut, if it was."""
    row = conn.execute(_CHECKPOINT).fetchone()
    if row is None:
        return None
    known = cast("tuple[int, bytes, int, int, str, str, bytes]", row)
    seq, hash_, row_count, made_at, made_by, public_key, signature = known
    return Checkpoint(
        mark=Mark(seq, hash_), row_count=row_count, made_at=Instant(made_at), made_by=made_by, public_key=public_key,
        signature=signature,
    )


def check(conn: Connection, stream: StreamId, begin: Mark | None, limit: int) -> Checked:
    """Compare rows with their hashes, at most `limit` of them.

    Args:
      stream: the one that this node writes; a checkpoint must be signed by it or one before it.
      begin: a place to go on from, or an end that was noted elsewhere: its row must still have that hash. None for all.
    """
    cut = checkpoint(conn)
    first = Mark(0, GENESIS) if cut is None else cut.mark
    if cut is not None and not _is_ours(conn, stream, cut):
        return Checked(first=first, end=first, row_count=0, is_whole=False, finding=Finding(first.seq, Damage.FORGED))
    if begin is not None and begin.seq >= first.seq:
        known = first.hash if begin.seq == first.seq else hash_at(conn, begin.seq)
        if known != begin.hash:
            damage = Damage.MISSING if known is None else Damage.CHANGED
            return Checked(
                first=first, end=first, row_count=0, is_whole=False, finding=Finding(begin.seq, damage)
            )
        first = begin
    rows = after(conn, first.seq, limit)
    end, finding = _follow(first, rows)
    is_whole = finding is None and len(rows) < limit
    if is_whole and counted(conn) > end.seq:
        is_whole, finding = False, Finding(end.seq + 1, Damage.MISSING)
    return Checked(first=first, end=end, row_count=end.seq - first.seq, is_whole=is_whole, finding=finding)


def _follow(first: Mark, rows: Sequence[Entry]) -> tuple[Mark, Finding | None]:
    """How far the chain holds from a place, and what breaks it."""
    end = first
    for entry in rows:
        seq = end.seq + 1
        if entry.mark.seq != seq:
            return end, Finding(seq, Damage.MISSING)
        if entry.mark.hash != _hash(end, entry):
            return end, _breach(end, seq, rows)
        end = entry.mark
    return end, None


def _breach(end: Mark, seq: int, rows: Sequence[Entry]) -> Finding:
    """Tell a row that was put elsewhere from one that was changed."""
    here = next(entry for entry in rows if entry.mark.seq == seq)
    for other in rows:
        if other.mark.seq != seq and _hash(end, other) in (here.mark.hash, other.mark.hash):
            return Finding(seq, Damage.REORDERED, other.mark.seq)
    return Finding(seq, Damage.CHANGED)


def _hash(end: Mark, entry: Entry) -> bytes:
    return row_hash(end.hash, end.seq + 1, entry.row)


def _is_ours(conn: Connection, stream: StreamId, cut: Checkpoint) -> bool:
    try:
        key = bytes.fromhex(cut.public_key)
        signer = stream_id(key)
    except ValueError:
        return False
    return signer in line_of(conn, stream) and is_signed(key, cut.signed_bytes(), cut.signature)


class Pruned(Struct, frozen=True):
    """What a cut did: rows that went, whether more would have to go, and what stopped it, if something did."""

    row_count: int
    more: bool
    finding: Finding | None = None


def prune(
    transaction: Transaction, stream: StreamId, by: AuditRow, *, before: Instant | None, before_seq: int | None,
    limit: int,
) -> Pruned:
    """Delete rows from the beginning up to a moment or a number, at most `limit`, behind a signed checkpoint.

    Nothing that is damaged is signed: there it stops.

    Args:
      by: what is told of it in the audit; its count is set to how many rows went.
    """
    conn = transaction.conn
    found = check(conn, stream, None, limit)
    sound = after(conn, found.first.seq, found.row_count) if found.row_count else ()
    gone = list(_old(sound, before, before_seq))
    stopped = found.finding if len(gone) == len(sound) else None
    if not gone:
        return Pruned(0, more=False, finding=stopped)
    cut, end = checkpoint(conn), gone[-1].mark
    earlier_count = 0 if cut is None else cut.row_count
    signed = Checkpoint(
        mark=end, row_count=earlier_count + len(gone), made_at=transaction.now, made_by=by.agent_id,
        public_key=transaction.signer.public_key.hex(), signature=b"",
    )
    conn.execute(_DROP_CHECKPOINTS)
    conn.execute(_SET_CHECKPOINT, (
        end.seq, end.hash, signed.row_count, signed.made_at, signed.made_by, signed.public_key,
        transaction.signer.sign(signed.signed_bytes()),
    ))
    append(conn, [msgspec.structs.replace(by, at=transaction.now, count=len(gone), detail=f"up to row {end}")])
    conn.execute(_DROP_ROWS, (end.seq,))
    return Pruned(len(gone), more=len(gone) == limit, finding=stopped)


def _old(rows: Sequence[Entry], before: Instant | None, before_seq: int | None) -> Iterator[Entry]:
    def is_old(entry: Entry) -> bool:
        is_of_time = before is None or entry.row.at < before
        return is_of_time and (before_seq is None or entry.mark.seq < before_seq)

    return takewhile(is_old, rows)
