"""Read words for periods of days: `last-month`, `7d`, `2026-W47`, `2026-10`, `2026-Q3`, `2026`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from etl.errors import SettingsError
from etl.history.days import FIRST_DAY
from etl.history.months import Month
from etl.texts import tr

_DAY: Final = timedelta(days=1)
_CALENDAR: Final = re.compile(r"(\d{4})(?:-Q([1-4])|-(\d\d))?")
"""A year, a quarter or a month."""
_WEEK: Final = re.compile(r"(\d{4})-W(\d\d)")
"""An ISO week, as reports name it: Python would read its Monday."""
FOLLOWING: Final = ("before_day", "month_first", "month_last", "begun_day")
FIRST_PART_DAYS: Final = 1
LARGER: Final = 4
"""So many times as long as the part before it is each part of a period that is read in parts."""
WHOLE_DAYS: Final = 31
"""The longest period that is read at once."""


def day_range(since: str | None, until: str | None, today: date) -> tuple[str, str]:
    """Return the first and the last day of `--from` and `--to`: this month to date by default.

    Each is a day, a week, a month, a quarter or a year (`2026-W47`, `2026-10`, `2026-Q4`, `2026`: its first, or last, day),
    `today`, `yesterday`, `this-` or `last-` with `week`, `month`, `quarter` or `year`, or a number of
    days such as `7d` (that many days up to today). Weeks begin on Monday. Raises `SettingsError`.
    """
    first, last_of_since = _days_of_word(since or "this-month", today)
    if until is not None:
        last = _days_of_word(until, today)[1]
    else:
        # a month that is named alone is meant whole, this month up to today
        last = last_of_since if since and _names_a_period(since) else today
    # swapped rather than refused, a mistyped year would give a report of years
    if first > last:
        raise SettingsError(
            tr("the period from {first} to {last} is empty", first=first, last=last),
            advice=tr("--from is later than --to"),
        )
    return first.isoformat(), last.isoformat()


def days_that_follow(first: str, last: str) -> dict[str, str]:
    """Return days that a report may bind besides those of its period.

    They are the first of as many days before it (`before_day`), the first and the last of the month
    in which it ends, and the first of those in which what it lists may have begun (`begun_day`), the first
    of the calendar unless the period is a part of a longer one. So a report needs to read no further than these.
    """
    begins, ends = date.fromisoformat(first), date.fromisoformat(last)
    # a period that begins near the year 1 has no whole one before it
    length = min(ends - begins + _DAY, begins - date.min)
    month = Month.of(ends)
    following = (begins - length, month.first, month.last, FIRST_DAY)
    return {name: day.isoformat() for name, day in zip(FOLLOWING, following, strict=True)}


def newest_parts(first: str, last: str) -> Iterator[dict[str, str]]:
    """Yield the parts of a period as days to bind, the newest first; a short period is one part.

    The first is short, so that the first rows of a long list come at once; each after it is longer, so that
    there are few.
    """
    since, until = date.fromisoformat(first), date.fromisoformat(last)
    days, is_long = FIRST_PART_DAYS, (until - since).days >= WHOLE_DAYS
    while is_long and (until - since).days >= days:
        begins = until - (days - 1) * _DAY
        yield _part(begins, until, begun=begins)
        until, days = begins - _DAY, LARGER * days
    # the oldest part also has what began before the period
    yield _part(since, until, begun=FIRST_DAY)


def _part(first: date, last: date, *, begun: date) -> dict[str, str]:
    days = {"from_day": first, "to_day": last, "begun_day": begun}
    return {name: day.isoformat() for name, day in days.items()}


def _names_a_period(word: str) -> bool:
    """Tell whether a word names a period with an end of its own, so that it needs no `--to`."""
    if word == "yesterday" or word.startswith("last-"):
        return True
    return any(pattern.fullmatch(word) for pattern in (_CALENDAR, _WEEK))


def _days_of_word(word: str, today: date) -> tuple[date, date]:
    try:
        if word in (known := _known(today)):
            return known[word]
        # today counts: 1d is today alone
        if match := re.fullmatch(r"(\d{1,4})d", word):
            return today - (int(match[1]) - 1) * _DAY, today
        if match := _CALENDAR.fullmatch(word):
            return _calendar(int(match[1]), match[2], match[3])
        if match := _WEEK.fullmatch(word):
            monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
            return monday, monday + 6 * _DAY
        return (date.fromisoformat(word),) * 2
    except (ValueError, OverflowError):
        raise SettingsError(
            tr("{word!r} is no day", word=word),
            advice=tr(
                "use 2026-01-31, 2026-W05, 2026-01, 2026-Q1, 2026, 7d, today, yesterday, or "
                "this- or last- with week, month, quarter or year"
            ),
        ) from None


def _known(today: date) -> dict[str, tuple[date, date]]:
    # weeks begin on Monday, as those of `calendar_day` do
    monday = today - today.weekday() * _DAY
    firsts = {
        "week": (monday, monday - 7 * _DAY),
        "month": _this_and_last(today, 1),
        "quarter": _this_and_last(today, 3),
        "year": _this_and_last(today, 12),
    }
    known = {"today": (today, today), "yesterday": (today - _DAY, today - _DAY)}
    for name, (this, last) in firsts.items():
        # this week ends today: days to come hold nothing
        known |= {f"this-{name}": (this, today), f"last-{name}": (last, this - _DAY)}
    return known


def _this_and_last(today: date, months: int) -> tuple[date, date]:
    """Return the first days of the period of so many months that holds a day, and of the one before."""
    this = Month.of(today).later(-((today.month - 1) % months))
    return this.first, this.later(-months).first


def _calendar(year: int, quarter: str | None, month: str | None) -> tuple[date, date]:
    """Return the days of a year, of a quarter or of a month of it."""
    length = 3 if quarter else 1 if month else 12
    first = Month(date(year, int(quarter) * 3 - 2 if quarter else int(month or 1), 1))
    return first.first, first.later(length - 1).last
