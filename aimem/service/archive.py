"""The archive: out of sight with all that a memory has, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, Struct

from aimem.errors import AimemError, Code, Conflict, InvalidRequest, NotFound
from aimem.model import (
    ArchivedMemory,
    Entry,
    FieldValue,
    Instant,
    Lifetimes,
    Memory,
    MemoryId,
    Namespace,
    Principal,
    Tier,
    after,
    format_instant,
    rules,
)
from aimem.ports import Connection
from aimem.service.callers import require_operator
from aimem.service.edit import refuse_reserved
from aimem.service.lifetimes import BATCH, purge_batch
from aimem.service.names import free_name, owner_of, rows_of
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.standards import standing_for
from aimem.service.writing import write_as
from aimem.store import LIVE, MEMORY, Transaction, memories, statistics, visible_to
from aimem.wire import (
    ArchivedOut,
    ArchivedPage,
    ArchiveRequest,
    ArchiveResult,
    ArchiveStats,
    GetArchivedQuery,
    NamespaceCount,
    Purged,
    PurgeQuery,
    Restored,
    RestoreQuery,
    memory_fields,
)

ARCHIVE_MAX_IDS: Final = 1000
PAGE_MAX: Final = 1000
AGE_MAX_DAYS: Final = 36_500


async def list_archive(node: Node, who: Principal, query: GetArchivedQuery) -> ArchivedPage:
    """A page of the archive, the latest first. Raises: InvalidRequest naming the parameter."""
    rules.bounded(query.limit, 1, PAGE_MAX, field="limit")
    rules.bounded(query.offset, 0, 2**31, field="offset")
    namespace = rules.namespace(query.namespace) if query.namespace else None

    def read(conn: Connection) -> tuple[ArchivedMemory, ...]:
        return memories.archived_page(conn, namespace, visible_to(who), limit=query.limit, offset=query.offset)

    found = await node.store.read(read)
    shown = tuple(
        ArchivedOut(
            **memory_fields(item.memory),
            archived_at=format_instant(item.archived_at),
            archive_reason=item.reason,
        )
        for item in found
    )
    return ArchivedPage(archived=shown, count=len(shown))


async def archive(node: Node, who: Principal, request: ArchiveRequest, once: Once | None = None) -> ArchiveResult:
    """Put memories away, all in one transaction; unknown ids are listed as missing.

    Raises: InvalidRequest, Denied(reserved_namespace), Unavailable.
    """
    rules.bounded(len(request.ids), 1, ARCHIVE_MAX_IDS, field="ids")
    ids = tuple(dict.fromkeys(rules.memory_id(text, field=f"ids[{i}]") for i, text in enumerate(request.ids)))
    reason = rules.title(request.reason, field="reason")[: rules.REASON_MAX_CHARS] or "archive"
    answer: ArchiveResult = (await write_as(node, who, archive_in, node, who, ids, reason, once)).value
    return answer


def archive_in(
    transaction: Transaction, node: Node, who: Principal, ids: tuple[MemoryId, ...], reason: str, once: Once | None
) -> ArchiveResult:
    """As `archive`, inside a write's transaction."""

    def run() -> ArchiveResult:
        found = {i: memories.find(transaction.conn, i, transaction.now, visible_to(who)) for i in ids}
        present = [memory for memory in found.values() if memory is not None]
        away: FieldValue = ("archived", reason, transaction.now)
        entries: list[Entry] = []
        for memory in {memory.id: memory for memory in present}.values():
            refuse_reserved(memory)
            rows = rows_of(transaction, who, memory)
            entries += [transaction.change(MEMORY, row, {"lifecycle": away}) for row in rows]
        warning = standing_for(transaction.conn, (MemoryId(entry.key) for entry in entries))
        version = None
        for begin in range(0, len(entries), BATCH):
            version = str(transaction.emit("archive", entries[begin : begin + BATCH]))
        return ArchiveResult(
            archived=tuple(i for i in ids if found[i] is not None),
            missing=tuple(i for i in ids if found[i] is None),
            count=len(present),
            reason=reason,
            version=version or UNSET,
            warning=warning or UNSET,
        )

    return answer_once(transaction, node, who, once, ArchiveResult, run)


def restored_lifetime(memory: Memory, mode: str, now: Instant, lifetimes: Lifetimes) -> dict[str, FieldValue]:
    """Tier and expiry of a memory that comes back: what it had, if that is still to come; else its tier's time anew."""
    if mode == "long":
        return {"tier": Tier.LONG.value, "expires_at": None}
    is_current = memory.expires_at is None or memory.expires_at > now
    return {"expires_at": memory.expires_at if is_current else lifetimes.expiry(memory.tier, now)}


async def restore(
    node: Node, who: Principal, memory_id: str, query: RestoreQuery, once: Once | None = None
) -> Restored:
    """Bring an archived memory back with its id, links, tier and vectors.

    Raises: NotFound, Conflict(name_taken, or id_taken if it is not archived), InvalidRequest, Unavailable.
    """
    whole = rules.memory_id(memory_id)
    answer: Restored = (await write_as(node, who, restore_in, node, who, whole, query, once)).value
    return answer


def restore_in(
    transaction: Transaction, node: Node, who: Principal, memory_id: MemoryId, query: RestoreQuery, once: Once | None
) -> Restored:
    """As `restore`, inside a write's transaction."""

    def run() -> Restored:
        now = transaction.now
        found = memories.find_archived(transaction.conn, memory_id, visible_to(who))
        if found is None:
            raise _not_archived(transaction, who, memory_id)
        memory = found.memory
        freed = free_name(transaction, node, who, memory.namespace, memory.title, owner_of(memory))
        lifetime = restored_lifetime(memory, query.mode, now, node.policy.lifetimes)
        # The expiry is written even if it stays the same: its new stamp undoes a collection.
        back = {"lifecycle": LIVE, "updated_at": max(now, memory.updated_at), **lifetime}
        dot = transaction.emit("restore", [*freed, transaction.change(MEMORY, memory_id, back)])
        expires_at = lifetime["expires_at"]
        return Restored(
            restored=True,
            id=memory_id,
            tier=str(lifetime.get("tier", memory.tier.value)),
            version=str(dot),
            expires_at=format_instant(Instant(expires_at)) if isinstance(expires_at, int) else UNSET,
        )

    return answer_once(transaction, node, who, once, Restored, run)


class BroughtBack(Struct, frozen=True, kw_only=True):
    """What it takes to bring memories back, and those whose name is taken.

    Attributes:
      ids: those that come back.
    """

    entries: tuple[Entry, ...]
    ids: tuple[MemoryId, ...]
    refused: tuple[tuple[MemoryId, AimemError], ...]


def bring_back(
    transaction: Transaction, node: Node, who: Principal, archived: Sequence[ArchivedMemory]
) -> BroughtBack:
    """Entries that undo an archiving as if it had not been: tier, expiry and time of change stay what they were.

    All rows of a name come back together, as they went; a name that somebody else took keeps its own away.
    """
    names: dict[tuple[Namespace, str, str], list[Memory]] = {}
    for memory in (item.memory for item in archived):
        names.setdefault((memory.namespace, memory.title, owner_of(memory)), []).append(memory)
    entries: list[Entry] = []
    ids: list[MemoryId] = []
    refused: list[tuple[MemoryId, AimemError]] = []
    for name, rows in names.items():
        try:
            entries += free_name(transaction, node, who, *name)
        except Conflict as error:
            refused += [(memory.id, error) for memory in rows]
            continue
        for memory in rows:
            lifetime = restored_lifetime(memory, "keep", transaction.now, node.policy.lifetimes)
            entries.append(transaction.change(MEMORY, memory.id, {"lifecycle": LIVE, **lifetime}))
            ids.append(memory.id)
    return BroughtBack(entries=tuple(entries), ids=tuple(ids), refused=tuple(refused))


def _not_archived(transaction: Transaction, who: Principal, memory_id: MemoryId) -> AimemError:
    """Why there is nothing to restore: it is here already, or nowhere."""
    if memories.find(transaction.conn, memory_id, transaction.now, visible_to(who)) is None:
        sentence = f"not found in archive: {memory_id!r}; give the whole id, as the archive's list has it"
        return NotFound(sentence, field="id")
    return Conflict(f"{memory_id} is not archived: it can be read as it is", code=Code.ID_TAKEN, field="id")


async def purge_archive(node: Node, who: Principal, query: PurgeQuery) -> Purged:
    """Delete archived memories for ever: those older than some days, or all if that is said expressly.

    Raises: InvalidRequest, Denied(operator_required), Unavailable.
    """
    require_operator(who, "purging the archive")
    before: Instant | None = None
    if query.older_than_days is not None and query.all:
        raise InvalidRequest("give older_than_days or all=true, not both", field="all")
    if query.older_than_days is not None:
        days = rules.bounded(query.older_than_days, 0, AGE_MAX_DAYS, field="older_than_days")
        before = after(node.clock.now(), -86_400 * days)
    elif not query.all:
        raise InvalidRequest("give older_than_days, or all=true to purge the whole archive", field="older_than_days")
    total = 0
    while True:
        purged: int = (await write_as(node, who, purge_batch, visible_to(who), before)).value
        total += purged
        if purged < BATCH:
            return Purged(purged=total)


async def archive_stats(node: Node, who: Principal) -> ArchiveStats:
    """Counts of the archive."""
    found = await node.store.read(statistics.archived_by_namespace, visible_to(who))
    by_namespace = tuple(NamespaceCount(namespace=name, count=count) for name, count in found)
    return ArchiveStats(archived_total=sum(count for _, count in found), by_namespace=by_namespace)
