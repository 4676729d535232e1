"""Query strings and path segments as typed values; a fault names the parameter, what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import (  # Any: the annotation of a Struct's field
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
)
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import NODEFAULT, Struct

from aimem.errors import InvalidRequest

Query = TypeVar("Query", bound=Struct)

_SHOWN_CHARS = 64
_NOUNS = {str: "text", int: "a whole number", float: "a number", bool: "true, false, 1 or 0"}


def percent_decoded(text: str | bytes, *, field: str) -> str:
    """Undo percent-encoding.

    Raises: InvalidRequest naming `field` if the bytes are not UTF-8.
    """
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{field} is not UTF-8 after percent-decoding: {error.reason}", field=field) from None


def parse_query(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string; `+` is a space.

    Raises: InvalidRequest naming a parameter that is repeated: of two ages to purge, either may be the one meant.
    """
    found: dict[str, str] = {}
    for part in query_string.split(b"&"):
        raw_name, _, raw_value = part.replace(b"+", b" ").partition(b"=")
        name = percent_decoded(raw_name, field="query")
        if name in found:
            shown = name[:_SHOWN_CHARS]
            raise InvalidRequest(f"the query parameter {shown} is given more than once; give it once", field=shown)
        if name:
            found[name] = percent_decoded(raw_value, field=name[:_SHOWN_CHARS])
    return found


def decode_query(kind: type[Query], parameters: Mapping[str, str]) -> Query:
    """Read parameters as a Struct: unknown ones are ignored, an empty one that is optional counts as absent.

    Raises: InvalidRequest naming the first parameter that is missing or of another type.
    """
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        text = parameters.get(field.encode_name)
        is_required = field.default is NODEFAULT and field.default_factory is NODEFAULT
        if text is None and is_required:
            raise InvalidRequest(f"the query parameter {field.encode_name} is required", field=field.encode_name)
        if text is None or (text == "" and not is_required):
            continue
        values[field.name] = _converted(field.encode_name, text, field.type)
    return kind(**values)


def _converted(name: str, text: str, wanted: Any) -> object:
    try:
        # The words null and none are no absence: that is said by leaving the parameter out.
        value = msgspec.convert(text, wanted, strict=False)
        if value is not None:
            return value
        raise msgspec.ValidationError
    except msgspec.ValidationError:
        shown = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."
        raise InvalidRequest(f"{name} is {shown!r}; allowed is {allowed_text(wanted)}", field=name) from None


def allowed_text(wanted: Any) -> str:
    """In words, what a parameter of this type may be."""
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(str, get_args(wanted)))
    if wanted in _NOUNS:
        return _NOUNS[wanted]
    return " or ".join(allowed_text(one) for one in get_args(wanted) if one is not NoneType)
