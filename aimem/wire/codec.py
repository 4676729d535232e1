"""Reading and writing JSON with errors that name the field."""

from __future__ import annotations

import re
from functools import cache
from types import NoneType, UnionType
from typing import (  # Any: decoders of different types share one cache
    Any,
    Final,
    TypeVar,
    Union,
    get_args,
    get_origin,
    overload,
)

import msgspec
from msgspec import Struct

from aimem.errors import Code, InvalidRequest

T = TypeVar("T")

_PATH = re.compile(r" - at `\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_MISMATCH = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_GOT_NULL = re.compile(r", got `null`")
_REDUNDANT: Final = "JSON is malformed: "
_KINDS: Final = {
    "str": "a text", "int": "an integer", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object",
}
_GIVEN: Final = {"float": "a number with a decimal point", "bool": "a truth value"}
"""What msgspec calls the kinds of JSON values, in our words; the second where what was given is named otherwise."""

_encoder = msgspec.json.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@overload
def decode_body(kind: type[T], data: bytes) -> T: ...


@overload
def decode_body(kind: UnionType, data: bytes) -> object: ...


def decode_body(kind: type[T] | UnionType, data: bytes) -> T | object:
    """Read a JSON text as a value of this type; unknown fields are ignored, `null` for an optional field is absence.

    Raises: InvalidRequest(malformed_json) if it is no UTF-8 JSON text; InvalidRequest(schema_mismatch) naming the field
      if a field is missing or of another type.
    """
    try:
        value: T = _decode(kind, data)
    except msgspec.ValidationError as error:
        message, field = split_path(str(error))
        raise InvalidRequest(message, code=Code.SCHEMA_MISMATCH, field=field) from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not UTF-8: {error.reason} at byte {error.start}", code=Code.MALFORMED_JSON
        ) from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply", code=Code.MALFORMED_JSON) from None
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix(_REDUNDANT)
        raise InvalidRequest(f"the body is not JSON: {reason}", code=Code.MALFORMED_JSON) from None
    return value


def _decode(kind: Any, data: bytes) -> Any:
    """Read a JSON text; once more without its nulls if one of them stands where only a default would be absence."""
    try:
        return _decoder(kind).decode(data)
    except msgspec.ValidationError as error:
        if not _GOT_NULL.search(str(error)):
            raise
    return _decoder(kind).decode(_encoder.encode(_without_nulls(kind, msgspec.json.decode(data))))


def _without_nulls(kind: Any, value: Any) -> Any:
    """The same JSON value without the fields that are null, have a default and may not be null."""
    kinds = get_args(kind) if isinstance(kind, UnionType) or get_origin(kind) is Union else (kind,)
    if isinstance(value, dict):
        for one in kinds:
            if isinstance(one, type) and issubclass(one, Struct):
                return _fields_without_nulls(one, value)
    if isinstance(value, list):
        for one in kinds:
            if get_origin(one) in (list, tuple):
                return [_without_nulls(get_args(one)[0], item) for item in value]
    return value


def _fields_without_nulls(kind: type[Struct], value: dict[str, Any]) -> dict[str, Any]:
    kept = dict(value)
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name not in kept:
            continue
        if kept[name] is None and not field.required and NoneType not in get_args(field.type):
            del kept[name]
        else:
            kept[name] = _without_nulls(field.type, kept[name])
    return kept


def split_path(text: str) -> tuple[str, str | None]:
    """From msgspec's message to a sentence in our words, and the field that it is about."""
    found = _PATH.search(text)
    field, problem = (found.group(1) or None, text[: found.start()]) if found else (None, text)
    if missing := _MISSING.search(problem):
        field = f"{field}.{missing.group(1)}" if field else missing.group(1)
        return f"{field} is missing", field
    if mismatch := _MISMATCH.fullmatch(problem):
        wanted = [_KINDS.get(kind, kind) for kind in mismatch.group(1).split(" | ") if kind != "null"]
        given = _GIVEN.get(mismatch.group(2), _KINDS.get(mismatch.group(2), mismatch.group(2)))
        return f"{field or 'the body'} must be {' or '.join(wanted)}, not {given}", field
    return (f"{field}: {problem}" if field else problem), field


def encode(value: object) -> bytes:
    """Write any wire value as JSON."""
    return _encoder.encode(value)


def to_builtins(value: object) -> Any:
    """The same value as dicts, lists and scalars, for doors that print."""
    return msgspec.to_builtins(value)
