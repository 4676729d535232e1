"""A node's stream names the certificates that the node shows, so that everybody knows which are its."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from aimem.errors import Unavailable
from aimem.service.node import Node
from aimem.store import renewal

log = logging.getLogger(__name__)

RETRY_S: Final = 5.0


async def run_naming(node: Node, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Name them at the start, whenever others come into use, and in each new stream, until cancelled."""
    task_status.started()
    while True:
        stream, shown = node.store.stream, node.papers.fingerprints
        try:
            await _name(node, shown)
        except Unavailable as error:
            log.warning("certificates.not_named", extra={"reason": error.code.value})
            await trio.sleep(RETRY_S)
            continue
        if (stream, shown) == (node.store.stream, node.papers.fingerprints):
            await _wait_either(node.papers.wait_renewed, node.store.wait_renewed)


async def _name(node: Node, shown: tuple[str, ...]) -> None:
    """Raises: Unavailable, also while a new stream may have to be begun: an op of this one would be another history."""
    mesh = node.mesh
    if mesh is not None:
        await mesh.wait_met()
        if not mesh.is_ready:
            raise Unavailable("this node begins a new stream")
    await node.store.write(renewal.name_certificates, shown)


async def _wait_either(*waits: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(one: Callable[[], Awaitable[None]]) -> None:
            await one()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)
