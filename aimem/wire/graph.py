"""The knowledge graph: what was related to a memory and when, where its links lead, and giving a link its end."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class TimelineQuery(Struct, kw_only=True):
    """Query of GET /kg/timeline; `since` and `until` bound the beginning of a validity, both inclusive."""

    source_id: str
    since: str | None = None
    until: str | None = None
    limit: int = 200


class TimelineEvent(Struct, kw_only=True):
    """One validity of one link that begins at the memory.

    Attributes:
      current: false for an earlier validity of a link that was stated anew since.
      ended_by, reason: who invalidated it, and why.
    """

    target_id: str
    relation: str
    valid_from: str
    valid_until: str | None
    observed_by: str | None
    title: str
    target_namespace: str
    current: bool
    ended_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Timeline(Struct, kw_only=True):
    """Events in order; `truncated` says that there are more than `limit`."""

    source_id: str
    events: tuple[TimelineEvent, ...]
    count: int
    truncated: bool


class InvalidateRequest(Struct, kw_only=True):
    """Body of POST /kg/invalidate; without `valid_until` the link ends now."""

    source_id: str
    target_id: str
    relation: str
    valid_until: str | None = None
    reason: str | None = None


class Invalidated(Struct, kw_only=True):
    """Answer to an invalidation.

    Attributes:
      valid_until: the end that the link has now.
      previous_valid_until: the end that it had before, or null.
      ended_by, reason: who gave it its end, and why.
      version: absent if nothing changed.
    """

    found: bool
    source_id: str
    target_id: str
    relation: str
    valid_until: str
    previous_valid_until: str | None
    ended_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class GraphQuery(Struct, kw_only=True):
    """Body of POST /kg/query.

    Attributes:
      max_depth: 1 to 5 links.
      valid_at: the moment at which every link of a path holds; now by default; `all` for any link, ended or not.
      allowed_agents: only links that one of these stated; an empty list allows none.
    """

    source_id: str
    max_depth: int = 1
    valid_at: str | None = None
    allowed_agents: list[str] | None = None
    limit: int = 200


class GraphRow(Struct, kw_only=True):
    """The end of one path: the memory that is reached, by which link, and the ids on the way joined by `->`."""

    target_id: str
    relation: str
    valid_from: str
    valid_until: str | None
    observed_by: str | None
    title: str
    target_namespace: str
    depth: int
    path: str


class GraphResult(Struct, kw_only=True):
    """Answer to a graph query: one row for each path, the shortest first.

    Attributes:
      valid_at: the moment that was asked for, or `all`.
      truncated: there are more paths than `limit`, or than one query visits.
    """

    source_id: str
    max_depth: int
    memories: tuple[GraphRow, ...]
    paths: tuple[str, ...]
    count: int
    valid_at: str
    truncated: bool
