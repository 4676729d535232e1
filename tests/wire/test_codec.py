"""Reading JSON: every refusal names the field, or says why the text is no JSON at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import Code, InvalidRequest
from aimem.wire import (
    ArchiveRequest,
    BulkRequest,
    CreateMemory,
    ImportRequest,
    LinkRequest,
    RecallRequest,
    UpdateMemory,
    decode_body,
    encode,
    to_builtins,
)


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (CreateMemory, b"{}", "content"),
        (CreateMemory, b'{"content":1}', "content"),
        (CreateMemory, b'{"content":null}', "content"),
        (CreateMemory, b'{"content":"x","tags":"a"}', "tags"),
        (CreateMemory, b'{"content":"x","tags":["a",1]}', "tags[1]"),
        (CreateMemory, b'{"content":"x","priority":"5"}', "priority"),
        (CreateMemory, b'{"content":"x","priority":1.5}', "priority"),
        (CreateMemory, b'{"content":"x","priority":true}', "priority"),
        (CreateMemory, b'{"content":"x","priority":%s}' % (b"9" * 5000), "priority"),
        (CreateMemory, b'{"content":"x","confidence":"1"}', "confidence"),
        (CreateMemory, b'{"content":"x","metadata":[]}', "metadata"),
        (CreateMemory, b'{"content":"x","metadata":{"a":1e999}}', "metadata[...]"),
        (CreateMemory, b"[]", None),
        (CreateMemory, b"null", None),
        (RecallRequest, b'{"context":null,"limit":null}', "context"),
        (RecallRequest, b'{"context":"x","limit":null,"touch":3}', "touch"),
        (ImportRequest, b'{"memories":[{"content":"x"},{"content":null}],"dry_run":null}', "memories[1].content"),
        (ImportRequest, b'{"memories":null}', "memories"),
        (BulkRequest, b'{"memories":null}', "memories"),
        (CreateMemory, b'"text"', None),
        (UpdateMemory, b'{"metadata":"x"}', "metadata"),
        (LinkRequest, b'{"source_id":"a"}', "target_id"),
        (ArchiveRequest, b'{"ids":[1]}', "ids[0]"),
        (ImportRequest, b'{"memories":[{"content":"x"},{"content":3}]}', "memories[1].content"),
        (ImportRequest, b'{"memories":[{"content":"x"},{}]}', "memories[1].content"),
        (ImportRequest, b'{"memories":{}}', "memories"),
        (ImportRequest, b'{"memories":[],"links":[{"source_id":"a"}]}', "links[0].target_id"),
        (ImportRequest, b'{"memories":[],"trust_source":1}', "trust_source"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_path(kind: type[object], body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_body(kind, body)
    assert refused.value.code is Code.SCHEMA_MISMATCH
    assert refused.value.field == field
    if field is not None:
        assert field.split("[", maxsplit=1)[0] in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"content":"x"', b'{"content":"x"} {}', b"{'content':'x'}", b'{"content":"x",}', b"\xff\xfe",
        b"\xef\xbb\xbf{}", b'{"content":"\xff"}', b'{"content":"\xc0\x80"}', b'{"content":"\\ud800"}',
        b'{"content":"\x00"}',
        b'{"content":"x","metadata":{"a":NaN}}', b'{"content":"x","metadata":{"a":-Infinity}}', b"content=x",
        b'{"content":"x","metadata":{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
    ],
)
def test_what_is_no_json_text_is_refused_as_malformed(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_body(CreateMemory, body)
    assert refused.value.code is Code.MALFORMED_JSON


def test_unknown_fields_are_ignored_and_null_is_absence() -> None:
    assert decode_body(UpdateMemory, b'{"title":null,"colour":"red","tags":["a"]}') == UpdateMemory(tags=["a"])


def test_null_is_absence_where_there_is_a_default_too() -> None:
    assert decode_body(RecallRequest, b'{"context":"x","limit":null,"touch":null,"tags":null}') == (
        RecallRequest(context="x")
    )
    assert decode_body(LinkRequest, b'{"source_id":"a","target_id":"b","relation":null}').relation == "related_to"
    rows = b'{"memories":[{"content":"x","title_generated":null}],"links":null,"trust_source":null}'
    assert decode_body(ImportRequest, rows) == decode_body(ImportRequest, b'{"memories":[{"content":"x"}]}')
    items = b'{"memories":[{"content":"x","priority":null}],"more":null}'
    assert len(decode_body(BulkRequest, items).memories) == 1


def test_an_empty_expiry_is_not_absence() -> None:
    assert decode_body(UpdateMemory, b'{"expires_at":""}').expires_at == ""


@given(
    st.builds(
        CreateMemory,
        content=st.text(st.characters(exclude_categories=["Cs"])),
        tags=st.none() | st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
        confidence=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        priority=st.none() | st.integers(-(2**80), 2**80),
    )
)
def test_a_request_that_is_written_is_read_back(request_body: CreateMemory) -> None:
    assert decode_body(CreateMemory, encode(request_body)) == request_body
    assert to_builtins(request_body)["content"] == request_body.content


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(body: bytes) -> None:
    try:
        read = decode_body(CreateMemory, body)
    except InvalidRequest:
        return
    assert isinstance(read.content, str)


@pytest.mark.parametrize(("kind", "body", "sentence"), [
    (CreateMemory, b"{}", "content is missing"),
    (CreateMemory, b'{"content":1}', "content must be a text, not an integer"),
    (CreateMemory, b'{"content":"x","priority":1.5}', "priority must be an integer, not a number with a decimal point"),
    (CreateMemory, b'{"content":"x","priority":true}', "priority must be an integer, not a truth value"),
    (CreateMemory, b'{"content":"x","tags":["a",null]}', "tags[1] must be a text, not null"),
    (CreateMemory, b"[]", "the body must be an object, not a list"),
    (ImportRequest, b'{"memories":[{"content":"x"},{}]}', "memories[1].content is missing"),
    (ImportRequest, b'{"memories":[],"trust_source":1}', "trust_source must be true or false, not an integer"),
    (CreateMemory, b"{'a'}", "the body is not JSON: object keys must be strings (byte 1)"),
])
def test_a_refusal_speaks_of_json_and_not_of_the_library_that_reads_it(
    kind: type[object], body: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_body(kind, body)
    assert refused.value.message == sentence
