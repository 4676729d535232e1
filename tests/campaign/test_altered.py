"""Nodes that are handed altered messages: nothing but what was signed is taken, and the sound ones are taken after."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
import trio
from hypothesis import example, given
from msgspec.structs import replace

from aimem.errors import AimemError, Unavailable
from aimem.model import NodeClaim, Shown, chain_hash
from aimem.replication import closure, headproof
from aimem.service import Node, verify
from aimem.store import digest
from aimem.wire import PROTOCOL, ExchangeRequest, copies, encode, heads_out, op_out
from tests import meshes
from tests.campaign.altering import Alteration, alterations, altered, keep, kept
from tests.campaign.plan import Test, examples
from tests.campaign.world import JSON, Asked, World
from tests.meshes import OPERATOR, wait_settled
from tests.nodes import START
from tests.proofs import PUSH, claim_of
from tests.service.steps import put
from tests.service.test_joining import cut_logs
from tests.streams import Author

LIAR: Final = "n1"
ANSWERS_MAX: Final = 5
SETTLED_S: Final = 900.0
SEEDS = itertools.count(1_000)


def corpus(kind: str) -> Any:
    """Try the corpus first."""

    def add(test: Test) -> Test:
        for what in kept(kind):
            test = example(what)(test)
        return test

    return add


@contextmanager
def remembered(kind: str, what: Sequence[Alteration]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        error.add_note(keep(kind, what))
        raise


# -- whoever is asked


def exchange_of(author: Author) -> Any:
    """What a node says that hands all over that it wrote, and asks for as much."""
    request = ExchangeRequest(
        protocol=PROTOCOL, node=author.name, stream=author.stream, ops=tuple(map(op_out, author.ops)),
        vector=heads_out({author.stream: author.head}), wants=8, now=START, prove=(author.stream,),
    )
    return json.loads(encode(request))


def writer() -> Author:
    """A node that wrote something."""
    number = next(SEEDS)
    author = Author(number, f"w{number}")
    author.memory(f"m{number}", content="A text that is handed over.")
    author.memory(f"gone{number}")
    author.delete(f"gone{number}")
    return author


def pushed(message: Any) -> Asked:
    return Asked(method="POST", path=PUSH.encode(), headers=JSON, body=json.dumps(message).encode())


def is_of(author: Author, node: Node) -> bool:
    """Whether all that a node knows of a stream is what its writer signed."""
    head = node.store.log.heads.get(author.stream)
    if head is None:
        return True
    op = author.ops[head.seq - 1]
    return head.chain_hash == chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)


@examples(brief=12, full=250)
@corpus("exchange")
@given(alterations)
async def test_whoever_is_asked_takes_what_was_signed_and_the_sound_message_after(
    world: World, what: list[Alteration]
) -> None:
    author, node = writer(), world.node
    stream, closed = node.store.stream, set(node.store.log.closed)
    sound = exchange_of(author)
    await node.trust.admit(claim_of(author), Shown())
    with remembered("exchange", what):
        await world.try_it(pushed(altered(sound, what)), speaker=author)
        assert is_of(author, node)
        assert (node.store.stream, set(node.store.log.closed)) == (stream, closed)
        answer = await world.try_it(pushed(sound), speaker=author)
        assert answer.status == 200, answer
        assert node.store.log.heads[author.stream] == author.head


# -- whoever asks


class Altering(meshes.World):
    """Two nodes, of which one answers what it should, altered, so many times.

    In the corpus `<asker>` stands for the stream of the one, and `<asked>` for that of the other.

    Attributes:
      path: how the requests end whose answers are altered; none are at first.
      left: how many more.
    """

    def __init__(self, nursery: trio.Nursery, folder: Path, what: list[Alteration]) -> None:
        super().__init__(nursery, folder)
        self.path, self.left, self._what = "/none", ANSWERS_MAX, what

    async def _answer(self, node: Node, name: str, request: httpx.Request, data: bytes, claim: NodeClaim) -> object:
        answer = await super()._answer(node, name, request, data, claim)
        if name != LIAR or self.left == 0 or not request.url.path.endswith(self.path):
            return answer
        self.left -= 1
        text = json.dumps(altered(json.loads(encode(answer)), self._what))
        text = text.replace("<asker>", claim.stream).replace("<asked>", node.store.stream)
        return msgspec.Raw(text.encode())


@asynccontextmanager
async def altering(folder: Path, what: list[Alteration]) -> AsyncIterator[Altering]:
    """Two nodes that have told each other what they wrote; whoever lies does not yet."""
    async with trio.open_nursery() as nursery:
        world = Altering(nursery, folder, what)
        for name, other in (("n0", LIAR), (LIAR, "n0")):
            await world.start(name, meshes.MeshSettings(peers=(f"http://{other}",), writes=1, interval_s=1))
        await put(world.nodes["n0"], "mine", "A text of the node that asks.")
        await put(world.nodes[LIAR], "theirs", "A text of the one that is asked.")
        await wait_settled(world)
        yield world
        nursery.cancel_scope.cancel()


async def digests_of(world: Altering) -> set[str]:
    return {await node.store.read(digest) for node in world.nodes.values()}


async def check_unharmed(world: Altering, streams: Sequence[str]) -> None:
    """Both get to know the same, in the streams that they wrote before."""
    with trio.fail_after(SETTLED_S):
        while True:
            await trio.sleep(5.0)
            if world.left < ANSWERS_MAX and len(await digests_of(world)) == 1:
                break
    await wait_settled(world)
    assert [node.store.stream for node in world.nodes.values()] == streams
    assert not any(node.store.log.closed for node in world.nodes.values())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "SNAPSHOT_OBJECTS", 4)


async def hear_altered(folder: Path, what: list[Alteration]) -> None:
    """Both write while answers to one of them are altered, and have the same in the end."""
    async with altering(folder, what) as world:
        streams = [node.store.stream for node in world.nodes.values()]
        world.path = "/push"
        for number in range(3):
            await put(world.nodes[LIAR], f"later {number}", "A text that comes in an altered answer.")
            with suppress(Unavailable):     # the only peer there is may say that our clock is wrong
                await put(world.nodes["n0"], f"mine {number}", "A text that is handed over meanwhile.")
            await trio.sleep(2.0)
        await check_unharmed(world, streams)


@examples(brief=3, full=60)
@corpus("answer")
@given(alterations)
async def test_whoever_asks_takes_what_was_signed_and_goes_on_once_answers_are_sound(
    autojump_clock: object, tmp_path_factory: pytest.TempPathFactory, what: list[Alteration]
) -> None:
    with remembered("answer", what):
        await hear_altered(tmp_path_factory.mktemp("mesh"), what)


async def test_an_answer_that_is_believed_unproven_is_found(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (closure, headproof):
        monkeypatch.setattr(module, "is_proven", lambda *_: True)
    monkeypatch.setattr(closure, "counted", lambda store, said, shown: dict(said))
    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True):
        await hear_altered(tmp_path, kept("answer")[1])


@pytest.mark.usefixtures("small_chunks")
@examples(brief=3, full=60)
@corpus("snapshot")
@given(alterations)
async def test_whoever_joins_a_snapshot_has_the_same_in_the_end(
    autojump_clock: object, tmp_path_factory: pytest.TempPathFactory, what: list[Alteration]
) -> None:
    with remembered("snapshot", what):
        async with altering(tmp_path_factory.mktemp("mesh"), what) as world:
            streams = [node.store.stream for node in world.nodes.values()]
            world.isolate("n0")
            for number in range(12):
                await put(world.nodes[LIAR], f"later {number}", "A text that is in the snapshot.")
            await trio.sleep(3.0)
            await cut_logs(world)
            world.path = "/snapshot"
            world.heal()
            await check_unharmed(world, streams)


@examples(brief=3, full=60)
@corpus("digests")
@given(alterations)
async def test_whoever_compares_changes_nothing(
    autojump_clock: object, tmp_path_factory: pytest.TempPathFactory, what: list[Alteration]
) -> None:
    with remembered("digests", what):
        async with altering(tmp_path_factory.mktemp("mesh"), what) as world:
            [before] = await digests_of(world)
            world.path = "/digests"
            with suppress(AimemError):
                await verify(world.nodes["n0"], OPERATOR, copies.VerifyRequest(peer=f"http://{LIAR}"))
            assert world.left < ANSWERS_MAX
            assert await digests_of(world) == {before}


def test_an_alteration_is_the_same_each_time_and_what_did_harm_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = {"a": [1, "text"], "b": {"c": True}}
    what = [Alteration(1, "change", 1), Alteration(3, "drop"), Alteration(0, "double"), Alteration(1, "name", 3)]
    assert altered(sound, what) == altered(sound, what) != sound
    assert altered({}, what) == {}
    monkeypatch.setattr("tests.campaign.altering.CORPUS", tmp_path)
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "exchange.jsonl").touch()
    with pytest.raises(AssertionError), remembered("exchange", what):
        raise AssertionError
    assert kept("exchange") == [what]
    monkeypatch.setenv("CI", "true")
    assert "put this line" in keep("exchange", [replace(what[0], value=float("nan"))])
    assert kept("exchange") == [what]
