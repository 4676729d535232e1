"""A member that lies says what no honest one would, and nothing that only another's key could say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aimem.wire import ExchangeAnswer
from tests.sim.liar import PUSH, Telling
from tests.sim.swarm import Fault, Lie, Swarm, roll, with_liar
from tests.sim.world import World, simulate

FINE = msgspec.structs.replace(
    roll(1, nodes=3), loss=0.0, duplicates=0.0, breaks=0.0, lies=0.0, leaves_late=0.0, delay_s=0.005, secured=False,
    faults=(),
)


def lying(*lies: Lie, swarm: Swarm = FINE) -> Swarm:
    return msgspec.structs.replace(with_liar(swarm), member_lies=lies)


def test_the_honest_nodes_suffice_for_every_write() -> None:
    for seed in range(50):
        swarm = with_liar(roll(seed))
        assert 2 <= swarm.quorum <= len(swarm.honest) == swarm.nodes - 1
        assert swarm.sure_count == swarm.quorum - 1
        assert swarm.member_lies


def test_without_a_liar_a_seed_means_what_it_meant() -> None:
    assert roll(7).member_lies == ()
    assert roll(7).honest == roll(7).names
    assert roll(7).sure_count == roll(7).quorum


@pytest.mark.slow
@pytest.mark.parametrize("lie", sorted(set(Lie) - {Lie.USURP, Lie.SNAPSHOT}))
def test_a_lie_is_told_in_the_form_of_an_honest_message(lie: Lie) -> None:
    told: list[Lie] = []

    def prepare(world: World) -> None:
        liar = world.network.liar
        assert liar is not None
        lie_of = liar._lie

        def listen(*said: Any, **how: Any) -> Telling | None:
            telling = lie_of(*said, **how)
            if telling is not None and telling.is_answer and telling.verbatim is None and said[1].path == PUSH:
                msgspec.convert(telling.told, ExchangeAnswer)
                told.append(lie)
            return telling

        liar._lie = listen  # type: ignore[method-assign]

    simulate(lying(lie), 5.0, prepare=prepare)
    assert told


@pytest.mark.slow
def test_honest_nodes_keep_their_promises_beside_a_member_that_wastes_their_time() -> None:
    swarm = msgspec.structs.replace(lying(Lie.TRIMMED), faults=(Fault.KILL, Fault.PARTITION))
    report = simulate(swarm, 10.0)
    assert not report.violations
    assert report.acked
