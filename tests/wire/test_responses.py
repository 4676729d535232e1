"""What callers get: the fields of v0.6.3, absent times left out, author and scope inside the metadata."""

from __future__ import annotations

import msgspec

from aimem.model import AgentId, Instant, Link, Memory, MemoryId, Namespace, Relation, Scope, Tier
from aimem.wire import encode, link_out, memory_out

MEMORY = Memory(
    id=MemoryId("id"), namespace=Namespace("n"), title="t", content="c", tier=Tier.MID, source="api",
    author=AgentId("alice"), created_at=Instant(1_000_000), updated_at=Instant(2_000_000), metadata={"k": [1]},
)
FIFTEEN = {
    "id", "tier", "namespace", "title", "content", "tags", "priority", "confidence", "source", "access_count",
    "created_at", "updated_at", "metadata",
}


def test_a_plain_memory_has_the_fields_of_v063_and_no_absent_times() -> None:
    shown = msgspec.json.decode(encode(memory_out(MEMORY)))
    assert shown.keys() == FIFTEEN
    assert shown["created_at"] == "1970-01-01T00:00:01.000000Z"
    assert shown["metadata"] == {"k": [1], "agent_id": "alice"}


def test_scope_expiry_access_and_a_generated_title_are_shown_where_there_are_any() -> None:
    full = msgspec.structs.replace(
        MEMORY, scope=Scope.TEAM, expires_at=Instant(3), last_accessed_at=Instant(4), title_generated=True
    )
    shown = msgspec.json.decode(encode(memory_out(full)))
    assert shown.keys() == FIFTEEN | {"expires_at", "last_accessed_at", "title_generated"}
    assert shown["metadata"]["scope"] == "team"


def test_the_author_that_is_shown_is_the_stored_one_whatever_the_metadata_says() -> None:
    forged = msgspec.structs.replace(MEMORY, metadata={"agent_id": "mallory"})
    assert memory_out(forged).metadata["agent_id"] == "alice"


def test_a_link_shows_its_end_only_if_it_has_one() -> None:
    link = Link(
        source_id=MemoryId("a"), target_id=MemoryId("b"), relation=Relation.SUPERSEDES, created_at=Instant(0),
        valid_from=Instant(0),
    )
    assert "valid_until" not in msgspec.json.decode(encode(link_out(link)))
    ended = msgspec.structs.replace(link, valid_until=Instant(1))
    assert msgspec.json.decode(encode(link_out(ended)))["valid_until"] == "1970-01-01T00:00:00.000001Z"
