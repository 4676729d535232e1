"""Which times a question names, by table; and how nearness fades."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import DAY_S, SECOND_US, Instant
from aimem.search import Period, moments_in, nearness

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)        # a Wednesday
DAY_US = DAY_S * SECOND_US


def instant(moment: datetime) -> Instant:
    return Instant((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))


def days(first: str, after: str | None = None) -> Period:
    """From a day until before another; without the other, that one day."""
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    end = begin + timedelta(days=1) if after is None else datetime.fromisoformat(after).replace(tzinfo=UTC)
    return Period(instant(begin), instant(end))


@pytest.mark.parametrize(("text", "period"), [
    ("notes of 2023-05-30", days("2023-05-30")),
    ("what broke at 2023-05-30T10:15:00Z?", days("2023-05-30")),
    ("deploys in 2023-05", days("2023-05-01", "2023-06-01")),
    ("the release of 2023/6/2", days("2023-06-02")),
    ("what did we decide on 5 May 2023?", days("2023-05-05")),
    ("what did we decide on May 5th, 2023?", days("2023-05-05")),
    ("the 5th of may meeting", days("2026-05-05")),
    ("the meeting on may 5", days("2026-05-05")),
    ("March 15th issue", days("2026-03-15")),
    ("on December 24", days("2025-12-24")),
    ("born on Feb 29", days("2024-02-29")),
    ("in May 2023", days("2023-05-01", "2023-06-01")),
    ("December of 2024", days("2024-12-01", "2025-01-01")),
    ("bikes I serviced in March", days("2026-03-01", "2026-04-01")),
    ("what we said in november", days("2026-11-01", "2026-12-01")),
    ("last December", days("2025-12-01", "2026-01-01")),
    ("the January report", days("2026-01-01", "2026-02-01")),
    ("early sept.", days("2026-09-01", "2026-10-01")),
    ("where did I live in 2019?", days("2019-01-01", "2020-01-01")),
    ("the summer of 2021", days("2021-01-01", "2022-01-01")),
    ("What did I eat yesterday?", days("2026-11-17")),
    ("the day before yesterday", days("2026-11-16")),
    ("what is new today", days("2026-11-18")),
    ("what broke this morning", days("2026-11-18")),
    ("last week", days("2026-11-09", "2026-11-16")),
    ("this week's plan", days("2026-11-16", "2026-11-23")),
    ("last month", days("2026-10-01", "2026-11-01")),
    ("this month", days("2026-11-01", "2026-12-01")),
    ("last year", days("2025-01-01", "2026-01-01")),
    ("over the past week", days("2026-11-11", "2026-11-19")),
    ("last weekend", days("2026-11-14", "2026-11-16")),
    ("10 days ago", days("2026-11-08")),
    ("a day ago", days("2026-11-17")),
    ("three hours ago", days("2026-11-18")),
    ("in the last 3 days", days("2026-11-15", "2026-11-19")),
    ("past two weeks", days("2026-11-04", "2026-11-19")),
    ("last Friday", days("2026-11-13")),
    ("last Wednesday", days("2026-11-11")),
    ("on Wednesday", days("2026-11-18")),
    ("what time did I reach the clinic on Monday?", days("2026-11-16")),
    ("what did I cook Sunday?", days("2026-11-15")),
    ("the call Tuesday afternoon with Ann", days("2026-11-17")),
    ("everything since Monday", days("2026-11-16", "2026-11-19")),
    ("from July to October", days("2026-07-01", "2026-11-01")),
    ("between January and March", days("2026-01-01", "2026-04-01")),
])
def test_a_time_is_read(text: str, period: Period) -> None:
    assert moments_in(text, instant(NOW)) == (period,)


@pytest.mark.parametrize(("text", "near", "width_days"), [
    ("two weeks ago", "2026-11-04", 7), ("a couple of weeks ago", "2026-11-04", 14),
    ("a week or so ago", "2026-11-11", 7), ("3 months ago", "2026-08-19", 30.5), ("a few months ago", "2026-08-19", 61),
    ("A Year Ago", "2025-11-18", 365.25),
])
def test_some_time_ago_is_as_wide_as_its_unit_or_twice_if_it_is_vague(text: str, near: str, width_days: float) -> None:
    [period] = moments_in(text, instant(NOW))
    assert (period.end - period.begin) / DAY_US == pytest.approx(width_days)
    middle = (period.begin + period.end) // 2
    assert abs(middle - days(near).begin) <= DAY_US


def test_last_night_lies_around_midnight() -> None:
    midnight = days("2026-11-18").begin
    night = Period(Instant(midnight - DAY_US // 4), Instant(midnight + DAY_US // 4))
    assert moments_in("last night", instant(NOW)) == (night,)


def test_several_times_come_in_the_order_of_their_naming_each_once() -> None:
    found = moments_in("the novels of January and March, yesterday, and in January again", instant(NOW))
    assert found == (days("2026-01-01", "2026-02-01"), days("2026-03-01", "2026-04-01"), days("2026-11-17"))


@pytest.mark.parametrize("text", [
    "", "which database did we choose?", "may I deploy?", "it may 5 times fail", "the march of progress",
    "march 10 miles", "how many days ago did I buy a smoker?", "what is due next week", "next May", "next Friday",
    "every Monday", "on Saturday mornings", "Sunday group rides", "the Ash Wednesday service", "before May",
    "the order of events before today", "my pre-1920 coins", "port 2024", "version 2023.1", "CVE-2023-05-12345",
    "on February 30, 2023", "2023-13-01", "half a year ago", "9999 years ago", "in 2099", "last name", "at last",
    "April told me", "August company", "the decision", "marching", "sat at the sun", "daytime", "in 2000s style",
    "1.5 may", "10:05 mar", "0 may 1", "what happened in the year 0",
])
def test_other_words_name_no_time(text: str) -> None:
    assert moments_in(text, instant(NOW)) == ()


def test_a_pasted_text_is_read_only_at_its_beginning_and_names_few() -> None:
    assert moments_in("x " * 500 + "yesterday", instant(NOW)) == ()
    assert len(moments_in(" ".join(f"2020-01-{day:02}" for day in range(1, 31)), instant(NOW))) == 8


@given(st.text(max_size=200) | st.text("0123456789 -/agodyslt.may", max_size=80), st.integers(-(2**62), 2**62))
def test_no_text_and_no_clock_breaks_it(text: str, now: int) -> None:
    for period in moments_in(text, Instant(now)):
        assert period.begin < period.end


@pytest.mark.parametrize("words", ["a ", "in ", "may ", "1 ", "last 3 ", "2023-", "the day before ", "- "])
def test_reading_takes_no_longer_than_its_text(words: str) -> None:
    assert moments_in(words * 30_000, instant(NOW)) in ((), moments_in(words * 1_000, instant(NOW)))


def test_nearness_is_whole_within_and_halves_with_each_fade_outside() -> None:
    yesterday, month = days("2026-11-17"), days("2026-10-01", "2026-10-29")
    assert nearness((), yesterday.begin) == 0.0
    assert nearness((yesterday,), yesterday.begin) == nearness((yesterday,), yesterday.end) == 1.0
    assert nearness((yesterday,), Instant(yesterday.begin - DAY_US)) == 0.5
    assert nearness((yesterday,), Instant(yesterday.end + 2 * DAY_US)) == 0.25
    assert nearness((month,), Instant(month.begin - 7 * DAY_US)) == 0.5     # a quarter of its four weeks
    assert nearness((yesterday, month), Instant(month.begin + DAY_US)) == 1.0
    assert nearness((yesterday,), Instant(0)) == 0.0


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62), st.integers(1, 2**50))
def test_nearness_lies_in_0_to_1(at: int, begin: int, length: int) -> None:
    assert 0.0 <= nearness((Period(Instant(begin), Instant(begin + length)),), Instant(at)) <= 1.0
