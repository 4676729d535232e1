"""Names as a view: what the joined state of memories means for readers, recomputed for the names that a write touches.

Of the live rows with one name (and author, if private) the least `born` is *the* memory, the others are shadows.
Messages have no part in it: they stand as `unborn`, so that whatever reads memories passes them over, and nothing
indexes them; inboxes read the objects themselves (store.messages).

Nothing here is truth and nothing replicates; it is a function of the objects alone, so every node that knows the same
ops shows the same. The clock plays no part: expired rows keep their name until an op collects them; reads hide them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from msgspec import Struct
from msgspec.structs import asdict, replace

from aimem.model import ObjectState, is_inbox
from aimem.ports import Connection, Row
from aimem.store.dialogue import Place, dialogue_of
from aimem.store.kinds import LIVE, MEMORY
from aimem.store.objects import any_of, load_objects, rows_of_any

Name = tuple[str, str]

_IDS_OF_NAMES = any_of("SELECT title, id FROM memories WHERE namespace = ? AND title")
_VIEW_OF = any_of(
    "SELECT id, no, part_count, grams, state, holder, namespace, title, owner, expires_at, text_hash, dialogue, "
    "created_at FROM memory_view WHERE id"
)
_LAST_NO = "SELECT seq FROM sqlite_sequence WHERE name = 'memory_view'"
_INSERT = (
    "INSERT INTO memory_view (no, id, state, holder, namespace, title, owner, expires_at, text_hash, dialogue, "
    "created_at, is_embedded) VALUES (:no, :id, :state, :holder, :namespace, :title, :owner, :expires_at, :text_hash, "
    ":dialogue, :created_at, EXISTS (SELECT 1 FROM embeddings e, meta m WHERE m.name = 'embedding_model' "
    "AND e.text_hash = :text_hash AND e.model = m.value))"
)
_UPDATE = (
    "UPDATE memory_view SET state = :state, holder = :holder, namespace = :namespace, title = :title, owner = :owner, "
    "expires_at = :expires_at, dialogue = :dialogue, created_at = :created_at, "
    "is_embedded = CASE WHEN text_hash IS :text_hash THEN is_embedded ELSE EXISTS (SELECT 1 FROM embeddings e, meta m "
    "WHERE m.name = 'embedding_model' AND e.text_hash = :text_hash AND e.model = m.value) END, "
    "text_hash = :text_hash WHERE no = :no"
)
_STEP_DOWN = "UPDATE memory_view SET state = 'shadow' WHERE no = ?"


class Reindex(Struct, frozen=True):
    """What the full-text indexes owe a row: they hold so many parts of it and, perhaps, its grams.

    Its neighbours in a conversation are owed too: those around each place that it had or has.
    """

    part_count: int
    has_grams: bool
    places: frozenset[Place] = frozenset()


class Viewed(Struct, frozen=True):
    """What a refresh did: the rows of the view that changed, and what the full-text index owes for it."""

    changed: frozenset[int]
    reindex: Mapping[int, Reindex]


class Seen(Struct, frozen=True, kw_only=True):
    """What a reader sees of one object: a row of the view before it has its number."""

    id: str
    state: str
    holder: str | None
    namespace: str | None
    title: str | None
    owner: str
    expires_at: int | None
    text_hash: bytes | None
    dialogue: bytes | None
    created_at: int | None


def name_of(state: ObjectState) -> Name | None:
    """The name that a memory's state carries."""
    cell = state.fields.get("name")
    return None if cell is None or not isinstance(cell.value, tuple) else (str(cell.value[0]), str(cell.value[1]))


def _has_part(state: ObjectState) -> bool:
    """Whether it is a memory that readers may see, once it is complete."""
    name = name_of(state)
    return name is not None and not is_inbox(name[0])


def effective_expiry(state: ObjectState) -> int | None:
    """When it expires: the field, or the extension if that extends just this field's stamp and reaches further."""
    cell = state.fields["expires_at"]
    if not isinstance(cell.value, int):
        return None
    return max(cell.value, _extension(state))


def expiry_judged(state: ObjectState) -> tuple[str, int]:
    """What a collection of this row has to name: the stamp of its expiry and the extension (0 for none)."""
    return state.fields["expires_at"].stamp.text(), _extension(state)


def _extension(state: ObjectState) -> int:
    register = state.fields.get("extended")
    if register is None or not isinstance(register.value, tuple):
        return 0
    base, until = register.value
    return until if isinstance(until, int) and base == state.fields["expires_at"].stamp.text() else 0


def is_collected(state: ObjectState) -> bool:
    """Whether gc took it, and its expiry is still the one that gc judged."""
    register = state.fields.get("collected")
    return register is not None and isinstance(register.value, tuple) and register.value[:2] == expiry_judged(state)


def text_hash(title: str, content: str, *, is_generated: bool) -> bytes:
    """Key of the embedding cache: 16 bytes over the text that is embedded. Generated titles are not."""
    return hashlib.sha256((content if is_generated else f"{title}\n{content}").encode()).digest()[:16]


def standing(state: ObjectState) -> str:
    """`live`, `archived` or `unborn`, before names are compared."""
    if state.born is None or not MEMORY.required <= state.fields.keys():
        return "unborn"
    return "live" if state.fields["lifecycle"].value == LIVE and not is_collected(state) else "archived"


def judge_names(rows: Sequence[tuple[str, ObjectState]]) -> list[Seen]:
    """Decide for all rows of one name which is the memory, which are shadows. Pure; losers come before holders."""
    holders: dict[str, tuple[str, ObjectState]] = {}
    stands = [(memory_id, state, standing(state)) for memory_id, state in rows]
    for memory_id, state, kind in stands:
        if kind == "live":
            best = holders.get(_owner(state))
            if best is None or (state.born, memory_id) < (best[1].born, best[0]):
                holders[_owner(state)] = memory_id, state
    seen = []
    for memory_id, state, kind in stands:
        holder = holders[_owner(state)][0] if kind == "live" else None
        is_shadow = kind == "live" and holder != memory_id
        seen.append(_seen(memory_id, state, "shadow" if is_shadow else kind, holder if is_shadow else None))
    return sorted(seen, key=lambda row: (row.state == "live", row.id)) if len(seen) > 1 else seen


def _owner(state: ObjectState) -> str:
    scope = state.fields.get("scope")
    return state.author or "" if scope is not None and scope.value == "private" else ""


def _seen(memory_id: str, state: ObjectState, kind: str, holder: str | None) -> Seen:
    name = name_of(state)
    if kind == "unborn" or name is None:
        return Seen(
            id=memory_id,
            state="unborn",
            holder=None,
            namespace=None,
            title=None,
            owner="",
            expires_at=None,
            text_hash=None,
            dialogue=None,
            created_at=None,
        )
    created_at = state.fields["created_at"].value
    digest = text_hash(
        name[1], str(state.fields["content"].value), is_generated=len(_tuple(state.fields["name"].value)) == 3
    )
    return Seen(
        id=memory_id,
        state=kind,
        holder=holder,
        namespace=name[0],
        title=name[1],
        owner=_owner(state),
        expires_at=effective_expiry(state),
        text_hash=digest,
        dialogue=dialogue_of(state, name[0]),
        created_at=created_at if isinstance(created_at, int) else None,
    )


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def refresh(
    conn: Connection, names: Iterable[Name], touched: Mapping[str, ObjectState], rewritten: AbstractSet[str]
) -> Viewed:
    """Bring the view up to the objects.

    Args:
      names: every name that a touched memory has or had.
      touched: the touched memories' states as they are stored now, by id.
      rewritten: ids whose name, content or tags changed.
    """
    judged = [seen for rows in _rows_of_names(conn, names, touched) for seen in judge_names(rows)]
    judged += [_seen(memory_id, state, "unborn", None) for memory_id, state in touched.items() if not _has_part(state)]
    if not judged:
        return Viewed(frozenset(), {})
    known = _shown(conn, [seen.id for seen in judged])
    shown = [(seen, known.get(seen.id)) for seen in judged]
    # A name may pass from one row to another: whoever has to give one up does so before anybody takes it.
    after = [_step_down(conn, seen, old) for seen, old in shown]
    changed = {old.no for (_, old), now in zip(shown, after, strict=True) if old is not None and now != old}
    numbers = _show_new(conn, [seen for seen, old in shown if old is None])
    reindex: dict[int, Reindex] = {}
    for (seen, before), old in zip(shown, after, strict=True):
        is_rewritten = seen.id in rewritten
        has_changed = old is None or _show_again(conn, seen, old) or is_rewritten
        number = numbers[seen.id] if old is None else old.no
        changed |= {number} if has_changed else set()
        if _has_moved(before, seen) or (seen.state == "live" and is_rewritten):
            reindex[number] = _owed(before, seen)
    return Viewed(frozenset(changed), reindex)


def taken_names(conn: Connection, names: Iterable[Name]) -> set[Name]:
    """Those of the names that some memory has, in whatever state."""
    return set(_ids_of_names(conn, names))


def _ids_of_names(conn: Connection, names: Iterable[Name]) -> dict[Name, list[str]]:
    titles = defaultdict[str, set[str]](set)
    for namespace, title in names:
        titles[namespace].add(title)
    ids = defaultdict[Name, list[str]](list)
    for namespace in sorted(titles):
        for row in rows_of_any(conn, _IDS_OF_NAMES, (namespace,), sorted(titles[namespace])):
            ids[namespace, str(row[0])].append(str(row[1]))
    return ids


def _rows_of_names(
    conn: Connection, names: Iterable[Name], touched: Mapping[str, ObjectState]
) -> list[list[tuple[str, ObjectState]]]:
    """The memories that carry each of these names, whatever their state."""
    ids = _ids_of_names(conn, (name for name in names if not is_inbox(name[0])))
    others = {memory_id for found in ids.values() for memory_id in found if memory_id not in touched}
    states = {**load_objects(conn, MEMORY, sorted(others)), **touched}
    return [[(memory_id, states[memory_id]) for memory_id in found] for found in ids.values()]


def _has_moved(before: _Shown | None, seen: Seen) -> bool:
    """Whether the row came, went, or stands elsewhere in a conversation."""
    if before is None or not before.is_live:
        return seen.state == "live"
    return seen.state != "live" or before.place != _place(seen)


def _owed(before: _Shown | None, seen: Seen) -> Reindex:
    places = {None if before is None or not before.is_live else before.place}
    places |= {_place(seen)} if seen.state == "live" else set()
    return Reindex(
        0 if before is None else before.part_count,
        before is not None and before.has_grams,
        frozenset(place for place in places if place is not None),
    )


def _place(seen: Seen) -> Place | None:
    if seen.dialogue is None or seen.created_at is None:
        return None
    return Place(dialogue=seen.dialogue, created_at=seen.created_at, id=seen.id)


class _Shown(Struct, frozen=True):
    """A row of the view as it stands."""

    no: int
    part_count: int
    has_grams: bool
    seen: Seen

    @property
    def is_live(self) -> bool:
        return self.seen.state == "live"

    @property
    def place(self) -> Place | None:
        return _place(self.seen)


def _shown(conn: Connection, ids: Collection[str]) -> dict[str, _Shown]:
    """The rows of the view that there are of these memories."""
    found = {}
    for memory_id, no, part_count, grams, *columns in rows_of_any(conn, _VIEW_OF, (), ids):
        seen = _seen_before(str(memory_id), tuple(columns))
        found[seen.id] = _Shown(cast("int", no), cast("int", part_count), grams != "none", seen)
    return found


def _seen_before(memory_id: str, columns: Row) -> Seen:
    state, holder, namespace, title, owner, expires_at, digest, dialogue, created_at = columns
    return Seen(
        id=memory_id,
        state=cast("str", state),
        holder=cast("str | None", holder),
        namespace=cast("str | None", namespace),
        title=cast("str | None", title),
        owner=cast("str", owner),
        expires_at=cast("int | None", expires_at),
        text_hash=cast("bytes | None", digest),
        dialogue=cast("bytes | None", dialogue),
        created_at=cast("int | None", created_at),
    )


def _step_down(conn: Connection, seen: Seen, old: _Shown | None) -> _Shown | None:
    if old is None or not old.is_live:
        return old
    name = old.seen.namespace, old.seen.title, old.seen.owner
    if seen.state == "live" and name == (seen.namespace, seen.title, seen.owner):
        return old
    conn.execute(_STEP_DOWN, (old.no,))
    return replace(old, seen=replace(old.seen, state="shadow"))


def _show_new(conn: Connection, found: Sequence[Seen]) -> dict[str, int]:
    """Give memories their rows. Returns: id -> number."""
    if not found:
        return {}
    row = conn.execute(_LAST_NO).fetchone()
    first = cast("int", row[0]) + 1 if row else 1
    numbers = {seen.id: no for no, seen in enumerate(found, first)}
    conn.executemany(_INSERT, [{**asdict(seen), "no": numbers[seen.id]} for seen in found])
    return numbers


def _show_again(conn: Connection, seen: Seen, old: _Shown) -> bool:
    """Bring a row of the view up to date. Returns: whether anything about it changed."""
    if old.seen == seen:
        return False
    conn.execute(_UPDATE, {**asdict(seen), "no": old.no})
    return True


def drop(conn: Connection, memory_id: str) -> Viewed:
    """What the death of a memory means for the view (its row goes with the object) and the index."""
    old = _shown(conn, [memory_id]).get(memory_id)
    if old is None:
        return Viewed(frozenset(), {})
    places = frozenset({old.place} if old.is_live and old.place is not None else set())
    return Viewed(frozenset({old.no}), {old.no: Reindex(old.part_count, old.has_grams, places)})


def join_reindex(owed: dict[int, Reindex], more: Mapping[int, Reindex]) -> None:
    """Add later debts to earlier ones: every part and every place counts."""
    for number, later in more.items():
        first = owed.get(number, later)
        owed[number] = Reindex(
            max(first.part_count, later.part_count), first.has_grams or later.has_grams, first.places | later.places
        )
