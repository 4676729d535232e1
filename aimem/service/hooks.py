"""What the language model does with a new memory after it was stored: tags, and a look for contradictions.

Off the way of the write: whoever stored has its answer long before. A queue that is full, a model that is away or says
nothing usable cost the tags, never the memory; the curator comes by later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import trio

from aimem.errors import (
    ApprovalRequired,
    Denied,
    InvalidRequest,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)
from aimem.model import Instant, Memory, MemoryId, Principal, Role, Scope, rules
from aimem.ports import Connection
from aimem.search import parse_query
from aimem.service.drafts import metadata_value
from aimem.service.node import Hook, Node
from aimem.service.thinking import is_thinking, judge_contradiction, suggest_tags
from aimem.service.writing import write_as
from aimem.store import MEMORY, Transaction, likeness, memories, visible_to
from aimem.wire import Stored

log = logging.getLogger(__name__)

CONTENT_MIN_BYTES: Final = 50
RIVALS_MAX_COUNT: Final = 5
AUTO_TAGS: Final = "auto_tags"
CONFIRMED: Final = "confirmed_contradictions"
_LEFT: Final = (ApprovalRequired, Denied, InvalidRequest, QuotaExceeded, Unauthenticated, Unavailable)
"""What costs a memory its tags and nothing else: a policy or a revocation may have come since it was stored."""


def offer_hook(node: Node, who: Principal, memory_id: MemoryId, namespace: str, content: str) -> str:
    """Queue what the model is to do with a memory that was just created; never waits.

    Returns: why it will not be done, if hooks are on; else nothing.
    """
    if not node.policy.autonomous_hooks:
        return ""
    reason = _reason_to_skip(node, namespace, content)
    if reason:
        return reason
    try:
        node.hooks[0].send_nowait(Hook(memory_id, who))
    except trio.WouldBlock:
        node.language_state.note_hook("auto_tag", "dropped")
        return "queue_full"
    return ""


def offer_hooks(node: Node, who: Principal, stored: Stored, content: str) -> Stored:
    """The same for the answer to a store, which then holds the reason."""
    reason = offer_hook(node, who, MemoryId(stored.id), stored.namespace, content)
    return msgspec.structs.replace(stored, autonomy_hook_skipped=reason) if reason else stored


def _reason_to_skip(node: Node, namespace: str, content: str) -> str:
    if not is_thinking(node):
        return "no_llm"
    if len(content.encode()) < CONTENT_MIN_BYTES:
        return "content_too_short"
    return "internal_namespace" if namespace.startswith("_") else ""


async def run_hooks(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Work off the queue, one memory after the other, until cancelled."""
    task_status.started()
    # The channel stays open behind a failure: this task is started again on it.
    async for hook in node.hooks[1]:
        await attend(node, hook)


async def attend(node: Node, hook: Hook) -> None:
    """Tag one memory, then compare it with similar ones. What cannot be done now is counted and left."""
    memory = await node.store.read(memories.find, hook.memory_id, node.clock.now(), visible_to(hook.who))
    if memory is None:
        return
    for kind, step in (("auto_tag", _tag), ("contradiction", _compare)):
        try:
            await step(node, hook.who, memory)
        except _LEFT as error:
            node.language_state.note_hook(kind, "failed")
            log.warning("hook.failed", extra={"kind": kind, "memory": memory.id, "reason": error.code.value})
            # Without a model each further step would only wait for it once more.
            if not is_thinking(node):
                return
        else:
            node.language_state.note_hook(kind, "ok")


async def _tag(node: Node, who: Principal, memory: Memory) -> None:
    tags = await suggest_tags(node, who, memory)
    await write_as(node, who, note_metadata, who, memory, {AUTO_TAGS: tags})


async def _compare(node: Node, who: Principal, memory: Memory) -> None:
    rivals = () if memory.title_generated else await node.store.read(_rivals, memory, who, node.clock.now())
    confirmed = [rival.id for rival in rivals if await judge_contradiction(node, who, memory, rival)]
    if confirmed:
        node.language_state.contradictions += len(confirmed)
        await write_as(node, who, note_metadata, who, memory, {CONFIRMED: confirmed})


def _rivals(conn: Connection, memory: Memory, who: Principal, now: Instant) -> tuple[Memory, ...]:
    visible = visible_to(who)
    ids = likeness.like(conn, parse_query(memory.title), memory.namespace, visible, now, RIVALS_MAX_COUNT + 1)
    found = (memories.find(conn, other, now, visible) for other in ids if other != memory.id)
    rivals = (one for one in found if one is not None and (who.role is Role.OPEN or _is_for_as_many(one, memory)))
    return tuple(rivals)[:RIVALS_MAX_COUNT]


def _is_for_as_many(rival: Memory, memory: Memory) -> bool:
    """Whether all who see a memory see its rival: its id goes into the memory's metadata, for them to read."""
    return rival.scope is Scope.COLLECTIVE or (rival.scope == memory.scope and rival.author == memory.author)


def note_metadata(transaction: Transaction, who: Principal, judged: Memory, notes: Mapping[str, Sequence[str]]) -> bool:
    """Add what the model found to the metadata that the memory has *now*, unless its text is another by now.

    It is no edit: author, `edited_by` and `updated_at` stay, for nothing that anybody wrote has changed.
    Returns: whether it was added. Raises: InvalidRequest if the metadata would become too large.
    """
    memory = memories.find(transaction.conn, judged.id, transaction.now, visible_to(who))
    if memory is None or (memory.title, memory.content) != (judged.title, judged.content):
        return False
    metadata = rules.metadata({**memory.metadata, **{name: list(found) for name, found in notes.items()}})
    transaction.emit("update", [transaction.change(MEMORY, memory.id, {"metadata": metadata_value(metadata)})])
    return True
