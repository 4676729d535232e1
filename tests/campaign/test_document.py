"""The OpenAPI document that a node serves says what its surface does: requests made up from it, answers held to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.api import ROUTES, Route, openapi_document
from aimem.wire import encode
from tests.campaign.cases import Document, asked, judge
from tests.campaign.plan import examples
from tests.campaign.world import Asked, World

DOCUMENT = Document(encode(openapi_document(ROUTES)))


async def test_the_document_is_the_one_that_is_served(world: World) -> None:
    served = await world.ask(Asked(method="GET", path=b"/api/v1/openapi.json"))
    assert served.body == encode(openapi_document(ROUTES))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
@examples(brief=2, full=24)
@given(data=st.data())
async def test_answers_are_what_the_document_says(world: World, route: Route, data: st.DataObject) -> None:
    case = data.draw(DOCUMENT.cases(route))
    judge(route, case, await world.try_it(asked(case)))
