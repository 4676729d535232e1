"""Namespaces as a tree."""

from __future__ import annotations

import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Namespace, Principal
from aimem.service import Node
from aimem.service.taxonomy import tree_of
from aimem.wire import Taxonomy, TaxonomyNode, TaxonomyQuery
from tests.nodes import FakeClock
from tests.service.steps import ALICE, as_agent, put, refused

Shape = tuple[str, int, int, list["Shape"]]  # type: ignore[misc]


def shape(node: TaxonomyNode) -> Shape:
    return (node.name, node.count, node.subtree_count, [shape(child) for child in node.children])


async def fill(node: Node, *namespaces: str, **more: object) -> None:
    for number, namespace in enumerate(namespaces):
        await put(node, f"m{number}", namespace=namespace, **more)


async def taxonomy(node: Node, *, by: Principal = ALICE, **query: object) -> Taxonomy:
    return await service.get_taxonomy(node, by, TaxonomyQuery(**query))  # type: ignore[arg-type]


async def test_the_tree_counts_each_namespace_and_what_lies_below(node: Node) -> None:
    await fill(node, "team/web", "team/app", "team/app", "team", "solo", "team/app/deep/er")
    answer = await taxonomy(node)
    assert (answer.total_count, answer.truncated, answer.tree.namespace) == (6, False, "")
    assert shape(answer.tree) == ("", 0, 6, [
        ("solo", 1, 1, []),
        ("team", 1, 5, [
            ("app", 2, 3, [("deep", 0, 1, [("er", 1, 1, [])])]),
            ("web", 1, 1, []),
        ]),
    ])
    [_, team] = answer.tree.children
    assert [child.namespace for child in team.children] == ["team/app", "team/web"]


@pytest.mark.parametrize("prefix", ["team", "team/", " team/ "])
async def test_a_prefix_shows_what_lies_at_and_below_it(node: Node, prefix: str) -> None:
    await fill(node, "team/app", "team", "teams", "team-x", "other/team")
    answer = await taxonomy(node, prefix=prefix)
    assert (answer.tree.namespace, answer.total_count) == ("team", 2)
    assert shape(answer.tree) == ("team", 1, 2, [("app", 1, 1, [])])


async def test_signs_that_patterns_know_are_signs_like_others(node: Node) -> None:
    await fill(node, "a_c", "abc", "a_c/x", "abc/x", "a%", "axy")
    assert (await taxonomy(node, prefix="a_c")).total_count == 2
    assert (await taxonomy(node, prefix="a%")).total_count == 1


async def test_what_lies_deeper_counts_where_it_is_cut_off(node: Node) -> None:
    await fill(node, "a", "a/b", "a/b/c", "a/b/c/d")
    assert shape((await taxonomy(node, depth=0)).tree) == ("", 0, 4, [])
    assert shape((await taxonomy(node, depth=2)).tree) == ("", 0, 4, [("a", 1, 4, [("b", 1, 3, [])])])
    assert shape((await taxonomy(node, prefix="a", depth=1)).tree) == ("a", 1, 4, [("b", 1, 3, [])])


async def test_the_limit_keeps_the_largest_and_leaves_the_total(node: Node) -> None:
    await fill(node, "b", "b", "a", "c", "c", "c")
    answer = await taxonomy(node, limit=2)
    assert [child.name for child in answer.tree.children] == ["b", "c"]
    assert (answer.tree.subtree_count, answer.total_count, answer.truncated) == (5, 6, True)
    assert not (await taxonomy(node, limit=3)).truncated


async def test_only_what_the_caller_may_see_counts(node: Node, clock: FakeClock) -> None:
    await fill(node, "a", "b", scope="collective")
    await fill(node, "c", scope="private")
    await fill(node, "d", scope="collective", ttl_secs=60)
    assert (await taxonomy(node, by=as_agent("x/y"))).total_count == 3
    clock.advance(61)
    assert [child.name for child in (await taxonomy(node)).tree.children] == ["a", "b", "c"]


async def test_nothing_there_is_an_empty_root(node: Node) -> None:
    assert shape((await taxonomy(node)).tree) == ("", 0, 0, [])
    assert shape((await taxonomy(node, prefix="none/here")).tree) == ("here", 0, 0, [])


def test_the_fold_needs_no_namespace_of_its_own_for_what_lies_between() -> None:
    tree = tree_of([(Namespace("a/b/c"), 2)], Namespace("a"), 8)
    assert shape(tree) == ("a", 0, 2, [("b", 0, 2, [("c", 2, 2, [])])])


@pytest.mark.parametrize(("query", "field"), [
    ({"prefix": "a//b"}, "prefix"), ({"prefix": "/"}, "prefix"), ({"prefix": "a b"}, "prefix"),
    ({"prefix": "x" * 513}, "prefix"), ({"depth": -1}, "depth"), ({"depth": 9}, "depth"),
    ({"limit": 0}, "limit"), ({"limit": 10_001}, "limit"),
])
async def test_a_wrong_parameter_is_refused(node: Node, query: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, taxonomy(node, **query))).field == field
