"""Hostile texts in every place of every route that takes a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.api import ROUTES, Effect, Route
from tests.campaign.places import places, sound
from tests.campaign.plan import Thoroughness, some
from tests.campaign.world import Answer, World, open_world
from tests.hostile import TEXTS

EACH_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
NOT_IN_A_HEADER = frozenset("\r\n\0")
"""The connection layer refuses them before the surface sees them (see test_daemon)."""

WHILE_WRITING, WHILE_READING = 40, 1_000

UNSOUND = {
    "roll_back": "nothing was curated", "rotate_key": "nobody has a key", "revoke_key": "nobody has a key",
    "revoke_keys": "nobody has a key", "ask_again": "nothing has expired", "catch_up": "the node is alone",
    "mesh_verify": "as catch_up", "mesh_trust": "as catch_up",
    "mesh_rejoin": "as catch_up", "mesh_look": "as catch_up",
    "mesh_reload": "the node was not started from a configuration",
}
ITEMS_ALONE = {"remember_many"}
"""Routes that refuse single items within an answer of success."""


@EACH_ROUTE
async def test_a_request_without_fault_is_answered(world: World, route: Route) -> None:
    """Else hostile texts would be refused for another fault than theirs. A new route may need a line in GOOD_HERE."""
    answer = await world.try_it(sound(route))
    assert (answer.status >= 400) == (route.name in UNSOUND), answer


@EACH_ROUTE
async def test_no_text_breaks_a_route_or_writes_where_it_is_refused(
    tmp_path: Path, route: Route, thoroughness: Thoroughness
) -> None:
    pairs = (
        (place, text) for place in places(route) for text in TEXTS.values()
        if not (place.at[0] == "header" and NOT_IN_A_HEADER & set(text))
    )
    tried = list(some(pairs, thoroughness, one_in=60, label=route.name))
    # What is accepted piles up, and every look at a node's contents takes longer: so each node serves a while only.
    a_while = WHILE_READING if route.effect is Effect.READ else WHILE_WRITING
    for start in range(0, len(tried), a_while):
        async with open_world(tmp_path / f"{start}.db") as world:
            for place, text in tried[start : start + a_while]:
                await world.try_it(place.holding(text), lambda answer: is_refused(route, answer))


def is_refused(route: Route, answer: Answer) -> bool:
    """Whether nothing may have been written; of these requests each has one item."""
    return answer.status >= 400 or (route.name in ITEMS_ALONE and bool(answer.json["errors"]))
