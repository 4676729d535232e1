"""The start of a session: the most important memories, before anything is asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from aimem.errors import Unavailable
from aimem.model import Memory, Principal, new_memory_id, rules
from aimem.service.callers import speaker
from aimem.service.node import Node
from aimem.service.standards import injected
from aimem.service.thinking import is_thinking, summarise
from aimem.store import Filters, memories, visible_to
from aimem.wire import ScoredMemory, Session, SessionRequest, memory_fields

SESSION_MAX: Final = 50
SESSION_MODE: Final = "session_start"
log = logging.getLogger(__name__)


async def start_session(node: Node, who: Principal, request: SessionRequest) -> Session:
    """Live memories by priority, then last change. No recall: nothing is touched, and nothing remembers the session.

    The standards that hold in the namespace come with them, and are not among them.

    Raises: InvalidRequest naming the field, Denied if it names another agent than the caller, Unavailable.
    """
    agent_id = speaker(who, request.agent_id)
    limit = rules.bounded(request.limit, 1, SESSION_MAX, field="limit")
    namespace = rules.namespace(request.namespace) if request.namespace else None
    filters = Filters(namespaces=None if namespace is None else (namespace,))
    now = node.clock.now()
    beside = await node.store.read(injected, who, namespace, now, None)
    page = await node.store.read(
        memories.page, filters, filters.seen_by(visible_to(who)), now, limit=limit + len(beside.ids), offset=0,
        after=None,
    )
    found = [memory for memory in page if memory.id not in beside.ids][:limit]
    is_named = bool(request.agent_id) or not who.is_anonymous
    return Session(
        memories=tuple(ScoredMemory(**memory_fields(memory), score=0.0) for memory in found),
        count=len(found),
        mode=SESSION_MODE,
        session_id=new_memory_id(node.chance.rng),
        agent_id=agent_id if is_named else UNSET,
        summary=await _summary(node, who, found) if request.summary else UNSET,
        standard=beside.one,
        standards=beside.several,
        standards_omitted=beside.omitted or UNSET,
    )


async def _summary(node: Node, who: Principal, found: Sequence[Memory]) -> str | UnsetType:
    """What a language model makes of them. Without one, or if it says nothing of use, a session begins all the same."""
    if not found or not is_thinking(node):
        return UNSET
    try:
        return await summarise(node, who, found)
    except Unavailable as error:
        log.warning("session.unsummarised", extra={"reason": error.code.value})
        return UNSET
