"""What a node notes for itself when writes meet: who lost, what a text was before, what held in a namespace.

Node-local, outside digests, and bounded an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from aimem.model import Entry, FieldConflict, Instant, ObjectState, Stamp
from aimem.ports import Parameters
from aimem.store import view
from aimem.store.fields import Kind
from aimem.store.kinds import NAMESPACE

Statement: TypeAlias = tuple[str, Parameters]
"""SQL, and what is bound to it."""

CONFLICTS_PER_OBJECT: Final = 8
HISTORY_PER_MEMORY: Final = 8
HISTORY_PER_NAMESPACE: Final = 64

_ADD_CONFLICT = "INSERT OR IGNORE INTO conflicts (kind, key, field, stamp, value, noted_at) VALUES (?, ?, ?, ?, ?, ?)"
_CAP_CONFLICTS = (
    "DELETE FROM conflicts WHERE kind = :kind AND key = :key AND (field, stamp) NOT IN "
    "(SELECT field, stamp FROM conflicts WHERE kind = :kind AND key = :key ORDER BY stamp DESC LIMIT :keep)"
)
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


def of_conflicts(
    kind: Kind, key: str, conflicts: Sequence[FieldConflict], noted_at: Instant
) -> Iterator[Statement]:
    """The writes that lost a field."""
    for lost in conflicts:
        value = msgspec.json.encode(lost.value).decode()
        yield _ADD_CONFLICT, (kind.name, key, lost.field, lost.stamp.pack(), value, noted_at)
    if conflicts:
        yield _CAP_CONFLICTS, {"kind": kind.name, "key": key, "keep": CONFLICTS_PER_OBJECT}


def of_history(memory_id: str, old: ObjectState, stamp: Stamp, noted_at: Instant) -> Iterator[Statement]:
    """The text that a write replaced."""
    name, content = view.name_of(old), old.fields.get("content")
    if name is None or content is None:
        return
    replaced = max(old.fields["name"].stamp, content.stamp)
    yield _ADD_HISTORY, (memory_id, replaced.pack(), stamp.pack(), name[1], str(content.value), noted_at)
    yield _CAP_HISTORY, {"id": memory_id, "keep": HISTORY_PER_MEMORY}


def of_rule(entry: Entry, old: ObjectState, stamp: Stamp) -> Iterator[Statement]:
    """What a write set for a namespace, with what it left as it was. Raises: ValueError as `row_of`."""
    known = {name: cell.value for name, cell in old.fields.items()} | dict(entry.fields)
    columns = [
        value for field in NAMESPACE.fields
        for value in (field.to_columns(known[field.name]) if field.name in known else (None,))
    ]
    yield _ADD_RULE, (entry.key, stamp.pack(), *columns)
    yield _CAP_RULES, {"namespace": entry.key, "keep": HISTORY_PER_NAMESPACE}
