"""Percentiles, budgets and regressions."""

from __future__ import annotations

import pytest

from aimem.operations.timing import percentile, regressions, result_of, timed_ms
from aimem.wire import BenchResult


@pytest.mark.parametrize(("values", "percent", "expected"), [
    ([7.0], 99, 7.0), ([1.0, 2.0], 50, 1.5), ([4.0, 1.0, 3.0, 2.0], 50, 2.5), ([1.0, 2.0, 3.0, 4.0, 5.0], 95, 4.8),
    ([1.0, 2.0], 100, 2.0), ([1.0, 2.0], 0, 1.0),
])
def test_a_percentile_lies_linearly_between_its_ranks(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == pytest.approx(expected)


@pytest.mark.parametrize(("measured", "target", "status"), [
    (109.9, 100.0, "pass"), (110.1, 100.0, "fail"), (9e9, None, "pass"),
])
def test_a_budget_fails_above_a_tenth_more_than_its_target(measured: float, target: float | None, status: str) -> None:
    assert result_of("x", "X", [measured], target_p95_ms=target).status == status


def result(operation: str, p95: float) -> BenchResult:
    return BenchResult(
        operation=operation, label=operation, target_p95_ms=None, measured_p50_ms=0, measured_p95_ms=p95,
        measured_p99_ms=p95, samples=1, status="pass",
    )


def test_only_what_both_have_is_compared_and_only_growth_beyond_the_threshold_regresses() -> None:
    before = [result("a", 10), result("b", 10), result("gone", 1), result("zero", 0)]
    now = [result("a", 11), result("b", 11.2), result("new", 5), result("zero", 5)]
    found = {each.operation: each for each in regressions(now, before, threshold_pct=10)}
    assert found.keys() == {"a", "b"}
    assert (found["a"].regressed, found["b"].regressed) == (False, True)
    assert found["b"].delta_pct == pytest.approx(12)


async def test_warm_up_is_called_and_not_counted() -> None:
    numbers: list[int] = []
    advanced: list[int] = []

    async def act(number: int) -> None:
        numbers.append(number)

    assert len(await timed_ms(act, 3, 2, advanced.append)) == 3
    assert (numbers, advanced) == ([0, 1, 2, 3, 4], [1, 1, 1])
