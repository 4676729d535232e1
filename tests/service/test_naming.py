"""The stream of a node names the certificates that the node shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.model import Instant
from aimem.service import Node, OwnCertificate, Which, run_naming
from aimem.store import STREAM, Store, renewal
from aimem.store.kinds import load_object
from aimem.wire import MeshQuery
from tests.meshes import OPERATOR, open_world
from tests.nodes import InlineThreads, open_node
from tests.service.test_mesh import settled

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


async def test_the_other_nodes_show_what_a_nodes_own_stream_names_and_no_more(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=2) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        many = tuple(f"{number}" * 64 for number in range(6))
        for said, shown in ((many[:2], many[:2]), ((), ()), (("nonsense", *many), many[:3])):
            await n1.store.write(renewal.name_certificates, said)
            await settled(world)
            [peer] = (await service.mesh_status(n0, OPERATOR, MeshQuery())).peers
            assert peer.named == shown


async def nothing_more_is_written(node: Node) -> None:
    before = dict(node.store.log.vector)
    node.papers.renew((CLIENT,))
    await trio.sleep(60)
    assert dict(node.store.log.vector) == before
