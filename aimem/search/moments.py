"""Times that a question names: text and a clock reading in, periods out; and how near a memory lies to them.

English only, and only what can hardly mean anything else: a time that is read wrongly costs more than one that is
missed. Days are those of UTC, since a node does not know its callers' zones; `nearness` fades slowly enough for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

from aimem.model import DAY_S, SECOND_US, Instant

TEXT_READ_CHARS: Final = 1_000
"""A question names its time early; a longer text is a paste, whose dates are not what is asked for."""

PERIODS_MAX_COUNT: Final = 8

_DAY_US: Final = DAY_S * SECOND_US
_HOUR_US: Final = _DAY_US // 24
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()

_FADE_SHARE: Final = 4
"""Nearness halves with each quarter of the period's length outside of it, but at least with each day: "last month" is
said of a day in the week before it, "yesterday" is another day in another zone."""


class Period(Struct, frozen=True, order=True):
    """From `begin` until before `end`."""

    begin: Instant
    end: Instant


class _Found(Struct, frozen=True):
    """A period, where in the text it is named, and the lower-case words before it."""

    start: int
    stop: int
    before: str
    period: Period


_Read = Callable[[re.Match[str], str, date], Period | None]
"""(match, the lower-case text before it, today) -> the period, or None if the words do not mean one after all."""


def moments_in(text: str, now: Instant) -> tuple[Period, ...]:
    """The periods that a text names, in the order of their naming; none for most texts.

    Read are ISO dates and months; days, months and years by name ("5 May 2023", "in March", "in 2021"); "yesterday",
    "last week", "this month", "the past 10 days", "two weeks ago"; weekdays ("last Friday", "on Monday"). Two of them
    with "to" or "between … and" are one period; "since" reaches until now. What lies ahead is not read, nor what is
    only a bound ("before May"), repeated ("every Monday") or asked for ("how many days ago").

    Args:
      text: of any length; the first 1,000 characters count.
      now: what "ago" is counted from.

    Returns: at most 8 periods, each once.
    """
    try:
        today = date.fromordinal(_EPOCH_ORDINAL + now // _DAY_US)
    except (ValueError, OverflowError):
        return ()
    shown = text[:TEXT_READ_CHARS]
    found = _joined(shown, sorted(_find(shown, today), key=lambda one: one.start))
    periods = [_until_now(one.period, today) if _SINCE.search(one.before) else one.period for one in found]
    return tuple(dict.fromkeys(periods))[:PERIODS_MAX_COUNT]


def nearness(periods: Sequence[Period], at: Instant) -> float:
    """How near a moment is to the nearest of some periods, in [0, 1]: 1 within one, fading outside; 0 without any."""
    return max((_closeness(period, at) for period in periods), default=0.0)


def _closeness(period: Period, at: Instant) -> float:
    distance = max(period.begin - at, at - period.end, 0)
    fade = max(_DAY_US, (period.end - period.begin) // _FADE_SHARE)
    return float(0.5 ** (distance / fade))


def _find(text: str, today: date) -> Iterator[_Found]:
    taken: list[tuple[int, int]] = []
    for pattern, read in _READERS:
        for match in pattern.finditer(text):
            start, stop = match.span()
            before = text[max(0, start - _BEFORE_CHARS) : start].lower()
            if _REPEATED.search(before) or any(start < end and begin < stop for begin, end in taken):
                continue
            try:
                period = read(match, before, today)
            except (ValueError, OverflowError):     # 31 February: not to be read as the whole February either
                taken.append((start, stop))
                continue
            if period is not None:
                taken.append((start, stop))
                yield _Found(start, stop, before, period)


def _joined(text: str, found: Sequence[_Found]) -> list[_Found]:
    """Two ends of a range made one; an end that has no beginning is only a bound, and goes."""
    ranges: list[_Found] = []
    for one in found:
        last = ranges[-1] if ranges else None
        link = text[last.stop : one.start].lower() if last is not None else ""
        is_between = last is not None and _BETWEEN.search(last.before) and link.strip() == "and"
        if last is not None and (_TO.fullmatch(link) or is_between) and last.period.begin <= one.period.begin:
            ranges[-1] = _Found(last.start, one.stop, last.before, Period(last.period.begin, one.period.end))
        elif not _BOUND.search(one.before):
            ranges.append(one)
    return ranges


def _until_now(period: Period, today: date) -> Period:
    return Period(period.begin, max(period.end, _days(today).end))


_BEFORE_CHARS: Final = 24
_I: Final = re.IGNORECASE | re.ASCII
_SINCE: Final = re.compile(r"\b(?:since|after)\s+(?:the\s+)?$")
_BOUND: Final = re.compile(r"\b(?:before|until|till|prior\s+to|by)\s+(?:the\s+)?$")
_BETWEEN: Final = re.compile(r"\bbetween\s+(?:the\s+)?$")
_TO: Final = re.compile(r"\s*(?:to|until|till|through|-|\u2013)\s*(?:the\s+)?")
_REPEATED: Final = re.compile(r"\b(?:every|each|next|coming|half)\s+$")

# Numbers and units ------------------------------------------------------------------------------------------------

_NUMBERS: Final = {
    word: number
    for number, words in enumerate((
        "", "a an one", "two couple", "three few", "four several", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ))
    for word in words.split()
}
_VAGUE: Final = frozenset({"couple", "few", "several"})
_UNIT_US: Final = {
    "hour": _HOUR_US, "day": _DAY_US, "week": 7 * _DAY_US, "month": 30 * _DAY_US + 12 * _HOUR_US,
    "year": 365 * _DAY_US + 6 * _HOUR_US,
}
_COUNT = rf"(?:an?\s+)?(?P<count>\d{{1,4}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})(?:\s+of)?"
_UNIT = r"(?P<unit>hour|day|week|month|year)s?"


def _count(match: re.Match[str]) -> int:
    word = match["count"].lower()
    return int(word) if word.isdigit() else _NUMBERS[word]


def _days(first: date, count: int = 1) -> Period:
    begin = (first.toordinal() - _EPOCH_ORDINAL) * _DAY_US
    return Period(Instant(begin), Instant(begin + count * _DAY_US))


def _month(year: int, month: int) -> Period:
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    return _days(first, (after - first).days)


def _year(year: int) -> Period:
    return _days(date(year, 1, 1), (date(year + 1, 1, 1) - date(year, 1, 1)).days)


def _ago(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    width = _UNIT_US[match["unit"].lower()]
    if match["unit"].lower() in ("hour", "day"):
        return _days(today - timedelta(days=0 if match["unit"].lower() == "hour" else _count(match)))
    noon = _days(today).begin + _DAY_US // 2
    middle = noon - _count(match) * width
    date.fromordinal(_EPOCH_ORDINAL + middle // _DAY_US)        # refuses what lies before the first year
    half = width if match["count"].lower() in _VAGUE else width // 2
    return Period(Instant(middle - half), Instant(middle + half))


def _past(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    end = _days(today).end
    begin = end - _count(match) * _UNIT_US[match["unit"].lower()] - _DAY_US
    date.fromordinal(_EPOCH_ORDINAL + begin // _DAY_US)
    return Period(Instant(begin), end)


# Words of the calendar ----------------------------------------------------------------------------------------------

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PLAIN_MONTHS: Final = frozenset({"january", "february", "july", "september", "october", "november", "december"})
"""Months that are no verb, no adjective and no first name: they need no other word to be a time."""

_VERBS: Final = frozenset({"may", "mar", "march"})
"""Before a number still words of other meaning: "we may 5 times", "march 10 miles"."""


def _near_day(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    back = {"yesterday": 1, "day before yesterday": 2}.get(re.sub(r"\s+", " ", match[0].lower()), 0)
    return _days(today - timedelta(days=back))


def _last_night(match: re.Match[str], before: str, today: date) -> Period | None:
    del match, before
    midnight = _days(today).begin
    return Period(Instant(midnight - 6 * _HOUR_US), Instant(midnight + 6 * _HOUR_US))


def _calendar(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    which, unit = match["which"].lower(), match["unit"].lower()
    is_this = which == "this"
    monday = today - timedelta(days=today.weekday() + (0 if is_this else 7))
    if which == "past":
        return _days(today - timedelta(days=_UNIT_US[unit] // _DAY_US), _UNIT_US[unit] // _DAY_US + 1)
    if unit == "week":
        return _days(monday, 7)
    if unit == "month":
        first = today.replace(day=1) if is_this else today.replace(day=1) - timedelta(days=1)
        return _month(first.year, first.month)
    return _year(today.year if is_this else today.year - 1)


def _weekend(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    saturday = today - timedelta(days=(today.weekday() + 2) % 7)        # of the weekend that is, or was last
    is_on = today.weekday() >= _WEEKDAYS.index("saturday")
    return _days(saturday - timedelta(days=7) if is_on and match["which"].lower() == "last" else saturday, 2)


def _weekday(match: re.Match[str], before: str, today: date) -> Period | None:
    guard = _DAY_GUARD.search(before)
    is_alone = _DAY_END.match(match.string, match.end()) is not None and not _FEAST.search(before)
    if guard is None and not is_alone:
        return None
    back = (today.weekday() - _WEEKDAYS.index(match[0].lower())) % 7
    return _days(today - timedelta(days=back or (7 if guard and guard[1] in ("last", "past", "previous") else 0)))


_DAY_GUARD: Final = re.compile(r"\b(last|past|previous|this|on|since|from|to|after|before|until|between|and)\s+$")
_DAY_END: Final = re.compile(r"\s+(?:morning|afternoon|evening|night)\b|\s*(?:$|[?!.,;])", _I)
_FEAST: Final = re.compile(r"\b(?:black|good|ash|maundy|palm|easter|cyber|fat|super|holy)\s+$")

# Months and years ---------------------------------------------------------------------------------------------------

_MONTH_WORD = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR_WORD = r"(?P<year>(?:19|20)\d\d)(?![\d-])"
_YEAR_GUARD = (
    r"(?:in|during|since|after|year|early|mid|late|spring|summer|autumn|fall|winter|(?:end|start|beginning)\s+of)"
)
_ANY_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_MONTH_GUARD: Final = re.compile(
    rf"(?:\b(?:in|during|since|of|last|this|past|early|mid|late|until|till|between|from|to|through|before|after|around)"
    rf"[\s-]+|\b{_ANY_MONTH},?\s*(?:and|or|to|-|,)\s*)$"
)
_ON: Final = re.compile(r"\b(?:on|since|from|to|of|until|before|after|between|and)\s+(?:the\s+)?$")


def _iso(match: re.Match[str], before: str, today: date) -> Period | None:
    del before, today
    year, month, day = int(match["year"]), int(match["month"]), match["day"]
    return _month(year, month) if day is None else _days(date(year, month, int(day)))


def _month_number(match: re.Match[str]) -> int:
    return _MONTHS.index(match["month"][:3].lower()) + 1


def _dated(match: re.Match[str], before: str, today: date) -> Period | None:
    """A day of a month, of the year that is given, else of the last one that had it."""
    word, parts = match["month"], match.groupdict()
    is_sure = word.lower() not in _VERBS or word[0].isupper() or _ON.search(before) is not None
    if not (is_sure or parts["ordinal"] or parts["year"]):
        return None
    month, day = _month_number(match), int(match["day"])
    if parts["year"]:
        return _days(date(int(parts["year"]), month, day))
    for year in range(today.year, today.year - 8, -1):      # 29 February may be seven years back (1903 to 1896)
        try:
            last = date(year, month, day)
        except ValueError:
            continue
        if last <= today:
            return _days(last)
    return None


def _whole_month(match: re.Match[str], before: str, today: date) -> Period | None:
    month, year = _month_number(match), match["year"]
    if year is not None:
        return _month(int(year), month)
    if match["month"].lower() not in _PLAIN_MONTHS and not _MONTH_GUARD.search(before):
        return None
    return _month(today.year - (month > today.month), month)


def _whole_year(match: re.Match[str], before: str, today: date) -> Period | None:
    del before
    return _year(int(match["year"])) if int(match["year"]) <= today.year else None


_READERS: Final[tuple[tuple[re.Pattern[str], _Read], ...]] = tuple(
    (re.compile(pattern, _I), read)
    for pattern, read in (
        (r"(?<![\w./-])(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)(?:-(?P<day>\d\d))?(?:(?=T\d\d:)|(?![\w-]))", _iso),
        (r"(?<![\w./-])(?P<year>(?:19|20)\d\d)/(?P<month>\d\d?)/(?P<day>\d\d?)(?![\w/-])", _iso),
        (rf"\b{_MONTH_WORD}\s+(?:the\s+)?(?P<day>\d\d?)(?P<ordinal>st|nd|rd|th)?(?!\w|[:.]\d)(?:,?\s+{_YEAR_WORD})?",
         _dated),
        (rf"(?<![\w.:/-])(?P<day>\d\d?)(?P<ordinal>(?:st|nd|rd|th)?(?:\s+of)?)\s+{_MONTH_WORD}(?:,?\s+{_YEAR_WORD})?",
         _dated),
        (rf"(?<![\w-]){_MONTH_WORD}(?:,?\s+(?:of\s+)?{_YEAR_WORD})?(?![\w-])", _whole_month),
        (rf"\b{_YEAR_GUARD}(?:\s+of)?[\s-]+{_YEAR_WORD}(?!\w)", _whole_year),
        (rf"\b{_COUNT}\s+{_UNIT}(?:\s+or\s+(?:so|two))?\s+ago\b", _ago),
        (rf"\b(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}\b", _past),
        (r"\bday\s+before\s+yesterday\b|\byesterday\b|\b(?:today|tonight|this\s+(?:morning|afternoon|evening))\b",
         _near_day),
        (r"\blast\s+night\b", _last_night),
        (r"\b(?P<which>last|past|previous|this)\s+(?P<unit>week|month|year)\b", _calendar),
        (r"\b(?P<which>last|past|previous|this)\s+weekend\b", _weekend),
        (rf"\b(?:{'|'.join(_WEEKDAYS)})\b(?!\s+(?:mornings|afternoons|evenings|nights)\b)", _weekday),
    )
)
