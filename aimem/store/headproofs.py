"""Where the proofs of heads are: in the log, and in a table of its own for heads whose ops left it; and evidence.

The op at a head is its proof. Where a head came with a snapshot, or its op was trimmed, the proof was kept apart in the
same transaction. A database that trimmed before there were proofs has none for such a head until its stream's next op.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import msgspec

from aimem.model import (
    Attestation,
    Dot,
    Evidence,
    HeadProof,
    Op,
    Stamp,
    StreamHead,
    StreamId,
    attestation_of,
    attested_head,
    closing_words,
    contradict,
    stream_id,
)
from aimem.ports import Connection, Signer, is_signed
from aimem.store import oplog
from aimem.store.kinds import STREAM, load_object

_OP_AT = "SELECT position, hlc, kind, previous, signature FROM ops WHERE stream = ? AND seq = ?"
_ENTRIES = "SELECT data FROM op_entries WHERE position = ? ORDER BY ordinal"
_NOTED = "SELECT value FROM meta WHERE name = ?"
_NOTE = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_NOTE_ONCE = "INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)"
_ALL_EVIDENCE = "SELECT substr(name, 10), value FROM meta WHERE name GLOB 'evidence:*'"
_HEADS_UP_TO = (
    "SELECT o.stream, o.seq FROM ops o JOIN streams s ON s.stream = o.stream AND s.head_seq = o.seq "
    "WHERE o.position <= ?"
)


_BARE = (
    "SELECT s.stream, s.head_seq FROM streams s "
    "WHERE NOT EXISTS (SELECT 1 FROM ops o WHERE o.stream = s.stream AND o.seq = s.head_seq)"
)


def public_key(conn: Connection, stream: StreamId) -> bytes | None:
    """The key that signs a stream, from its opening op; None while that is not known."""
    cell = load_object(conn, STREAM, stream).fields.get("public_key")
    try:
        key = bytes.fromhex(str(cell.value)) if cell is not None else b""
    except ValueError:
        return None
    return key if stream_id(key) == stream else None


def public_keys(conn: Connection, streams: Iterable[StreamId]) -> dict[StreamId, bytes]:
    """The keys of those streams of which they are known."""
    found = ((stream, public_key(conn, stream)) for stream in streams)
    return {stream: key for stream, key in found if key is not None}


def proofs_of(conn: Connection, heads: Iterable[StreamHead]) -> dict[StreamId, HeadProof]:
    """The proofs of those heads of which this node has one."""
    found: dict[StreamId, HeadProof] = {}
    for head in heads:
        told = attestation_at(conn, Dot(head.stream, head.seq))
        if told is not None and attested_head(head.stream, told) == head:
            found[head.stream] = told.proof
    return found


def attestation_at(conn: Connection, dot: Dot) -> Attestation | None:
    """An op as its owner signed it, from the log, or as it was kept when it left that as a head."""
    row = conn.execute(_OP_AT, (dot.stream, dot.seq)).fetchone()
    if row is None:
        return _kept(conn, dot)
    position, hlc, kind, previous, signature = cast("tuple[int, int, str, bytes, bytes]", row)
    key = public_key(conn, dot.stream)
    if key is None:
        return None
    entries = tuple(cast("bytes", data) for (data,) in conn.execute(_ENTRIES, (position,)))
    stamp = Stamp(hlc, dot.stream)
    op = Op(dot=dot, stamp=stamp, kind=kind, entries=entries, previous=previous, signature=signature)
    try:
        return attestation_of(op, key)
    except (ValueError, msgspec.MsgspecError):
        return None


def _kept(conn: Connection, dot: Dot) -> Attestation | None:
    row = conn.execute(_NOTED, (f"proof:{dot.stream}",)).fetchone()
    told = None if row is None else msgspec.json.decode(str(row[0]), type=Attestation)
    return told if told is not None and told.seq == dot.seq else None


def hash_at(conn: Connection, dot: Dot) -> bytes | None:
    """The chain hash of a known op that is not its stream's head: by the log, or by the proof of the op behind it."""
    known = oplog.hash_at(conn, dot)
    if known is None:
        told = _kept(conn, Dot(dot.stream, dot.seq + 1))
        known = None if told is None else told.proof.previous
    return known


def keep(conn: Connection, head: StreamHead, proof: HeadProof) -> None:
    """Keep the proof of a head whose op is not in the log."""
    told = Attestation(head.seq, head.hlc, proof)
    conn.execute(_NOTE, (f"proof:{head.stream}", msgspec.json.encode(told).decode()))


def keep_up_to(conn: Connection, position: int) -> None:
    """Before the log is cut behind a position: keep what the heads need of what goes."""
    for stream, seq in conn.execute(_HEADS_UP_TO, (position,)).fetchall():
        owner = StreamId(str(stream))
        told = attestation_at(conn, Dot(owner, cast("int", seq)))
        if told is not None:
            conn.execute(_NOTE, (f"proof:{owner}", msgspec.json.encode(told).decode()))


def load(conn: Connection) -> tuple[dict[StreamId, Evidence], frozenset[StreamId]]:
    """What is kept for a start: all evidence, and the streams whose heads cannot be proven."""
    return load_evidence(conn), unproven(conn)


def unproven(conn: Connection) -> frozenset[StreamId]:
    """The streams whose heads this node cannot prove: they lost their ops before proofs were kept."""
    bare = ((StreamId(str(stream)), cast("int", seq)) for stream, seq in conn.execute(_BARE).fetchall())
    return frozenset(stream for stream, seq in bare if _kept(conn, Dot(stream, seq)) is None)


def evidence_against(conn: Connection, stream: StreamId, theirs: Attestation) -> Evidence | None:
    """What shows, with an op of a stream that is known here, that its owner signed two histories.

    Args:
      theirs: an op of it that does not fit to what is known here; its signature was verified.
    """
    for own in _neighbours(conn, stream, theirs.seq):
        head = attested_head(stream, own)
        # Of a batch only the last op's signature is verified when it is taken.
        if head is not None and contradict(stream, own, theirs) and is_signed(
            own.proof.key, head.chain_hash, own.proof.signature
        ):
            return Evidence(signed=(own, theirs))
    return None


def _neighbours(conn: Connection, stream: StreamId, seq: int) -> Iterator[Attestation]:
    for at in (seq, seq + 1, seq - 1):
        told = attestation_at(conn, Dot(stream, at)) if at > 0 else None
        if told is not None:
            yield told


def keep_evidence(conn: Connection, evidence: Mapping[StreamId, Evidence]) -> None:
    """Keep what shows that streams are closed; the first of each stays."""
    for stream, shown in evidence.items():
        conn.execute(_NOTE_ONCE, (f"evidence:{stream}", msgspec.json.encode(shown).decode()))


def load_evidence(conn: Connection) -> dict[StreamId, Evidence]:
    """All that is kept."""
    return {
        StreamId(str(stream)): msgspec.json.decode(str(value), type=Evidence)
        for stream, value in conn.execute(_ALL_EVIDENCE)
    }


def keep_word(conn: Connection, stream: StreamId, signer: Signer) -> None:
    """As a node leaves a stream for another: sign that it is closed, which is said if that has to be said.

    Its key is gone afterwards.
    """
    word = Evidence(key=signer.public_key, closing=signer.sign(closing_words(stream)))
    conn.execute(_NOTE, (f"word:{stream}", msgspec.json.encode(word).decode()))


def word_of(conn: Connection, stream: StreamId) -> Evidence | None:
    """What this node signed when it left a stream; None where its key was gone, or another node wrote it."""
    row = conn.execute(_NOTED, (f"word:{stream}",)).fetchone()
    return None if row is None else msgspec.json.decode(str(row[0]), type=Evidence)
