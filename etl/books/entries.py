"""Values of one entry of a list that people keep: read exactly, or refused with their place.

An entry is a table `[[price]]` of a TOML file, or a row of a spreadsheet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from unicodedata import normalize

from etl.books.grids import row_name
from etl.books.spelling import flag_of, instant_of_cell, instant_of_text, month_of, value_of
from etl.history.days import Zone
from etl.money.amounts import NoAmount, yuan_of
from etl.money.periods import BEGINNING
from etl.poll import Instant
from etl.texts import tr
from etl.units import HOUR_S, MICRO

EXACT_DIGITS: Final = 15
"""Digits of a number that a spreadsheet keeps."""
# more would not fit 64 bits as seconds of many cards
MOST_HOURS: Final = 10_000_000
MOST_COUNT: Final = 1_000_000


class Wrong(Exception):
    """The reason why an entry is not understood, and the name of the value if one is wrong."""

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class Entry:
    """The values of one row or table, without empty ones.

    `line` is negative, the table's number, if a table has no line of its own. `columns` maps names to
    the columns of a spreadsheet, and `word` is `row` for a workbook's cells, which have types.
    """

    line: int
    kind: str
    values: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    word: Literal["line", "row"] = "line"

    def location(self, name: str | None = None) -> str:
        """Name the entry, or one of its values, for people."""
        if self.line > 0:
            location = row_name(self.word, self.line)
        else:
            location = tr("entry {number}", number=-self.line)
        if name and name in self.columns:
            return tr("{row}, column {column}", row=location, column=self.columns[name])
        return location

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        # a workbook makes a number of a cost centre such as 1001
        if self.word == "row" and isinstance(value, int | float) and not isinstance(value, bool):
            return _digits(name, value)
        reason = tr("{name} must be text", name=name)
        if isinstance(value, date):
            reason = tr(
                "{name} must be text: the sheet holds a date, so format the cell as text and type it"
                " again",
                name=name,
            )
        raise Wrong(reason, name)

    def one_of(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(name) or default
        # in any spelling, then compared with the words that are stored
        value = value and value_of(value)
        if value is None or value not in choices:
            what = (
                tr("{name} is missing", name=name)
                if value is None
                else tr("{name} cannot be {value!r}", name=name, value=value)
            )
            raise Wrong(tr("{what}: {choices}", what=what, choices=", ".join(choices)), name)
        return value

    def number(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        # a workbook may hold 3 as 3.0
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            return int(value)
        raise Wrong(tr("{name} must be a whole number", name=name), name)

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if value in (0, 1):  # a workbook's number, or already true or false
            return bool(value)
        flag = flag_of(value) if isinstance(value, str) else None
        if flag is None:
            raise Wrong(tr("{name} must be true or false", name=name), name)
        return flag

    def microcny(self, name: str, most: int) -> int:
        """Return yuan as millionths, exactly."""
        value = self.values.get(name)
        # true is 1 in Python, but no price
        if value is None or isinstance(value, bool):
            what = (
                tr("{name} is missing", name=name)
                if value is None
                else tr("{name} must be yuan", name=name)
            )
            raise Wrong(what, name)
        yuan = _decimal_yuan(name, value)
        # before it is multiplied: beyond 1e999999 no Decimal has room
        if yuan.is_finite() and abs(yuan) > most:
            yuan = Decimal(most).copy_sign(yuan)
        amount = yuan * MICRO
        # refused, not rounded: a price must be the one that somebody wrote
        if not amount.is_finite() or amount != amount.to_integral_value():
            raise Wrong(tr("{name} must be yuan with at most six decimals", name=name), name)
        if not 0 <= amount <= most:
            raise Wrong(tr("{name} must be from 0 to {most}", name=name, most=most // MICRO), name)
        return int(amount)

    def instant(self, name: str, zone: Zone) -> Instant | None:
        """Return the instant of a day (its first second in `zone`), or of a moment."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            # a workbook's days have types, or are numbers of days
            if self.word == "row":
                return instant_of_cell(value, zone)
            text = value.isoformat() if isinstance(value, date) else str(value)
            return instant_of_text(text, zone)
        except (ValueError, OverflowError):
            reason = tr("{name} must be a day, or a moment such as 2026-10-01T08:00:00Z", name=name)
            raise Wrong(reason, name) from None

    def end(self, name: str, zone: Zone) -> Instant | None:
        """Return the end of a day that counts whole, or a moment."""
        at, value = self.instant(name, zone), self.values.get(name)
        # a workbook keeps a day as its midnight
        is_moment = (
            value.time() != time()
            if isinstance(value, datetime) and self.word == "row"
            else isinstance(value, datetime)
            or (isinstance(value, str) and ":" in normalize("NFKC", value))
        )
        if at is None or is_moment:
            return at
        return zone.starts(zone.local_date(at) + timedelta(days=1))

    def seconds(self, name: str) -> int | None:
        """Return hours as seconds, exactly."""
        value = self.values.get(name)
        if value is None:
            return None
        digits = f"{value:.{EXACT_DIGITS}g}" if isinstance(value, float) else str(value)
        digits = normalize("NFKC", digits).strip().replace(",", "")
        # true is 1 in Python, but no number of hours
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,6})?", digits):
            raise Wrong(tr("{name} must be hours, such as 200 or 1.5", name=name), name)
        seconds = Decimal(digits) * HOUR_S
        if not 0 <= seconds <= MOST_HOURS * HOUR_S:
            raise Wrong(tr("{name} must be from 0 to {most}", name=name, most=MOST_HOURS), name)
        if seconds != seconds.to_integral_value():
            raise Wrong(tr("{name} must be whole seconds", name=name), name)
        return int(seconds)

    def count(self, name: str) -> int | None:
        """Return a number of things, which is not below 0."""
        number = self.number(name)
        if number is not None and not 0 <= number <= MOST_COUNT:
            raise Wrong(tr("{name} must be from 0 to {most}", name=name, most=MOST_COUNT), name)
        return number

    def period(self, zone: Zone) -> tuple[Instant | None, Instant | None]:
        """Return `valid_from` and `valid_to`, which must come after it."""
        # both are read first: the error names a day that is none before their order
        valid_from, valid_to = self.instant("valid_from", zone), self.instant("valid_to", zone)
        if valid_to is not None and (valid_from or BEGINNING) >= valid_to:
            raise Wrong(tr("valid_to must be later than valid_from"))
        return valid_from, valid_to

    def month(self, name: str) -> str | None:
        """Return the name of a month, such as `2026-10`."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return month_of(value)
        except ValueError:
            raise Wrong(tr("{name} must be a month such as 2026-10", name=name), name) from None


def _digits(name: str, value: float) -> str:
    """Return a workbook's number as the text that it stands for, such as a cost centre."""
    # the digits behind are lost already: an order number or a card would be another one
    if abs(value) >= 10**EXACT_DIGITS:
        reason = tr(
            "{name} is a number of which a spreadsheet keeps {exact_digits} digits: format "
            "it as text",
            name=name,
            exact_digits=EXACT_DIGITS,
        )
        raise Wrong(reason, name)
    return str(int(value)) if value == int(value) else f"{value:.{EXACT_DIGITS}g}"


def _decimal_yuan(name: str, value: Any) -> Decimal:
    if isinstance(value, float):
        return Decimal(f"{value:.{EXACT_DIGITS}g}")  # 0.1 + 0.2 is 0.3 in a cell
    if isinstance(value, int | Decimal):
        return Decimal(value)
    try:
        return yuan_of(str(value))
    except NoAmount as error:
        raise Wrong(tr("{name} {error}", name=name, error=error), name) from None
