"""Applying an op's entries to the tables: the merge that the store was handed, and what follows from it on this node.

The same function serves a local write, an op from a peer and a replay; nothing here asks for the clock, a policy or the
configuration. (`noted_at` only dates node-local notes.)
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

import msgspec
from msgspec import Struct

from aimem.model import Blank, Entry, FieldConflict, Instant, Merged, ObjectState, Stamp
from aimem.ports import Connection
from aimem.store import oplog, view
from aimem.store.fields import Kind
from aimem.store.kinds import ALIAS, KINDS, LINK, MEMORY, NAMESPACE, delete_object, load_object, save_object

CONFLICTS_PER_OBJECT = 8
HISTORY_PER_MEMORY = 8
HISTORY_PER_NAMESPACE = 64
_TEXT_FIELDS = frozenset({"name", "content"})
_INDEXED_FIELDS = frozenset({"name", "content", "tags"})

_ADD_CONFLICT = "INSERT OR IGNORE INTO conflicts (kind, key, field, stamp, value, noted_at) VALUES (?, ?, ?, ?, ?, ?)"
_CAP_CONFLICTS = (
    "DELETE FROM conflicts WHERE kind = :kind AND key = :key AND (field, stamp) NOT IN "
    "(SELECT field, stamp FROM conflicts WHERE kind = :kind AND key = :key ORDER BY stamp DESC LIMIT :keep)"
)
_DROP_CONFLICTS = "DELETE FROM conflicts WHERE kind = ? AND key = ?"
_ADD_HISTORY = (
    "INSERT OR IGNORE INTO history (memory_id, stamp, replaced_by, title, content, noted_at) VALUES (?, ?, ?, ?, ?, ?)"
)
_CAP_HISTORY = (
    "DELETE FROM history WHERE memory_id = :id AND stamp NOT IN "
    "(SELECT stamp FROM history WHERE memory_id = :id ORDER BY stamp DESC LIMIT :keep)"
)
_ADD_RULE = (
    "INSERT OR IGNORE INTO namespace_history (namespace, stamp, standard_id, parent, governance, owner, changed_by, "
    "changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_CAP_RULES = (
    "DELETE FROM namespace_history WHERE namespace = :namespace AND stamp NOT IN "
    "(SELECT stamp FROM namespace_history WHERE namespace = :namespace ORDER BY stamp DESC LIMIT :keep)"
)
_NAME_OF = "SELECT namespace, title FROM memories WHERE id = ? AND title IS NOT NULL"
_LINKS_OF = "SELECT source_id, target_id, relation FROM links WHERE source_id = :id OR target_id = :id"
_DROP_LINKS = "DELETE FROM links WHERE source_id = :id OR target_id = :id"
_IS_DEAD = "SELECT 1 FROM tombstones WHERE kind = 'memory' AND key = ?"
_ALIASES_OF = "SELECT entity_id, alias_hash FROM aliases WHERE entity_id = ?"
_DROP_ALIASES = "DELETE FROM aliases WHERE entity_id = ?"
_DROP_DEAD_ALIASES = "DELETE FROM tombstones WHERE kind = 'alias' AND key >= :begin AND key < :begin || char(1114111)"


class Merge(Protocol):
    """The fold's rule: `replication.merge_entry`."""

    def __call__(self, state: ObjectState, entry: Entry | Blank, stamp: Stamp, *, maxima: AbstractSet[str]) -> Merged:
        """Join an entry into an object."""
        ...


class UnknownKind(ValueError):
    """The op names a kind that this version cannot fold: it is held, not dropped."""


class Change(Struct, frozen=True, kw_only=True):
    """What one entry changed in one object; `creator` is set if the entry created it."""

    kind: Kind
    key: str
    before: ObjectState
    after: ObjectState
    creator: str | None


class Folded(Struct, frozen=True):
    """What the fold of one op did: to the view, and to objects."""

    viewed: view.Viewed
    changes: tuple[Change, ...]


class _Touched(Struct):
    """Collects, over the entries of one op, what changed, and what the view has to look at again."""

    names: set[view.Name]
    states: dict[str, ObjectState]
    rewritten: set[str]
    numbers: set[int]
    known: MutableMapping[tuple[str, str], ObjectState]
    reindex: dict[int, view.Reindex]
    changes: list[Change]


def fold_entries(
    conn: Connection, merge: Merge, stamp: Stamp, entries: Sequence[Entry | Blank], noted_at: Instant,
    known: MutableMapping[tuple[str, str], ObjectState],
) -> Folded:
    """Join the entries of one op into the objects, and bring the view up to them.

    Args:
      known: states of objects as they are stored, by (kind, key), which the caller read before; kept true here.
    Returns: the rows of the view that changed, what the full-text index owes (`view.write_index`), and the changes.
    Raises: UnknownKind, ValueError for an entry that no origin of ours can have made; DatabaseError.
    """
    touched = _Touched(names=set(), states={}, rewritten=set(), numbers=set(), known=known, reindex={}, changes=[])
    for entry in entries:
        kind = KINDS.get(entry.kind)
        if kind is None:
            raise UnknownKind(entry.kind)
        _fold_one(conn, merge, kind, entry, stamp, noted_at, touched)
    _note(touched, view.refresh(conn, touched.names, touched.states, touched.rewritten))
    return Folded(view.Viewed(frozenset(touched.numbers), touched.reindex), tuple(touched.changes))


def _note(touched: _Touched, viewed: view.Viewed) -> None:
    touched.numbers |= viewed.changed
    view.join_reindex(touched.reindex, viewed.reindex)


def _fold_one(
    conn: Connection, merge: Merge, kind: Kind, entry: Entry | Blank, stamp: Stamp, noted_at: Instant, touched: _Touched
) -> None:
    old = touched.known.get((kind.name, entry.key)) or load_object(conn, kind, entry.key)
    merged = merge(old, entry, stamp, maxima=kind.maxima)
    if has_dead_end(conn, kind, entry.key):
        return  # it can never show again: absent on every node that knows of the death, whatever came first
    _note_conflicts(conn, kind, entry.key, merged.conflicts, noted_at)
    if kind is NAMESPACE and isinstance(entry, Entry):
        _note_rule(conn, entry, old, stamp)     # also what lost to a later one: it held where it was written
    if merged.state == old:
        return
    creator = entry.create.author if isinstance(entry, Entry) and entry.create is not None else None
    touched.changes.append(Change(kind=kind, key=entry.key, before=old, after=merged.state, creator=creator))
    is_death = merged.state.dead is not None and old.dead is None
    if is_death:
        _bury(conn, kind, entry.key, merged.state, touched)
    elif kind is MEMORY and merged.changed & _TEXT_FIELDS and old.born is not None:
        _note_history(conn, entry.key, old, stamp, noted_at)
    save_object(conn, kind, entry.key, merged.state)
    if is_death:
        touched.known.clear()       # links and aliases went with it
    else:
        touched.known[kind.name, entry.key] = merged.state
    if kind is MEMORY:
        _touch(entry.key, old, merged, touched)


def _touch(memory_id: str, old: ObjectState, merged: Merged, touched: _Touched) -> None:
    before, after = view.name_of(old), view.name_of(merged.state)
    touched.names |= {name for name in (before, after) if name is not None}
    if merged.state.dead is None:
        touched.states[memory_id] = merged.state
    else:
        touched.states.pop(memory_id, None)
    if merged.changed & _INDEXED_FIELDS:
        touched.rewritten.add(memory_id)


def _bury(conn: Connection, kind: Kind, key: str, state: ObjectState, touched: _Touched) -> None:
    conn.execute(_DROP_CONFLICTS, (kind.name, key))
    if kind is MEMORY:
        _note(touched, view.drop(conn, key))
        for source, target, relation in conn.execute(_LINKS_OF, {"id": key}).fetchall():
            link = [str(source), str(target), str(relation)]
            conn.execute(_DROP_CONFLICTS, (LINK.name, msgspec.json.encode(link).decode()))
        conn.execute(_DROP_LINKS, {"id": key})
        _drop_aliases(conn, key, state)
    if state.dead is not None:
        oplog.blank_object(conn, kind.name, key, state.dead)


def _drop_aliases(conn: Connection, memory_id: str, state: ObjectState) -> None:
    """The aliases of a dead entity are absent, and their texts leave the log with those of the entity."""
    for row in conn.execute(_ALIASES_OF, (memory_id,)).fetchall():
        key = ALIAS.join_key((str(row[0]), str(row[1])))
        conn.execute(_DROP_CONFLICTS, (ALIAS.name, key))
        if state.dead is not None:
            oplog.blank_object(conn, ALIAS.name, key, state.dead)
    conn.execute(_DROP_ALIASES, (memory_id,))
    # Somebody else's blank of such an alias may have come before the death of its entity, and left a tombstone.
    conn.execute(_DROP_DEAD_ALIASES, {"begin": msgspec.json.encode([memory_id]).decode()[:-1] + ","})


def remove_object(conn: Connection, kind: Kind, key: str) -> view.Viewed:
    """Take an object's row away as if it had never been, with what the view has of it: it is joined anew."""
    names = [
        (str(row[0]), str(row[1])) for row in (conn.execute(_NAME_OF, (key,)).fetchall() if kind is MEMORY else ())
    ]
    gone = view.drop(conn, key) if kind is MEMORY else view.Viewed(frozenset(), {})
    delete_object(conn, kind, key)
    others = view.refresh(conn, names, {}, frozenset())
    reindex = dict(gone.reindex)
    view.join_reindex(reindex, others.reindex)
    return view.Viewed(gone.changed | others.changed, reindex)


def has_dead_end(conn: Connection, kind: Kind, key: str) -> bool:
    """Whether an object is absent because a memory that it hangs on is dead."""
    ends = kind.split_key(key)[: kind.end_count] if kind.end_count else ()
    return any(conn.execute(_IS_DEAD, (end,)).fetchone() is not None for end in ends)


def _note_conflicts(
    conn: Connection, kind: Kind, key: str, conflicts: Sequence[FieldConflict], noted_at: Instant
) -> None:
    for lost in conflicts:
        value = msgspec.json.encode(lost.value).decode()
        conn.execute(_ADD_CONFLICT, (kind.name, key, lost.field, lost.stamp.pack(), value, noted_at))
    if conflicts:
        conn.execute(_CAP_CONFLICTS, {"kind": kind.name, "key": key, "keep": CONFLICTS_PER_OBJECT})


def _note_history(conn: Connection, memory_id: str, old: ObjectState, stamp: Stamp, noted_at: Instant) -> None:
    name, content = view.name_of(old), old.fields.get("content")
    if name is None or content is None:
        return
    replaced = max(old.fields["name"].stamp, content.stamp)
    conn.execute(_ADD_HISTORY, (memory_id, replaced.pack(), stamp.pack(), name[1], str(content.value), noted_at))
    conn.execute(_CAP_HISTORY, {"id": memory_id, "keep": HISTORY_PER_MEMORY})


def _note_rule(conn: Connection, entry: Entry, old: ObjectState, stamp: Stamp) -> None:
    """Keep what a write set for a namespace, with what it left as it was. Raises: ValueError as `save_object`."""
    known = {name: cell.value for name, cell in old.fields.items()} | dict(entry.fields)
    columns = [
        value for field in NAMESPACE.fields for value in (field.to_columns(known[field.name]) if field.name in known
                                                          else (None,))
    ]
    conn.execute(_ADD_RULE, (entry.key, stamp.pack(), *columns))
    conn.execute(_CAP_RULES, {"namespace": entry.key, "keep": HISTORY_PER_NAMESPACE})
