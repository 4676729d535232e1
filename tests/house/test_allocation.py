"""The whole surface of v0.6.3 is there, except what later parts own; and nothing is there that nobody asked for."""

from __future__ import annotations

import re

import pytest

from aimem.api import ROUTES
from aimem.cli.verbs import VERBS
from aimem.mcp import TOOLS
from tests.house import allocation
from tests.house.sources import MANUAL


def owned(table: dict[str, str]) -> dict[str, str]:
    """Name -> owner, of a table of owner -> names."""
    return {name: owner for owner, names in table.items() for name in names.split()}


def plain(path: str) -> str:
    """A path without the names of its variable parts."""
    return re.sub(r"\{\w+\}", "{}", path)


ROUTES_THERE = {(route.method, plain(route.path)) for route in ROUTES}
TOOLS_THERE = {name.removeprefix("memory_") for name in TOOLS}
VERBS_THERE = {verb.name for verb in VERBS}


def test_the_table_has_all_of_the_references_entries() -> None:
    assert len(allocation.ROUTES) == 55
    assert len(owned(allocation.TOOLS)) == 43


@pytest.mark.parametrize(("route", "owner"), allocation.ROUTES.items(), ids=str)
def test_a_route_is_there_once_its_part_is_built(route: tuple[str, str], owner: str) -> None:
    assert ((route[0], plain(route[1])) in ROUTES_THERE) == (owner not in allocation.LATER)


@pytest.mark.parametrize(("tool", "owner"), owned(allocation.TOOLS).items())
def test_a_tool_is_there_once_its_part_is_built(tool: str, owner: str) -> None:
    assert (tool in TOOLS_THERE) == (owner not in allocation.LATER)


@pytest.mark.parametrize(("verb", "owner"), owned(allocation.VERBS).items())
def test_a_verb_is_there_once_its_part_is_built(verb: str, owner: str) -> None:
    assert (verb in VERBS_THERE) == (owner not in allocation.LATER)


def test_what_is_ours_alone_has_a_reason() -> None:
    known = {(method, plain(path)) for method, path in (*allocation.ROUTES, *allocation.OUR_ROUTES)}
    assert not ROUTES_THERE - known, "add a row to OUR_ROUTES, with the reason"
    assert not {(method, plain(path)) for method, path in allocation.OUR_ROUTES} - ROUTES_THERE
    assert not TOOLS_THERE - owned(allocation.TOOLS).keys()
    assert set(allocation.OUR_VERBS) == VERBS_THERE - owned(allocation.VERBS).keys()


@pytest.mark.parametrize("route", sorted({route.path for route in ROUTES}))
def test_every_route_is_in_the_manual(route: str) -> None:
    page = re.sub(r"\\&|\\-", "", (MANUAL / "ai-memory-api.7").read_text())
    assert plain(route) in plain(page), route
