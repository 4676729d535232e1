"""The limits of every field: what passes, as what, and what is refused by which name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import AimemError, Code, Denied, InvalidRequest
from aimem.model import Scope, Tier, rules

BIDI = "\u202etxt.exe\u202c"
SURROGATE = "half \ud800 pair"


def nested(levels: int) -> dict[str, object]:
    inner: dict[str, object] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def in_lists(levels: int) -> dict[str, object]:
    inner: list[object] = []
    for _ in range(levels - 2):
        inner = [inner]
    return {"a": inner}


@pytest.mark.parametrize(
    ("rule", "given_value", "kept"),
    [
        (rules.title, "  a title ", "a title"),
        (rules.title, "", ""),
        (rules.title, " \t\n ", ""),
        (rules.title, "x" * 512, "x" * 512),
        (rules.title, " " + "😀" * 512 + " ", "😀" * 512),
        (rules.title, "two\nlines\tand a tab", "two\nlines\tand a tab"),
        (rules.title, BIDI, BIDI),
        (rules.content, " kept as it is \r\n", " kept as it is \r\n"),
        (rules.content, "x" * 65_536, "x" * 65_536),
        (rules.content, "é" * 32_768, "é" * 32_768),
        (rules.content, BIDI, BIDI),
        (rules.namespace, " team/project ", "team/project"),
        (rules.namespace, "a/b/c/d/e/f/g/h", "a/b/c/d/e/f/g/h"),
        (rules.namespace, "n" * 512, "n" * 512),
        (rules.namespace, "_agents", "_agents"),
        (rules.namespace, "*", "*"),
        (rules.namespace, "größe/…", "größe/…"),
        (rules.namespace, BIDI, BIDI),
        (rules.writable_namespace, "a/_b", "a/_b"),
        (rules.memory_id, " id-1 ", "id-1"),
        (rules.memory_id, "i" * 128, "i" * 128),
        (rules.agent_id, "ai:claude@host:pid-1/x.y_z-9", "ai:claude@host:pid-1/x.y_z-9"),
        (rules.agent_id, "a" * 128, "a" * 128),
        (rules.tags, [" a", "b ", "a"], ("a", "b")),
        (rules.tags, [], ()),
        (rules.tags, ["t" * 128] * 50, ("t" * 128,)),
        (rules.priority, 1, 1),
        (rules.priority, 10, 10),
        (rules.confidence, 0, 0.0),
        (rules.confidence, 1, 1.0),
        (rules.source, "mine-claude.v1:x_2", "mine-claude.v1:x_2"),
        (rules.source, "s" * 64, "s" * 64),
        (rules.ttl_s, 1, 1),
        (rules.ttl_s, 31_536_000, 31_536_000),
        (rules.metadata, {"b": 1, "agent_id": "x", "scope": "team"}, {"b": 1}),
        (rules.metadata, {"n": [2**64, -(2**63), 10**40, 0.1]}, {"n": [2**64, -(2**63), 10**40, 0.1]}),
        (rules.metadata, nested(32), nested(32)),
        (rules.metadata, in_lists(32), in_lists(32)),
        (rules.idempotency_key, "k" * 255, "k" * 255),
        (rules.idempotency_key, "~ !", "~ !"),
        (rules.tag, " urgent ", "urgent"),
    ],
)
def test_what_is_within_the_limits_is_kept(rule: Callable[[object], object], given_value: object, kept: object) -> None:
    assert rule(given_value) == kept


@pytest.mark.parametrize(
    ("rule", "value", "field"),
    [
        (rules.title, "x" * 513, "title"),
        (rules.title, "a\x00b", "title"),
        (rules.title, "a\rb", "title"),
        (rules.title, "a\x85b", "title"),
        (rules.title, SURROGATE, "title"),
        (rules.content, "", "content"),
        (rules.content, " \n\t ", "content"),
        (rules.content, "x" * 65_537, "content"),
        (rules.content, "é" * 32_769, "content"),
        (rules.content, "a\x00b", "content"),
        (rules.content, "a\x1b[2Jb", "content"),
        (rules.content, SURROGATE, "content"),
        (rules.namespace, "", "namespace"),
        (rules.namespace, "  ", "namespace"),
        (rules.namespace, "n" * 513, "namespace"),
        (rules.namespace, "a/b/c/d/e/f/g/h/i", "namespace"),
        (rules.namespace, "/a", "namespace"),
        (rules.namespace, "a/", "namespace"),
        (rules.namespace, "a//b", "namespace"),
        (rules.namespace, "a/../b", "namespace"),
        (rules.namespace, "./a", "namespace"),
        (rules.namespace, "a b", "namespace"),
        (rules.namespace, "a\u00a0b", "namespace"),
        (rules.namespace, "a\u2028b", "namespace"),
        (rules.namespace, "a\\b", "namespace"),
        (rules.namespace, "a\tb", "namespace"),
        (rules.namespace, "a\x00b", "namespace"),
        (rules.namespace, SURROGATE, "namespace"),
        (rules.memory_id, "", "id"),
        (rules.memory_id, "i" * 129, "id"),
        (rules.memory_id, "é" * 65, "id"),
        (rules.memory_id, "a\nb", "id"),
        (rules.memory_id, "a\x00b", "id"),
        (rules.memory_id, SURROGATE, "id"),
        (rules.agent_id, "", "agent_id"),
        (rules.agent_id, "a" * 129, "agent_id"),
        (rules.agent_id, "a b", "agent_id"),
        (rules.agent_id, "a\n", "agent_id"),
        (rules.agent_id, "ä", "agent_id"),
        (rules.agent_id, "a\x00", "agent_id"),
        (rules.agent_id, SURROGATE, "agent_id"),
        (rules.tags, ["t"] * 51, "tags"),
        (rules.tags, ["ok", "t" * 129], "tags[1]"),
        (rules.tags, ["  "], "tags[0]"),
        (rules.tags, ["a\nb"], "tags[0]"),
        (rules.tags, ["a", "b", SURROGATE], "tags[2]"),
        (rules.tag, "", "tags"),
        (rules.tag, "t" * 129, "tags"),
        (rules.tag, SURROGATE, "tags"),
        (rules.priority, 0, "priority"),
        (rules.priority, 11, "priority"),
        (rules.priority, -(2**63), "priority"),
        (rules.priority, 2**64, "priority"),
        (rules.confidence, -0.01, "confidence"),
        (rules.confidence, 1.01, "confidence"),
        (rules.confidence, float("nan"), "confidence"),
        (rules.confidence, float("inf"), "confidence"),
        (rules.source, "", "source"),
        (rules.source, "S", "source"),
        (rules.source, "s" * 65, "source"),
        (rules.source, "s\n", "source"),
        (rules.source, "ä", "source"),
        (rules.ttl_s, 0, "ttl_secs"),
        (rules.ttl_s, -1, "ttl_secs"),
        (rules.ttl_s, 31_536_001, "ttl_secs"),
        (rules.ttl_s, 2**63, "ttl_secs"),
        (rules.metadata, {"a": "x" * 65_536}, "metadata"),
        (rules.metadata, nested(33), "metadata"),
        (rules.metadata, in_lists(33), "metadata"),
        (rules.metadata, nested(100_000), "metadata"),
        (rules.metadata, {"a": float("nan")}, "metadata"),
        (rules.metadata, {"a": [{"b": float("-inf")}]}, "metadata"),
        (rules.metadata, {"a": SURROGATE}, "metadata"),
        (rules.metadata, {SURROGATE: 1}, "metadata"),
        (rules.metadata, {"a": object()}, "metadata"),
        (rules.idempotency_key, "", "Idempotency-Key"),
        (rules.idempotency_key, "k" * 256, "Idempotency-Key"),
        (rules.idempotency_key, "a\nb", "Idempotency-Key"),
        (rules.idempotency_key, "ä", "Idempotency-Key"),
    ],
)
def test_what_breaks_a_limit_is_refused_by_its_fields_name(
    rule: Callable[[object], object], value: object, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rule(value)
    assert refused.value.field == field
    assert refused.value.message.encode()


@pytest.mark.parametrize(("rule", "allowed"), [
    (rules.memory_id, "none is allowed"), (rules.tag, "none is allowed"),
    (rules.title, "only line feed and tab are allowed"),
    (rules.content, "only line feed, tab and carriage return are allowed"),
])
def test_a_control_character_is_refused_with_those_that_are_allowed(
    rule: Callable[[str], object], allowed: str
) -> None:
    with pytest.raises(InvalidRequest, match=rf"U\+0007 at position 1; {allowed}"):
        rule("a\ab")


@pytest.mark.parametrize("value", ["_agents", "_messages/bob", "*", " _x"])
def test_the_systems_namespaces_are_closed_to_generic_writes(value: str) -> None:
    with pytest.raises(Denied) as refused:
        rules.writable_namespace(value)
    assert refused.value.code is Code.RESERVED_NAMESPACE


@pytest.mark.parametrize(("kind", "value"), [(Tier, "LONG"), (Tier, ""), (Scope, "public"), (Scope, SURROGATE)])
def test_a_choice_outside_its_set_lists_the_set(kind: type[Tier | Scope], value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rules.choice(kind, value, field="here")
    assert refused.value.field == "here"
    assert all(choice in refused.value.message for choice in kind)


@pytest.mark.parametrize("value", ["", "   ", "q" * 65_537, SURROGATE])
def test_a_query_that_asks_nothing_or_too_much_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rules.query(value, field="q")
    assert refused.value.field == "q"


@given(st.text())
def test_no_text_makes_a_rule_fail_otherwise_than_by_refusing(text: str) -> None:
    for rule in (rules.title, rules.content, rules.namespace, rules.memory_id, rules.agent_id, rules.source, rules.tag):
        try:
            kept = rule(text)
        except AimemError as refused:
            refused.message.encode()
        else:
            assert rule(kept) == kept
            kept.encode()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("one line", "one line"),
        ("  much \n\n white\tspace  ", "much white space"),
        ("x" * 100, "x" * 80),
        ("word " * 16 + "and more", "word " * 15 + "word"),
        ("   ", ""),
    ],
)
def test_a_generated_title_is_one_line_of_at_most_80_characters(text: str, title: str) -> None:
    assert rules.generated_title(text) == title


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.integers() | st.booleans()))
def test_json_that_differs_only_in_the_order_of_keys_has_one_encoding(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert rules.canonical_json(value) == rules.canonical_json(backwards)
