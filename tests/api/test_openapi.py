"""The OpenAPI document of the real route table."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from aimem.api import ROUTES, Effect, openapi_document
from aimem.api.openapi import PARAMETERS
from aimem.wire import encode

DOCUMENT = json.loads(encode(openapi_document(ROUTES)))


def test_document_is_valid_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_reference_points_at_a_schema() -> None:
    found = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert found == set(DOCUMENT["components"]["schemas"]) & found
    assert found


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_route_is_described(route: object) -> None:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    named = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
    assert operation["operationId"] == route.name
    assert {("path", name) for name in re.findall(r"\{(\w+)\}", route.path)} <= named
    if route.query is not None:
        assert {("query", field.encode_name) for field in msgspec.structs.fields(route.query)} <= named
    assert (("header", "Idempotency-Key") in named) == (route.effect is Effect.WRITE_ONCE)
    assert ("requestBody" in operation) == (route.body is not None)
    assert str(route.status) in operation["responses"]
    for parameter in operation["parameters"]:
        assert parameter["description"], f"{parameter['name']} needs a sentence in PARAMETERS"


def test_parameters_say_what_the_surface_takes() -> None:
    """An optional one may be there without a value; what a header may hold is said in a pattern."""
    parameters = {
        parameter["name"]: parameter for item in DOCUMENT["paths"].values() for operation in item.values()
        for parameter in operation["parameters"]
    }
    assert parameters["limit"]["allowEmptyValue"] is True and "allowEmptyValue" not in parameters["q"]
    for name, good, bad in (
        ("X-Agent-Id", ("", "ai:a-b@c.d/e:pid-1"), ("a b", "ä", "a;b")),
        ("Idempotency-Key", ("k", "a key"), ("", " k", "k ", "k\n", "ä", "\x7f")),
    ):
        pattern = parameters[name]["schema"]["pattern"]
        assert all(re.search(pattern, text) for text in good)
        assert not any(re.fullmatch(pattern, text) for text in bad)


def test_a_body_may_have_null_for_every_field_that_need_not_be_there_and_an_answer_may_not() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["ReindexRequest"]["properties"]["what"] == {
        "anyOf": [{"enum": ["all", "text", "vectors"]}, {"type": "null"}], "default": "all",
    }
    assert schemas["CreateMemory"]["properties"]["content"] == {"type": "string"}
    assert {"type": "null"} in schemas["ExportedAliasGiven"]["properties"]["ordinal"]["anyOf"]
    assert schemas["ExportedAlias"]["properties"]["ordinal"] == {"type": "integer", "default": 0}
    aliases = schemas["ImportRequest"]["properties"]["aliases"]["anyOf"][0]
    assert aliases["items"] == {"$ref": "#/components/schemas/ExportedAliasGiven"}


def test_no_parameter_is_described_that_no_route_has() -> None:
    operations = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
    used = {name for operation in operations for parameter in operation["parameters"]
            for name in (parameter["name"], f"{operation['operationId']}.{parameter['name']}")}
    assert set(PARAMETERS) <= used


def test_routes_have_unique_names_and_pairs() -> None:
    assert len({route.name for route in ROUTES}) == len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
