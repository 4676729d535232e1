from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import InvalidRequest
from aimem.mcp import anonymous_agent, default_agent
from aimem.mcp.identity import is_generated
from aimem.model import rules


@pytest.mark.parametrize(
    ("configured", "host", "client", "expected"),
    [
        ("alice", "box", "claude-code", "alice"),
        ("", "box", "claude-code", "ai:claude-code@box:pid-42"),
        (None, "box", "claude-code", "ai:claude-code@box:pid-42"),
        (None, "my box!", " Claude  Code (beta) ", "ai:Claude-Code-beta@my-box:pid-42"),
        (None, "", "claude", "ai:claude@unknown:pid-42"),
        (None, "box", None, "host:box:pid-42-0a1b2c3d"),
        (None, "box", "日本", "host:box:pid-42-0a1b2c3d"),
        (None, "", None, "anonymous:pid-42-0a1b2c3d"),
    ],
)
def test_the_default_identity_is_the_configured_else_the_clients_else_the_hosts(configured, host, client, expected):
    assert default_agent(configured, host=host, pid=42, suffix="0a1b2c3d")(client) == expected


@pytest.mark.parametrize(
    ("agent_id", "expected"),
    [
        ("ai:claude-code@box:pid-42", True), ("ai:Claude-Code-beta@my-box:pid-42", True),
        ("host:box:pid-42-0a1b2c3d", True), ("anonymous:pid-42-0a1b2c3d", True), ("alice", False),
        ("ai:planner", False), ("ai:planner@box", False), ("host:box", False), ("anonymous:req-0a1b2c3d", True),
        ("anonymous", False), ("ai:x@y:pid-1/z", False), ("ai:x@y:mcp", True), ("ai:x@y:mcp-AbC123", True),
    ],
)
def test_an_identity_made_of_a_process_is_told_from_a_chosen_one(agent_id, expected):
    assert is_generated(agent_id) is expected


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 2**22))
def test_every_identity_that_is_made_is_known_as_such(client, host, pid):
    assert is_generated(default_agent(None, host=host, pid=pid, suffix="0a1b2c3d")(client))
    assert is_generated(anonymous_agent(None, pid=pid, suffix="0a1b2c3d")(client))


def test_an_anonymized_process_tells_neither_host_nor_client():
    assert anonymous_agent(None, pid=42, suffix="0a1b2c3d")("claude-code") == "anonymous:pid-42-0a1b2c3d"
    assert anonymous_agent("alice", pid=42, suffix="0a1b2c3d")("claude-code") == "alice"


def test_a_configured_identity_that_is_not_well_formed_is_refused_at_once():
    with pytest.raises(InvalidRequest, match="agent_id"):
        default_agent("two words", host="box", pid=1, suffix="00000000")
    with pytest.raises(InvalidRequest, match="agent_id"):
        anonymous_agent("two words", pid=1, suffix="00000000")


@given(st.text(), st.none() | st.text(), st.integers(1, 2**22))
def test_whatever_host_and_client_are_called_the_identity_is_well_formed(host, client, pid):
    name = default_agent(None, host=host, pid=pid, suffix="0a1b2c3d")
    rules.agent_id(name(client))
