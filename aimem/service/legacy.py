"""Peers of v0.6.3: what they push becomes ordinary writes of this node, under this node's rules.

It is never an acknowledgement, and never a vote: whoever can reach that route of v0.6.3 could forge both.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import AimemError, NotFound, Unavailable
from aimem.model import Principal, format_instant, parse_instant, rules
from aimem.replication import Consistency, consistently
from aimem.service.archive import archive, restore
from aimem.service.edit import delete
from aimem.service.importing import import_memories
from aimem.service.mesh import refuse_stranger
from aimem.service.node import Node
from aimem.store import live_at, memories, visible_to
from aimem.wire import (
    ArchiveRequest,
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
_KINDS: Final = (
    "memories", "deletions", "archives", "restores", "links", "pendings", "pending_decisions", "namespace_meta",
    "namespace_meta_clears",
)
_JUDGED_ELSEWHERE: Final = ("pendings", "pending_decisions", "namespace_meta", "namespace_meta_clears")


class _Done(Struct):
    """Counts so far."""

    applied: int = 0
    deleted: int = 0
    archived: int = 0
    restored: int = 0
    links: int = 0
    noop: int = 0
    refused: list[str] = msgspec.field(default_factory=list)


async def take_push(node: Node, who: Principal, request: legacy.LegacyPush) -> legacy.LegacyPushed:
    """Take rows and ids as writes of this node: only what is newer, nothing that was deleted here.

    It waits for no other node: an answer to a peer of v0.6.3 is no acknowledgement of ours.
    Raises: InvalidRequest; Denied(operator_required); Unavailable.
    """
    refuse_stranger(who)
    rules.agent_id(request.sender_agent_id, field="sender_agent_id")
    for kind in _KINDS:
        rules.bounded(len(getattr(request, kind)), 0, PUSH_MAX, field=kind)
    done = _Done()
    with consistently(Consistency.LOCAL):
        await _take_rows(node, who, request, done)
        if request.dry_run:
            done.noop += len(request.deletions) + len(request.archives) + len(request.restores)
        else:
            await _take_ids(node, who, request, done)
    done.refused += [
        f"{kind}: {len(getattr(request, kind))} items: policies and decisions come from nodes of this version alone"
        for kind in _JUDGED_ELSEWHERE if getattr(request, kind)
    ]
    skipped = len(done.refused) + sum(max(0, len(getattr(request, kind)) - 1) for kind in _JUDGED_ELSEWHERE)
    return legacy.LegacyPushed(
        applied=done.applied, deleted=done.deleted, archived=done.archived, restored=done.restored,
        links_applied=done.links, noop=done.noop, skipped=skipped, dry_run=request.dry_run,
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
        done.deleted += await _tried(delete(node, who, memory_id), memory_id, done)
    if request.archives:
        away = await archive(node, who, ArchiveRequest(ids=request.archives, reason=REASON))
        done.archived, done.noop = len(away.archived), done.noop + len(away.missing)
    for memory_id in request.restores:
        done.restored += await _tried(restore(node, who, memory_id, RestoreQuery()), memory_id, done)


async def _tried(attempt: Awaitable[object], label: str, done: _Done) -> int:
    """Returns: 1 if it was done."""
    try:
        await attempt
    except NotFound:
        done.noop += 1
    except Unavailable:
        raise
    except AimemError as error:
        done.refused.append(f"{label}: {error.message}")
    else:
        return 1
    return 0


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
