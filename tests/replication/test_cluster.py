"""To which mesh a node belongs: what it does about it, by what its peers say."""

from __future__ import annotations

import random

import pytest
import trio

from aimem.model import StreamId
from aimem.replication.cluster import LATELY_S, NAMES_MAX, Due, Strangers, Told, due
from aimem.store.cluster import Belonging

A, B, C = (StreamId(letter * 32) for letter in "abc")
NOTHING, LESS, MORE = Belonging(), Belonging(proposed="1" * 32), Belonging(proposed="2" * 32)


def told(**said: Belonging | None) -> list[Told]:
    return [Told(stream=StreamId(letter * 32), belonging=belonging) for letter, belonging in said.items()]


@pytest.mark.parametrize(("own", "peers", "wanted"), [
    (NOTHING, told(b=NOTHING, c=NOTHING), Due.PROPOSE),
    (NOTHING, told(b=NOTHING, c=None), Due.REST),
    (NOTHING, told(b=NOTHING, c=MORE), Due.REST),
    (NOTHING, [], Due.REST),
    (NOTHING, [Told(stream=None, belonging=NOTHING)], Due.REST),
    (NOTHING, told(b=Belonging(cluster="1" * 32)), Due.REST),
    (MORE, told(b=MORE, c=MORE), Due.SETTLE),
    (MORE, told(b=MORE, c=NOTHING), Due.REST),
    (MORE, told(b=MORE, c=LESS), Due.REST),
    (MORE, told(b=MORE, c=None), Due.REST),
    (Belonging(cluster="1" * 32), told(b=NOTHING), Due.REST),
])
def test_what_is_due_by_what_peers_said(own: Belonging, peers: list[Told], wanted: Due) -> None:
    assert due(own, A, peers) is wanted


def test_of_nodes_that_know_the_same_one_alone_proposes() -> None:
    assert due(NOTHING, B, told(a=NOTHING, c=NOTHING)) is Due.REST
    assert due(NOTHING, C, told(a=NOTHING, b=NOTHING)) is Due.REST


@pytest.mark.parametrize("seed", range(20))
def test_whatever_order_messages_come_in_there_is_one_id(seed: int) -> None:
    """Nodes that all propose at once, and hear each other's words late, twice and out of order."""
    rng = random.Random(seed)
    own = {stream: Belonging(proposed=f"{rng.getrandbits(128):032x}") for stream in (A, B, C)}
    heard: dict[StreamId, dict[StreamId, Belonging]] = {stream: {} for stream in own}
    said: list[tuple[StreamId, StreamId, Belonging]] = []
    for _ in range(400):
        speaker, listener = rng.sample(sorted(own), 2)
        said.append((speaker, listener, own[speaker]))
        speaker, listener, word = rng.choice(said)
        heard[listener][speaker] = word
        mine = own[listener]
        if not mine.cluster:
            if word.cluster:
                mine = Belonging(cluster=word.cluster)
            elif word.proposed < mine.proposed:
                mine = word
        known = [Told(stream=other, belonging=heard[listener].get(other)) for other in own if other != listener]
        if due(mine, listener, known) is Due.SETTLE:
            mine = Belonging(cluster=mine.proposed)
        own[listener] = mine
        assert len({one.cluster for one in own.values()} - {""}) <= 1
    assert "" not in {one.cluster for one in own.values()}


async def test_strangers_are_remembered_for_a_while_and_only_so_many(autojump_clock: trio.testing.MockClock) -> None:
    strangers = Strangers()
    for number in range(NAMES_MAX + 3):
        strangers.note(f"n{number}", "1" * 32)
    assert list(strangers.lately()) == [f"n{number}" for number in range(3, NAMES_MAX + 3)]
    await trio.sleep(LATELY_S + 1)
    strangers.note("late", "2" * 32)
    assert strangers.lately() == {"late": "2" * 32}
    assert strangers.count == NAMES_MAX + 4


async def test_a_node_that_got_its_own_database_back_is_no_stranger_any_more(
    autojump_clock: trio.testing.MockClock
) -> None:
    strangers = Strangers()
    for node in ("n1", "n2"):
        strangers.note(node, "1" * 32)
    strangers.note_home("n1", "")       # of the version before, which does not say
    assert set(strangers.lately()) == {"n1", "n2"}
    strangers.note_home("n1", "2" * 32)
    assert set(strangers.lately()) == {"n2"}
