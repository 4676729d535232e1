"""The fold: how one entry of an op joins the state of one object.

It is a pure function of the two: no clock, no filter, no policy, no default, no node-local table. Hence any two nodes
that know the same ops have the same state, whatever order, repetition or road brought them (promise P3).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import msgspec

from aimem.model import Blank, Cell, Entry, FieldConflict, FieldValue, Merged, ObjectState, Stamp, parse_stamp
from aimem.store import STREAM

_NO_FIELDS: Final[Mapping[str, Cell]] = {}


def merge_entry(state: ObjectState, entry: Entry | Blank, stamp: Stamp, *, maxima: Set[str]) -> Merged:
    """Join an entry into an object: the greatest stamp wins a field, the least `born`, `dead` absorbs.

    Args:
      state: the object as known; `ObjectState()` if nothing is.
      entry: what the op does to this object, or the blank that a delete left of it.
      stamp: the op's.
      maxima: fields that are registers of the greatest *value* (an extension, a collection), not of the latest write.
    Returns: the joined state, the names of the fields whose value changed (`born` and `dead` count as names), and the
      writes that lost against one that they did not know.
    Raises: ValueError for an entry that no origin of ours can have made.
    """
    if entry.kind == STREAM.name and (entry.key != stamp.stream or isinstance(entry, Blank) or entry.dead):
        # Its key and its node's name are its owner's to say: whoever set them would speak for it, or silence it.
        return Merged(state=state, changed=frozenset())
    if isinstance(entry, Blank):
        return _bury(state, parse_stamp(entry.dead_since))
    if entry.dead:
        return _bury(state, stamp)
    if state.dead is not None:
        return Merged(state=state, changed=frozenset())
    changed: set[str] = set()
    born, author = state.born, state.author
    if entry.create is not None:
        earliest = _earlier_birth(born, author, stamp, entry.create.author)
        if earliest != (born, author):
            born, author = earliest
            changed.add("born")
    fields, conflicts = _joined_fields(state.fields, entry, stamp, maxima, changed)
    joined = ObjectState(born=born, author=author, fields=fields)
    return Merged(state=joined, changed=frozenset(changed), conflicts=tuple(conflicts))


def _joined_fields(
    known_fields: Mapping[str, Cell], entry: Entry, stamp: Stamp, maxima: Set[str], changed: set[str]
) -> tuple[dict[str, Cell], list[FieldConflict]]:
    """The fields after the entry, and the writes that lost; names of those with another value join `changed`."""
    if not known_fields:
        # Nothing to compare with, as nearly always: most ops bring something new.
        changed |= entry.fields.keys()
        return {name: Cell(stamp, value) for name, value in entry.fields.items()}, []
    fields, conflicts = dict(known_fields), []
    for name, value in entry.fields.items():
        known = fields.get(name)
        if name in maxima:
            winner = _greatest_value(known, Cell(stamp, value))
        else:
            winner = Cell(stamp, value) if known is None else _latest(known, Cell(stamp, value))
            conflict = _conflict(name, known, Cell(stamp, value), entry.base.get(name))
            conflicts += [conflict] if conflict else []
        if known is None or winner != known:
            fields[name] = winner
            if known is None or winner.value != known.value:
                changed.add(name)
    return fields, conflicts


def _earlier_birth(born: Stamp | None, author: str | None, stamp: Stamp, creator: str) -> tuple[Stamp, str | None]:
    if born is None or stamp < born:
        return stamp, creator
    # Only a fork of a stream makes such a tie.
    return born, max(author or "", creator) if stamp == born else author


def _bury(state: ObjectState, stamp: Stamp) -> Merged:
    if state.dead is not None and state.dead <= stamp:
        return Merged(state=state, changed=frozenset())
    changed = frozenset() if state.dead is not None else frozenset({"dead", "born", *state.fields})
    return Merged(state=ObjectState(dead=stamp, fields=_NO_FIELDS), changed=changed)


def _rank(value: FieldValue) -> tuple[int, bytes]:
    """A total order of values, for ties: by length, then bytes of the canonical encoding."""
    encoded = msgspec.json.encode(value)
    return len(encoded), encoded


def _latest(known: Cell, new: Cell) -> Cell:
    if new.stamp != known.stamp:
        return new if new.stamp > known.stamp else known
    return new if _rank(new.value) > _rank(known.value) else known  # only a fork of a stream makes such a tie


def _greatest_value(known: Cell | None, new: Cell) -> Cell:
    """The register keeps the greatest value; among equal values the least stamp, so that the order does not matter."""
    if known is None:
        return new
    one, other = _comparable(known.value), _comparable(new.value)
    if one != other:
        return new if other > one else known
    return new if new.stamp < known.stamp else known


def _comparable(value: FieldValue) -> tuple[tuple[str, int, str], ...]:
    """Registers hold a list of texts and integers; they compare item by item (a text against a text)."""
    if not isinstance(value, tuple):
        raise ValueError(f"a register holds a list, not {type(value).__name__}")
    items: list[tuple[str, int, str]] = []
    for item in value:
        if isinstance(item, str):
            items.append(("text", 0, item))
        elif isinstance(item, int) and not isinstance(item, bool):
            items.append(("int", item, ""))
        else:
            raise ValueError(f"a register holds texts and integers, not {type(item).__name__}")
    return tuple(items)


def _conflict(name: str, known: Cell | None, new: Cell, base: str | None) -> FieldConflict | None:
    """The losing side, if the writer had not seen what stands here."""
    if known is None or known.stamp == new.stamp or base == known.stamp.text() or known.value == new.value:
        return None
    loser = known if _latest(known, new) is new else new
    return FieldConflict(field=name, stamp=loser.stamp, value=loser.value)
