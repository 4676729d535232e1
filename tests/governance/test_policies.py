"""Policies as text, and which of them holds."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.errors import InvalidRequest
from aimem.governance import PARENTS_MAX, chain, dump_policy, lineage, parse_policy
from aimem.model import AgentId, Approver, GovernancePolicy, Level, Namespace

PATHS = st.lists(st.sampled_from(["a", "b", "a-b", "é"]), min_size=1, max_size=8).map("/".join)
POLICIES = st.builds(
    GovernancePolicy,
    write=st.sampled_from(Level), promote=st.sampled_from(Level), delete=st.sampled_from(Level),
    policy=st.sampled_from(Level),
    approver=st.one_of(
        st.just("human"), st.builds(Approver, agent=st.sampled_from(["alice", "ai:x"]).map(AgentId)),
        st.builds(Approver, consensus=st.integers(1, 100)),
    ),
)

MALFORMED = {
    "nothing": ("", "governance"),
    "no JSON": ("{", "governance"),
    "a list": ("[]", "governance"),
    "no UTF-8": (b'{"write": "\xff"}', "governance"),
    "half a pair": (b'{"write": "\\ud800"}', "governance"),
    "deep": ('{"approver": ' + '{"a":' * 5_000 + "1" + "}" * 5_001, "governance"),
    "NaN": ('{"write": NaN}', "governance"),
    "no write": ('{"promote": "any"}', "governance.write"),
    "another field": ('{"write": "any", "read": "any"}', "governance.read"),
    "no text": ('{"write": 1}', "governance.write"),
    "null": ('{"write": "any", "delete": null}', "governance.delete"),
    "no level": ('{"write": "everyone"}', "governance.write"),
    "another case": ('{"write": "ANY"}', "governance.write"),
    "no approver": ('{"write": "any", "approver": "boss"}', "governance.approver"),
    "two approvers": ('{"write": "any", "approver": {"agent": "a", "consensus": 2}}', "governance.approver"),
    "an empty approver": ('{"write": "any", "approver": {}}', "governance.approver"),
    "consensus of none": ('{"write": "any", "approver": {"consensus": 0}}', "governance.approver.consensus"),
    "consensus of many": ('{"write": "any", "approver": {"consensus": 101}}', "governance.approver.consensus"),
    "half a vote": ('{"write": "any", "approver": {"consensus": 1.5}}', "governance.approver"),
    "no agent": ('{"write": "any", "approver": {"agent": ""}}', "governance.approver.agent"),
    "a zero byte": ('{"write": "any", "approver": {"agent": "a\\u0000"}}', "governance.approver.agent"),
}


@pytest.mark.parametrize(("text", "field"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_policy_names_its_field(text: str | bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_policy(text)
    assert str(caught.value.field).startswith(field), caught.value


def test_only_write_is_required() -> None:
    assert parse_policy('{"write": "any"}') == GovernancePolicy(
        write=Level.ANY, promote=Level.ANY, delete=Level.OWNER, policy=Level.OWNER, approver="human"
    )


@settings(max_examples=30)
@given(policy=POLICIES)
def test_a_policy_is_read_back_as_it_was_written(policy: GovernancePolicy) -> None:
    assert parse_policy(dump_policy(policy)) == policy
    assert dump_policy(parse_policy(dump_policy(policy))) == dump_policy(policy)


def test_the_text_of_a_policy_is_canonical() -> None:
    assert msgspec.json.decode(dump_policy(parse_policy('{"approver": "human", "write": "any"}'))) == {
        "write": "any", "promote": "any", "delete": "owner", "policy": "owner", "approver": "human",
    }


@settings(max_examples=50)
@given(path=PATHS, ruled=st.sets(PATHS | st.just("*"), max_size=6))
def test_the_nearest_policy_is_that_of_the_longest_path(path: str, ruled: set[str]) -> None:
    found = next((name for name in chain(path) if name in ruled), None)
    above = [name for name in ruled if name == path or path.startswith(name + "/")]
    assert found == (max(above, key=len) if above else "*" if "*" in ruled else None)


@settings(max_examples=30)
@given(path=PATHS)
def test_a_chain_goes_from_the_namespace_upwards_and_ends_everywhere(path: str) -> None:
    names = chain(path)
    assert names[0] == path and names[-1] == "*" and len(names) == path.count("/") + 2 == len(set(names))


def test_above_all_others_there_is_nothing() -> None:
    assert chain("*") == (Namespace("*"),)


PARENTS = st.dictionaries(PATHS, PATHS | st.just("*"), max_size=30)


@settings(max_examples=100)
@given(parents=PARENTS, start=PATHS | st.just("*"))
def test_every_lineage_ends_and_names_each_once(parents: dict[str, str], start: str) -> None:
    found = lineage(Namespace(start), lambda name: Namespace(parents[name]) if name in parents else None)
    ancestors = [name for name in reversed(chain(start)) if name != "*"]
    assert found[0] == "*" and found[len(found) - len(ancestors):] == tuple(ancestors)
    assert len(found) == len(set(found)) <= 1 + PARENTS_MAX + len(ancestors)
