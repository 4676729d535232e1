"""When a person is told that a peer does not answer."""

from __future__ import annotations

import pytest

from aimem.replication.absence import TOLD_AFTER_S, Absence, failed


def told(*failures: tuple[float, str]) -> list[float]:
    """The times at which a person is told of such failures, of exchanges that begin a second before they fail."""
    absence, times = Absence(), []
    for now, reason in failures:
        absence, is_due = failed(absence, reason, now - 1, now)
        times += [now] if is_due else []
    return times


def test_an_absence_is_told_once_and_not_before_it_lasts() -> None:
    refused = "unreachable: connection refused"
    assert told(*((now, refused) for now in (1.0, 1.2, 3.0, 8.0, 8.9))) == []
    assert told(*((now, refused) for now in (1.0, 5.0, TOLD_AFTER_S, 15.0, 300.0))) == [TOLD_AFTER_S]
    assert failed(Absence(), "timeout", 5.0, 5.0 + TOLD_AFTER_S) == (Absence(since=5.0, told="timeout"), True)


@pytest.mark.parametrize("reason", [
    "forged: x", "nonsense: x", "untrusted: x", "another mesh: x", "another protocol: x",
])
def test_who_answers_and_is_not_the_peer_is_told_of_at_once_and_once(reason: str) -> None:
    assert told((1.0, reason), (2.0, reason), (60.0, "timeout"), (61.0, reason)) == [1.0]
    assert told((1.0, "timeout"), (20.0, "timeout"), (25.0, reason), (26.0, "forged: y")) == [20.0, 25.0]
