"""Which node decides on an action: what follows from streams, names and how much is known."""

from __future__ import annotations

import pytest

from aimem.model import StreamId
from aimem.replication import Roll
from aimem.service.homes import ALONE, Home, Place, judge_home

OWN, EARLIER, THEIRS, GONE = (StreamId(digit * 32) for digit in "abcd")
FULL = Roll(names=frozenset({"b", "c"}), streams=frozenset({THEIRS}))
BEHIND = Roll(names=frozenset({"b", "c"}), streams=frozenset({THEIRS}), is_covered=False)
UNMET = Roll(names=frozenset({"b"}), streams=frozenset({THEIRS}), is_complete=False, is_covered=False)
NAMESAKE = Roll(names=frozenset({"a", "c"}), streams=frozenset({THEIRS}))


@pytest.mark.parametrize(("roll", "home", "name", "judged"), [
    # What this node queues itself it decides, whatever is known of others.
    (UNMET, OWN, "a", Home.HERE),
    (ALONE, OWN, "a", Home.HERE),
    # What it queued under an earlier stream waits until nobody can know of an outcome that it does not know.
    (FULL, EARLIER, "a", Home.HERE),
    (ALONE, EARLIER, "a", Home.HERE),
    (BEHIND, EARLIER, "a", Home.LATER),
    (UNMET, EARLIER, "a", Home.LATER),
    # A key that is lost leaves no word of what came before; the name does.
    (FULL, GONE, "a", Home.HERE),
    (BEHIND, GONE, "a", Home.LATER),
    # Two members with one name are not told apart by it, copies of one database not even by what came before.
    (NAMESAKE, GONE, "a", Home.ELSEWHERE),
    (NAMESAKE, EARLIER, "a", Home.ELSEWHERE),
    # Another member decides, under whatever stream.
    (FULL, THEIRS, "b", Home.ELSEWHERE),
    (NAMESAKE, THEIRS, "a", Home.ELSEWHERE),
    (FULL, GONE, "c", Home.ELSEWHERE),
    # None of them: only who has heard all their names can say so.
    (FULL, GONE, "d", Home.NOBODY),
    (ALONE, THEIRS, "b", Home.NOBODY),
    (UNMET, GONE, "d", Home.ELSEWHERE),
    (FULL, GONE, None, Home.NOBODY),
])
def test_whose_an_action_is(roll: Roll, home: StreamId, name: str | None, judged: Home) -> None:
    assert judge_home(Place(name="a", line=(OWN, EARLIER), roll=roll), home, name) is judged
