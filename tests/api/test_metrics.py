"""The metrics page and what it counts."""

from __future__ import annotations

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from aimem.api import HTTP_METRICS, Call, Route, Transport, make_app
from aimem.api.metrics import TEXT_TYPE, Metrics
from aimem.api.refusals import Reply
from aimem.config import ApiConfig
from aimem.service import Sample
from tests.api.conftest import TinyNode, arriving_by
from tests.api.tiny import NOTES, ONE, doing

SAMPLES = (
    Sample(name="ai_memory_memories", help="Live memories.", kind="gauge", value=3.0, labels=()),
    Sample(name="ai_memory_things_total", help="Things.", kind="counter", value=2.0, labels=(("kind", "a"),)),
    Sample(name="ai_memory_things_total", help="Things.", kind="counter", value=5.0, labels=(("kind", 'b"\n'),)),
)


async def page(call: Call[None, None]) -> Reply:
    """The page of this surface."""
    return Reply(status=200, content=call.surface.metrics.render(SAMPLES), media_type=TEXT_TYPE)


PAGE = Route(method="GET", path="/metrics", name="page", handler=page, answer=None, summary="Page.")


def values(text: str) -> dict[tuple[str, ...], float]:
    """Every sample of a page by name and label values, those in the order of the label names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text) for sample in family.samples
    }


async def test_page_counts_by_route_method_and_status_with_bounded_labels() -> None:
    app = arriving_by(make_app(TinyNode(), ApiConfig(api_key="k"), routes=[NOTES, ONE, PAGE]), Transport.TCP)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers={"X-API-Key": "k"}
    )
    async with http:
        for path in ("/notes", "/notes/a", "/notes/b", "/nothing/1", "/nothing/2", "/notes?q=%ff"):
            await http.get(path)
        await http.request("BREW", "/notes")
        await http.get("/notes", headers={"X-API-Key": "wrong"})
        answer = await http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = values(answer.text)
    requests = {key[1:]: value for key, value in found.items() if key[0] == "ai_memory_http_requests_total"}
    assert requests == {
        ("GET", "/notes", "200"): 1, ("GET", "/notes", "400"): 1, ("GET", "/notes/{note_id}", "200"): 2,
        ("GET", "unmatched", "404"): 2, ("other", "unmatched", "405"): 1, ("GET", "unmatched", "401"): 1,
    }
    assert found["ai_memory_http_in_flight",] == 1
    assert found["ai_memory_http_request_seconds_count", "GET", "/notes/{note_id}"] == 2


def test_samples_of_the_node_come_with_their_labels() -> None:
    found = values(Metrics().render(SAMPLES).decode())
    assert found["ai_memory_memories",] == 3
    assert found["ai_memory_things_total", "a"] == 2
    assert found["ai_memory_things_total", 'b"\n'] == 5


def test_page_names_what_the_manual_lists() -> None:
    metrics = Metrics()
    metrics.begin()
    metrics.end(route="/x", method="GET", status=200, seconds=0.01)
    text = metrics.render(()).decode()
    for name in HTTP_METRICS:
        assert f"# HELP {name} " in text
    assert "_created" not in text


async def test_two_surfaces_do_not_share_figures() -> None:
    first, second = Metrics(), Metrics()
    first.begin()
    assert values(second.render(()).decode())["ai_memory_http_in_flight",] == 0


async def test_request_in_progress_is_in_flight_and_one_that_was_left_is_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    app = arriving_by(make_app(TinyNode(), ApiConfig(), routes=[PAGE, doing(trio.sleep_forever)]), Transport.IN_PROCESS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        with trio.move_on_after(1):
            await http.post("/do")
        found = values((await http.get("/metrics")).text)
    assert found["ai_memory_http_in_flight",] == 1
    assert found["ai_memory_http_requests_total", "POST", "/do", "0"] == 1


@pytest.mark.parametrize("status", [200, 404])
def test_latency_is_observed_in_seconds(status: int) -> None:
    metrics = Metrics()
    metrics.begin()
    metrics.end(route="/x", method="GET", status=status, seconds=0.3)
    found = values(metrics.render(()).decode())
    assert found["ai_memory_http_request_seconds_sum", "GET", "/x"] == 0.3
    assert found["ai_memory_http_request_seconds_bucket", "0.25", "GET", "/x"] == 0
    assert found["ai_memory_http_request_seconds_bucket", "0.5", "GET", "/x"] == 1
