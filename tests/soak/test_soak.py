"""What came of a soak is judged as a whole."""

from __future__ import annotations

from msgspec.structs import replace

from tests.cycles.book import Book
from tests.mesh.certified import NAMES
from tests.soak.figures import soaked_of
from tests.soak.made import flat, more_sockets, more_tasks
from tests.soak.samples import Sample
from tests.soak.soak import Plan, Report, judged
from tests.soak.verdict import REST_S

PLAN = Plan(minutes=60.0)


def looks(samples: list[Sample]) -> list[Sample]:
    """The same of every node."""
    return [replace(one, node=name) for one in samples for name in NAMES]


def report_of(
    samples: list[Sample], after: list[Sample], plan: Plan = PLAN, violations: tuple[str, ...] = ()
) -> Report:
    book = Book(acked=14_000, refusals=3, unknown=2)
    return judged(plan, 3_600.0, book, {"read": 9, "err": 1}, (looks(still()), samples, after), violations)


def still() -> list[Sample]:
    """A node at rest."""
    return [replace(flat(1)[0], at_s=float(number)) for number in range(5)]


def test_a_soak_in_which_nothing_grew_and_nothing_is_kept_is_flat() -> None:
    report = report_of(looks(flat()), looks(still()))
    assert report.is_flat
    figures = soaked_of(report)
    assert (figures.minutes, figures.acked, figures.refused, figures.unknown, figures.visits) == (60, 14_000, 3, 2, 10)
    assert [node.name for node in figures.nodes] == [*NAMES]
    assert "No node's memory, handles, threads, tasks or queues grew" in figures.sentences()[-1]


def test_one_node_of_four_that_grows_is_named() -> None:
    samples = [
        more_tasks(one, one.at_s / 100) if one.node == "node-c" else one for one in looks(flat())
    ]
    report = report_of(samples, looks(still()))
    [found] = report.grown
    assert found.startswith("node-c: tasks grew from ")
    assert not report.is_flat
    assert found in soaked_of(report).sentences()[-1]


def test_one_node_of_four_that_keeps_connections_is_named() -> None:
    after = [more_sockets(one, 4) if one.node == "node-b" else one for one in looks(still())]
    report = report_of(looks(flat()), after)
    [found] = report.grown
    assert found.startswith("node-b: handles at rest were ")
    assert not report.is_flat


def test_what_is_too_short_to_tell_is_not_flat() -> None:
    short = report_of(looks(flat(5)), looks(still()))
    assert (short.undecided, short.grown) == ("5 samples are too few: 24 are the least", ())
    restless = report_of(looks(flat()), looks(still()), replace(PLAN, rest_s=REST_S / 2))
    assert restless.undecided == "a rest of 45 s is too short: 90 s are the least"
    assert not short.is_flat
    assert not restless.is_flat


def test_a_broken_promise_is_told_however_flat_all_is() -> None:
    report = report_of(looks(flat()), looks(still()), violations=("m1 is lost",))
    assert not report.is_flat
    assert "m1 is lost" in soaked_of(report).sentences()[-1]
