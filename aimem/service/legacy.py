"""Peers of v0.6.3: what they push becomes ordinary writes of this node, under this node's rules.

It is never an acknowledgement, and a vote only while nobody has a credential: whoever can reach that route of v0.6.3
could forge both. What would have to wait for an approval here is refused: such a peer cannot be told to wait.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import AimemError, Code, Denied, NotFound, Unavailable
from aimem.model import Credential, Principal, format_instant, parse_instant, rules
from aimem.replication import Consistency, consistently
from aimem.service import legacyrules
from aimem.service.archive import archive_in, restore_in
from aimem.service.edit import delete_in
from aimem.service.importing import import_memories
from aimem.service.mesh import refuse_stranger
from aimem.service.node import Node
from aimem.service.writing import write_surely
from aimem.store import live_at, memories, visible_to
from aimem.wire import (
    ExportedLink,
    ImportRequest,
    RestoreQuery,
    SinceQuery,
    legacy,
    memory_out,
)

PUSH_MAX: Final = 1000
LEGACY_SINCE_LIMIT: Final = 500
LEGACY_SINCE_MAX: Final = 10_000
ROWS_MAX: Final = 1000
"""In one answer, whatever was asked for: a text may have 64 KiB."""
REASON: Final = "sync_push"
LABEL_MAX_CHARS: Final = 128
_KINDS: Final = (
    "memories", "deletions", "archives", "restores", "links", "pendings", "pending_decisions", "namespace_meta",
    "namespace_meta_clears",
)


class _Done(Struct):
    """Counts so far."""

    applied: int = 0
    deleted: int = 0
    archived: int = 0
    restored: int = 0
    links: int = 0
    asked: int = 0
    voted: int = 0
    standards: int = 0
    cleared: int = 0
    noop: int = 0
    refused: list[str] = msgspec.field(default_factory=list)


async def take_push(node: Node, who: Principal, request: legacy.LegacyPush) -> legacy.LegacyPushed:
    """Take rows and ids as writes of this node: only what is newer, nothing that was deleted here.

    It waits for no other node: an answer to a peer of v0.6.3 is no acknowledgement of ours.
    Raises: InvalidRequest; Denied(operator_required); Unavailable.
    """
    refuse_stranger(who)
    if who.credential is Credential.CERTIFICATE:
        raise Denied(
            "a body of v0.6.3 is signed by nobody, so that a certificate alone does not do where keys are asked for: "
            "send an operator's key (X-API-Key)", code=Code.OPERATOR_REQUIRED,
        )
    rules.agent_id(request.sender_agent_id, field="sender_agent_id")
    for kind in _KINDS:
        rules.bounded(len(getattr(request, kind)), 0, PUSH_MAX, field=kind)
    done = _Done()
    with consistently(Consistency.LOCAL):
        await _take_rows(node, who, request, done)
        if request.dry_run:
            done.noop += sum(len(getattr(request, kind)) for kind in _KINDS if kind not in ("memories", "links"))
        else:
            await _take_ids(node, who, request, done)
            await _take_rules(node, who, request, done)
    return legacy.LegacyPushed(
        applied=done.applied, deleted=done.deleted, archived=done.archived, restored=done.restored,
        links_applied=done.links, pendings_applied=done.asked, pending_decisions_applied=done.voted,
        namespace_meta_applied=done.standards, namespace_meta_cleared=done.cleared, noop=done.noop,
        skipped=len(done.refused), dry_run=request.dry_run,
        receiver_agent_id=f"host:{node.store.node_name}", refused=tuple(done.refused),
    )


async def _take_rows(node: Node, who: Principal, request: legacy.LegacyPush, done: _Done) -> None:
    taken = await import_memories(
        node, who,
        ImportRequest(
            memories=request.memories, links=[_dated(link) for link in request.links], trust_source=True,
            dry_run=request.dry_run,
        ),
    )
    done.refused += taken.errors
    if request.dry_run:
        done.noop += len(request.memories) + len(request.links) - len(taken.errors)
        return
    done.applied, done.links = taken.imported + taken.archived_imported, taken.links_imported
    done.noop += len(request.memories) + len(request.links) - done.applied - done.links - len(taken.errors)


def _dated(link: ExportedLink) -> ExportedLink:
    """A link as it was made there: v0.6.3 gave it the moment at which it arrived, another one on every node."""
    return link if link.valid_from else msgspec.structs.replace(link, valid_from=link.created_at)


async def _take_ids(node: Node, who: Principal, request: legacy.LegacyPush, done: _Done) -> None:
    for memory_id in request.deletions:
        done.deleted += await _tried(_delete(node, who, memory_id), memory_id, done)
    for memory_id in request.archives:
        done.archived += await _tried(_archive(node, who, memory_id), memory_id, done)
    for memory_id in request.restores:
        done.restored += await _tried(_restore(node, who, memory_id), memory_id, done)


async def _delete(node: Node, who: Principal, memory_id: str) -> bool:
    await write_surely(node, who, delete_in, node, who, memory_id, None)
    node.counters.deleted += 1
    return True


async def _archive(node: Node, who: Principal, text: str) -> bool:
    wrote = await write_surely(node, who, archive_in, node, who, (rules.memory_id(text),), REASON, None)
    return bool(wrote.value.archived)


async def _restore(node: Node, who: Principal, text: str) -> bool:
    await write_surely(node, who, restore_in, node, who, rules.memory_id(text), RestoreQuery(), None)
    return True


async def _take_rules(node: Node, who: Principal, request: legacy.LegacyPush, done: _Done) -> None:
    """Policies first: what waits is asked for by them."""
    for item in request.namespace_meta:
        done.standards += await _tried(legacyrules.take_standard(node, who, item), item.namespace, done)
    for namespace in request.namespace_meta_clears:
        done.cleared += await _tried(legacyrules.clear_standard(node, who, namespace), namespace, done)
    for waiting in request.pendings:
        done.asked += await _tried(legacyrules.ask_for(node, who, waiting), waiting.id, done)
    for decision in request.pending_decisions:
        done.voted += await _tried(legacyrules.take_decision(node, who, decision), decision.id, done)


async def _tried(attempt: Awaitable[bool], label: str, done: _Done) -> bool:
    """Returns: whether it was done; else it is counted as changing nothing, or as refused."""
    try:
        is_done = await attempt
    except NotFound:
        is_done = False
    except Unavailable:
        raise
    except AimemError as error:
        done.refused.append(f"{label[:LABEL_MAX_CHARS]}: {error.message}")
        return False
    done.noop += not is_done
    return is_done


async def rows_since(node: Node, who: Principal, query: SinceQuery) -> legacy.LegacySince:
    """Live memories that were updated after a moment, the oldest first. Raises: InvalidRequest, Denied, Unavailable."""
    refuse_stranger(who)
    limit = rules.bounded(
        LEGACY_SINCE_LIMIT if query.limit is None else query.limit, 1, LEGACY_SINCE_MAX, field="limit"
    )
    limit = min(limit, ROWS_MAX)
    since = parse_instant(query.since, field="since") if query.since else None
    where = live_at(node.clock.now()) & visible_to(who)
    found = await node.store.read(memories.updated_after, since, where, limit + 1)
    shown = found[:limit]
    return legacy.LegacySince(
        count=len(shown), limit=limit, updated_since=query.since or None,
        earliest_updated_at=format_instant(shown[0].updated_at) if shown else None,
        latest_updated_at=format_instant(shown[-1].updated_at) if shown else None,
        memories=tuple(map(memory_out, shown)), more=len(found) > limit,
        vector_clock={str(stream): seq for stream, seq in node.store.log.vector.items()},
    )
