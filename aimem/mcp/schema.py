"""The published JSON Schema of a parameter type, and the check of a call's arguments against that type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast  # Any: JSON Schema is open

import msgspec

from aimem.errors import Code, InvalidRequest

P = TypeVar("P", bound=msgspec.Struct)
JsonSchema = dict[str, Any]

_SHOWN_CHARS = 60
_PATH = re.compile(r" - at `\$\.([^`]+)`$")
_MISSING = re.compile(r"missing required field `(\w+)`$")


@cache
def input_schema(kind: type[msgspec.Struct]) -> JsonSchema:
    """The schema that `tools/list` publishes: a plain object without references, as every client understands it.

    A field that may be null only because null means "not given" is published without null, as v0.6.3 did; null stays
    where it says something else than absence.
    """
    whole = msgspec.json.schema(kind)
    definitions: JsonSchema = whole["$defs"]
    body = definitions[kind.__name__]
    properties = {name: _plain(field, definitions) for name, field in body["properties"].items()}
    return {"type": "object", "properties": properties, "required": body["required"]}


def _plain(field: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """One property with references replaced by what they name, and optional nulls taken out."""
    if "$ref" in field:
        named = definitions[field["$ref"].removeprefix("#/$defs/")]
        kept = {key: value for key, value in field.items() if key != "$ref"}
        return {"type": "string", "enum": named["enum"], **kept}
    if "enum" in field:
        return {"type": "string", **field}
    if "anyOf" in field and "default" in field and field["default"] is None:
        inner = next(option for option in field["anyOf"] if option != {"type": "null"})
        outer = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
        return {**_plain(inner, definitions), **outer}
    return field


def decode_arguments(kind: type[P], arguments: Mapping[str, object]) -> P:
    """Read a call's arguments strictly: nothing is converted, and a name that the tool does not know is refused.

    Ignored, a misspelt name would give an answer to another question. Null counts as absence unless the field's schema
    allows it.

    Raises: InvalidRequest(schema_mismatch) naming the field, what was given and what is allowed.
    """
    properties = input_schema(kind)["properties"]
    given = {
        name: value for name, value in arguments.items()
        if value is not None or _allows_null(properties.get(name, {}))
    }
    if unknown := [name for name in given if name not in properties]:
        raise _unknown(unknown[0], list(properties))
    try:
        return msgspec.convert(given, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), properties, given) from None


def _unknown(name: str, known: Sequence[str]) -> InvalidRequest:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"this tool takes {', '.join(known) or 'no arguments'}"
    shown = name[:_SHOWN_CHARS]
    return InvalidRequest(f"{shown}: there is no such argument; {hint}", code=Code.SCHEMA_MISMATCH, field=shown)


def _allows_null(field: JsonSchema) -> bool:
    return {"type": "null"} in field.get("anyOf", ())


def _refusal(message: str, properties: JsonSchema, given: Mapping[str, object]) -> InvalidRequest:
    """Say what msgspec found in words of ours: it names the place, and not what would be allowed there."""
    missing = _MISSING.search(message)
    if missing:
        name = missing.group(1)
        return InvalidRequest(
            f"{name} is required; give {describe(properties[name])}", code=Code.SCHEMA_MISMATCH, field=name
        )
    found = _PATH.search(message)
    if not found:
        return InvalidRequest(message, code=Code.SCHEMA_MISMATCH)
    path = found.group(1)
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    return InvalidRequest(
        f"{path}: {_shown(given[name])} is not allowed; give {describe(properties[name])}",
        code=Code.SCHEMA_MISMATCH, field=path,
    )


def describe(field: JsonSchema) -> str:
    """What one property takes, in words."""
    if "enum" in field:
        return "one of " + ", ".join(field["enum"])
    if "anyOf" in field:
        return " or ".join(describe(option) for option in field["anyOf"])
    kind = cast(str, field["type"])
    if kind == "array":
        return f"a list, each item {describe(field['items'])}"
    low, high = field.get("minimum"), field.get("maximum")
    bounds = (
        f" from {low} to {high}" if low is not None and high is not None
        else f" of at least {low}" if low is not None
        else ""
    )
    return {
        "string": "a text", "integer": "an integer", "number": "a number", "boolean": "true or false",
        "object": "an object", "null": "null",
    }[kind] + bounds


def _shown(value: object) -> str:
    """The start of what was given, as JSON: enough to recognise it."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return "the value"
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
