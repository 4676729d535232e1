"""Moments as text: one width going out, any RFC 3339 coming in, nothing that cannot be written again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.errors import InvalidRequest
from aimem.model import Instant, after, format_instant, parse_instant

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND

instants = st.integers(FIRST, LAST).map(Instant)
zones = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@given(instants)
def test_what_is_written_is_read_back(instant: Instant) -> None:
    assert parse_instant(format_instant(instant), field="at") == instant


@given(instants, instants)
def test_text_order_is_time_order(one: Instant, other: Instant) -> None:
    assert (format_instant(one) < format_instant(other)) == (one < other)
    assert len(format_instant(one)) == len("2026-01-02T03:04:05.678901Z")


@given(st.integers(FIRST + 86_400_000_000, LAST - 86_400_000_000), zones)
def test_a_zone_moves_the_clock_and_not_the_moment(instant: int, minutes: int) -> None:
    there = EPOCH + timedelta(microseconds=instant)
    text = there.astimezone(timezone(timedelta(minutes=minutes))).isoformat(timespec="microseconds")
    assert parse_instant(text, field="at") == instant


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31t09:30:00z", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31 09:30:00+00:00", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31T09:30:00-00:00", "2026-01-31T09:30:00.000000Z"),
        ("2026-01-31T00:30:00+05:30", "2026-01-30T19:00:00.000000Z"),
        ("2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000Z"),
        ("2026-01-31T09:30:00.123456789Z", "2026-01-31T09:30:00.123456Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        (" 2024-02-29T00:00:00Z ", "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, same: str) -> None:
    assert format_instant(parse_instant(text, field="at")) == same


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-01-31", "2026-01-31T09:30:00", "2026-01-31T09:30Z", "2026-1-31T09:30:00Z", "1735689600",
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-31T24:00:01Z", "2026-12-31T23:59:60Z",
        "2026-01-31T09:30:00.Z", "2026-01-31T09:30:00.1234567890Z", "2026-01-31T09:30:00+0100",
        "2026-01-31T09:30:00+24:00", "2026-01-31T09:30:00+01", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "２０２６-01-31T09:30:00Z",
        "2026-01-31T09:30:00Z\x00", "2026-01-31T09:30:00Z OR 1=1", "\ud800",
    ],
)
def test_what_is_no_moment_within_the_years_1_to_9999_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_instant(text, field="since")
    assert refused.value.field == "since"


def test_seconds_later_may_be_negative_and_parts() -> None:
    assert after(Instant(10_000_000), 1.5) == 11_500_000
    assert after(Instant(10_000_000), -86_400) == 10_000_000 - 86_400_000_000
