"""Namespaces as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aimem.model import Namespace, Principal, rules
from aimem.service.node import Node
from aimem.store import taxonomy, visible_to
from aimem.wire import Taxonomy, TaxonomyNode, TaxonomyQuery

DEPTH_MAX: Final = 8
NAMESPACES_MAX: Final = 10_000


async def get_taxonomy(node: Node, who: Principal, query: TaxonomyQuery) -> Taxonomy:
    """The tree of namespaces below one, or of all, with the memories that the caller may see.

    Raises: InvalidRequest naming the parameter.
    """
    rules.bounded(query.depth, 0, DEPTH_MAX, field="depth")
    rules.bounded(query.limit, 1, NAMESPACES_MAX, field="limit")
    prefix = rules.namespace(query.prefix.strip().removesuffix("/"), field="prefix") if query.prefix else None
    found, total = await node.store.read(
        taxonomy.counts_below, prefix, node.clock.now(), visible_to(who), query.limit + 1
    )
    return Taxonomy(
        tree=tree_of(found[: query.limit], prefix, query.depth),
        total_count=total,
        truncated=len(found) > query.limit,
    )


def tree_of(counts: Sequence[tuple[Namespace, int]], prefix: Namespace | None, depth: int) -> TaxonomyNode:
    """Fold counts of namespaces into a tree; what lies deeper than `depth` below the root counts where it is cut off.

    Args:
      counts: namespaces at or below the prefix, each once.
    """
    skipped = len(prefix.split("/")) if prefix else 0
    paths = {tuple(namespace.split("/")[skipped:]): count for namespace, count in counts}
    return _node(tuple(prefix.split("/")) if prefix else (), paths, depth)


def _node(path: tuple[str, ...], below: Mapping[tuple[str, ...], int], depth: int) -> TaxonomyNode:
    """A node from the counts of what lies at (the empty path) and below it."""
    children: dict[str, dict[tuple[str, ...], int]] = {}
    for rest, count in below.items() if depth else ():
        if rest:
            children.setdefault(rest[0], {})[rest[1:]] = count
    return TaxonomyNode(
        namespace="/".join(path),
        name=path[-1] if path else "",
        count=below.get((), 0),
        subtree_count=sum(below.values()),
        children=tuple(_node((*path, name), children[name], depth - 1) for name in sorted(children)),
    )
