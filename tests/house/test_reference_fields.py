"""No field of v0.6.3 is missing from our shapes: routes by the served OpenAPI document, tools by their schemas.

What tools and verbs answer is looked at in answers: `tests/mcp/test_reference_answers.py` and
`tests/cli/test_reference_answers.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aimem.api import ROUTES, openapi_document
from aimem.mcp import TOOLS
from aimem.wire import encode
from tests.house import allocation, reference_fields
from tests.house.reference_fields import Fields

DOCUMENT: dict[str, Any] = json.loads(encode(openapi_document(ROUTES)))
TEXT_ROUTES = {("GET", "/metrics"), ("GET", "/api/v1/metrics")}
SERVERS = {"serve", "mcp"}


def owned(table: dict[str, str]) -> set[str]:
    """The names of a table of owner -> names whose owners' parts are built."""
    return {name for owner, names in table.items() if owner not in allocation.LATER for name in names.split()}


def shapes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a schema may be, references followed and arrays opened."""
    if "$ref" in schema:
        yield from shapes(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from shapes(option)
    elif schema.get("type") == "array":
        yield from shapes(schema["items"])
    else:
        yield schema


def has(schema: dict[str, Any], path: str) -> bool:
    """Whether a dotted field is in a schema; below an object without fixed fields everything is."""
    head, _, rest = path.removesuffix("?").partition(".")
    for shape in shapes(schema):
        fields = shape.get("properties", {})
        if head in fields and (not rest or has(fields[head], rest)):
            return True
        if shape.get("type") == "object" and not fields:
            return True
    return False


def operation_of(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["content"]["application/json"]["schema"]
    return found


def test_every_entry_of_the_surface_has_its_fields_in_the_table() -> None:
    routes = {route for route, owner in allocation.ROUTES.items() if owner not in allocation.LATER}
    assert routes - TEXT_ROUTES == set(reference_fields.ROUTES)
    assert owned(allocation.TOOLS) == set(reference_fields.TOOLS)
    ours = {"console", "demo", "doctor", "pki", "reindex", "status", "verify"}
    verbs = {name.partition(" ")[0] for name in reference_fields.VERBS}
    assert owned(allocation.VERBS) - ours == verbs


@pytest.mark.parametrize(("route", "fields"), reference_fields.ROUTES.items(), ids=str)
def test_a_route_has_the_fields_of_v063(route: tuple[str, str], fields: Fields) -> None:
    operation = operation_of(*route)
    parameters = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    body = schema_of(operation["requestBody"]) if "requestBody" in operation else {}
    lost = [name for name in fields.asks.split() if name not in parameters and not has(body, name)]
    assert not lost, f"not read: {lost}"
    [status] = {name for name in operation["responses"] if name.startswith("2")} - {"200"} or {"200"}
    answer = schema_of(operation["responses"][status])
    assert not [name for name in fields.answers.split() if not has(answer, name)]


@pytest.mark.parametrize(("tool", "fields"), reference_fields.TOOLS.items())
def test_a_tool_has_the_arguments_of_v063(tool: str, fields: Fields) -> None:
    assert not set(fields.asks.split()) - set(TOOLS[f"memory_{tool}"].schema["properties"])
