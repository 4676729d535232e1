"""Queries over actions that wait for approval, the votes on them and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Dot, Instant, MemoryId, Namespace, PendingStatus, StreamId, Vote
from aimem.ports import Connection, Row, SqlValue
from aimem.store import outbound
from aimem.store.kinds import PENDING, VOTE, load_object, read_state

VOTES_MAX: Final = 1_000
"""Of one action; further ones count no more."""
STREAMS_MAX: Final = 4_096

_COLUMNS: Final = ", ".join(f"p.{column}" for column in (
    "pending_id", "action", "label", "namespace", "memory_id", "payload", "policy", "policy_namespace", "policy_stamp",
    "requested_by", "requested_at", "expires_at", "home", "asked_again_as", "outcome",
))
# Ops of other nodes may hold less than ours do: what is incomplete does not show.
_WHOLE: Final = " AND ".join(
    f"p.{field.columns[0]} IS NOT NULL" for field in PENDING.fields
    if field.name not in ("memory_id", "asked_again_as", "outcome")
)
_FROM: Final = f"SELECT {_COLUMNS} FROM pendings p WHERE p.born IS NOT NULL AND {_WHOLE}"
_ONE: Final = f"{_FROM} AND p.pending_id = :pending_id"
_NEWEST: Final = " ORDER BY p.requested_at DESC, p.pending_id"
_OF_A_HOME: Final = (
    f"{_FROM} AND p.outcome IS NULL AND p.home IN (SELECT value FROM json_each(:homes)) AND (p.expires_at <= :now "
    "OR EXISTS (SELECT 1 FROM votes v WHERE v.pending_id = p.pending_id)) ORDER BY p.expires_at, p.pending_id"
)
_NEXT: Final = (
    "SELECT min(p.expires_at) FROM pendings p WHERE p.outcome IS NULL AND p.born IS NOT NULL AND p.home IN "
    "(SELECT value FROM json_each(:homes)) AND p.expires_at > :now"
)
_OPEN_OF: Final = (
    "SELECT count(*) FROM pendings p WHERE p.outcome IS NULL AND p.born IS NOT NULL AND p.expires_at > :now "
    "AND p.requested_by = :requested_by"
)
_OPEN: Final = (
    "SELECT count(*) FROM pendings p WHERE p.outcome IS NULL AND p.born IS NOT NULL AND p.expires_at > :now"
)
_VOTES: Final = (
    f"SELECT {', '.join(VOTE.columns)} FROM votes WHERE pending_id = ? AND born IS NOT NULL ORDER BY voter_key LIMIT ?"
)
_REMARKS: Final = (
    "SELECT author, text, made_at FROM remarks WHERE pending_id = ? AND born IS NOT NULL AND text IS NOT NULL "
    "AND made_at IS NOT NULL ORDER BY made_at, remark_id LIMIT ?"
)
_REMARK_COUNT: Final = "SELECT count(*) FROM remarks WHERE pending_id = ? AND born IS NOT NULL"
_OP_OF: Final = (
    "SELECT o.seq FROM op_entries e JOIN ops o ON o.position = e.position WHERE e.kind = :kind AND e.key = :key "
    "AND o.stream = :stream AND o.hlc = :hlc"
)
_NODE: Final = "SELECT node FROM stream_facts WHERE stream = ? AND born IS NOT NULL"
_NAMED: Final = "SELECT stream FROM stream_facts WHERE node = ? AND born IS NOT NULL ORDER BY stream LIMIT ?"
_AT_OR_BELOW: Final = (
    "(p.namespace = :namespace OR (p.namespace >= :namespace || '/' AND p.namespace < :namespace || '0'))"
)
# What an agent is shown: what it asked for itself, and what it is entitled to decide on.
_SEEN_BY: Final = (
    "(p.requested_by = :seen_by OR CASE WHEN json_valid(p.policy) THEN "
    "p.policy ->> '$.approver.agent' = :seen_by OR (:is_registered AND json_type(p.policy, '$.approver.consensus') "
    "= 'integer') ELSE 0 END)"
)


class Outcome(Struct, frozen=True, kw_only=True):
    """What an action's home has decided.

    Attributes:
      decided_by: whose vote decided, or the system where it expired.
      detail: JSON; service.effects says of what.
    """

    status: PendingStatus
    decided_by: AgentId
    decided_at: Instant
    detail: str


class Pending(Struct, frozen=True, kw_only=True):
    """An action that waits for approval, or has waited.

    Attributes:
      action: by v0.6.3's names: store, delete, promote; or policy.
      label: of the op that was captured.
      payload: the ops as they would have been written; JSON.
      policy: that asked for the approval, as it was then; JSON.
      policy_namespace, policy_stamp: where that policy is set, and its version.
      home: the stream that queued it; the node that writes it, or did, alone decides.
      asked_again_as: the action that took its place.
    """

    pending_id: MemoryId
    action: str
    label: str
    namespace: Namespace
    memory_id: MemoryId | None
    payload: str
    policy: str
    policy_namespace: Namespace
    policy_stamp: str
    requested_by: AgentId
    requested_at: Instant
    expires_at: Instant
    home: StreamId
    asked_again_as: str | None
    outcome: Outcome | None


class Remark(Struct, frozen=True, kw_only=True):
    """Something that was said about an action."""

    author: AgentId
    text: str
    made_at: Instant


class Wanted(Struct, frozen=True, kw_only=True):
    """Which actions a list holds, as far as the store knows it.

    Attributes:
      namespace: this one and those below it.
      outcomes: those that its home decided so; None for all.
      is_undecided: whether those without an outcome are wanted too, where `outcomes` is not None.
      seen_by: only what this agent may see; None for whoever sees all.
      is_registered: whether that agent is registered.
    """

    namespace: Namespace | None = None
    requested_by: AgentId | None = None
    action: str | None = None
    outcomes: tuple[PendingStatus, ...] | None = None
    is_undecided: bool = True
    seen_by: AgentId | None = None
    is_registered: bool = False


def find(conn: Connection, pending_id: MemoryId) -> Pending | None:
    """One action."""
    row = conn.execute(_ONE, {"pending_id": pending_id}).fetchone()
    return None if row is None else _pending(row)


def outcome_dot(conn: Connection, pending_id: MemoryId) -> Dot | None:
    """The op that wrote an action's outcome; where this log has it no longer, the last known of that stream.

    None while there is no outcome.
    """
    cell = load_object(conn, PENDING, pending_id).fields.get("outcome")
    if cell is None or cell.value is None:
        return None
    stream = cell.stamp.stream
    at: dict[str, SqlValue] = {"kind": PENDING.name, "key": pending_id, "stream": stream, "hlc": cell.stamp.hlc}
    row = conn.execute(_OP_OF, at).fetchone()
    return Dot(stream, outbound.heads(conn)[stream].seq if row is None else cast("int", row[0]))


def newest(conn: Connection, wanted: Wanted) -> Iterator[Pending]:
    """Actions, the latest asked for first; to be used up within the read."""
    parts, parameters = [_FROM], dict[str, SqlValue]()
    if wanted.namespace is not None:
        parts.append(_AT_OR_BELOW)
        parameters["namespace"] = wanted.namespace
    for name, value in (("requested_by", wanted.requested_by), ("action", wanted.action)):
        if value is not None:
            parts.append(f"p.{name} = :{name}")
            parameters[name] = value
    if wanted.outcomes is not None:
        undecided = " OR p.outcome IS NULL" if wanted.is_undecided else ""
        parts.append(f"(p.outcome ->> 0 IN (SELECT value FROM json_each(:outcomes)){undecided})")
        parameters["outcomes"] = _array(wanted.outcomes)
    if wanted.seen_by is not None:
        parts.append(_SEEN_BY)
        parameters |= {"seen_by": wanted.seen_by, "is_registered": int(wanted.is_registered)}
    return (_pending(row) for row in conn.execute(" AND ".join(parts) + _NEWEST, parameters))


def undecided_of(conn: Connection, homes: tuple[StreamId, ...], now: Instant) -> Iterator[Pending]:
    """What these streams queued and have not decided, as far as it has expired or was voted on; the oldest first."""
    return (_pending(row) for row in conn.execute(_OF_A_HOME, {"homes": _array(homes), "now": now}))


def next_expiry(conn: Connection, homes: tuple[StreamId, ...], now: Instant) -> Instant | None:
    """When the next of the actions that these streams queued expires."""
    row = conn.execute(_NEXT, {"homes": _array(homes), "now": now}).fetchone()
    return None if row is None or row[0] is None else Instant(cast("int", row[0]))


def count_open(conn: Connection, now: Instant, requested_by: AgentId | None = None) -> int:
    """How many actions wait, of all or of one who asked."""
    if requested_by is None:
        return _count(conn, _OPEN, {"now": now})
    return _count(conn, _OPEN_OF, {"now": now, "requested_by": requested_by})


def votes_on(conn: Connection, pending_id: MemoryId) -> tuple[Vote, ...]:
    """The votes on an action that are known and complete."""
    found = []
    for row in conn.execute(_VOTES, (pending_id, VOTES_MAX)).fetchall():
        fields = read_state(VOTE, row).fields
        if not VOTE.required <= fields.keys():
            continue
        comment = fields["comment"].value
        found.append(Vote(
            voter=AgentId(str(fields["voter"].value)), vote=str(fields["vote"].value),
            is_operator=fields["is_operator"].value is True, voted_at=Instant(cast("int", fields["voted_at"].value)),
            comment=None if comment is None else str(comment), stamp=fields["vote"].stamp.text(),
        ))
    return tuple(found)


def remarks_on(conn: Connection, pending_id: MemoryId, limit: int) -> tuple[Remark, ...]:
    """What was said about an action, the first first."""
    return tuple(
        Remark(author=AgentId(str(row[0])), text=str(row[1]), made_at=Instant(cast("int", row[2])))
        for row in conn.execute(_REMARKS, (pending_id, limit))
    )


def count_remarks(conn: Connection, pending_id: MemoryId) -> int:
    """How much was said about an action."""
    row = conn.execute(_REMARK_COUNT, (pending_id,)).fetchone()
    return cast("int", row[0]) if row else 0


def node_of(conn: Connection, stream: StreamId) -> str | None:
    """The name of the node that wrote a stream; None if nothing is known of that."""
    row = conn.execute(_NODE, (stream,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def streams_named(conn: Connection, node: str) -> tuple[StreamId, ...]:
    """The streams of nodes of a name."""
    return tuple(StreamId(str(stream)) for (stream,) in conn.execute(_NAMED, (node, STREAMS_MAX)))


def _count(conn: Connection, sql: str, parameters: Mapping[str, SqlValue]) -> int:
    row = conn.execute(sql, parameters).fetchone()
    return cast("int", row[0]) if row else 0


def _array(values: tuple[str, ...]) -> str:
    return msgspec.json.encode(values).decode()


def _pending(row: Row) -> Pending:
    texts = [None if value is None else str(value) for value in row]
    return Pending(
        pending_id=MemoryId(texts[0] or ""), action=texts[1] or "", label=texts[2] or "",
        namespace=Namespace(texts[3] or ""), memory_id=None if texts[4] is None else MemoryId(texts[4]),
        payload=texts[5] or "", policy=texts[6] or "", policy_namespace=Namespace(texts[7] or ""),
        policy_stamp=texts[8] or "", requested_by=AgentId(texts[9] or ""), requested_at=Instant(cast("int", row[10])),
        expires_at=Instant(cast("int", row[11])), home=StreamId(texts[12] or ""), asked_again_as=texts[13],
        outcome=_outcome(texts[14]),
    )


def _outcome(text: str | None) -> Outcome | None:
    if text is None:
        return None
    status, decided_by, decided_at, detail = msgspec.json.decode(text, type=tuple[str, str, int, str])
    try:
        known = PendingStatus(status)
    except ValueError:
        known = PendingStatus.FAILED     # another version's word: decided it is, and nothing here knows how
    return Outcome(status=known, decided_by=AgentId(decided_by), decided_at=Instant(decided_at), detail=detail)
