"""Forget: put away all that some filters name, and bring exactly that back."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct

from aimem.errors import InvalidRequest, NotFound
from aimem.model import Entry, FieldValue, Principal, Tier, Words, rules
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.service.archive import bring_back
from aimem.service.lifetimes import BATCH
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id
from aimem.service.writing import write_as
from aimem.store import MEMORY, NO_STANDARD, Filters, Transaction, forgetting, memories, visible_to
from aimem.wire import ForgetRequest, Forgotten, ForgottenMemory, NotRestored

FORGET_MAX: Final = 2_000
"""Memories that one request puts away: the other writers wait for them, at about 0.3 ms each."""

SHOWN_MAX: Final = 1_000
"""Memories that a dry run names; it counts them all."""

REASON: Final = "forget:"


class Filter(Struct, frozen=True, kw_only=True):
    """What to forget: all conditions hold, and of the words one occurs."""

    filters: Filters
    words: Words | None


def filter_of(request: ForgetRequest) -> Filter:
    """Check the filters. Raises: InvalidRequest naming the field; Denied(reserved_namespace)."""
    if request.namespace is None and request.pattern is None and request.tier is None:
        raise InvalidRequest("give at least one of namespace, pattern and tier; nothing was forgotten", field="pattern")
    namespace = None if request.namespace is None else rules.writable_namespace(request.namespace)
    return Filter(
        filters=Filters(
            namespaces=None if namespace is None else (namespace,),
            tier=None if request.tier is None else rules.choice(Tier, request.tier, field="tier"),
        ),
        words=None if request.pattern is None else _words_of(request.pattern),
    )


def _words_of(pattern: str) -> Words:
    words = parse_query(rules.query(pattern, field="pattern"))
    if not (words.even or words.odd):
        raise InvalidRequest("pattern has no word in it; give the words to look for", field="pattern")
    return words


async def forget(node: Node, who: Principal, request: ForgetRequest, once: Once | None = None) -> Forgotten:
    """Archive what matches, at most 2,000 memories in one transaction; count and name it (`dry_run`); or undo that.

    The standards of namespaces are left alone, whatever is said of them.

    Raises: InvalidRequest, Denied(reserved_namespace); NotFound for an unknown or wholly undone `undo`; Unavailable.
    """
    if request.undo is not None:
        if request != ForgetRequest(undo=request.undo):
            raise InvalidRequest("undo goes alone: it excludes filters and dry_run", field="undo")
        forget_id = rules.memory_id(request.undo, field="undo")
        undone: Forgotten = (await write_as(node, who, _undo, node, who, forget_id, once)).value
        return undone
    wanted = filter_of(request)
    if request.dry_run:
        return await node.store.read(_would_forget, node, who, wanted)
    done: Forgotten = (await write_as(node, who, _forget, node, who, wanted, once)).value
    return done


def _would_forget(conn: Connection, node: Node, who: Principal, wanted: Filter) -> Forgotten:
    now = node.clock.now()
    count, found = forgetting.to_forget(
        conn, wanted.filters, wanted.words, visible_to(who) & NO_STANDARD, now, SHOWN_MAX)
    return Forgotten(
        deleted=0, archived=True, dry_run=True, more=count > FORGET_MAX, would_delete=count,
        memories=tuple(
            ForgottenMemory(id=one.id, title=one.title, namespace=one.namespace, tier=one.tier) for one in found
        ),
    )


def _forget(transaction: Transaction, node: Node, who: Principal, wanted: Filter, once: Once | None) -> Forgotten:
    def run() -> Forgotten:
        conn, now = transaction.conn, transaction.now
        visible = visible_to(who) & NO_STANDARD
        count, found = forgetting.to_forget(conn, wanted.filters, wanted.words, visible, now, FORGET_MAX)
        if not found:
            return Forgotten(deleted=0, archived=True, dry_run=False)
        forget_id = fresh_id(node, who, once)
        away: FieldValue = ("archived", REASON + forget_id, now)
        entries: list[Entry] = []
        for one in found:
            # All rows of the name: a shadow left behind would come to light.
            rows = memories.ids_of_name(conn, one.namespace, one.title, one.owner, visible)
            entries += [transaction.change(MEMORY, row, {"lifecycle": away}) for row in rows]
        return Forgotten(
            deleted=len(found), archived=True, dry_run=False, more=count > len(found), forget_id=forget_id,
            version=_emit(transaction, "archive", entries),
        )

    return answer_once(transaction, node, who, once, Forgotten, run)


def _emit(transaction: Transaction, label: str, entries: list[Entry]) -> str:
    """Write so many entries as ops of one transaction. Returns: the last one's version."""
    return str([transaction.emit(label, entries[at : at + BATCH]) for at in range(0, len(entries), BATCH)][-1])


def _undo(transaction: Transaction, node: Node, who: Principal, forget_id: str, once: Once | None) -> Forgotten:
    def run() -> Forgotten:
        found = forgetting.archived_for(transaction.conn, REASON + forget_id, visible_to(who), 2 * FORGET_MAX)
        if not found:
            raise NotFound(
                f"not found: nothing of the forget {forget_id!r} is in the archive; it may be undone or purged already",
                field="undo",
            )
        back = bring_back(transaction, node, who, found)
        return Forgotten(
            deleted=0, archived=False, dry_run=False, forget_id=forget_id, restored=len(back.ids),
            not_restored=tuple(
                NotRestored(id=memory_id, code=error.code, error=error.message) for memory_id, error in back.refused
            ),
            version=_emit(transaction, "restore", list(back.entries)) if back.entries else UNSET,
        )

    return answer_once(transaction, node, who, once, Forgotten, run)
