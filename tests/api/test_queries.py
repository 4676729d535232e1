"""Query strings as typed values."""

from __future__ import annotations

import contextlib
from typing import Literal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from aimem.api.queries import decode_query, parse_query
from aimem.errors import InvalidRequest
from tests.api.tiny import Question

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_what_was_encoded_is_read_back(parameters: dict[str, str]) -> None:
    assert parse_query(urlencode(parameters).encode()) == parameters


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(query: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        parse_query(query)


@given(st.dictionaries(st.sampled_from(["q", "limit", "ratio", "touch", "namespace", "min_priority"]), st.text()))
def test_any_parameters_are_converted_or_refused_by_name(parameters: dict[str, str]) -> None:
    fault: InvalidRequest | None = None
    try:
        decode_query(Question, parameters)
    except InvalidRequest as error:
        fault = error
    assert fault is None or (fault.field in Question.__struct_fields__ and fault.field in fault.message)


def test_closed_set_names_its_members() -> None:
    class Restoring(Struct, kw_only=True):
        mode: Literal["keep", "long"] = "keep"

    assert decode_query(Restoring, {"mode": "long"}).mode == "long"
    with pytest.raises(InvalidRequest, match="allowed is one of keep, long"):
        decode_query(Restoring, {"mode": "short"})


def test_long_values_are_shortened_in_the_answer() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_query(Question, {"q": "x", "limit": "9" * 10_000 + "x"})
    assert len(caught.value.message) < 200
