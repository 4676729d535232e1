"""From what a caller sent to values that are within their limits: pure, so that a table can test it."""

from __future__ import annotations

from msgspec import Struct

from aimem.errors import Code, InvalidRequest
from aimem.model import (
    GLOBAL,
    AgentId,
    FieldValue,
    Instant,
    JsonObject,
    Lifetimes,
    Namespace,
    Principal,
    Scope,
    Tier,
    after,
    format_instant,
    generated_title,
    parse_instant,
    rules,
)
from aimem.service.callers import author
from aimem.store import LIVE
from aimem.wire import CreateMemory

DEFAULT_SOURCE = "api"
KIND = "kind"
ENTITY = "entity"
"""`metadata.kind` of a memory that stands for something with several names."""


class Draft(Struct, frozen=True, kw_only=True):
    """A memory to be stored, complete and checked.

    Attributes:
      is_expiry_given: whether the caller named the expiry (then it is taken as it is).
      scope: None if none was given: an upsert then keeps the stored one.
    """

    namespace: Namespace
    title: str
    title_generated: bool
    content: str
    tags: tuple[str, ...]
    tier: Tier
    priority: int
    confidence: float
    source: str
    metadata: JsonObject
    scope: Scope | None
    author: AgentId
    expires_at: Instant | None
    is_expiry_given: bool

    @property
    def owner(self) -> str:
        """Part of the name: the author, if the name is private to it."""
        return self.author if self.scope is Scope.PRIVATE else ""


def draft_of(request: CreateMemory, who: Principal, now: Instant, lifetimes: Lifetimes) -> Draft:
    """Check a request to store.

    Raises: InvalidRequest naming the field; Denied(reserved_namespace, identity_mismatch).
    """
    content = rules.content(request.content)
    title = rules.title(request.title or "")
    tier = Tier.MID if request.tier is None else rules.choice(Tier, request.tier, field="tier")
    metadata = request.metadata or {}
    expires_at, is_given = expiry_of(request.expires_at, request.ttl_secs, tier, now, lifetimes)
    return Draft(
        namespace=GLOBAL if request.namespace is None else rules.writable_namespace(request.namespace),
        title=title or rules.title(generated_title(_printable(content))) or "untitled",
        title_generated=not title,
        content=content,
        tags=rules.tags(request.tags or []),
        tier=tier,
        priority=5 if request.priority is None else rules.priority(request.priority),
        confidence=1.0 if request.confidence is None else rules.confidence(request.confidence),
        source=DEFAULT_SOURCE if request.source is None else rules.source(request.source),
        metadata=rules.metadata(metadata),
        scope=scope_of(request.scope, metadata),
        author=_author(request, who),
        expires_at=expires_at,
        is_expiry_given=is_given,
    )


def _author(request: CreateMemory, who: Principal) -> AgentId:
    """The author. Where it has to be the caller, another one in the metadata is refused too, not passed over."""
    named = (request.metadata or {}).get("agent_id")
    if who.is_proven and isinstance(named, str):
        author(who, named, field="metadata.agent_id")
    return author(who, request.agent_id)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:400])


def scope_of(given: str | None, metadata: JsonObject) -> Scope | None:
    """The scope, from its own field or from `metadata.scope` (v0.6.3 reads it there); checked wherever it stands.

    Raises: InvalidRequest(unknown_scope).
    """
    if given is not None:
        return rules.choice(Scope, given, field="scope", code=Code.UNKNOWN_SCOPE)
    inline = metadata.get("scope")
    if inline is None:
        return None
    if not isinstance(inline, str):
        raise InvalidRequest("metadata.scope must be a text", code=Code.UNKNOWN_SCOPE, field="metadata.scope")
    return rules.choice(Scope, inline, field="metadata.scope", code=Code.UNKNOWN_SCOPE)


def expiry_of(
    expires_at: str | None, ttl_secs: int | None, tier: Tier, now: Instant, lifetimes: Lifetimes
) -> tuple[Instant | None, bool]:
    """When it expires, and whether the caller said so: `expires_at`, else `ttl_secs`, else the tier's time to live."""
    if expires_at:
        return parse_instant(expires_at, field="expires_at"), True
    if ttl_secs is not None:
        return after(now, rules.ttl_s(ttl_secs)), True
    return lifetimes.expiry(tier, now), False


def refuse_past_expiry(draft: Draft, now: Instant) -> None:
    """Refuse to store what nobody could read. To be asked where a retry was answered already: time goes on.

    Raises: InvalidRequest naming `expires_at`.
    """
    if draft.expires_at is not None and draft.expires_at <= now:
        raise InvalidRequest(
            f"expires_at: {format_instant(draft.expires_at)} is past; name a moment to come, or leave it out",
            field="expires_at",
        )


def creation_fields(draft: Draft, title: str, now: Instant) -> dict[str, FieldValue]:
    """All fields of a new memory."""
    return {
        "name": name_value(draft.namespace, title, is_generated=draft.title_generated),
        "content": draft.content,
        "tags": draft.tags,
        "tier": draft.tier.value,
        "priority": draft.priority,
        "confidence": draft.confidence,
        "source": draft.source,
        "metadata": metadata_value(draft.metadata),
        "scope": None if draft.scope is None else draft.scope.value,
        "created_at": now,
        "updated_at": now,
        "expires_at": draft.expires_at,
        "lifecycle": LIVE,
    }


def name_value(namespace: Namespace, title: str, *, is_generated: bool) -> FieldValue:
    """Value of a memory's field `name`."""
    return (namespace, title, True) if is_generated else (namespace, title)


def keeping_kind(metadata: JsonObject, stored: JsonObject) -> JsonObject:
    """The metadata that a generic write gives to a memory that has some: an entity stays one.

    Raises: InvalidRequest if it would be made something else.
    """
    if stored.get(KIND) != ENTITY or metadata.get(KIND) == ENTITY:
        return metadata
    if KIND in metadata:
        raise InvalidRequest(
            f"metadata.kind: this memory is an entity, with names of its own, and stays one; leave {KIND} out",
            field="metadata.kind",
        )
    return {**metadata, KIND: ENTITY}


def metadata_value(metadata: JsonObject) -> FieldValue:
    """Value of a memory's field `metadata`: canonical text, so that every node hashes the same bytes."""
    return rules.canonical_json(metadata).decode()
