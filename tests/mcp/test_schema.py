from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import UNSET

from aimem.errors import Code, InvalidRequest
from aimem.mcp import TOOLS
from aimem.mcp.schema import decode_arguments, describe, input_schema
from aimem.mcp.tools.common import NoParams
from aimem.mcp.tools.finding import ListParams, RecallParams
from aimem.mcp.tools.memories import GetParams, StoreParams, UpdateParams

TEXT = "x"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", TEXT, "mid", "json", "related_to", "private", "keep"]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("kind", "arguments", "field", "sentence"),
    [
        (StoreParams, {"title": "t"}, "content", "content is required; give a text"),
        (StoreParams, {"title": "t", "content": None}, "content", "content is required; give a text"),
        (StoreParams, {"content": "c", "namespce": "a"}, "namespce",
         "namespce: there is no such argument; did you mean namespace?"),
        (GetParams, {"id": "i", "mood": 3}, "mood", "mood: there is no such argument; this tool takes id"),
        (NoParams, {"mood": 3}, "mood", "mood: there is no such argument; this tool takes no arguments"),
        (StoreParams, {"title": "t", "content": 3}, "content", "content: 3 is not allowed; give a text"),
        (StoreParams, {"title": "t", "content": "c", "tier": "ever"}, "tier",
         'tier: "ever" is not allowed; give one of long, mid, short'),
        (StoreParams, {"title": "t", "content": "c", "priority": 2**40}, "priority",
         "priority: 1099511627776 is not allowed; give an integer from 1 to 10"),
        (StoreParams, {"title": "t", "content": "c", "priority": True}, "priority",
         "priority: true is not allowed; give an integer from 1 to 10"),
        (StoreParams, {"title": "t", "content": "c", "tags": ["a", 3]}, "tags[1]",
         'tags[1]: ["a",3] is not allowed; give a list, each item a text'),
        (StoreParams, {"title": "t", "content": "c", "tags": "a,b"}, "tags",
         'tags: "a,b" is not allowed; give a list, each item a text'),
        (StoreParams, {"title": "t", "content": "c", "metadata": "{}"}, "metadata",
         'metadata: "{}" is not allowed; give an object'),
        (RecallParams, {"context": "c", "budget_tokens": 0}, "budget_tokens",
         "budget_tokens: 0 is not allowed; give an integer from 1 to 2147483648"),
        (RecallParams, {"context": "c", "format": "xml"}, "format",
         'format: "xml" is not allowed; give one of json, toon, toon_compact'),
        (ListParams, {"limit": "5"}, "limit", 'limit: "5" is not allowed; give an integer from 0 to 200'),
        (UpdateParams, {"id": "i", "expires_at": 5}, "expires_at", "expires_at: 5 is not allowed; give a text or null"),
    ],
)
def test_a_wrong_argument_is_named_with_what_was_given_and_what_is_allowed(kind, arguments, field, sentence):
    with pytest.raises(InvalidRequest) as refused:
        decode_arguments(kind, arguments)
    assert refused.value.code is Code.SCHEMA_MISMATCH
    assert refused.value.field == field
    assert refused.value.message == sentence


def test_what_was_given_is_shown_only_at_its_start():
    with pytest.raises(InvalidRequest) as refused:
        decode_arguments(GetParams, {"id": ["x" * 10_000]})
    assert len(refused.value.message) < 150


def test_null_counts_as_absence_except_where_it_clears():
    assert decode_arguments(ListParams, {"namespace": None, "limit": None}) == ListParams()
    assert decode_arguments(UpdateParams, {"id": "i"}).expires_at is UNSET
    assert decode_arguments(UpdateParams, {"id": "i", "expires_at": None}).expires_at is None
    assert decode_arguments(UpdateParams, {"id": "i", "expires_at": ""}).expires_at == ""


def test_an_unknown_argument_that_is_null_is_absent():
    assert decode_arguments(GetParams, {"id": "i", "mood": None}) == GetParams(id="i")


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_every_schema_is_sound_plain_and_describes_each_argument(tool):
    schema = tool.schema
    Draft202012Validator.check_schema(schema)
    assert "$" not in json.dumps(schema).replace("additionalProperties", "")
    assert schema["type"] == "object"
    assert "additionalProperties" not in schema
    for name, field in schema["properties"].items():
        assert field["description"] or name
        assert "type" in field or "anyOf" in field
        assert describe(field)
        if "default" in field:
            Draft202012Validator(field).validate(field["default"])


def test_the_published_defaults_are_those_of_old():
    properties = input_schema(StoreParams)["properties"]
    assert {name: field["default"] for name, field in properties.items() if "default" in field} == {
        "tier": "mid", "namespace": "global", "tags": [], "priority": 5, "confidence": 1.0, "source": "claude",
        "metadata": {},
    }
    assert input_schema(RecallParams)["properties"]["limit"] == {
        "type": "integer", "minimum": 0, "maximum": 50, "default": 10, "description": "How many at most.",
    }
    assert input_schema(RecallParams)["properties"]["format"]["default"] == "toon_compact"


def _arguments(tool_name: str) -> st.SearchStrategy[dict[str, object]]:
    names = list(TOOLS[tool_name].schema["properties"])
    return st.dictionaries(st.sampled_from(names), JSON) if names else st.just({})


@given(st.sampled_from(list(TOOLS)).flatmap(lambda name: st.tuples(st.just(name), _arguments(name))))
def test_arguments_are_taken_exactly_if_the_published_schema_takes_them(case):
    name, arguments = case
    schema = TOOLS[name].schema
    nullable = {field for field, rule in schema["properties"].items() if "anyOf" in rule}
    given_arguments = {key: value for key, value in arguments.items() if value is not None or key in nullable}
    # JSON Schema takes 5.0 for an integer; models do not write it, and a float where an integer belongs is refused.
    has_whole_float = any(isinstance(value, float) and value.is_integer() for value in arguments.values())
    is_allowed = Draft202012Validator(schema).is_valid(given_arguments)
    refusal = None
    try:
        decode_arguments(TOOLS[name].params, arguments)
    except InvalidRequest as error:
        refusal = error
    assert is_allowed == (refusal is None) or has_whole_float
    assert refusal is None or (refusal.field and refusal.field in refusal.message)
