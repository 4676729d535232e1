"""ai-memory-api(7) says everything that the surface has, and nothing that it has not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from aimem.api import HTTP_METRICS, ROUTES, STATUS, Effect, Route
from aimem.api.openapi import BODY_ERRORS, COMMON_ERRORS, WRITE_ERRORS
from aimem.errors import Code
from aimem.wire import MemoryOut

PAGE = (Path(__file__).parents[2] / "man" / "ai-memory-api.7").read_text()
ITEM = re.compile(r"^\.It Li (GET|POST|PUT|DELETE) (\S+)\n(.*?)(?=^\.It Li |^\.El)", re.MULTILINE | re.DOTALL)
MEMORY_FIELDS = {field.encode_name for field in msgspec.structs.fields(MemoryOut)}


def items() -> dict[tuple[str, str], str]:
    """What the page says of each route; of two in a row, the text of the second."""
    found = {(method, path): text for method, path, text in ITEM.findall(PAGE)}
    return {pair: text or found["GET", "/api/v1/metrics"] for pair, text in found.items()}


def argument_names(text: str) -> set[str]:
    return set(re.findall(r"^\.Ar (\w+)", text, re.MULTILINE))


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def shapes(kind: object) -> list[type[msgspec.Struct]]:
    """The Structs that a query or a body may be."""
    return [one for one in (get_args(kind) or (kind,)) if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def test_routes_of_the_page_are_those_of_the_table() -> None:
    assert set(items()) == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_parameters_and_body_fields_are_in_the_page(route: Route) -> None:
    kinds = [kind for whole in (route.query, route.body, *route.other_bodies) for kind in shapes(whole)]
    names = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    inner = {"content", "id", "title", "tier", "namespace", "tags", "priority", "confidence", "source", "expires_at",
             "created_at", "updated_at", "metadata", "title_generated", "archived_at",
             "archive_reason"} if route.name == "import_memories" else set()
    assert argument_names(items()[route.method, route.path]) == names | inner


@pytest.mark.parametrize("route", [route for route in ROUTES if route.answer is not None], ids=lambda route: route.name)
def test_fields_of_answers_are_in_the_page(route: Route) -> None:
    kinds = (route.answer, *route.other_answers)
    fields = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    if issubclass(route.answer, MemoryOut):
        fields -= MEMORY_FIELDS
    assert fields <= words(items()[route.method, route.path])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_codes_and_keys_of_a_route_are_in_the_page(route: Route) -> None:
    text = items()[route.method, route.path]
    found = re.search(r"^Errors:\n\.Li (.*) \.$", text, re.MULTILINE)
    assert tuple(found[1].split(" , ") if found else ()) == tuple(map(str, route.errors))
    assert ("takes a key" in text.replace("\n", " ")) == (route.effect is Effect.WRITE_ONCE)


def test_fields_of_a_memory_are_in_the_page() -> None:
    shape = PAGE[PAGE.index(".It Sy memory") : PAGE.index(".It Sy link")]
    assert words(shape) >= MEMORY_FIELDS


def test_every_code_is_in_the_page_once_with_its_status() -> None:
    found = re.findall(r"^\.It Li (\w+) Pq (\d+)\n", PAGE, re.MULTILINE)
    assert sorted(found) == sorted((str(code), str(status)) for code, status in STATUS.items())
    assert len(found) == len(Code)


def test_every_metric_of_http_is_in_the_page() -> None:
    assert [name for name in HTTP_METRICS if not re.search(rf"^\.It Li {name}(\{{|$)", PAGE, re.MULTILINE)] == []


def test_codes_of_routes_are_codes_with_a_status() -> None:
    assert {*COMMON_ERRORS, *BODY_ERRORS, *WRITE_ERRORS} <= set(STATUS)
