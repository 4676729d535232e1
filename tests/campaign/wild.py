"""Arguments of tools and options of verbs, made up from their tables and from beyond them."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.campaign.places import GOOD
from tests.campaign.world import ARCHIVED, LIVE, MESSAGE
from tests.hostile import TEXTS

Schema = dict[str, Any]

IDS: Final = (*LIVE, ARCHIVED, MESSAGE)
_NUMBERS: Final = (
    0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324, float("nan"),
    float("inf"), float("-inf"),
)

hostile_texts: Final = st.one_of(
    st.sampled_from(list(TEXTS.values())), st.text(max_size=40),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=4),
)
"""Texts of the corpus and others; some hold halves of surrogate pairs."""


def _deep(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


wild_values: Final = st.one_of(
    st.none(), st.booleans(), st.sampled_from(_NUMBERS), st.integers(), hostile_texts,
    st.sampled_from([33, 200]).map(_deep), st.just("x" * 1_048_576), st.just(["x"] * 1_001),
    st.recursive(st.none() | st.integers() | hostile_texts, lambda inner: st.lists(inner, max_size=3)
                 | st.dictionaries(hostile_texts, inner, max_size=3), max_leaves=6),
)
"""Any JSON value, and what Python's encoder writes that is none (NaN, Infinity)."""


def arguments_of(schema: Schema) -> st.SearchStrategy[dict[str, object]]:
    """Arguments for a tool: most often what its schema asks for, with something wild in one place or in several."""
    known: Schema = schema["properties"]
    sound = {name: _sound(name, field) for name, field in known.items()}
    required = {name: sound[name] for name in schema["required"]}
    optional = {name: value for name, value in sound.items() if name not in required}
    whole = st.fixed_dictionaries(required, optional=optional)
    somewhere = st.dictionaries(st.sampled_from([*known, "x"]) | hostile_texts, wild_values, min_size=1, max_size=2)
    one_wrong = st.builds(lambda given, wild: {**given, **wild}, whole, somewhere)
    without = st.builds(lambda given, name: {key: value for key, value in given.items() if key != name}, whole,
                        st.sampled_from([*known, ""]))
    return st.one_of(whole, one_wrong, one_wrong, without, st.dictionaries(hostile_texts, wild_values, max_size=3))


def _sound(name: str, field: Schema) -> st.SearchStrategy[object]:
    """A value that the schema of one property allows."""
    if "anyOf" in field:
        return st.one_of(_sound(name, one) for one in field["anyOf"])
    if "enum" in field:
        return st.sampled_from(field["enum"])
    match field["type"]:
        case "string":
            known = [GOOD[name]] if name in GOOD else []
            ids = list(IDS) if name.endswith("id") or name in ("id", "winner", "loser") else []
            right = st.sampled_from([*known, *ids]) if known or ids else st.just("word")
            return st.one_of(right, right, right, st.sampled_from(list(TEXTS.values())))
        case "integer":
            low, high = field.get("minimum", -(2**63)), field.get("maximum", 2**63)
            return st.sampled_from([low, high]) | st.integers(low, min(high, low + 1_000))
        case "number":
            return st.floats(field.get("minimum"), field.get("maximum"), allow_nan=False)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(_sound(name.removesuffix("s"), field["items"]) | st.sampled_from(IDS), max_size=4)
        case "object":
            return st.dictionaries(hostile_texts, st.none() | st.integers() | hostile_texts, max_size=3)
        case "null":
            return st.none()
    raise AssertionError(f"{name} is of a kind that is not known here: {field}")
