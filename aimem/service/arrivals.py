"""From the rows of an import to values within their limits: pure, before anything is written."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from aimem.errors import Code, Denied, InvalidRequest
from aimem.model import (
    GLOBAL,
    AgentId,
    Instant,
    Lifetimes,
    MemoryId,
    Namespace,
    Principal,
    format_instant,
    is_inbox,
    parse_instant,
    rules,
)
from aimem.service.drafts import Draft, draft_of
from aimem.service.node import Policy
from aimem.wire import CreateMemory, ImportArchived, ImportMemory, ImportRequest

ORIGINAL_AUTHOR = "imported_from_agent_id"
EXPIRED = "ttl_expired"


class Bringer(Struct, frozen=True, kw_only=True):
    """Who imports, and whether the authors that the rows name are believed."""

    who: Principal
    is_trusted: bool


class Putting(Struct, frozen=True, kw_only=True):
    """That a row goes into the archive.

    Attributes:
      is_expired: whether it is put there because its life ended on the way here, not by somebody.
    """

    at: Instant
    reason: str
    is_expired: bool = False


class Arrival(Struct, frozen=True, kw_only=True):
    """One memory to import, checked.

    Attributes:
      section, position: where it stands in the request.
      original: the author that the row names, if the caller replaced it.
      is_dated: whether the row says when it was changed; one that does not is newer only by saying something else.
      is_own: whether it is a memory of its own even if its title is taken, and newer if it goes on from what is here.
      away: set if it goes into the archive.
    """

    section: str
    position: int
    label: str
    memory_id: MemoryId | None
    draft: Draft
    created_at: Instant
    updated_at: Instant
    original: AgentId | None
    is_dated: bool
    is_own: bool
    away: Putting | None = None


def label_of(item: ImportMemory, position: int) -> str:
    """How messages name a row."""
    return item.id or item.title or f"item {position}"


def arrival_of(
    item: ImportMemory, position: int, request: ImportRequest, who: Principal, now: Instant, policy: Policy
) -> Arrival:
    """Check one row. Raises: InvalidRequest, Denied(reserved_namespace)."""
    draft, original = _draft(item, request, who, now, policy.lifetimes)
    created = parse_instant(item.created_at, field="created_at") if item.created_at else now
    updated = parse_instant(item.updated_at, field="updated_at") if item.updated_at else created
    if created > now or updated > now:
        raise InvalidRequest("created_at and updated_at must not lie in the future", field="created_at")
    return Arrival(
        section="archived" if isinstance(item, ImportArchived) else "memories", position=position,
        label=item.id or draft.title, memory_id=rules.memory_id(item.id) if item.id else None, draft=draft,
        created_at=created, updated_at=updated, original=original, is_own=request.conversations and bool(item.id),
        is_dated=bool(item.updated_at or item.created_at), away=_putting(item, draft, now, policy),
    )


def _draft(
    item: ImportMemory, request: ImportRequest, who: Principal, now: Instant, lifetimes: Lifetimes
) -> tuple[Draft, AgentId | None]:
    metadata, author, original = _provenance(item, request, who)
    metadata.pop("agent_id", None)      # judged here: it says whose the row was, and claims nothing
    asked = CreateMemory(
        content=item.content, title=item.title, tier=item.tier, tags=item.tags, priority=item.priority,
        confidence=item.confidence, source=item.source or "import", expires_at=item.expires_at, metadata=metadata,
    )
    draft = msgspec.structs.replace(
        draft_of(asked, who, now, lifetimes), namespace=_namespace(item.namespace, request), author=author)
    if item.title_generated:
        draft = msgspec.structs.replace(draft, title_generated=True)
    if item.id and not item.expires_at and not request.conversations:
        # A memory as it was exported: no expiry means that it has none. What comes without an id is new.
        draft = msgspec.structs.replace(draft, expires_at=None, is_expiry_given=True)
    return draft, original


def _namespace(given: str | None, request: ImportRequest) -> Namespace:
    """The namespace of a row. The system's own are for those who restore what they trust.

    Raises: InvalidRequest; Denied(reserved_namespace).
    """
    if given is None:
        return GLOBAL
    if not request.trust_source:
        return rules.writable_namespace(given)
    namespace = rules.namespace(given)
    if is_inbox(namespace):
        raise Denied(
            "messages are no memories: they are neither exported nor imported", code=Code.RESERVED_NAMESPACE,
            field="namespace",
        )
    return namespace


def _provenance(
    item: ImportMemory, request: ImportRequest, who: Principal
) -> tuple[dict[str, object], AgentId, AgentId | None]:
    """Metadata, author, and the author that the caller replaced, who stands in the metadata then."""
    metadata = dict(item.metadata or {})
    named = metadata.get("agent_id")
    if not isinstance(named, str) or named == who.agent_id:
        return metadata, who.agent_id, None
    if request.trust_source:
        return metadata, rules.agent_id(named, field="metadata.agent_id"), None
    metadata.setdefault(ORIGINAL_AUTHOR, named)
    return metadata, who.agent_id, AgentId(named)


def _putting(item: ImportMemory, draft: Draft, now: Instant, policy: Policy) -> Putting | None:
    """Whether and how a row goes into the archive. What expired since it was exported goes where gc puts such rows.

    Raises: InvalidRequest if it expired and is new, or no archive is kept.
    """
    if isinstance(item, ImportArchived):
        if not item.id:
            raise InvalidRequest("an archived memory needs its id, or a second import would add it again", field="id")
        at = parse_instant(item.archived_at, field="archived_at") if item.archived_at else now
        if at > now:
            raise InvalidRequest("archived_at must not lie in the future", field="archived_at")
        reason = rules.title(item.archive_reason or "", field="archive_reason")[: rules.REASON_MAX_CHARS]
        return Putting(at=at, reason=reason or "archive")
    if draft.expires_at is None or draft.expires_at > now:
        return None
    if not item.id or not policy.archive_on_gc:
        raise InvalidRequest(
            f"expires_at: {format_instant(draft.expires_at)} is past; name a moment to come, or leave it out",
            field="expires_at",
        )
    return Putting(at=draft.expires_at, reason=EXPIRED, is_expired=True)
