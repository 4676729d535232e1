"""An action that waits for its approval, in a node of a test."""

from __future__ import annotations

from typing import Final

import pytest

from aimem import service
from aimem.errors import ApprovalRequired
from aimem.model import Principal, derived_memory_id
from aimem.service import Node, Once
from aimem.wire import CreateMemory
from tests.nodes import principal
from tests.service.test_writing import govern

ASKED: Final = "asked"
"""A namespace in which everything has to be approved by a person."""
BOB: Final = principal("bob")
KEY: Final = "seed-pending"
PENDING: Final = str(derived_memory_id(BOB.idempotency_scope, f"pending:{KEY}", 0))
EVERYTHING: Final = '{"write": "approve", "promote": "approve", "delete": "approve", "policy": "any"}'


async def queue_pending(node: Node, title: str = "Asked for", who: Principal = BOB, key: str = KEY) -> str:
    """Have somebody ask for a memory in `ASKED`; the action's id, which is `PENDING` for the defaults."""
    await govern(node, ASKED, EVERYTHING)
    request = CreateMemory(title=title, content="A text that has to be approved.", namespace=ASKED)
    with pytest.raises(ApprovalRequired) as waiting:
        await service.remember(node, who, request, Once(key, bytes(32)))
    return str(waiting.value.details["pending_id"])
