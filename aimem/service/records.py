"""Records of what the curator did: enough to undo an act, written with it, and without a word of anybody's memory.

A record is a memory of the system's, so that it replicates as the act does. It holds ids and values of fields that are
no text; the texts themselves are in the archive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from aimem.errors import NotFound
from aimem.model import (
    SYSTEM_AGENT,
    Entry,
    FieldValue,
    Instant,
    Memory,
    MemoryId,
    Namespace,
    Principal,
    Tier,
    format_instant,
)
from aimem.ports import Connection
from aimem.service.drafts import metadata_value, name_value
from aimem.store import LIVE, MEMORY, Transaction, curation, memories, visible_to
from aimem.wire import ActName

ROLLBACK: Final = Namespace("_curator/rollback")
SOURCE: Final = "curator"
REVERSED: Final = "_reversed"
PRIORITY: Final = 3


class Change(Struct, frozen=True, kw_only=True):
    """What a field was, and what the act made of it."""

    before: FieldValue
    after: FieldValue


class Consolidation(Struct, frozen=True, kw_only=True, tag_field="action", tag="consolidate"):
    """Memories went to the archive in favour of `result_id`, which was made for it or (`made` false) was there.

    Attributes:
      originals: all rows that went (at least one), shadows of their names included.
      changes: fields of a result that was there.
    """

    originals: tuple[MemoryId, ...]
    result_id: MemoryId
    made: bool
    changes: dict[str, Change] = {}

    @property
    def subject(self) -> MemoryId:
        """The memory by which the record is found when the same act is proposed again."""
        return self.originals[0] if self.made else self.result_id

    @property
    def ids(self) -> tuple[MemoryId, ...]:
        """All memories that the act touched."""
        return (self.result_id, *self.originals)


class Forgetting(Struct, frozen=True, kw_only=True, tag_field="action", tag="forget"):
    """A memory went to the archive because a newer one contradicts it. `rows` are all rows of its name."""

    memory_id: MemoryId
    rows: tuple[MemoryId, ...]
    contradicted_by: MemoryId

    @property
    def subject(self) -> MemoryId:
        """As in Consolidation."""
        return self.memory_id

    @property
    def ids(self) -> tuple[MemoryId, ...]:
        """As in Consolidation."""
        return self.rows


class PriorityAdjustment(Struct, frozen=True, kw_only=True, tag_field="action", tag="priority_adjust"):
    """A priority went up or down by one."""

    memory_id: MemoryId
    before: int
    after: int

    @property
    def subject(self) -> MemoryId:
        """As in Consolidation."""
        return self.memory_id

    @property
    def ids(self) -> tuple[MemoryId, ...]:
        """As in Consolidation."""
        return (self.memory_id,)


class Tagging(Struct, frozen=True, kw_only=True, tag_field="action", tag="auto_tag"):
    """`metadata.auto_tags` was set, with this `metadata.curated_at`."""

    memory_id: MemoryId
    curated_at: str

    @property
    def subject(self) -> MemoryId:
        """As in Consolidation."""
        return self.memory_id

    @property
    def ids(self) -> tuple[MemoryId, ...]:
        """As in Consolidation."""
        return (self.memory_id,)


Record: TypeAlias = Consolidation | Forgetting | PriorityAdjustment | Tagging
_decoder: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)


def action_of(record: Record) -> ActName:
    """The name of what was done."""
    match record:
        case Consolidation():
            return "consolidate"
        case Forgetting():
            return "forget"
        case PriorityAdjustment():
            return "priority_adjust"
    return "auto_tag"


def system_entry(
    transaction: Transaction, memory_id: MemoryId, namespace: Namespace, title: str, *, content: bytes,
    tags: tuple[str, ...], tier: Tier, expires_at: Instant | None,
) -> Entry:
    """An entry that creates a memory of the curator's own."""
    now = transaction.now
    fields: dict[str, FieldValue] = {
        "name": name_value(namespace, title, is_generated=False), "content": content.decode(), "tags": tags,
        "tier": tier.value, "priority": PRIORITY, "confidence": 1.0, "source": SOURCE, "metadata": metadata_value({}),
        "scope": None, "created_at": now, "updated_at": now, "expires_at": expires_at, "lifecycle": LIVE,
    }
    return transaction.create(MEMORY, memory_id, SYSTEM_AGENT, fields)


def record_entry(transaction: Transaction, record_id: MemoryId, record: Record) -> Entry:
    """The entry that writes a record into the op of its act. Its title begins with the action and the subject."""
    title = f"{_beginning(action_of(record), record.subject)}{format_instant(transaction.now)} {record_id[:8]}"
    return system_entry(
        transaction, record_id, ROLLBACK, title, content=msgspec.json.encode(record),
        tags=("_rollback", action_of(record)), tier=Tier.LONG, expires_at=None,
    )


def _beginning(action: ActName, subject: str) -> str:
    return f"{action} {subject} "


def reversed_entry(transaction: Transaction, row: Memory) -> Entry:
    """The entry that marks a record as reversed, with the moment."""
    fields: dict[str, FieldValue] = {"tags": (*row.tags, REVERSED), "updated_at": transaction.now}
    return transaction.change(MEMORY, row.id, fields)


def is_reversed(row: Memory) -> bool:
    """Whether what a record tells was undone."""
    return REVERSED in row.tags


def read_record(row: Memory) -> Record:
    """What a row says. Raises: NotFound for a content that no version of ours has written."""
    try:
        return _decoder.decode(row.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotFound(f"{row.id} is no record that this version can read", field="id") from None


def find_record(conn: Connection, who: Principal, memory_id: MemoryId, now: Instant) -> Memory:
    """A record's row. Raises: NotFound."""
    row = memories.find(conn, memory_id, now, visible_to(who))
    if row is None or row.namespace != ROLLBACK:
        raise NotFound(f"not found: there is no record of rollback with the id {memory_id!r}", field="id")
    return row


class Past(Struct, frozen=True, kw_only=True):
    """What was done to memories before.

    Attributes:
      done_at: id -> when an act had it as its subject last.
      undone_at: id -> when an act that touched it was reversed last.
    """

    done_at: Mapping[MemoryId, Instant]
    undone_at: Mapping[MemoryId, Instant]

    def is_left_alone(self, row: Memory) -> bool:
        """Whether a person took such an act back, and the memory is still what it was then."""
        undone = self.undone_at.get(row.id)
        return undone is not None and row.updated_at <= undone


def past_of(conn: Connection, action: ActName, ids: Sequence[MemoryId]) -> Past:
    """What records say of acts that had one of these memories as their subject."""
    done_at: dict[MemoryId, Instant] = {}
    undone_at: dict[MemoryId, Instant] = {}
    subjects = {_beginning(action, memory_id): memory_id for memory_id in ids}
    for beginning, row in curation.titled(conn, ROLLBACK, list(subjects)):
        subject = subjects[beginning]
        done_at[subject] = max(row.created_at, done_at.get(subject, row.created_at))
        if is_reversed(row):
            with contextlib.suppress(NotFound):
                for memory_id in read_record(row).ids:
                    undone_at[memory_id] = max(row.updated_at, undone_at.get(memory_id, row.updated_at))
    return Past(done_at=done_at, undone_at=undone_at)
