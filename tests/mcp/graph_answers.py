"""What the fake node answers to the calls on the knowledge graph, entities, taxonomy and duplicates."""

from __future__ import annotations

from msgspec import Struct

from aimem.wire import (
    DuplicateResult,
    EntityFound,
    EntityOut,
    GraphResult,
    Invalidated,
    Taxonomy,
    TaxonomyNode,
    Timeline,
)

TRIPLE = {"source_id": "a", "target_id": "b", "relation": "supersedes"}
AT = "2026-01-01T00:00:00.000000Z"
ROOT = TaxonomyNode(namespace="", name="", count=0, subtree_count=0, children=())
GRAPH_ANSWERS: dict[str, Struct] = {
    "kg_timeline": Timeline(source_id="a", events=(), count=0, truncated=False),
    "kg_invalidate": Invalidated(found=True, **TRIPLE, valid_until=AT, previous_valid_until=None, version="s:1"),
    "kg_query": GraphResult(
        source_id="a", max_depth=1, memories=(), paths=(), count=0, valid_at=AT, truncated=False),
    "get_taxonomy": Taxonomy(tree=ROOT, total_count=0, truncated=False),
    "check_duplicate": DuplicateResult(
        is_duplicate=False, threshold=0.85, nearest=None, suggested_merge=None, candidates_scanned=0, identical=False),
    "register_entity": EntityOut(
        entity_id="e", canonical_name="Acme", namespace="crm", aliases=("A",), created=True, version="s:2"),
    "entity_by_alias": EntityFound(found=False, entity_id=None, canonical_name=None, namespace=None, aliases=()),
}
