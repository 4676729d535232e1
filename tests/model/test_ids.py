"""Identifiers: their form, and what they are derived from."""

from __future__ import annotations

import random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aimem.model import derived_memory_id, new_memory_id, stream_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(texts, texts, st.integers(0, 1000))
def test_a_derived_id_is_a_uuid_of_version_8_and_always_the_same(scope: str, key: str, index: int) -> None:
    derived = derived_memory_id(scope, key, index)
    assert derived == derived_memory_id(scope, key, index)
    assert str(UUID(derived)) == derived
    assert (UUID(derived).version, UUID(derived).variant) == (8, "specified in RFC 4122")


@given(texts, texts, texts, texts)
def test_scope_and_key_do_not_run_into_each_other(scope: str, key: str, other_scope: str, other_key: str) -> None:
    is_same = (scope, key) == (other_scope, other_key)
    assert (derived_memory_id(scope, key, 0) == derived_memory_id(other_scope, other_key, 0)) == is_same


def test_the_index_tells_the_objects_of_one_request_apart() -> None:
    assert len({derived_memory_id("open", "key", index) for index in range(1000)}) == 1000


def test_a_new_id_is_a_random_uuid_of_the_injected_generator() -> None:
    assert UUID(new_memory_id(random.Random(1))).version == 4
    assert new_memory_id(random.Random(1)) == new_memory_id(random.Random(1)) != new_memory_id(random.Random(2))


def test_a_stream_is_named_by_the_hash_of_its_key() -> None:
    assert stream_id(bytes(32)) == "66687aadf862bd776c8fc18b8e9f8e20"
