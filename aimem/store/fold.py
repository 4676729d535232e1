"""Applying ops to the tables: the merge that the store was handed, and what follows from it on this node.

The same code serves a local write, an op from a peer and a replay; nothing here asks for the clock, a policy or the
configuration. (`noted_at` only dates node-local notes.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import msgspec

from aimem.model import Blank, Entry, Instant, Merged, ObjectState, Op, Stamp
from aimem.ports import Connection
from aimem.store import events, notes, oplog, view
from aimem.store.fields import Kind
from aimem.store.kinds import ALIAS, KINDS, LINK, MEMORY, NAMESPACE, delete_object, load_object, save_object
from aimem.store.objects import load_objects, save_objects
from aimem.store.outbound import Logged

STATES_KEPT: Final = 64
"""Objects whose states are kept at hand, so that gate, fold and answer read and decode each of them once."""

UNWRITTEN_MAX: Final = 4096
"""Objects and ops that may wait to be written; then they are."""

_TEXT_FIELDS = frozenset({"name", "content"})
_INDEXED_FIELDS = frozenset({"name", "content", "tags"})

_DROP_CONFLICTS = "DELETE FROM conflicts WHERE kind = ? AND key = ?"
_NAME_OF = "SELECT namespace, title FROM memories WHERE id = ? AND title IS NOT NULL"
_IS_DEAD = "SELECT 1 FROM tombstones WHERE kind = 'memory' AND key = ?"
_LINKS_OF = "SELECT source_id, target_id, relation FROM links WHERE source_id = :id OR target_id = :id"
_DROP_LINKS = "DELETE FROM links WHERE source_id = :id OR target_id = :id"
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


class Fold:
    """Joins entries into objects, and gathers what that comes to until `write` brings the tables up to it.

    Whoever reads these tables, or goes back to a savepoint, has it written (or forgotten) first; between two calls of
    `write` there may be one op or hundreds. Bound: UNWRITTEN_MAX.

    Attributes:
      changed: rows of the view that changed since it began; `reindex`: what the full-text index owes them.
      logged: ops that it logged since, as the log has them.
      owes: whether anything waits to be written.
    """

    def __init__(self, conn: Connection, merge: Merge) -> None:
        self.changed: set[int] = set()
        self.reindex: dict[int, view.Reindex] = {}
        self.logged: list[Logged] = []
        self._conn, self._merge = conn, merge
        self._known: dict[tuple[str, str], ObjectState] = {}
        self._bound: dict[tuple[str, str], ObjectState] = {}     # links and aliases: they go with their ends
        self._free: set[view.Name] = set()
        self._forget_unwritten()

    def _forget_unwritten(self) -> None:
        self.owes = False
        self._ops: list[tuple[Op, oplog.Keys]] = []
        self._unsaved: dict[tuple[str, str], ObjectState] = {}
        self._notes: list[notes.Statement] = []
        self._events: list[events.EventRow] = []
        self._names: set[view.Name] = set()
        self._memories: dict[str, ObjectState] = {}
        self._rewritten: set[str] = set()

    def load(self, kind: Kind, key: str) -> ObjectState:
        """The object as known now, what is not written yet included; `ObjectState()` if nothing is.

        Raises: ValueError for a key of another form.
        """
        known = self._bound if kind.end_count else self._known
        state = known.get((kind.name, key))
        if state is None:
            self._make_room()
            state = known[kind.name, key] = load_object(self._conn, kind, key)
        return state

    def expect(self, objects: Iterable[tuple[str, str]]) -> None:
        """Read at once the objects, by (kind, key), that a batch is about; otherwise each is read in its turn."""
        wanted: dict[str, set[str]] = {}
        for name, key in objects:
            kind = KINDS.get(name)
            if kind is not None and len(kind.key_columns) == 1:
                wanted.setdefault(name, set()).add(key)
        for name, keys in wanted.items():
            unknown = sorted(key for key in keys if (name, key) not in self._known)
            for key, state in load_objects(self._conn, KINDS[name], unknown).items():
                self._known[name, key] = state

    def expect_names(self, names: Collection[view.Name]) -> None:
        """Look at once which of these names no memory has; what is not written yet must be before."""
        self._free = set(names) - view.taken_names(self._conn, names)

    def is_free_name(self, name: view.Name) -> bool:
        """Whether no memory, in whatever state, has a name; False where nobody looked."""
        return name in self._free

    def log(self, op: Op, keys: oplog.Keys) -> None:
        """Have an op appended to the log; `keys` are (kind, key) of each entry."""
        self.owes = True
        self._ops.append((op, keys))

    def tell(self, rows: Sequence[events.EventRow]) -> None:
        """Have events noted."""
        self._events += rows

    def join(self, stamp: Stamp, entries: Sequence[Entry | Blank], noted_at: Instant) -> tuple[events.Change, ...]:
        """Join the entries of one op into the objects. Returns: what changed.

        Raises: UnknownKind, ValueError for an entry that no origin of ours can have made; DatabaseError.
        """
        self.owes = True
        found = []
        for entry in entries:
            kind = KINDS.get(entry.kind)
            if kind is None:
                raise UnknownKind(entry.kind)
            change = self._join_one(kind, entry, stamp, noted_at)
            if change is not None:
                found.append(change)
        return tuple(found)

    def write(self) -> None:
        """Bring the tables up to all that was joined. Raises: ValueError for a value of a wrong type; DatabaseError."""
        self._write()
        self._make_room()

    def _write(self) -> None:
        conn = self._conn
        if self._ops:
            first = oplog.append_all(conn, self._ops) - len(self._ops) + 1
            self.logged += [Logged(position, op) for position, (op, _) in enumerate(self._ops, first)]
        save_objects(conn, self._unsaved)
        for sql, parameters in self._notes:
            conn.execute(sql, parameters)
        self._note(view.refresh(conn, self._names, self._memories, self._rewritten))
        events.write(conn, self._events)
        self._forget_unwritten()

    def remove(self, kind: Kind, key: str) -> None:
        """Take an object's row away as if it had never been, with what the view has of it: it is joined anew."""
        conn = self._conn
        self._write()
        names = conn.execute(_NAME_OF, (key,)).fetchall() if kind is MEMORY else []
        if kind is MEMORY:
            self._note(view.drop(conn, key))
        delete_object(conn, kind, key)
        self._note(view.refresh(conn, [(str(row[0]), str(row[1])) for row in names], {}, frozenset()))
        self._forget_known()

    def forget(self, logged_count: int, changed: AbstractSet[int], reindex: Mapping[int, view.Reindex]) -> None:
        """Go back to what stands in the tables, and to what had been logged and had changed by then."""
        del self.logged[logged_count:]
        self.changed, self.reindex = set(changed), dict(reindex)
        self._free.clear()
        self._forget_known()
        self._forget_unwritten()

    def _make_room(self) -> None:
        if not self.owes and len(self._known) + len(self._bound) >= STATES_KEPT:
            self._forget_known()

    def _forget_known(self) -> None:
        self._known.clear()
        self._bound.clear()

    def _note(self, viewed: view.Viewed) -> None:
        self.changed |= viewed.changed
        view.join_reindex(self.reindex, viewed.reindex)

    def _join_one(self, kind: Kind, entry: Entry | Blank, stamp: Stamp, noted_at: Instant) -> events.Change | None:
        key = entry.key
        if len(self._unsaved) + len(self._ops) > UNWRITTEN_MAX:
            self.write()
        old = self.load(kind, key)
        merged = self._merge(old, entry, stamp, maxima=kind.maxima)
        if kind.end_count and self._has_dead_end(kind, key):
            return None  # it can never show again: absent on every node that knows of the death, whatever came first
        if merged.conflicts:
            self._notes += notes.of_conflicts(kind, key, merged.conflicts, noted_at)
        if kind is NAMESPACE and isinstance(entry, Entry):
            # Also what lost to a later one: it held where it was written.
            self._notes += notes.of_rule(entry, old, stamp)
        if merged.state == old:
            return None
        if kind is MEMORY and old.born is not None and merged.state.dead is None and merged.changed & _TEXT_FIELDS:
            self._notes += notes.of_history(key, old, stamp, noted_at)
        self._save(kind, key, old, merged.state)
        if kind is MEMORY:
            self._touch(key, old, merged)
        self.owes = True
        creator = entry.create.author if isinstance(entry, Entry) and entry.create is not None else None
        return events.Change(kind=kind, key=key, before=old, after=merged.state, creator=creator)

    def _has_dead_end(self, kind: Kind, key: str) -> bool:
        return any(self.load(MEMORY, end).dead is not None for end in kind.split_key(key)[: kind.end_count])

    def _save(self, kind: Kind, key: str, old: ObjectState, state: ObjectState) -> None:
        known = self._bound if kind.end_count else self._known
        if state.dead is None:
            known[kind.name, key] = self._unsaved[kind.name, key] = state
            return
        self._write()       # what a death takes with it is looked for in the tables
        if old.dead is None:
            self._bury(kind, key, state)
        save_object(self._conn, kind, key, state)
        known[kind.name, key] = state

    def _touch(self, memory_id: str, old: ObjectState, merged: Merged) -> None:
        before, after = view.name_of(old), view.name_of(merged.state)
        names = {name for name in (before, after) if name is not None}
        self._names |= names
        self._free -= names
        if merged.state.dead is None:
            self._memories[memory_id] = merged.state
        if merged.changed & _INDEXED_FIELDS:
            self._rewritten.add(memory_id)

    def _bury(self, kind: Kind, key: str, state: ObjectState) -> None:
        conn = self._conn
        conn.execute(_DROP_CONFLICTS, (kind.name, key))
        if kind is MEMORY:
            self._note(view.drop(conn, key))
            for source, target, relation in conn.execute(_LINKS_OF, {"id": key}).fetchall():
                link = [str(source), str(target), str(relation)]
                conn.execute(_DROP_CONFLICTS, (LINK.name, msgspec.json.encode(link).decode()))
            conn.execute(_DROP_LINKS, {"id": key})
            self._drop_aliases(key, state)
            self._bound.clear()
        if state.dead is not None:
            oplog.blank_object(conn, kind.name, key, state.dead)

    def _drop_aliases(self, memory_id: str, state: ObjectState) -> None:
        """The aliases of a dead entity are absent, and their texts leave the log with those of the entity."""
        conn = self._conn
        for row in conn.execute(_ALIASES_OF, (memory_id,)).fetchall():
            key = ALIAS.join_key((str(row[0]), str(row[1])))
            conn.execute(_DROP_CONFLICTS, (ALIAS.name, key))
            if state.dead is not None:
                oplog.blank_object(conn, ALIAS.name, key, state.dead)
        conn.execute(_DROP_ALIASES, (memory_id,))
        # Somebody else's blank of such an alias may have come before the death of its entity, and left a tombstone.
        conn.execute(_DROP_DEAD_ALIASES, {"begin": msgspec.json.encode([memory_id]).decode()[:-1] + ","})


def has_dead_end(conn: Connection, kind: Kind, key: str) -> bool:
    """Whether an object is absent because a memory that it hangs on is dead."""
    ends = kind.split_key(key)[: kind.end_count] if kind.end_count else ()
    return any(conn.execute(_IS_DEAD, (end,)).fetchone() is not None for end in ends)
