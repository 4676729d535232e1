"""Moments: integers inside, fixed-width RFC 3339 outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from aimem.errors import InvalidRequest

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND_US = 1_000_000
DAY_S = 86_400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def format_instant(instant: Instant) -> str:
    """Write as `2026-01-02T03:04:05.678901Z`: fixed width, so that text order is time order."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def file_stamp(instant: Instant) -> str:
    """Write as `2026-01-02T030405Z`, for names of files."""
    return format_instant(instant)[:19].replace(":", "") + "Z"


def parse_instant(text: str, *, field: str) -> Instant:
    """Read any RFC 3339 time with a zone; digits below a microsecond are cut off.

    Raises: InvalidRequest naming `field` if the text is no such time, or lies outside the years 1 to 9999.
    """
    found = _RFC3339.fullmatch(text.strip())
    if found:
        date, clock, fraction, zone = found.groups()
        try:
            local = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
            # As UTC it may lie outside the years that can be written again, which a difference alone does not notice.
            moment = local.astimezone(UTC)
            whole = (moment - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            pass
        else:
            return Instant(whole + int((fraction or "0").ljust(6, "0")[:6]))
    raise InvalidRequest(
        f"{field}: {text[:64]!r} is no RFC 3339 time with a zone; write it like 2026-01-31T09:30:00Z", field=field
    )


def after(instant: Instant, seconds: float) -> Instant:
    """The moment `seconds` (may be negative) later."""
    return Instant(instant + int(seconds * SECOND_US))
