"""What callers send. Types only: ranges and grammars are `model.rules`'s, so that every door says the same."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class CreateMemory(Struct, kw_only=True):
    """Body of POST /memories, item of bulk. A blank or missing title is generated from the content."""

    content: str
    title: str | None = None
    tier: str | None = None
    namespace: str | None = None
    tags: list[str] | None = None
    priority: int | None = None
    confidence: float | None = None
    source: str | None = None
    expires_at: str | None = None
    ttl_secs: int | None = None
    metadata: dict[str, object] | None = None
    agent_id: str | None = None
    scope: str | None = None


class UpdateMemory(Struct, kw_only=True):
    """Body of PUT /memories/{id}: what is present changes. An empty `expires_at` clears the expiry."""

    title: str | None = None
    content: str | None = None
    tier: str | None = None
    namespace: str | None = None
    tags: list[str] | None = None
    priority: int | None = None
    confidence: float | None = None
    expires_at: str | None = None
    metadata: dict[str, object] | None = None
    scope: str | None = None


class LinkRequest(Struct, kw_only=True):
    """Body of POST and DELETE /links."""

    source_id: str
    target_id: str
    relation: str = "related_to"
    valid_from: str | None = None
    valid_until: str | None = None


class ArchiveRequest(Struct, kw_only=True):
    """Body of POST /archive."""

    ids: list[str]
    reason: str = "archive"


class ListQuery(Struct, kw_only=True):
    """Query of GET /memories. `cursor` continues a page; it excludes `offset`."""

    namespace: str | None = None
    tier: str | None = None
    limit: int = 20
    offset: int = 0
    cursor: str | None = None
    min_priority: int | None = None
    since: str | None = None
    until: str | None = None
    tags: str | None = None
    agent_id: str | None = None
    as_agent: str | None = None


class SearchQuery(Struct, kw_only=True):
    """Query of GET /search: all words must occur."""

    q: str
    namespace: str | None = None
    tier: str | None = None
    limit: int = 20
    min_priority: int | None = None
    since: str | None = None
    until: str | None = None
    tags: str | None = None
    agent_id: str | None = None
    as_agent: str | None = None


class RecallQuery(Struct, kw_only=True):
    """Query of GET /recall, which touches nothing unless `touch=true`.

    Attributes:
      floor: whether memories that have nothing to do with the context are left out.
      explain: whether each memory comes with what its score is made of.
      standards: whether the standards that hold in the namespace come with it.
    """

    context: str
    namespace: str | None = None
    limit: int = 10
    tags: str | None = None
    since: str | None = None
    until: str | None = None
    as_agent: str | None = None
    budget_tokens: int | None = None
    touch: bool = False
    floor: bool = True
    explain: bool = False
    standards: bool = False


class RecallRequest(Struct, kw_only=True):
    """Body of POST /recall; `floor`, `explain` and `standards` as in RecallQuery."""

    context: str
    namespace: str | None = None
    limit: int = 10
    tags: str | None = None
    since: str | None = None
    until: str | None = None
    as_agent: str | None = None
    budget_tokens: int | None = None
    context_tokens: list[str] | None = None
    touch: bool = True
    floor: bool = True
    explain: bool = False
    standards: bool = False


class GetArchivedQuery(Struct, kw_only=True):
    """Query of GET /archive."""

    namespace: str | None = None
    limit: int = 50
    offset: int = 0


class RestoreQuery(Struct, kw_only=True):
    """Query of POST /archive/{id}/restore: `keep` tier and expiry, or make it `long` as v0.6.3 did."""

    mode: Literal["keep", "long"] = "keep"


class PromoteRequest(Struct, kw_only=True):
    """Optional body of POST /memories/{id}/promote: an ancestor namespace to promote a copy into."""

    to_namespace: str | None = None


class PurgeQuery(Struct, kw_only=True):
    """Query of DELETE /archive: an age, or the express wish for everything."""

    older_than_days: int | None = None
    all: bool = False


class GcQuery(Struct, kw_only=True):
    """Query of POST /gc."""

    dry_run: bool = False


class ReindexRequest(Struct, kw_only=True):
    """Body of POST /index: what to make anew; with `embeddings` the vectors in the cache too, not only their index."""

    what: Literal["vectors", "text", "all"] = "all"
    embeddings: bool = False


class IndexQuery(Struct, kw_only=True):
    """Query of GET /index: wait (at most 10 s) until both backlogs together are no greater than this."""

    wait_below: int | None = None
