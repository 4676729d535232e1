"""What the program keeps for itself is found by who names its namespace, and by nobody else."""

from __future__ import annotations

from pathlib import Path

from aimem import service
from aimem.service import Node
from aimem.wire import CurateRequest, ListQuery, RecallRequest, SearchQuery, SessionRequest
from tests.nodes import InlineThreads, open_node
from tests.service.steps import ALICE, put

REPORTS = "_curator/reports"


async def report_of(node: Node) -> str:
    await put(node, "mine", "what the cycle_ts of a curator is")
    await service.curate(node, CurateRequest())
    page = await service.list_memories(node, ALICE, ListQuery(namespace=REPORTS))
    return page.memories[0].id


async def test_a_curators_report_is_in_no_answer_to_who_names_no_namespace(tmp_path: Path) -> None:
    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:
        report = await report_of(node)
        recalled = await service.recall(node, ALICE, RecallRequest(context="curator cycle_ts", touch=False))
        found = await service.search(node, ALICE, SearchQuery(q="cycle_ts"))
        begun = await service.start_session(node, ALICE, SessionRequest())
        for answer in (recalled.memories, found.results, begun.memories):
            assert [memory.namespace for memory in answer] == ["global"]
            assert report not in {memory.id for memory in answer}


async def test_who_names_its_namespace_finds_a_report(tmp_path: Path) -> None:
    async with open_node(tmp_path / "x.db", threads=InlineThreads()) as node:
        report = await report_of(node)
        request = RecallRequest(context="cycle_ts", namespace=REPORTS, touch=False)
        recalled = await service.recall(node, ALICE, request)
        found = await service.search(node, ALICE, SearchQuery(q="cycle_ts", namespace=REPORTS))
        assert [memory.id for memory in recalled.memories] == [memory.id for memory in found.results] == [report]
