"""A node in one folder, on one thread, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aimem.service import Node
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def node(anyio_backend: object, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Node]:
    """By keyword, without a model."""
    async with open_node(tmp_path / "node.db", clock=clock, chance=seeded_chance(1), threads=InlineThreads()) as opened:
        yield opened
