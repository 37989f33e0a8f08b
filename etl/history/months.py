"""Calendar months: `2026-10`, and the days and instants in them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from etl.errors import SettingsError
from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import tr

_NAME: Final = re.compile(r"(?!0000|9999)\d{4}-(0[1-9]|1[0-2])", re.ASCII)
"""Pattern of the name of a month. The first and the last year have no month before, or after, that
Python could name."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month by its first day."""

    first: date

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of a name such as `2026-10`. Raises `SettingsError` for any other
        text.
        """
        if not _NAME.fullmatch(text):
            raise SettingsError(
                tr("{text!r} is no month", text=text), advice=tr("use one such as 2026-10")
            )
        return cls(date.fromisoformat(f"{text}-01"))

    @classmethod
    def of(cls, day: date) -> Month:
        """Return the month that contains a day."""
        return cls(day.replace(day=1))

    @property
    def last(self) -> date:
        """Return its last day."""
        # no day follows the last one that Python can name
        is_last = (self.first.year, self.first.month) == (date.max.year, 12)
        return date.max if is_last else self.following().first - timedelta(days=1)

    def following(self) -> Month:
        return self.later(1)

    def previous(self) -> Month:
        return self.later(-1)

    def later(self, months: int) -> Month:
        """Return the month that comes so many after this one, or before it if negative.

        Raises `ValueError` beyond the years 1 to 9999.
        """
        year, month = divmod(self.first.year * 12 + self.first.month - 1 + months, 12)
        return Month(date(year, month + 1, 1))

    def bounds(self, zone: Zone) -> tuple[Instant, Instant]:
        """Return the first instant of the month in `zone`, and the first one after it."""
        return zone.starts(self.first), zone.starts(self.following().first)

    def __str__(self) -> str:
        return self.first.isoformat()[:7]


def is_month(text: str) -> bool:
    """Tell whether `Month.parse` accepts the text."""
    return _NAME.fullmatch(text) is not None
