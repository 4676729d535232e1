"""What an op does, in the terms of policies: found from its entries, so that no door or use case can leave it out."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from aimem.model import AgentId, Entry, FieldValue, ObjectState, Verb

LIVE = ("live",)
LONG = "long"
QUIET_FIELDS = frozenset({"extended", "collected"})
"""Registers of lifetimes: a recall's extension, and the expiry that the clock brought anyway."""


class Act(Struct, frozen=True, kw_only=True):
    """One thing that a policy has a level for.

    Attributes:
      owner: author of the row that it is done to; None for what is new, or has no author.
      target: id of that row.
      is_rescoping: whether it changes who may see the row.
    """

    verb: Verb
    namespace: str
    owner: AgentId | None = None
    target: str | None = None
    is_rescoping: bool = False


def acts_of(label: str, entry: Entry, before: ObjectState) -> Iterator[Act]:
    """What an entry does to a memory.

    Args:
      label: the op's.
      before: the memory as it stands; `ObjectState()` for a new one.
    """
    owner = None if before.author is None else AgentId(before.author)
    old = namespace_of(before.fields["name"].value) if "name" in before.fields else None
    if entry.dead:
        if old is not None:
            yield Act(verb=Verb.DELETE, namespace=old, owner=owner, target=entry.key)
        return
    new = namespace_of(entry.fields["name"]) if "name" in entry.fields else None
    if entry.create is not None:
        if new is not None:
            yield Act(verb=Verb.WRITE, namespace=new, target=entry.key)
        return
    if old is not None:
        yield from _changes(label, entry, before, old, owner)
        if new is not None and new != old:
            yield Act(verb=Verb.DELETE, namespace=old, owner=owner, target=entry.key)
            yield Act(verb=Verb.WRITE, namespace=new, owner=owner, target=entry.key)


def _changes(label: str, entry: Entry, before: ObjectState, namespace: str, owner: AgentId | None) -> Iterator[Act]:
    fields = entry.fields
    changed = {name for name in fields if name not in QUIET_FIELDS and _differs(before, name, fields[name])}
    if "lifecycle" in changed and fields["lifecycle"] != LIVE:
        yield Act(verb=Verb.DELETE, namespace=namespace, owner=owner, target=entry.key)
        changed.discard("lifecycle")
    elif "expires_at" in changed and _ends_sooner(before, fields["expires_at"]):
        # Whoever may say when a row ends may end it: the clock then takes it without asking.
        yield Act(verb=Verb.DELETE, namespace=namespace, owner=owner, target=entry.key)
    if "tier" in changed and fields["tier"] == LONG:
        yield Act(verb=Verb.PROMOTE, namespace=namespace, owner=owner, target=entry.key)
        if label == "promote":
            changed -= {"tier", "expires_at"}
    if changed - {"updated_at"}:
        yield Act(
            verb=Verb.WRITE, namespace=namespace, owner=owner, target=entry.key, is_rescoping="scope" in changed
        )


def _ends_sooner(before: ObjectState, expires_at: FieldValue) -> bool:
    cell = before.fields.get("expires_at")
    present = None if cell is None else cell.value
    return isinstance(expires_at, int) and (not isinstance(present, int) or expires_at < present)


def _differs(before: ObjectState, name: str, value: FieldValue) -> bool:
    cell = before.fields.get(name)
    return cell is None or cell.value != value


def namespace_of(name: FieldValue) -> str:
    """The namespace in a name field's value."""
    return str(name[0]) if isinstance(name, tuple) and name else ""
