"""Namespaces as a tree."""

from __future__ import annotations

from msgspec import Struct


class TaxonomyQuery(Struct, kw_only=True):
    """Query of GET /taxonomy: the tree below a namespace, or all of it; `depth` 0 shows the root only."""

    prefix: str | None = None
    depth: int = 8
    limit: int = 1000


class TaxonomyNode(Struct, kw_only=True):
    """One namespace.

    Attributes:
      name: its last segment; empty for the root of all.
      count: memories in exactly this namespace.
      subtree_count: these and all below, shown as children or not.
    """

    namespace: str
    name: str
    count: int
    subtree_count: int
    children: tuple[TaxonomyNode, ...]


class Taxonomy(Struct, kw_only=True):
    """The tree.

    Attributes:
      total_count: all memories below the root, whatever `limit` left out of the tree.
      truncated: there are more namespaces than `limit`; those with the most memories are in the tree.
    """

    tree: TaxonomyNode
    total_count: int
    truncated: bool
