"""SIGHUP and the members of the mesh: what is read anew, what is used, and what a fault leaves as it was."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from aimem import service
from aimem.config import Config, load_config
from aimem.errors import Code, Denied, InvalidRequest
from aimem.model import Credential, PresentedCertificate, Role
from aimem.ports import system_clock, system_files
from aimem.replication import Mesh, PeerRoad
from aimem.service import Node, mesh_status
from aimem.supervisor.meshing import mesh_settings
from aimem.supervisor.outside import Extent
from aimem.supervisor.reloading import Reloader
from aimem.supervisor.wallet import Wallet
from aimem.wire import MeshQuery
from tests.meshes import OPERATOR
from tests.nodes import InlineThreads, open_node, principal

SERVES = Extent(embeds=False, curates=False, exchanges=True)


class Silent(httpx.AsyncBaseTransport):
    """Nobody is asked here."""


class Told:
    """A folder with a configuration file, and the flags and variables of a start."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "config.toml"
        self.flags: dict[str, object] = {"config": str(self.file), "db": str(folder / "m.db")}
        self.environ: Mapping[str, str] = {}
        self.write("")

    def write(self, mesh: str, above: str = "") -> None:
        self.file.write_text(f"{above}\n[mesh]\n{mesh}\n")

    def read(self) -> Config:
        return load_config(self.flags, self.environ, cwd=self.folder, home=self.folder, etc=self.folder)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


@asynccontextmanager
async def running(told: Told) -> AsyncIterator[tuple[Node, Mesh, Reloader]]:
    """A node that was started with this."""
    config = told.read()
    async with open_node(told.folder / "m.db") as node:
        mesh = Mesh(
            mesh_settings(config.mesh, SERVES), node.store, clock=node.clock, rng=random.Random(1),
            road=PeerRoad(Silent(), node.trust),
        )
        wallet = Wallet(config.tls, clock=system_clock(), files=system_files(), threads=InlineThreads())
        wallet.papers = node.papers
        reloader = Reloader(config, wallet, mesh=mesh, extent=SERVES, threads=InlineThreads(), reread=told.read)
        object.__setattr__(node, "mesh", mesh)
        object.__setattr__(node, "membership", reloader.membership)
        yield node, mesh, reloader


def urls(mesh: Mesh) -> list[str]:
    return [peer.url for peer in mesh.peers]


async def test_peers_w_and_times_are_read_anew(told: Told) -> None:
    told.write('quorum_peers = "http://a:1,http://b:1"\nquorum_writes = 2')
    async with running(told) as (node, mesh, _):
        kept = mesh.peers[1]
        told.write('quorum_peers = "http://b:1,http://c:1,http://d:1"\nquorum_writes = 3\nquorum_timeout_ms = 500')
        answer = await service.reload(node, OPERATOR)
        assert urls(mesh) == ["http://b:1", "http://c:1", "http://d:1"]
        assert mesh.peers[0] is kept
        assert (mesh.rule.members, mesh.rule.writes, mesh.settings.timeout_s, kept.rules.patience_s) == (4, 3, 0.5, 0.5)
        assert (answer.peers, answer.members, answer.writes) == (tuple(urls(mesh)), 4, 3)
        assert (answer.added, answer.removed) == (("http://c:1", "http://d:1"), ("http://a:1",))
        assert (answer.told.peers, answer.told.file, answer.told.listed) == ("file", str(told.file), None)
        assert answer.told.peers_by == f"{told.file}, line 3"


async def test_a_node_alone_gets_its_first_peers_and_loses_its_last(told: Told) -> None:
    async with running(told) as (node, mesh, reloader):
        told.write('quorum_peers = "http://a:1"\nquorum_writes = 2')
        await reloader.reload()
        assert (urls(mesh), mesh.rule.writes) == (["http://a:1"], 2)
        told.write("quorum_writes = 2")
        answer = await service.reload(node, OPERATOR)
        assert (urls(mesh), mesh.rule.writes, mesh.is_alone) == ([], 1, True)
        assert answer.notices == ("quorum_writes has no effect: no peers are named (quorum_peers)",)


@pytest.mark.parametrize(("mesh_text", "above", "reason"), [
    ('quorum_peers = "http://b:1,http://B:1/"', "", "names http://B:1 twice"),
    ('quorum_peers = "http://b:1"\nquorum_writes = 3', "", "is 3, and there are 2 nodes"),
    ('quorum_peers = "http://127.0.0.1:9077"', "", "names this node itself"),
    ('quorum_peers = "http://b:1', "", "is not TOML"), ("peers = 1", "", "is an unknown key"),
    ('quorum_peers = "@gone"', "", "cannot be read"), ('quorum_peers = "http://b:1"', "port = 70000", "0 to 65535"),
])
async def test_what_is_wrong_changes_nothing_and_is_told_until_a_later_reading_is_sound(
    told: Told, mesh_text: str, above: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    told.write('quorum_peers = "http://a:1"\nquorum_writes = 2')
    async with running(told) as (node, mesh, reloader):
        before = mesh.settings, mesh.peers
        told.write(mesh_text, above)
        await reloader.reload()
        assert (mesh.settings, mesh.peers) == before
        assert reason in node.papers.failure
        assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["reload.failed"]
        assert any("changed nothing" in alarm and reason in alarm for alarm in (
            await mesh_status(node, OPERATOR, MeshQuery())).alarms)
        assert any("was not read anew" in warning for warning in (await service.health(node)).warnings)
        with pytest.raises(InvalidRequest) as caught:
            await service.reload(node, OPERATOR)
        assert caught.value.code is Code.CONFIG_INVALID and reason in caught.value.message
        told.write('quorum_peers = "http://c:1"')
        await reloader.reload()
        assert (urls(mesh), node.papers.failure, node.papers.failed, node.papers.reloaded) == (["http://c:1"], "", 2, 1)


@pytest.mark.parametrize("mesh_text", ['quorum_peers = "http://b:1"\nquorum_writes = 1'])
async def test_flags_and_variables_still_win_and_that_is_said(told: Told, mesh_text: str) -> None:
    told.flags["mesh.quorum_peers"] = "http://a:1,http://b:1"
    told.environ = {"AI_MEMORY_QUORUM_WRITES": "2"}
    async with running(told) as (node, mesh, _):
        told.write(mesh_text)
        answer = await service.reload(node, OPERATOR)
        assert (urls(mesh), mesh.rule.writes) == (["http://a:1", "http://b:1"], 2)
        assert (answer.told.peers, answer.told.peers_by) == ("flag", "--quorum-peers")
        assert (answer.told.writes, answer.told.writes_by) == ("variable", "AI_MEMORY_QUORUM_WRITES")
        assert answer.told.overruled == (
            f"{told.file}, line 3: mesh.quorum_peers does not hold, as --quorum-peers is given",
            f"{told.file}, line 4: mesh.quorum_writes does not hold, as AI_MEMORY_QUORUM_WRITES is given",
        )


async def test_a_list_that_a_flag_names_is_read_anew_and_may_become_empty(told: Told) -> None:
    told.flags["mesh.quorum_peers"] = "@peers"
    listed = told.folder / "peers"
    listed.write_text("# the others\nhttp://a:1/  # first\n\nhttp://b:1\n")
    async with running(told) as (node, mesh, _):
        assert urls(mesh) == ["http://a:1", "http://b:1"]
        listed.write_text("http://b:1")
        answer = await service.reload(node, OPERATOR)
        assert (urls(mesh), answer.told.listed, answer.told.peers) == (["http://b:1"], str(listed), "flag")
        listed.write_text("# nobody\n")
        assert (await service.reload(node, OPERATOR)).members == 1
        listed.write_text("b:1")
        with pytest.raises(InvalidRequest, match=r"peers, line 1 holds something that is no address"):
            await service.reload(node, OPERATOR)


async def test_what_else_was_changed_is_said_to_hold_from_the_next_start_on(told: Told) -> None:
    async with running(told) as (node, _, _):
        told.write('node_name = "other"\nembedding_grace_secs = 3', "port = 1234")
        assert (await service.reload(node, OPERATOR)).restart == ("api", "mesh.node_name", "mesh.embedding_grace_s")
        told.write("")
        assert (await service.reload(node, OPERATOR)).restart == ()


async def test_nothing_is_kept_of_an_address_that_is_no_peers_any_more(told: Told) -> None:
    told.write('quorum_peers = "https://a:1,https://b:1"')
    async with running(told) as (node, _, reloader):
        shown = PresentedCertificate(fingerprint="f" * 64, names=(), not_after=node.clock.now())
        node.papers.seen |= {"a:1": shown, "b:1": shown}
        told.write('quorum_peers = "https://b:1"')
        await reloader.reload()
        assert set(node.papers.seen) == {"b:1"}


async def test_only_an_operator_has_it_read_anew_and_only_where_it_was_written_down(told: Told) -> None:
    async with running(told) as (node, _, _):
        with pytest.raises(Denied):
            await service.reload(node, replace(principal("alice"), credential=Credential.AGENT_KEY, role=Role.AGENT))
        node.membership.reread = None
        with pytest.raises(InvalidRequest, match="ai-memory serve"):
            await service.reload(node, OPERATOR)


async def test_the_mesh_tells_where_its_members_are_named(told: Told) -> None:
    async with running(told) as (node, _, _):
        document = await mesh_status(node, OPERATOR, MeshQuery())
        assert document.told == node.membership.told
        assert node.membership.told.file == str(told.file)
