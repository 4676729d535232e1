"""The schemas of bodies and answers in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final  # Any: JSON Schema is open

import msgspec

from aimem.wire import encode

Shape = dict[str, Any]

GIVEN: Final = "Given"
"""What is put to the name of a shape as bodies have it, if answers have it too."""

_PREFIX: Final = "#/components/schemas/"
_REFERENCE: Final = re.compile(rf'"{_PREFIX}([^"]+)"')
_ABOUT: Final = ("title", "description", "default")
_NULL: Final = {"type": "null"}


def shapes_of(bodies: Sequence[Any], answers: Sequence[Any]) -> tuple[dict[Any, Shape], dict[Any, Shape], Shape]:
    """The schemas of types.

    Returns: the reference of each body, that of each answer, and the components that they refer to.
    """
    asked, given = _components(bodies)
    answered, said = _components(answers)
    shared = given.keys() & said.keys()
    given = _renamed({name: _with_nulls(shape) for name, shape in given.items()}, shared)
    components = {**said, **{f"{name}{GIVEN}" if name in shared else name: shape for name, shape in given.items()}}
    return {kind: _renamed(ref, shared) for kind, ref in asked.items()}, answered, components


def _components(kinds: Sequence[Any]) -> tuple[dict[Any, Shape], dict[str, Shape]]:
    kinds = list(dict.fromkeys(kinds))
    refs, components = msgspec.json.schema_components(kinds, schema_hook=_any_json, ref_template=_PREFIX + "{name}")
    return dict(zip(kinds, refs, strict=True)), components


def _renamed(shape: Shape, shared: set[str]) -> Shape:
    """The same with references to the shapes as bodies have them."""

    def rename(found: re.Match[str]) -> str:
        return f'"{_PREFIX}{found[1]}{GIVEN}"' if found[1] in shared else found[0]

    renamed: Shape = msgspec.json.decode(_REFERENCE.sub(rename, encode(shape).decode()))
    return renamed


def _with_nulls(shape: Shape) -> Shape:
    """A shape as `wire.decode_body` reads it: null is absence in every field that need not be there."""
    required = shape.get("required", ())
    return shape if "properties" not in shape else {**shape, "properties": {
        name: field if name in required else _or_null(field) for name, field in shape["properties"].items()
    }}


def _or_null(field: Shape) -> Shape:
    if field == _NULL or _NULL in field.get("anyOf", ()) or None in field.get("enum", ()):
        return field
    about = {name: value for name, value in field.items() if name in _ABOUT}
    return {"anyOf": [{name: value for name, value in field.items() if name not in _ABOUT}, _NULL], **about}


def _any_json(kind: type) -> Shape:
    """What msgspec asks about types that it does not know: `object` in a shape means any JSON value."""
    if kind is not object:
        raise NotImplementedError
    # msgspec takes an empty schema for no answer.
    return {"description": "Any JSON value."}
