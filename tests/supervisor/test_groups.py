"""Of several errors at once the one that matters is told."""

from __future__ import annotations

import pytest
import trio

from aimem.errors import Corrupt, NotFound, Unavailable
from aimem.supervisor.groups import unwrapped


def test_corruption_comes_first_and_an_interrupt_before_the_rest() -> None:
    with pytest.raises(Corrupt), unwrapped():
        raise BaseExceptionGroup("", [NotFound("x"), KeyboardInterrupt(), ExceptionGroup("", [Corrupt("torn")])])
    with pytest.raises(KeyboardInterrupt), unwrapped():
        raise BaseExceptionGroup("", [NotFound("x"), KeyboardInterrupt()])
    with pytest.raises(NotFound), unwrapped():
        raise ExceptionGroup("", [NotFound("x"), Unavailable("y")])


async def test_cancellation_goes_through_and_a_lone_error_stays() -> None:
    with trio.move_on_after(0) as scope, unwrapped():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
    assert scope.cancelled_caught
    with pytest.raises(NotFound), unwrapped():
        raise NotFound("x")
