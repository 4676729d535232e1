"""Names as a view: what the joined state of memories means for readers, recomputed for the names that a write touches.

Of the live rows with one name (and author, if private) the least `born` is *the* memory, the others are shadows.
Nothing here is truth and nothing replicates; it is a function of the objects alone, so every node that knows the same
ops shows the same. The clock plays no part: expired rows keep their name until an op collects them; reads hide them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from aimem.model import ObjectState
from aimem.ports import Connection
from aimem.store.kinds import LIVE, MEMORY, SqlValue, load_object

Name = tuple[str, str]

_IDS_OF_NAME = "SELECT id FROM memories WHERE namespace = ? AND title = ?"
_VIEW_OF = "SELECT no, state, holder, namespace, title, owner, expires_at, text_hash FROM memory_view WHERE id = ?"
_INSERT = (
    "INSERT INTO memory_view (id, state, holder, namespace, title, owner, expires_at, text_hash, is_embedded) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, EXISTS (SELECT 1 FROM embeddings e, meta m WHERE m.name = 'embedding_model' "
    "AND e.text_hash = ? AND e.model = m.value)) RETURNING no"
)
_UPDATE = (
    "UPDATE memory_view SET state = ?, holder = ?, namespace = ?, title = ?, owner = ?, expires_at = ?, "
    "is_embedded = CASE WHEN text_hash IS ? THEN is_embedded ELSE EXISTS (SELECT 1 FROM embeddings e, meta m "
    "WHERE m.name = 'embedding_model' AND e.text_hash = ? AND e.model = m.value) END, text_hash = ? WHERE no = ?"
)
_STEP_DOWN = "UPDATE memory_view SET state = 'shadow' WHERE no = ?"
_UNINDEX = "DELETE FROM memory_fts WHERE rowid = ?"
_INDEX = "INSERT INTO memory_fts (rowid, title, content, tags) VALUES (?, ?, ?, ?)"


class Reindex(Struct, frozen=True):
    """What the full-text index owes a row: its texts (None to take it out), and whether it holds the row now."""

    was_indexed: bool
    text: tuple[str, str, str] | None


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


def name_of(state: ObjectState) -> Name | None:
    """The name that a memory's state carries."""
    cell = state.fields.get("name")
    return None if cell is None or not isinstance(cell.value, tuple) else (str(cell.value[0]), str(cell.value[1]))


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
    for memory_id, state in rows:
        if standing(state) == "live":
            best = holders.get(_owner(state))
            if best is None or (state.born, memory_id) < (best[1].born, best[0]):
                holders[_owner(state)] = memory_id, state
    seen = []
    for memory_id, state in rows:
        kind = standing(state)
        holder = holders[_owner(state)][0] if kind == "live" else None
        is_shadow = kind == "live" and holder != memory_id
        seen.append(_seen(memory_id, state, "shadow" if is_shadow else kind, holder if is_shadow else None))
    return sorted(seen, key=lambda row: (row.state == "live", row.id))


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
        )
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
    judged: list[tuple[Seen, ObjectState]] = []
    for name in sorted(set(names)):
        ids = [str(row[0]) for row in conn.execute(_IDS_OF_NAME, name).fetchall()]
        states = {i: touched[i] if i in touched else load_object(conn, MEMORY, i) for i in ids}
        judged += [(seen, states[seen.id]) for seen in judge_names(list(states.items()))]
    judged += [
        (_seen(memory_id, state, "unborn", None), state)
        for memory_id, state in touched.items()
        if name_of(state) is None
    ]
    shown = [(seen, state, _shown(conn, seen.id)) for seen, state in judged]
    # A name may pass from one row to another: whoever has to give one up does so before anybody takes it.
    after = [_step_down(conn, seen, old) for seen, _, old in shown]
    changed = {old.no for (_, _, old), now in zip(shown, after, strict=True) if old is not None and now != old}
    reindex: dict[int, Reindex] = {}
    for (seen, state, before), old in zip(shown, after, strict=True):
        number, has_changed = _show(conn, seen, old, is_rewritten=seen.id in rewritten)
        changed |= {number} if has_changed else set()
        was_live, is_live = before is not None and before.is_live, seen.state == "live"
        if was_live != is_live or (is_live and (seen.id in rewritten or before != old)):
            reindex[number] = Reindex(was_live, _indexed_text(state) if is_live else None)
    return Viewed(frozenset(changed), reindex)


class _Shown(Struct, frozen=True):
    """A row of the view as it stands: its number, and its columns in the order of `_VIEW_OF`."""

    no: int
    columns: tuple[SqlValue, ...]

    @property
    def is_live(self) -> bool:
        return self.columns[0] == "live"


def _shown(conn: Connection, memory_id: str) -> _Shown | None:
    row = conn.execute(_VIEW_OF, (memory_id,)).fetchone()
    return None if row is None or not isinstance(row[0], int) else _Shown(row[0], tuple(row[1:]))


def _step_down(conn: Connection, seen: Seen, old: _Shown | None) -> _Shown | None:
    if old is None or not old.is_live:
        return old
    if seen.state == "live" and old.columns[2:5] == (seen.namespace, seen.title, seen.owner):
        return old
    conn.execute(_STEP_DOWN, (old.no,))
    return _Shown(old.no, ("shadow", *old.columns[1:]))


def _show(conn: Connection, seen: Seen, old: _Shown | None, *, is_rewritten: bool) -> tuple[int, bool]:
    """Write a row of the view. Returns: its number, and whether anything about it changed."""
    new = (seen.state, seen.holder, seen.namespace, seen.title, seen.owner, seen.expires_at, seen.text_hash)
    if old is None:
        row = conn.execute(_INSERT, (seen.id, *new, seen.text_hash)).fetchone()
        return (row[0] if row and isinstance(row[0], int) else 0), True
    if old.columns == new:
        return old.no, is_rewritten
    conn.execute(_UPDATE, (*new[:-1], seen.text_hash, seen.text_hash, seen.text_hash, old.no))
    return old.no, True


def _indexed_text(state: ObjectState) -> tuple[str, str, str]:
    name, tags = _tuple(state.fields["name"].value), _tuple(state.fields["tags"].value)
    return "" if len(name) == 3 else str(name[1]), str(state.fields["content"].value), " ".join(map(str, tags))


def drop(conn: Connection, memory_id: str) -> Viewed:
    """What the death of a memory means for the view (its row goes with the object) and the index."""
    old = _shown(conn, memory_id)
    if old is None:
        return Viewed(frozenset(), {})
    return Viewed(frozenset({old.no}), {old.no: Reindex(True, None)} if old.is_live else {})


def join_reindex(owed: dict[int, Reindex], more: Mapping[int, Reindex]) -> None:
    """Add later debts to earlier ones: the index holds what it held before both, and shall hold what the later says."""
    for number, later in more.items():
        first = owed.get(number)
        owed[number] = later if first is None else Reindex(first.was_indexed, later.text)


def write_index(conn: Connection, owed: Mapping[int, Reindex]) -> None:
    """Pay the debts of a group, once, behind its last savepoint.

    Within a savepoint each row would become a segment of its own: FTS5 flushes whenever one is opened.
    """
    for number, debt in owed.items():
        if debt.was_indexed:
            conn.execute(_UNINDEX, (number,))
        if debt.text is not None:
            conn.execute(_INDEX, (number, *debt.text))
