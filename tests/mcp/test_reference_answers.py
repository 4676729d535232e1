"""Every tool answers the fields of v0.6.3: each is called in its case, on a real node in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from aimem.api import Transport, make_app
from aimem.client import Client
from aimem.config import ApiConfig
from aimem.mcp import TOOLS
from aimem.mcp.tools import Call
from tests.api.conftest import arriving_by
from tests.house.reference_fields import TOOLS as FIELDS
from tests.house.reference_fields import Fields, lost_from
from tests.languages import ScriptedModel
from tests.mcp.cases import CASES, World
from tests.nodes import FakeClock, WordEmbedder, open_node
from tests.pendings import queue_pending

PROCESS = "ai:tester@box:pid-7"


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The surface of a node that has both models."""
    async with (
        open_node(
            tmp_path / "memory.db", clock=FakeClock(), embedder=WordEmbedder(), language=ScriptedModel("lamp\nbeacon")
        ) as node,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(arriving_by(make_app(node, ApiConfig()), Transport.TCP_LOOPBACK)),
            base_url="http://localhost:9077",
        ) as client,
    ):
        await queue_pending(node)
        yield client


@pytest.mark.parametrize(("tool", "fields"), FIELDS.items())
async def test_a_tool_answers_the_fields_of_v063(tool: str, fields: Fields, http: httpx.AsyncClient) -> None:
    named, world = f"memory_{tool}", World(http, "case/one")
    # Something of every kind, so that no list is empty.
    await CASES["memory_archive_list"].arguments(world)
    linked = await CASES["memory_get_links"].arguments(world)
    arguments = linked if named == "memory_get" else await CASES[named].arguments(world)
    if "format" in TOOLS[named].schema["properties"]:
        arguments["format"] = "json"
    client = Client(http, new_key=lambda: "key")
    answer = json.loads(await TOOLS[named].run(Call(client=client, agent_id=PROCESS), arguments))
    assert not lost_from(answer, fields.answers), answer
