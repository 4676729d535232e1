"""Who belongs to the mesh: names, keys, what operators say, and what somebody gets who is not who it says."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio
from msgspec.structs import replace

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import Shown
from aimem.replication import Standing
from aimem.service import Node
from aimem.store import digest
from aimem.store.pins import load as stored_pins
from aimem.wire import PROTOCOL, ExchangeRequest, MeshQuery, op_out, trusting
from tests.meshes import OPERATOR, World, open_world
from tests.nodes import InlineThreads, open_node
from tests.proofs import claim_of
from tests.service.steps import put, shown
from tests.service.test_mesh import digests, mesh_of, missing, settled
from tests.streams import Author

pytestmark = pytest.mark.usefixtures("autojump_clock")

LATER_S = 10.0
"""By then each has asked the other what it has, a few times."""


async def set_up_anew(world: World, name: str) -> Node:
    """Take a node's files, its key among them, and start it again."""
    settings = mesh_of(world.nodes[name]).settings
    await world.stop(name)
    for path in world.folder.glob(f"{name}.db*"):
        path.unlink()
    return await world.start(name, settings)


async def test_a_node_that_lost_its_key_counts_for_nothing_until_an_operator_says_who_it_is(tmp_path: Path) -> None:
    async with open_world(tmp_path, 3, writes=2, interval_s=1) as world:
        first = await put(world.nodes["n0"], "first", "text")
        await settled(world)
        n2 = await set_up_anew(world, "n2")
        await trio.sleep(10)
        n0, key = world.nodes["n0"], n2.store.identity.signer.public_key.hex()
        peer = mesh_of(n0).peers[1]
        assert (peer.state.standing, mesh_of(n0).is_reachable(peer)) == (Standing.UNTRUSTED, False)
        document = await service.mesh_status(n0, OPERATOR, MeshQuery())
        assert document.peers[1].state == "untrusted"
        assert [(one.node, one.key) for one in document.untrusted] == [("n2", key)]
        assert "mesh trust n2" in document.alarms[0]
        [alarm] = [one for one in (await service.health(n2)).warnings if "mesh trust" in one]
        assert all(one.url in alarm for one in mesh_of(n2).peers)
        assert "mesh trust n2" in " ".join((await service.health(n0)).warnings)
        assert (await missing(lambda: shown(n2, first.id))).code is Code.NOT_FOUND
        for name in ("n0", "n1"):
            request = trusting.TrustRequest(node="n2", key=key[:8])
            answer = await service.trust_node(world.nodes[name], OPERATOR, request)
            assert answer.key == key
        await settled(world)
        assert len(await digests(world)) == 1
        assert (await service.mesh_status(n0, OPERATOR, MeshQuery())).untrusted == ()
        await trio.sleep(10)
        assert not any("mesh trust" in one for one in (await service.health(n2)).warnings)
        assert (await put(n0, "after", "text")).quorum_acks >= 2
        assert peer.state.standing is Standing.PEER


async def test_what_is_remembered_of_others_outlives_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        await settled(world)
        settings = mesh_of(world.nodes["n0"]).settings
        await world.stop("n0")
        await set_up_anew(world, "n1")
        n0 = await world.start("n0", settings)
        await trio.sleep(10)
        assert mesh_of(n0).peers[0].state.standing is Standing.UNTRUSTED


async def test_a_node_goes_on_under_a_new_key_that_the_old_one_signed_also_for_who_was_away(tmp_path: Path) -> None:
    async with open_world(tmp_path, 2, writes=1, interval_s=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        await settled(world)
        world.isolate("n1")
        for _ in range(3):
            await n1.store.renew()
        world.heal()
        await put(n1, "t", "text")
        await trio.sleep(20)
        await settled(world)
        assert mesh_of(n0).peers[0].state.stream == n1.store.stream
        assert not n0.trust.waiting


async def test_two_nodes_of_one_name_refuse_each_other_and_say_why(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads(), name="host") as node:
        other = Author(5, "host")
        with pytest.raises(AimemError, match="another --node-name") as caught:
            await node.trust.admit(claim_of(other), Shown())
        assert caught.value.code is Code.NAME_OF_ANOTHER


async def test_whoever_comes_under_anothers_name_hands_over_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        real, false = Author(5, "bob"), Author(6, "bob")
        await node.trust.admit(claim_of(real), Shown())
        with pytest.raises(AimemError, match="known here by another key") as caught:
            await node.trust.admit(claim_of(false), Shown())
        assert caught.value.code is Code.NODE_UNTRUSTED
        assert node.trust.counts.refused == {"node_untrusted": 1}
        request = ExchangeRequest(
            protocol=PROTOCOL, node="bob", stream=real.stream, ops=tuple(map(op_out, real.ops))
        )
        error = await missing(lambda: service.exchange(node, OPERATOR, request, claim_of(false)))
        assert error.code is Code.PROOF_REQUIRED
        error = await missing(lambda: service.exchange(node, OPERATOR, request, None))
        assert error.code is Code.PROOF_REQUIRED


async def test_a_member_that_hands_on_what_another_says_is_not_taken_for_it(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        bobs, relays = "11" * 32, "22" * 32
        bob, relay = Author(5, "bob"), Author(6, "bob")
        node.trust.listed = lambda: frozenset({bobs, relays})
        said = replace(claim_of(bob), certificates=(bobs,))
        error = await missing(lambda: node.trust.admit(said, Shown(fingerprint=relays)))
        assert error.code is Code.CERTIFICATE_OF_ANOTHER
        assert node.trust.pin_of("bob") is None
        await node.trust.admit(said, Shown(fingerprint=bobs))
        await missing(lambda: node.trust.admit(said, Shown(fingerprint=relays)))
        own = replace(claim_of(relay), certificates=(relays,))
        error = await missing(lambda: node.trust.admit(own, Shown(fingerprint=relays)))
        assert error.code is Code.NODE_UNTRUSTED
        pin = node.trust.pin_of("bob")
        assert pin is not None
        assert pin.certificates == (bobs,)


async def test_a_node_that_showed_its_certificate_under_the_name_of_another_is_taken_again_on_an_operators_word(
    tmp_path: Path,
) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        bobs, cyds = "11" * 32, "22" * 32
        bob, cyd = Author(5, "bob"), Author(6, "cyd")
        bob_said = replace(claim_of(bob), certificates=(bobs, cyds))
        cyd_said = replace(claim_of(cyd), certificates=(cyds,))
        await node.trust.admit(bob_said, Shown(fingerprint=bobs))
        await node.trust.admit(bob_said, Shown(fingerprint=cyds))      # cyd's host runs on a copy of bob's files
        error = await missing(lambda: node.trust.admit(cyd_said, Shown(fingerprint=cyds)))
        assert error.code is Code.CERTIFICATE_OF_ANOTHER
        assert "mesh trust cyd" in error.message
        (alarm,) = service.trust.trust_alarms(node)
        assert "'bob' is known" in alarm
        assert "mesh trust cyd" in alarm
        answer = await service.trust_node(node, OPERATOR, trusting.TrustRequest(node="cyd"))
        assert (answer.known_key, answer.key) == ("", cyd.signer.public_key.hex())
        await node.trust.admit(cyd_said, Shown(fingerprint=cyds))
        await node.trust.admit(bob_said, Shown(fingerprint=bobs))
        assert not service.trust.trust_alarms(node)
        pins = {name: node.trust.pin_of(name) for name in ("bob", "cyd")}
        assert {name: pin.certificates for name, pin in pins.items() if pin} == {"bob": (bobs,), "cyd": (cyds,)}
        assert await node.store.read(stored_pins) == pins


async def test_a_member_that_shows_its_certificate_under_many_names_fills_nothing_and_displaces_nobody(
    tmp_path: Path,
) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        liars, bob, anew = "22" * 32, Author(5, "bob"), Author(6, "bob")
        liar = replace(claim_of(Author(7, "liar")), certificates=(liars,))
        await node.trust.admit(liar, Shown(fingerprint=liars))
        await node.trust.admit(claim_of(bob), Shown())
        await missing(lambda: node.trust.admit(claim_of(anew), Shown()))
        for name in ("bob", *(f"n{number}" for number in range(100))):
            said = replace(claim_of(Author(8, name)), certificates=(liars,))
            error = await missing(lambda said=said: node.trust.admit(said, Shown(fingerprint=liars)))
            assert error.code is Code.CERTIFICATE_OF_ANOTHER
        assert {name: one.holder for name, one in node.trust.waiting.items()} == {"bob": "", "n99": "liar"}
        assert node.trust.waiting["bob"].key == anew.signer.public_key.hex()
        pin = node.trust.pin_of("liar")
        assert pin is not None
        assert pin.certificates == (liars,)


async def test_an_operators_word_is_bounded_to_what_is_known(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a.db", threads=InlineThreads()) as node:
        ask = trusting.TrustRequest
        error = await missing(lambda: service.trust_node(node, OPERATOR, ask(node="bob")))
        assert error.code is Code.NOT_FOUND
        error = await missing(lambda: service.trust_node(node, OPERATOR, ask(node="bob", key="xyz")))
        assert (error.code, error.field) == (Code.INVALID_REQUEST, "key")
        real, false = Author(5, "bob"), Author(6, "bob")
        await node.trust.admit(claim_of(real), Shown())
        await missing(lambda: node.trust.admit(claim_of(false), Shown()))
        error = await missing(lambda: service.trust_node(node, OPERATOR, ask(node="bob", key="0" * 64)))
        assert error.code is Code.NOT_FOUND
        answer = await service.trust_node(node, OPERATOR, ask(node="bob"))
        assert answer.key == false.signer.public_key.hex()
        await node.trust.admit(claim_of(false), Shown())
        assert (await missing(lambda: node.trust.admit(claim_of(real), Shown()))).code is Code.NODE_UNTRUSTED
        node.trust.waiting.clear()
        assert (await service.trust_node(node, OPERATOR, ask(node="bob"))).key is None
        await node.trust.admit(claim_of(real), Shown())


async def test_a_request_that_somebody_repeats_on_its_way_does_nothing_twice_and_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[httpx.Request] = []
    serve = World.serve

    async def overheard(world: World, name: str, request: httpx.Request) -> httpx.Response:
        heard.extend([request] if name == "n0" else [])
        return await serve(world, name, request)

    async with open_world(tmp_path, 2, writes=2, interval_s=1) as world:
        n0, n1 = world.nodes["n0"], world.nodes["n1"]
        monkeypatch.setattr(World, "serve", overheard)
        for number in range(5):
            await put(n0 if number % 2 else n1, f"t{number}", "text")
        await settled(world)
        await trio.sleep(LATER_S)
        monkeypatch.undo()
        world.isolate("n1")
        with pytest.raises(AimemError) as failed:
            await put(n0, "alone", "text")
        version = str(failed.value.details["version"])
        log, acked = dict(n0.store.log.vector), dict(mesh_of(n0).peers[0].state.acked)
        rows = await n0.store.read(digest)
        assert heard
        for request in heard:
            assert (await world.serve("n0", request)).status_code == 200
        assert (dict(n0.store.log.vector), await n0.store.read(digest)) == (log, rows)
        assert mesh_of(n0).peers[0].state.acked == acked
        assert (await service.write_outcome(n0, version)).got == 1
        world.heal()
        await trio.sleep(LATER_S)
        assert (await service.write_outcome(n0, version)).got == 2
