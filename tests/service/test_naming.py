"""The stream of a node names the certificates that the node shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem.model import Instant
from aimem.service import Node, OwnCertificate, Which, run_naming
from aimem.store import STREAM, Store
from aimem.store.kinds import load_object
from tests.nodes import InlineThreads, open_node

pytestmark = pytest.mark.usefixtures("autojump_clock")

SERVER = OwnCertificate(which=Which.SERVER, fingerprint="11" * 32, subject="a", names=("a",), not_after=Instant(1))
CLIENT = replace(SERVER, which=Which.CLIENT, fingerprint="22" * 32)
AUTHORITY = replace(SERVER, which=Which.PEERS_CA, fingerprint="33" * 32)


async def named(store: Store) -> object:
    """What the stream that a node writes names."""
    state = await store.read(load_object, STREAM, store.stream)
    return state.fields["certificate"].value


async def test_the_stream_names_what_is_shown_at_the_start_after_a_change_and_in_each_new_stream(
    tmp_path: Path,
) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node, trio.open_nursery() as nursery:
        node.papers.renew((SERVER, CLIENT, AUTHORITY))
        await nursery.start(run_naming, node)
        await trio.sleep(1)
        assert await named(node.store) == f"{SERVER.fingerprint} {CLIENT.fingerprint}"
        node.papers.renew((CLIENT, AUTHORITY))
        await trio.sleep(1)
        assert await named(node.store) == CLIENT.fingerprint
        await node.store.renew()
        await trio.sleep(1)
        assert await named(node.store) == CLIENT.fingerprint
        await nothing_more_is_written(node)
        nursery.cancel_scope.cancel()


async def nothing_more_is_written(node: Node) -> None:
    before = dict(node.store.log.vector)
    node.papers.renew((CLIENT,))
    await trio.sleep(60)
    assert dict(node.store.log.vector) == before
