"""Words for periods of days: `last-month`, `7d`, `2026-10`."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from etl.errors import SettingsError

FOLLOWING: Final = ("before_day", "month_first", "month_last")


def day_range(since: str | None, until: str | None, today: date) -> tuple[str, str]:
    """The first and the last day of `--from` and `--to`: this month to date by default.

    Each is a day, a month (`2026-10`: its first, or last, day), `today`, `yesterday`, `this-week`,
    `last-week`, `this-month`, `last-month`, or a number of days such as `7d` (that many days up to
    today). Weeks begin on Monday. Raises `SettingsError`.
    """
    first, last_of_since = _days(since or "this-month", today)
    if until is not None:
        last = _days(until, today)[1]
    else:
        last = last_of_since if since and _names_a_period(since) else today
    if first > last:
        raise SettingsError(
            f"the period from {first} to {last} is empty", advice="--from is later than --to"
        )
    return first.isoformat(), last.isoformat()


def days_that_follow(first: str, last: str) -> dict[str, str]:
    """Days that a report may bind beside those of its period, so that it is read no further than needed:
    the first of as many days before it (`before_day`), and the first and the last of the month in
    which it ends."""
    begins, ends, day = date.fromisoformat(first), date.fromisoformat(last), timedelta(days=1)
    length = min(ends - begins + day, begins - date.min)
    next_month = ends.replace(day=1) + 31 * day if ends.year < date.max.year else date.max
    found = (
        begins - length,
        ends.replace(day=1),
        next_month.replace(day=1) - day,
    )
    return {name: each.isoformat() for name, each in zip(FOLLOWING, found, strict=True)}


def _names_a_period(word: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d|last-week|last-month|yesterday", word) is not None


def _days(word: str, today: date) -> tuple[date, date]:
    day = timedelta(days=1)
    month = today.replace(day=1)
    monday = today - today.weekday() * day
    known = {
        "today": (today, today),
        "yesterday": (today - day, today - day),
        "this-week": (monday, today),
        "last-week": (monday - 7 * day, monday - day),
        "this-month": (month, today),
        "last-month": ((month - day).replace(day=1), month - day),
    }
    try:
        if word in known:
            return known[word]
        if found := re.fullmatch(r"(\d{1,4})d", word):
            return today - (int(found[1]) - 1) * day, today
        if re.fullmatch(r"\d{4}-\d\d", word):
            first = date.fromisoformat(f"{word}-01")
            return first, (first + 31 * day).replace(day=1) - day
        return (date.fromisoformat(word),) * 2
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{word!r} is no day",
            advice="use 2026-01-31, 2026-01, today, yesterday, this-week, last-week, this-month,"
            " last-month or 7d",
        ) from None
