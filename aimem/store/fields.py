"""Fields and kinds: how the values of replicated objects lie in the columns of a table.

A field's codec checks the type of every value, because values come from other nodes: what it refuses makes the op held,
never half applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from aimem.model import FieldValue

SqlValue = str | int | float | bytes | None


class Field(Struct, frozen=True, kw_only=True):
    """One field: its columns, and the way between its value and theirs.

    Attributes:
      is_optional: a creation need not set it.
      is_register: the greatest value wins instead of the latest write.
    """

    name: str
    columns: tuple[str, ...]
    to_columns: Callable[[FieldValue], tuple[SqlValue, ...]]
    to_value: Callable[[tuple[SqlValue, ...]], FieldValue]
    is_optional: bool = False
    is_register: bool = False


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of object.

    Attributes:
      split_key: the key's text -> the values of `key_columns`. Raises: ValueError for a key of another form.
      join_key: the inverse.
      maxima: names of the registers.
      required: names of the fields without which an object is not complete, hence not shown.
      end_count: how many of the key's first parts are ids of memories; with one of these dead the object is absent, on
        every node that knows of the death, and nothing brings it back.
      columns: all columns after the key, in the order in which rows are read and written.
    """

    name: str
    table: str
    key_columns: tuple[str, ...]
    fields: tuple[Field, ...]
    split_key: Callable[[str], tuple[str, ...]]
    join_key: Callable[[tuple[str, ...]], str]
    maxima: frozenset[str]
    required: frozenset[str]
    end_count: int
    columns: tuple[str, ...]


def kind_of(
    name: str,
    table: str,
    key_columns: tuple[str, ...],
    split_key: Callable[[str], tuple[str, ...]],
    join_key: Callable[[tuple[str, ...]], str],
    *fields: Field,
    end_count: int = 0,
) -> Kind:
    """A kind of these fields; what can be derived of them is."""
    return Kind(
        name=name,
        table=table,
        key_columns=key_columns,
        fields=fields,
        split_key=split_key,
        join_key=join_key,
        maxima=frozenset(field.name for field in fields if field.is_register),
        required=frozenset(field.name for field in fields if not field.is_optional),
        end_count=end_count,
        columns=("born", "author", *(column for field in fields for column in field.columns), "stamps"),
    )


def _scalar(
    column: str, kind: type | tuple[type, ...]
) -> tuple[tuple[str, ...], Callable[[FieldValue], tuple[SqlValue, ...]], Callable[[tuple[SqlValue, ...]], FieldValue]]:
    def to_columns(value: FieldValue) -> tuple[SqlValue, ...]:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{column} cannot hold a {type(value).__name__}")
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{column} cannot hold {value}: it has 64 bits")
        return (int(value) if isinstance(value, bool) else value,)  # type: ignore[return-value]  # a list is no `kind`

    def to_value(row: tuple[SqlValue, ...]) -> FieldValue:
        found = row[0]
        if isinstance(found, bytes):
            raise ValueError(f"{column} holds bytes")
        return bool(found) if kind is bool else found

    return (column,), to_columns, to_value


def scalar_field(name: str, kind: type | tuple[type, ...], *, is_optional: bool = False) -> Field:
    """One value of a type, in the column of its name."""
    columns, to_columns, to_value = _scalar(name, kind)
    return Field(name=name, columns=columns, to_columns=to_columns, to_value=to_value, is_optional=is_optional)


def list_field(
    name: str, shapes: Sequence[tuple[type, ...]], *, is_register: bool = False, is_optional: bool = False
) -> Field:
    """A list of one of the given shapes; without any, a list of texts of any length."""

    def fits(value: FieldValue) -> bool:
        if not isinstance(value, tuple):
            return False
        return any(
            len(value) == len(shape) and all(type(item) is kind for item, kind in zip(value, shape, strict=True))
            for shape in shapes or [(str,) * len(value)]
        )

    def to_columns(value: FieldValue) -> tuple[SqlValue, ...]:
        if not fits(value):
            raise ValueError(f"{name} cannot hold {value!r:.80}")
        return (msgspec.json.encode(value).decode(),)

    def to_value(row: tuple[SqlValue, ...]) -> FieldValue:
        return msgspec.json.decode(str(row[0]), type=tuple[str | int, ...])

    return Field(
        name=name,
        columns=(name,),
        to_columns=to_columns,
        to_value=to_value,
        is_optional=is_optional or is_register,
        is_register=is_register,
    )
