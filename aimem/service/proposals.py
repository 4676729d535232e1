"""What an action asks for, shown to those who decide: its payload as v0.6.3 had it, and what would change now.

Reads only; texts are cut to a bound, for one action may touch thousands of objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from aimem.model import (
    AgentId,
    Entry,
    FieldValue,
    Instant,
    Memory,
    MemoryId,
    Namespace,
    ObjectState,
    Principal,
    Scope,
    Tier,
    format_instant,
)
from aimem.ports import Connection
from aimem.service.effects import INCIDENTAL, joined
from aimem.service.gate import Captured
from aimem.service.writing import load_payload
from aimem.store import KINDS, LIVE, MEMORY, NAMESPACE, approvals, load_object
from aimem.wire import ChangeOut, PendingJson, memory_out, to_builtins

TEXT_MAX_CHARS: Final = 2_000
CHANGES_MAX: Final = 200

_MOMENTS: Final = frozenset({
    "created_at", "updated_at", "changed_at", "expires_at", "valid_from", "valid_until", "registered_at",
    "last_seen_at", "revoked_at",
})
_JSON: Final = frozenset({"metadata", "governance"})
_QUIET: Final = INCIDENTAL | {"collected", "extended"}
_OF_A_DELETED: Final = ("namespace", "title", "content", "tags")
"""What is shown of a memory that would be deleted."""


class Proposal(Struct, frozen=True, kw_only=True):
    """The objects that an action touches, as captured, and as they stand now."""

    entries: tuple[Entry, ...]
    states: tuple[ObjectState, ...]


class Shown(Struct, frozen=True, kw_only=True):
    """A payload, and whether texts of it are cut."""

    payload: PendingJson
    is_cut: bool = False


class Difference(Struct, frozen=True, kw_only=True):
    """What would change: the first fields, and how many there are in all."""

    changes: tuple[ChangeOut, ...]
    total: int


def proposal_of(conn: Connection, pending: approvals.Pending) -> Proposal:
    """What an action holds; nothing where its text cannot be read, or is another version's."""
    try:
        ops: Sequence[Captured] = load_payload(pending.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        ops = ()
    entries = [entry for entry in joined(ops) if entry.kind in KINDS]
    # First what the action is about: the others follow from it.
    entries.sort(key=lambda entry: (entry.key != pending.memory_id, entry.kind != MEMORY.name))
    states = []
    for entry in entries:
        try:
            states.append(load_object(conn, KINDS[entry.kind], entry.key))
        except ValueError:
            states.append(ObjectState())    # a key of another form than this version's
    return Proposal(entries=tuple(entries), states=tuple(states))


def is_in_sight(conn: Connection, who: Principal, pending: approvals.Pending) -> bool:
    """Whether a caller may see each memory that an action touches, as it is and as it would be."""
    if not who.sights:
        return True
    proposal = proposal_of(conn, pending)
    if not proposal.entries:
        return False       # what cannot be read here is nobody's to look at
    return all(
        _is_seen(who, entry, state)
        for entry, state in zip(proposal.entries, proposal.states, strict=True) if entry.kind == MEMORY.name
    )


def _is_seen(who: Principal, entry: Entry, state: ObjectState) -> bool:
    before = {name: cell.value for name, cell in state.fields.items()}
    author = state.author if entry.create is None else entry.create.author
    for fields in (*((before,) if before else ()), before | entry.fields):
        name, scope = fields.get("name"), fields.get("scope")
        namespace = str(name[0]) if isinstance(name, tuple) else ""
        if not who.sees(namespace=namespace, scope=None if scope is None else str(scope), author=author):
            return False
    return True


def payload_of(pending: approvals.Pending, proposal: Proposal, text_max_chars: int | None = None) -> Shown:
    """The payload in v0.6.3's shapes.

    They are the whole memory to be stored, `{id, title}` of one to be deleted, and `{id, to_namespace?}` of one to be
    promoted; `objects` counts where there are several.

    Args:
      text_max_chars: texts are cut to so many characters; None leaves them whole.
    """
    payload = _payload(pending, proposal)
    if len(proposal.entries) > 1:
        payload["objects"] = len(proposal.entries)
    if text_max_chars is None:
        return Shown(payload=payload)
    cut = {name: _cut(value, text_max_chars) for name, value in payload.items()}
    return Shown(
        payload={name: value for name, (value, _) in cut.items()}, is_cut=any(is_cut for _, is_cut in cut.values())
    )


def _payload(pending: approvals.Pending, proposal: Proposal) -> PendingJson:
    pairs = list(zip(proposal.entries, proposal.states, strict=True))
    memories = [pair for pair in pairs if pair[0].kind == MEMORY.name]
    match pending.action:
        case "delete":
            title = _plain(memories[0][1]).get("title", "") if memories else ""
            return {"id": pending.memory_id or (memories[0][0].key if memories else ""), "title": title}
        case "promote":
            copies = [_after(entry, state) for entry, state in memories if entry.create is not None]
            named = {"to_namespace": copies[0].get("namespace")} if copies else {}
            return {"id": pending.memory_id or (memories[0][0].key if memories else ""), **named}
        case "store" if memories:
            return _memory(*memories[0])
    if not pairs:
        return {}
    entry, state = next((pair for pair in pairs if pair[0].kind == NAMESPACE.name), pairs[0])
    return {"kind": entry.kind, "id": entry.key, **_after(entry, state)}


def _memory(entry: Entry, state: ObjectState) -> PendingJson:
    """The memory as it would be; the plain fields where they are not all known."""
    fields = {name: cell.value for name, cell in state.fields.items()} | entry.fields
    author = state.author if entry.create is None else entry.create.author
    try:
        whole: PendingJson = to_builtins(memory_out(_memory_of(entry.key, author or "", fields)))
    except (KeyError, TypeError, ValueError, IndexError):
        return {"id": entry.key, **_after(entry, state)}
    return whole


def _memory_of(key: str, author: str, fields: Mapping[str, FieldValue]) -> Memory:
    name, tags, scope = fields["name"], fields["tags"], fields.get("scope")
    expires_at = fields.get("expires_at")
    if not isinstance(name, tuple) or not isinstance(tags, tuple):
        raise TypeError("a memory's name and tags are lists")
    return Memory(
        id=MemoryId(key), namespace=Namespace(str(name[0])), title=str(name[1]), title_generated=len(name) > 2,
        content=str(fields["content"]), tags=tuple(map(str, tags)), tier=Tier(str(fields["tier"])),
        priority=_integer(fields["priority"]), confidence=float(str(fields["confidence"])),
        source=str(fields["source"]), author=AgentId(author), scope=None if scope is None else Scope(str(scope)),
        metadata=msgspec.json.decode(str(fields["metadata"]), type=dict[str, object]),
        created_at=Instant(_integer(fields["created_at"])), updated_at=Instant(_integer(fields["updated_at"])),
        expires_at=None if expires_at is None else Instant(_integer(expires_at)),
    )


def _integer(value: FieldValue) -> int:
    if not isinstance(value, int):
        raise TypeError("a number of a memory is none")
    return value


def difference_of(proposal: Proposal) -> Difference:
    """What would change against the state of now."""
    found: list[ChangeOut] = []
    total = 0
    for entry, state in zip(proposal.entries, proposal.states, strict=True):
        for change in _changes(entry, state):
            total += 1
            if len(found) < CHANGES_MAX:
                found.append(change)
    return Difference(changes=tuple(found), total=total)


def _changes(entry: Entry, state: ObjectState) -> Iterator[ChangeOut]:
    before = _plain(state)
    if entry.dead:
        shown = _OF_A_DELETED if entry.kind == MEMORY.name else tuple(before)
        for name in shown:
            if name in before:
                yield _change(entry, "delete", name, before[name], None)
        return
    effect = "create" if state.born is None else "change"
    after = _after(entry, state)
    written = _plain_fields({name: value for name, value in entry.fields.items() if name not in _QUIET})
    for name in written:
        if before.get(name) != after.get(name):
            yield _change(entry, effect, name, before.get(name), after.get(name))


def _change(entry: Entry, effect: str, name: str, before: object, after: object) -> ChangeOut:
    (old, is_old_cut), (new, is_new_cut) = _cut(before, TEXT_MAX_CHARS), _cut(after, TEXT_MAX_CHARS)
    return ChangeOut(
        kind=entry.kind, id=entry.key, effect=effect, field=name, before=old, after=new,
        cut=True if is_old_cut or is_new_cut else UNSET,
    )


def _after(entry: Entry, state: ObjectState) -> dict[str, object]:
    return _plain_fields({name: cell.value for name, cell in state.fields.items()} | entry.fields)


def _plain(state: ObjectState) -> dict[str, object]:
    return _plain_fields({name: cell.value for name, cell in state.fields.items()})


def _plain_fields(fields: Mapping[str, FieldValue]) -> dict[str, object]:
    """Fields by the names and in the forms that the surface has for them."""
    found: dict[str, object] = {}
    for name, value in fields.items():
        if name == "name" and isinstance(value, tuple):
            found |= {"namespace": value[0], "title": value[1]}
        elif name == "lifecycle" and isinstance(value, tuple):
            found["state"] = "live" if value == LIVE else value[0]
        elif name in _MOMENTS and isinstance(value, int):
            found[name] = format_instant(Instant(value))
        elif name in _JSON and isinstance(value, str):
            found[name] = _json(value)
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _cut(value: object, limit: int) -> tuple[object, bool]:
    """A value that is no longer than the bound, as text where it was cut."""
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    return (text[:limit], True) if len(text) > limit else (value, False)
