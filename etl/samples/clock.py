"""Times of samples as files write them: moments, seconds since 1970, and what a machine's clock shows."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Any, Final

from etl.books.spelling import instant_of_cell
from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import tr

BACK_S: Final = 60
"""A clock that shows so much less than before was put back; less is the disorder of several GPUs."""
_SHOWN: Final = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?", re.ASCII
)
_EPOCH: Final = re.compile(r"\d{9,10}(?:\.\d+)?|\d{12,13}", re.ASCII)
_MILLISECONDS: Final = 10**11


class NoSample(ValueError):
    """Raised for a line of a file that is no sample; the message says why."""


class MachineClock:
    """The clock of the machine that wrote a file: what it shows, as instants."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._minutes: dict[tuple[str, ...], list[Instant]] = {}
        self._last: dict[Any, Instant] = {}

    def instant(self, value: Any, source: Any) -> Instant:
        """Return the instant of a cell. Raises `NoSample` for one that names none.

        Of a time that clocks show twice in autumn it is the second if the same source has written a later
        one before.
        """
        shown = _SHOWN.fullmatch(value) if isinstance(value, str) else None
        at = self._of_shown(shown, source) if shown else self._of_moment(value)
        self._last[source] = at
        return at

    def _of_shown(self, shown: re.Match[str], source: Any) -> Instant:
        *minute, second = shown.groups("0")
        key = tuple(minute)
        if key not in self._minutes:
            try:
                year, month, day, hour, clock = (int(part) for part in minute)
                shown_minute = datetime.combine(date(year, month, day), time(hour, clock))
                self._minutes[key] = self._zone.instants(shown_minute)
            except (ValueError, OverflowError):
                raise NoSample(tr("{value!r} is no time", value=shown[0])) from None
        choices = [at + int(second) for at in self._minutes[key]]
        if not choices:
            raise NoSample(
                tr("no clock of {zone} showed {value}", zone=self._zone.name, value=shown[0])
            )
        last = self._last.get(source)
        if last is not None and choices[0] + BACK_S < last:
            return choices[-1]
        return choices[0]

    def _of_moment(self, value: Any) -> Instant:
        text = str(value).strip()
        try:
            if _EPOCH.fullmatch(text):
                seconds = float(text)
                return int(seconds // 1_000 if seconds >= _MILLISECONDS else seconds)
            # of a workbook it has a type; else it names its zone, or is spelled in Chinese
            return instant_of_cell(value, self._zone)
        except (ValueError, OverflowError):
            raise NoSample(tr("{value!r} is no time", value=text[:40])) from None
