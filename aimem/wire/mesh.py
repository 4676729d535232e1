"""What nodes say to each other, and what the mesh says of itself.

One exchange is push, pull, catch-up and heartbeat. It is JSON: an entry of an op is UTF-8 text by construction, so the
origin's bytes travel as a JSON text and come out as they went in; hashes and signatures are base64. Measured against
MessagePack on half a megabyte of ops that costs half a millisecond and, once compressed, one per cent of size, where
applying them takes a hundred times as long; and `curl` can read it. Bodies may be gzip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field

from aimem.errors import Code, InvalidRequest
from aimem.model import HLC_MAX, Dot, Evidence, HeadProof, Op, Stamp, StreamHead, StreamId
from aimem.wire.joining import JoiningOut
from aimem.wire.papers import CertificateOut, PeerCertificateOut
from aimem.wire.reloading import ToldOut
from aimem.wire.shortage import ShortWriteOut
from aimem.wire.trusting import UntrustedOut

EXCHANGE_MAX_OPS: Final = 512
EXCHANGE_MAX_BYTES: Final = 1_048_576
"""Bytes of entries in one batch; a single op may have as many by itself."""
SYNC_BODY_MAX_BYTES: Final = 4_194_304
"""Of a request or an answer, uncompressed: a batch with everything in it escaped, and the vectors."""
STREAMS_MAX: Final = 4096
VECTOR_MAX: Final = 2 * STREAMS_MAX
"""A node that knows as many streams as it may can still begin some of its own: nobody takes those, but it is heard."""
HELD_MAX: Final = 1000
_STREAM_CHARS: Final = 32
_HASH_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


class HeadOut(Struct, array_like=True, frozen=True):
    """How far a stream is known: `[seq, hlc, chain hash]`."""

    seq: int
    hlc: int
    hash: bytes


class OpOut(Struct, kw_only=True, frozen=True):
    """One op as it travels; `entries` are the origin's bytes, or blanks."""

    stream: str
    seq: int
    hlc: int
    kind: str
    entries: tuple[str, ...]
    previous: bytes
    signature: bytes


class ExchangeRequest(Struct, kw_only=True, frozen=True):
    """What a node tells a peer, and asks of it.

    Attributes:
      protocol: of this message; `PROTOCOL`.
      node, stream: who asks: its name, and the stream that it writes.
      vector: what the asker knows, durably.
      assumed: what the asker takes the peer to know; below it the peer takes nothing, and answers its vector.
      ops: what the peer lacks then, in the order of the asker's log.
      trimmed: whether some of what the peer lacks left the asker's log: the peer needs a snapshot.
      wants: ops that the asker would take in the answer, at most.
      now: the asker's wall clock, in microseconds since 1970.
      members: hash of the member list that the asker works with; empty while it does not know all names.
      closed: streams of which two histories were written -> the nodes whose rows the asker joined since.
      evidence: what shows that they are closed, of those that the peer did not name itself.
      proofs: that their owners signed heads in `vector`: here of the peer's own stream, if the asker knows more of it.
      prove: streams that the asker wrote: the answer proves what it says of them, however little that is.
      cluster: id of the asker's mesh, empty while it knows none; `proposed` is what it is to be then.
      full: streams of which the asker takes no more for now, as it could not apply their next op: send none of them.
      thin: whether `assumed` leaves out what `vector` says as well, and the answer is to leave out of its vector what
        says the same as the asker's.
    """

    protocol: int
    node: str
    stream: str
    vector: dict[str, HeadOut] = {}
    assumed: dict[str, int] = {}
    ops: tuple[OpOut, ...] = ()
    trimmed: bool = False
    wants: int = 0
    now: int = 0
    members: str = ""
    closed: dict[str, tuple[str, ...]] = {}
    evidence: dict[str, Evidence] = {}
    proofs: dict[str, HeadProof] = {}
    prove: tuple[str, ...] = ()
    cluster: str = ""
    proposed: str = ""
    full: tuple[str, ...] = ()
    thin: bool = False


class ExchangeAnswer(Struct, kw_only=True, frozen=True):
    """What the peer knows after its durable commit, and what the asker lacks.

    Attributes:
      vector: covers all that was taken: an acknowledgement of everything in it that is not `held`.
      held: dots that are logged and could not be applied; `held_count` of them, the first `HELD_MAX` by name.
      ops: what the asker lacked when it asked, in the order of the answerer's log; `more` if there is more.
      trimmed: whether some of these ops left its log: the asker needs a snapshot.
      taken: how many ops of the request were new.
      stopped: why the rest was not taken (empty if all was), and `stopped_at` which op it was.
      proofs: that their owners signed the heads in `vector` that the asker did not name and no op of `ops` shows.
      evidence: of closed streams that the asker did not name.
      cluster, proposed: as in a request.
      full: as in the request, of the node that answers.
      thin: whether heads that say the same as the asker's are left out; `lacks` are those streams of the asker's that
        the node does not know.
    """

    protocol: int
    node: str
    stream: str
    vector: dict[str, HeadOut]
    held: tuple[str, ...] = ()
    held_count: int = 0
    ops: tuple[OpOut, ...] = ()
    more: bool = False
    trimmed: bool = False
    taken: int = 0
    stopped: str = ""
    stopped_at: str = ""
    now: int = 0
    members: str = ""
    closed: dict[str, tuple[str, ...]] = {}
    evidence: dict[str, Evidence] = {}
    proofs: dict[str, HeadProof] = {}
    cluster: str = ""
    proposed: str = ""
    full: tuple[str, ...] = ()
    thin: bool = False
    lacks: tuple[str, ...] = ()


class PeerStatus(Struct, kw_only=True):
    """One peer as this node sees it.

    Attributes:
      state: `reachable`, `unreachable`, `unasked`, or why it does not count (`self`, `duplicate`, `untrusted`,
        `other_cluster`, `forked`, which is one too that goes on in a stream of which it signed two histories).
      breaker: `closed`, `open` (asked only now and then), `half_open` (just being asked).
      lag_ops: ops of this node's log that the peer lacks, by its latest word: an answer, or what it asked with.
      lag_s: how long it has been behind, in seconds.
      clock_offset_ms: its wall clock less ours, of the last exchange; None before.
      last_ok_s: seconds since its last answer; None before.
      compared_s: seconds since all rows were last compared with its, None before; `differing` of them differed.
      members_hash: of the members that it was told of, as it last said; empty while it does not know all names.
      key: by which it is known here, 64 hex digits.
      fingerprints: of the certificates that it showed, here and there, the latest first.
      named: fingerprints of the certificates that its stream says that its node shows.
      certificate: which its server showed last; None without TLS.
      protocol: version of the language between nodes that is spoken with it; 0 before it answered.
      cluster: id of the mesh that it says to belong to; empty while it says none.
    """

    url: str
    node: str
    stream: str
    state: str
    breaker: str
    in_flight: bool
    lag_ops: int
    lag_s: float
    failures: int
    clock_offset_ms: float | None
    last_ok_s: float | None
    last_error: str
    vector: dict[str, int]
    held: int
    compared_s: float | None = None
    differing: int = 0
    members_hash: str = ""
    key: str = ""
    fingerprints: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    certificate: PeerCertificateOut | None = None
    protocol: int = 0
    cluster: str = ""


class ConflictOut(Struct, kw_only=True):
    """A write that lost a field to one that did not know of it. `value` is the loser's."""

    kind: str
    key: str
    field: str
    value: object
    version_hlc: int
    stream: str
    noted_at: str


class VerifyOut(Struct, kw_only=True):
    """Whether a peer's copy is this node's.

    Attributes:
      verdict: `equal`, `differs` (both know the same ops and show something else), `behind` (they know different
        ops; ask again when quiet), `unreachable`.
    """

    url: str
    node: str
    verdict: str
    digest: str
    reason: str = ""


class MeshQuery(Struct, kw_only=True):
    """What the document holds besides: `digest` (over all rows: not cheap), `verify` (every peer's too), conflicts."""

    digest: bool = False
    verify: bool = False
    conflicts: int | None = None


class CatchUpRequest(Struct, kw_only=True):
    """Exchange with all peers now.

    Attributes:
      peers: those that the caller expects the node to have; others than the node's own are refused.
    """

    peers: list[str] = field(default_factory=list)


class MeshDocument(Struct, kw_only=True):
    """The mesh as one node sees it.

    Attributes:
      members, writes: N and W.
      members_hash: of the names of all members; empty while a peer never said its own. `agreement`: whether the peers
        sent an equal one: `agreed`, `unequal`, or `unknown` while somebody does not know all names.
      alarms: sentences about what a person must look at.
      forks: streams that are closed because their writer signed two histories.
      op_log_bytes: of the entries in the log, when it was last looked at.
      joining: the snapshot that is being joined, None while none is; `behind`: writes that peers know and it lacks.
      key: with which this node signs, public, 64 hex digits.
      mesh_access: what opens the routes between nodes: `mtls`, `keys`, or `open`.
      untrusted: who comes under the name of another node, and waits for `mesh trust`.
      certificates: this node's own.
      told: where it is told who the members are.
      cluster: id of the mesh, the same on all its nodes; empty while none is known.
      short_writes: writes since the node's start that it refused, or that got too few acks; `last_short` the last.
    """

    node: str
    stream: str
    protocol: int
    members: int
    writes: int
    peers: tuple[PeerStatus, ...]
    vector: dict[str, int]
    hlc: int
    held: tuple[str, ...]
    held_count: int
    conflict_count: int
    conflicts: tuple[ConflictOut, ...] | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    digest_vector: dict[str, int] | UnsetType = UNSET
    verified: tuple[VerifyOut, ...] | UnsetType = UNSET
    forks: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    op_log_count: int = 0
    op_log_bytes: int = 0
    joining: JoiningOut | None = None
    behind: int = 0
    members_hash: str = ""
    agreement: str = ""
    key: str = ""
    mesh_access: str = ""
    untrusted: tuple[UntrustedOut, ...] = ()
    certificates: tuple[CertificateOut, ...] = ()
    told: ToldOut | UnsetType = UNSET
    cluster: str = ""
    short_writes: int = 0
    last_short: ShortWriteOut | None = None


class WriteOutcome(Struct, kw_only=True):
    """What became of a write.

    Attributes:
      outcome: `applied` (known here and on enough nodes), `replicating` (known here, not on enough nodes that said so),
        `held` (known here, and not applied), `unknown` (not known here: of a node that this one has not heard all of).
      got, needed: nodes that have it, this one and its writer included, and how many a write waits for.
      acked_by: their names.
      waiting_for: node -> why it does not count yet.
    """

    version: str
    outcome: str
    got: int
    needed: int
    acked_by: tuple[str, ...]
    waiting_for: dict[str, str]


def op_out(op: Op) -> OpOut:
    """An op in wire form."""
    return OpOut(
        stream=op.dot.stream, seq=op.dot.seq, hlc=op.stamp.hlc, kind=op.kind,
        entries=tuple(entry.decode() for entry in op.entries), previous=op.previous, signature=op.signature,
    )


def op_in(sent: OpOut) -> Op:
    """An op from its wire form; what it says is not judged here.

    Raises: InvalidRequest(schema_mismatch) for what cannot be an op at all.
    """
    stream = stream_in(sent.stream)
    is_sized = len(sent.previous) == _HASH_BYTES and len(sent.signature) == _SIGNATURE_BYTES
    if not (is_sized and 0 < sent.seq < 1 << 63 and 0 < sent.hlc <= HLC_MAX and len(sent.kind) <= 64):
        raise _malformed(f"{stream}:{sent.seq} is no op: a number or a hash is out of range")
    try:
        entries = tuple(entry.encode() for entry in sent.entries)
        sent.kind.encode()
    except UnicodeEncodeError:
        raise _malformed(f"{stream}:{sent.seq} holds half of a surrogate pair") from None
    return Op(
        dot=Dot(stream, sent.seq), stamp=Stamp(sent.hlc, stream), kind=sent.kind, entries=entries,
        previous=sent.previous, signature=sent.signature,
    )


def stream_in(text: str) -> StreamId:
    """The name of a stream. Raises: InvalidRequest(schema_mismatch)."""
    if len(text) != _STREAM_CHARS or not _HEX.issuperset(text):
        raise _malformed(f"{text[:80]!r} is no stream; it has {_STREAM_CHARS} lower-case hex digits")
    return StreamId(text)


def heads_out(heads: Mapping[StreamId, StreamHead]) -> dict[str, HeadOut]:
    """A vector in wire form."""
    return {stream: HeadOut(head.seq, head.hlc, head.chain_hash) for stream, head in heads.items()}


def heads_in(sent: dict[str, HeadOut]) -> dict[StreamId, StreamHead]:
    """A vector from its wire form. Raises: InvalidRequest(schema_mismatch)."""
    if len(sent) > VECTOR_MAX:
        raise _malformed(f"a vector of {len(sent)} streams; at most {VECTOR_MAX} are carried")
    known = {}
    for text, head in sent.items():
        stream = stream_in(text)
        if not (0 <= head.seq < 1 << 63 and 0 <= head.hlc <= HLC_MAX and len(head.hash) == _HASH_BYTES):
            raise _malformed(f"the head of {stream} is out of range")
        known[stream] = StreamHead(stream=stream, seq=head.seq, hlc=head.hlc, chain_hash=head.hash)
    return known


def vector_in(sent: dict[str, int]) -> dict[StreamId, int]:
    """A plain vector from its wire form. Raises: InvalidRequest(schema_mismatch)."""
    if len(sent) > VECTOR_MAX:
        raise _malformed(f"a vector of {len(sent)} streams; at most {VECTOR_MAX} are carried")
    if any(not 0 <= seq < 1 << 63 for seq in sent.values()):
        raise _malformed("a vector holds counts of ops, from 0")
    return {stream_in(text): seq for text, seq in sent.items()}


def _malformed(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, code=Code.SCHEMA_MISMATCH)
