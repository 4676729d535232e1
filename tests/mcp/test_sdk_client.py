"""The server as the SDK's own client sees it."""

from __future__ import annotations

import json

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from aimem.errors import NotFound
from aimem.mcp import TOOLS
from aimem.mcp.protocol import make_server


@pytest.fixture
def server(client):
    return make_server(client, lambda name: f"ai:{name}")


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdks_client_lists_and_calls_every_tool(server, client, mode):
    arguments = {
        "title": "T", "content": "C", "context": "x", "query": "x", "id": "7f3a", "source_id": "a", "target_id": "b",
        "agent_id": "me", "agent_type": "human", "target_agent_id": "bob", "payload": "P",
        "relation": "supersedes", "canonical_name": "Acme", "namespace": "crm", "alias": "A",
        "ids": ["a", "b"], "id_a": "a", "id_b": "b", "url": "https://example.org/hook",
    }
    async with Client(server, mode=mode) as peer:
        listed = (await peer.list_tools()).tools
        for tool in listed:
            given = {name: arguments[name] for name in tool.input_schema["required"]}
            given |= {"title": "T"} if tool.name == "memory_update" else {}
            called = await peer.call_tool(tool.name, given)
            assert not called.is_error
            assert called.content[0].text
    assert [tool.name for tool in listed] == list(TOOLS)
    assert len(client.calls) == len(TOOLS)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdks_client_sees_refusals_errors_and_prompts(server, client, mode):
    client.answers["get"] = NotFound("no memory 7f3a")
    async with Client(server, mode=mode) as peer:
        refused = await peer.call_tool("memory_get", {"id": "7f3a"})
        with pytest.raises(MCPError) as unknown:
            await peer.call_tool("memory_nope", {})
        prompts = (await peer.list_prompts()).prompts
        prompt = await peer.get_prompt("recall-first", {"namespace": "a"})
    assert refused.is_error
    assert json.loads(refused.content[0].text) == {"error": "no memory 7f3a", "code": "not_found"}
    assert unknown.value.error.code == -32601
    assert len(prompts) == 2
    assert "'a'" in prompt.messages[0].content.text
