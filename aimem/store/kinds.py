"""The kinds of replicated objects: which fields each has and how they lie in its table.

One generic road loads and saves them all; a kind is a table of fields, not a function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from aimem.model import Cell, FieldValue, LinkKey, MemoryId, ObjectState, Relation, Stamp, unpack_stamp
from aimem.ports import Connection
from aimem.store.fields import Field, Kind, SqlValue, kind_of, list_field, scalar_field

_ALIAS_HASH_CHARS: Final = 32

_FIND_TOMBSTONE = "SELECT stamp FROM tombstones WHERE kind = ? AND key = ?"
_BURY = "INSERT OR REPLACE INTO tombstones (kind, key, stamp) VALUES (?, ?, ?)"


def _name_to_columns(value: FieldValue) -> tuple[SqlValue, ...]:
    match value:
        case [str() as namespace, str() as title]:
            return namespace, title, 0
        case [str() as namespace, str() as title, True]:
            return namespace, title, 1
    raise ValueError(f"name cannot hold {value!r:.80}")


def _name_to_value(row: tuple[SqlValue, ...]) -> FieldValue:
    namespace, title = str(row[0]), str(row[1])
    return (namespace, title, True) if row[2] else (namespace, title)


def _single_key(key: str) -> tuple[str, ...]:
    return (key,)


def _link_key(key: str) -> tuple[str, ...]:
    parts = msgspec.json.decode(key, type=tuple[str, str, str])
    if key != link_key_text(LinkKey(MemoryId(parts[0]), MemoryId(parts[1]), Relation(parts[2]))):
        raise ValueError("a link's key is not in its canonical form")
    return parts


def link_key_text(key: LinkKey) -> str:
    """The object key of a link: one canonical JSON array."""
    return msgspec.json.encode([key.source_id, key.target_id, key.relation.value]).decode()


def alias_key_text(entity_id: MemoryId, alias: str) -> str:
    """The object key of an alias. It holds a hash: keys outlive their object in the log, and texts must not."""
    return msgspec.json.encode([entity_id, _alias_hash(alias)]).decode()


def _alias_hash(alias: str) -> str:
    return hashlib.sha256(alias.encode()).hexdigest()[:_ALIAS_HASH_CHARS]


def _alias_key(key: str) -> tuple[str, ...]:
    parts = msgspec.json.decode(key, type=tuple[str, str])
    if key != msgspec.json.encode(parts).decode() or len(parts[1]) != _ALIAS_HASH_CHARS:
        raise ValueError("an alias's key is not in its canonical form")
    return parts


def pair_key_text(first: str, second: str) -> str:
    """The object key of what belongs to another object: one canonical JSON array."""
    return msgspec.json.encode([first, second]).decode()


def _pair_key(key: str) -> tuple[str, ...]:
    parts = msgspec.json.decode(key, type=tuple[str, str])
    if key != pair_key_text(*parts):
        raise ValueError("a key of two parts is not in its canonical form")
    return parts


LIVE: Final[FieldValue] = ("live",)
"""Value of `lifecycle` of a memory that is not archived; else ("archived", reason, when)."""

MEMORY: Final = kind_of(
    "memory",
    "memories",
    ("id",),
    _single_key,
    lambda row: row[0],
    Field(
        name="name",
        columns=("namespace", "title", "title_generated"),
        to_columns=_name_to_columns,
        to_value=_name_to_value,
    ),
    scalar_field("content", str),
    list_field("tags", []),
    scalar_field("tier", str),
    scalar_field("priority", int),
    scalar_field("confidence", float),
    scalar_field("source", str),
    scalar_field("metadata", str),
    scalar_field("scope", (str, type(None))),
    scalar_field("created_at", int),
    scalar_field("updated_at", int),
    scalar_field("expires_at", (int, type(None))),
    list_field("lifecycle", [(str,), (str, str, int)]),
    list_field("extended", [(str, int)], is_register=True),
    list_field("collected", [(str, int, int)], is_register=True),
)
LINK: Final = kind_of(
    "link",
    "links",
    ("source_id", "target_id", "relation"),
    _link_key,
    lambda row: link_key_text(LinkKey(MemoryId(row[0]), MemoryId(row[1]), Relation(row[2]))),
    scalar_field("present", bool),
    scalar_field("created_at", int),
    scalar_field("valid_from", int),
    scalar_field("valid_until", (int, type(None))),
    scalar_field("observed_by", (str, type(None))),
    list_field("ended", [(str, str, int), ()], is_optional=True),
    scalar_field("past", str, is_optional=True),
    end_count=2,
)
ALIAS: Final = kind_of(
    "alias",
    "aliases",
    ("entity_id", "alias_hash"),
    _alias_key,
    lambda row: msgspec.json.encode([row[0], row[1]]).decode(),
    scalar_field("alias", str),
    scalar_field("present", bool),
    scalar_field("created_at", int),
    scalar_field("ordinal", int),
    end_count=1,
)
AGENT: Final = kind_of(
    "agent",
    "agents",
    ("agent_id",),
    _single_key,
    lambda row: row[0],
    scalar_field("present", bool),
    scalar_field("agent_type", str),
    list_field("capabilities", []),
    scalar_field("registered_at", int),
    scalar_field("last_seen_at", int),
)
_TEXT_OR_NONE: Final = (str, type(None))
NAMESPACE: Final = kind_of(
    "namespace",
    "namespaces",
    ("namespace",),
    _single_key,
    lambda row: row[0],
    scalar_field("standard_id", _TEXT_OR_NONE),
    scalar_field("parent", _TEXT_OR_NONE),
    scalar_field("governance", _TEXT_OR_NONE),
    scalar_field("owner", _TEXT_OR_NONE),
    scalar_field("changed_by", str),
    scalar_field("changed_at", int),
)
KEY: Final = kind_of(
    "key",
    "agent_keys",
    ("key_id",),
    _single_key,
    lambda row: row[0],
    scalar_field("agent_id", str),
    scalar_field("secret_hash", str),
    scalar_field("role", str),
    scalar_field("home", _TEXT_OR_NONE),
    scalar_field("created_at", int),
    scalar_field("expires_at", (int, type(None))),
    scalar_field("revoked_at", (int, type(None))),
)
PENDING: Final = kind_of(
    "pending",
    "pendings",
    ("pending_id",),
    _single_key,
    lambda row: row[0],
    scalar_field("action", str),
    scalar_field("label", str),
    scalar_field("namespace", str),
    scalar_field("memory_id", _TEXT_OR_NONE),
    scalar_field("payload", str),
    scalar_field("policy", str),
    scalar_field("policy_namespace", str),
    scalar_field("policy_stamp", str),
    scalar_field("requested_by", str),
    scalar_field("requested_at", int),
    scalar_field("expires_at", int),
    scalar_field("home", str),
    scalar_field("asked_again_as", _TEXT_OR_NONE),
    list_field("outcome", [(str, str, int, str)], is_optional=True),
)
VOTE: Final = kind_of(
    "vote",
    "votes",
    ("pending_id", "voter_key"),
    _pair_key,
    lambda row: pair_key_text(row[0], row[1]),
    scalar_field("voter", str),
    scalar_field("vote", str),
    scalar_field("is_operator", bool),
    scalar_field("voted_at", int),
    scalar_field("comment", _TEXT_OR_NONE),
)
REMARK: Final = kind_of(
    "remark",
    "remarks",
    ("pending_id", "remark_id"),
    _pair_key,
    lambda row: pair_key_text(row[0], row[1]),
    scalar_field("text", str),
    scalar_field("made_at", int),
)
SUBSCRIPTION: Final = kind_of(
    "subscription",
    "subscriptions",
    ("subscription_id",),
    _single_key,
    lambda row: row[0],
    scalar_field("present", bool),
    scalar_field("url", str),
    list_field("events", []),
    scalar_field("signing_key", _TEXT_OR_NONE),
    scalar_field("namespace", _TEXT_OR_NONE),
    scalar_field("namespace_filter", _TEXT_OR_NONE),
    scalar_field("agent_filter", _TEXT_OR_NONE),
    scalar_field("by_operator", bool),
    scalar_field("created_at", int),
)
STREAM: Final = kind_of(
    "stream",
    "stream_facts",
    ("stream",),
    _single_key,
    lambda row: row[0],
    scalar_field("node", str),
    scalar_field("public_key", str),
    # The stream before, with its key and what that signed for this one: see `model.predecessor_text`.
    scalar_field("predecessor", (str, type(None))),
    scalar_field("certificate", (str, type(None))),
)
KINDS: Final = {
    kind.name: kind
    for kind in (
        MEMORY, LINK, ALIAS, AGENT, NAMESPACE, KEY, PENDING, VOTE, REMARK, SUBSCRIPTION, STREAM,
    )
}
"""Every kind that this version can fold; ops of another kind are held."""


def _where(kind: Kind) -> str:
    return " AND ".join(f"{column} = ?" for column in kind.key_columns)


_SELECT = {k.name: f"SELECT {', '.join(k.columns)} FROM {k.table} WHERE {_where(k)}" for k in KINDS.values()}
_SELECT_ALL = {k.name: f"SELECT {', '.join(k.key_columns + k.columns)} FROM {k.table}" for k in KINDS.values()}
UPSERT: Final = {
    k.name: f"INSERT INTO {k.table} ({', '.join(k.key_columns + k.columns)}) "
    f"VALUES ({', '.join('?' * len(k.key_columns + k.columns))}) "
    f"ON CONFLICT ({', '.join(k.key_columns)}) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in k.columns)}"
    for k in KINDS.values()
}
"""By name of the kind: writes one row of `row_of`."""

_DELETE = {k.name: f"DELETE FROM {k.table} WHERE {_where(k)}" for k in KINDS.values()}


def load_object(conn: Connection, kind: Kind, key: str) -> ObjectState:
    """The object as known; `ObjectState()` if nothing is. Raises: ValueError for a key of another form."""
    tombstone = conn.execute(_FIND_TOMBSTONE, (kind.name, key)).fetchone()
    if tombstone is not None:
        return ObjectState(dead=stamp_of(tombstone[0]))
    row = conn.execute(_SELECT[kind.name], kind.split_key(key)).fetchone()
    return ObjectState() if row is None else read_state(kind, row)


def is_whole(conn: Connection, kind: Kind, key: str, state: ObjectState) -> bool:
    """Whether what stands in the table is just what the object's state makes there.

    A value without a stamp is not, nor a row beside a tombstone: no state tells of either. Raises: as `row_of`.
    """
    keys = kind.split_key(key)
    row = conn.execute(_SELECT[kind.name], keys).fetchone()
    if row is None or state.dead is not None:
        return row is None
    return (*keys, *row) == row_of(kind, key, state)


def read_state(kind: Kind, row: Sequence[SqlValue]) -> ObjectState:
    """A state from a row of `kind.columns`."""
    born = None if row[0] is None else stamp_of(row[0])
    packed = row[-1]
    exceptions: dict[str, bytes | None] = msgspec.msgpack.decode(packed) if isinstance(packed, bytes) else {}
    fields: dict[str, Cell] = {}
    at = 2
    for field in kind.fields:
        columns = tuple(row[at : at + len(field.columns)])
        at += len(field.columns)
        if field.name in exceptions:
            own = exceptions[field.name]
            stamp = None if own is None else unpack_stamp(own)
        else:
            stamp = None if field.is_optional else born
        if stamp is not None:
            fields[field.name] = Cell(stamp, field.to_value(columns))
    return ObjectState(born=born, author=None if row[1] is None else str(row[1]), fields=fields)


def save_object(conn: Connection, kind: Kind, key: str, state: ObjectState) -> None:
    """Write the joined state; a dead object leaves only its tombstone. Raises: ValueError, DatabaseError."""
    if state.dead is not None:
        delete_object(conn, kind, key)
        conn.execute(_BURY, (kind.name, key, state.dead.pack()))
        return
    conn.execute(UPSERT[kind.name], row_of(kind, key, state))


def row_of(kind: Kind, key: str, state: ObjectState) -> tuple[SqlValue, ...]:
    """The row of an object that is not dead, for `UPSERT`.

    Raises: ValueError for a key of another form, a field that the kind does not have, or a value of another type.
    """
    born, fields = state.born, state.fields
    values: list[SqlValue] = []
    exceptions: dict[str, bytes | None] = {}
    known_count = 0
    for field in kind.fields:
        cell = fields.get(field.name)
        if cell is None:
            values.extend((None,) * len(field.columns))
            if born is not None and not field.is_optional:
                exceptions[field.name] = None
            continue
        known_count += 1
        values.extend(field.to_columns(cell.value))
        stamp = cell.stamp
        # Nearly always the very stamp: a new object has one for all its fields.
        if field.is_optional or (stamp is not born and stamp != born):
            exceptions[field.name] = stamp.pack()
    if known_count < len(fields):
        unknown = fields.keys() - {f.name for f in kind.fields}
        raise ValueError(f"a {kind.name} has no field {min(unknown)!r}")
    packed = None if born is None else born.pack()
    stamps = msgspec.msgpack.encode(exceptions) if exceptions else None
    return (*kind.split_key(key), packed, state.author, *values, stamps)


def delete_object(conn: Connection, kind: Kind, key: str) -> None:
    """Take an object's row away. Raises: ValueError for a key of another form."""
    conn.execute(_DELETE[kind.name], kind.split_key(key))


def all_objects(conn: Connection, kind: Kind) -> list[tuple[str, ObjectState]]:
    """Every object of a kind that is not dead, with its key."""
    width = len(kind.key_columns)
    return [
        (kind.join_key(tuple(str(part) for part in row[:width])), read_state(kind, row[width:]))
        for row in conn.execute(_SELECT_ALL[kind.name])
    ]


def stamp_of(packed: SqlValue) -> Stamp:
    """A stamp from its column. Raises: ValueError."""
    if not isinstance(packed, bytes):
        raise ValueError("a stamp is stored as bytes")
    return unpack_stamp(packed)
