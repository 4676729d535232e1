"""Names between callers who do not see the same: what has a name, and where a text goes whose name is taken unseen.

The view has one live row a name (design §4), whoever may see it. A store onto a name that belongs to a memory which its
author may not see must neither change that memory nor vanish behind it as a shadow: it stands beside it, under a title
of the author's own, always the same, so that a second store finds it. What asks for just this name (an update, a
restore) is told that it is taken and not by what. That a name is taken is all that anybody learns.
"""

from __future__ import annotations

import hashlib
from typing import Final

from msgspec.structs import replace

from aimem.errors import Code, Conflict
from aimem.model import Entry, Instant, Memory, MemoryId, Namespace, Principal, Scope
from aimem.service.drafts import Draft
from aimem.service.lifetimes import collect_entries
from aimem.service.node import Node
from aimem.store import Clause, Transaction, memories, visible_to

EVERYTHING: Final = Clause("1", {})
TITLE_KEPT_CHARS: Final = 500
BESIDE_TRIES: Final = 4
"""Somebody else may have taken the title beside too, knowing how it is made; so many are tried."""


def is_live(memory: Memory, now: Instant) -> bool:
    """Whether a memory that has its name has not expired either."""
    return memory.expires_at is None or memory.expires_at > now


def owner_of(memory: Memory) -> str:
    """Part of a memory's name: its author, if the name is private to it."""
    return memory.author if memory.scope is Scope.PRIVATE else ""


def may_see(who: Principal, memory: Memory) -> bool:
    """Whether a memory exists for a caller."""
    scope = None if memory.scope is None else memory.scope.value
    return who.sees(namespace=memory.namespace, scope=scope, author=memory.author)


def find_holder(
    transaction: Transaction, namespace: Namespace, title: str, owner: str, visible: Clause
) -> Memory | None:
    """As `memories.find_holder`, without looking where a batch looked already."""
    if transaction.is_free_name((namespace, title)):
        return None
    return memories.find_holder(transaction.conn, namespace, title, owner, visible)


def holder_of(transaction: Transaction, who: Principal, draft: Draft) -> Memory | None:
    """What has the draft's name, expired or not, as far as the caller may see it; an expired one has only the name.

    Without a scope that is first the author's own private memory: else a text that belongs to a secret would be stored
    beside it, for everybody to read.
    """
    visible = visible_to(who)
    if draft.scope is None:
        own = find_holder(transaction, draft.namespace, draft.title, draft.author, visible)
        if own is not None and is_live(own, transaction.now):
            return own
    holder = find_holder(transaction, draft.namespace, draft.title, draft.owner, EVERYTHING)
    is_hidden = holder is not None and is_live(holder, transaction.now) and not may_see(who, holder)
    return None if is_hidden else holder


def beside_hidden(transaction: Transaction, who: Principal, draft: Draft) -> Draft:
    """The draft under a title that is free for its author: its own, unless a memory has it that the caller may not see.

    Raises: Conflict(name_taken) if the titles beside are taken too.
    """
    title = draft.title
    for attempt in range(BESIDE_TRIES):
        holder = find_holder(transaction, draft.namespace, title, draft.owner, EVERYTHING)
        is_free = holder is None or not is_live(holder, transaction.now) or may_see(who, holder)
        if is_free or (attempt == 0 and holder_of(transaction, who, draft) is not None):
            return draft if title == draft.title else replace(draft, title=title)
        digest = hashlib.sha256(f"{attempt}:{draft.author}".encode()).hexdigest()
        title = f"{draft.title[:TITLE_KEPT_CHARS]} ~{digest[:8]}"
    raise _taken(draft.namespace, draft.title, None)


def free_name(
    transaction: Transaction, node: Node, who: Principal, namespace: Namespace, title: str, owner: str
) -> list[Entry]:
    """Make sure that a name can be taken: entries that collect an expired holder.

    Raises: Conflict(name_taken) if a live memory has it; its id is told to who may see it.
    """
    holder = find_holder(transaction, namespace, title, owner, EVERYTHING)
    if holder is None:
        return []
    if not is_live(holder, transaction.now):
        return collect_name(transaction, node, namespace, title, owner)
    raise _taken(namespace, title, holder.id if may_see(who, holder) else None)


def collect_name(
    transaction: Transaction, node: Node, namespace: Namespace, title: str, owner: str
) -> list[Entry]:
    """Entries that collect the expired holder of a name with all rows of it, whoever may see them."""
    ids = memories.ids_of_name(transaction.conn, namespace, title, owner, EVERYTHING)
    return collect_entries(transaction, node.policy, ids)


def _taken(namespace: Namespace, title: str, holder_id: MemoryId | None) -> Conflict:
    known = {} if holder_id is None else {"id": holder_id}
    which = "" if holder_id is None else f" (id {holder_id})"
    return Conflict(
        f"a memory titled {title[:80]!r} already exists in namespace {namespace!r}{which}; choose another title",
        code=Code.NAME_TAKEN, field="title", **known,
    )


def rows_of(transaction: Transaction, who: Principal, memory: Memory) -> tuple[MemoryId, ...]:
    """All live rows of a memory's name that the caller may see, itself first: what is done to the name is done to each.

    A row that the caller may not see is another agent's, which happened to take the name elsewhere: it comes to light.
    """
    return memories.ids_of_name(
        transaction.conn, memory.namespace, memory.title, owner_of(memory), visible_to(who)
    )
