"""Columns of reports: their kinds, headings and sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etl.texts import ENGLISH, LANGUAGES, heading_text, localized, term

Rows = Iterable[Sequence[Any]]
KINDS: Final = ("text", "int", "number", "instant", "day")
"""Kinds of columns. Instants are text such as `2026-01-31T23:59:59Z`, days `2026-01-31`."""
LOCAL: Final = "local"
"""Kind of a column of local times without offset, such as `2026-01-31 23:59:59`; its unit is the zone."""
UNITS: Final = ("yuan", "h", "card-h", "d", "min", "s")
"""Units that languages write in different ways."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `kind` is one of `KINDS`, or empty if undeclared; `is_total`: its sum has a meaning;
    `is_kept`: a narrow screen drops others first.

    `report`: the report of ours that it belongs to, whose words the catalogs translate; a report of the
    user's says in its header what its columns are called and mean in Chinese (`zh`, `about_zh`).
    """

    name: str
    about: str = ""
    zh: str = ""
    unit: str = ""
    kind: str = ""
    is_total: bool = False
    about_zh: str = ""
    report: str = ""
    is_kept: bool = False

    def meaning(self, lang: str = ENGLISH) -> str:
        """Return its meaning in a language; in English if there is no Chinese."""
        own = self.about_zh if lang == "zh" else ""
        return own or str(localized(self.about, lang))

    def heading(self, lang: str = ENGLISH) -> str:
        """Return its name for people, without the unit."""
        own = self.zh if lang == "zh" else ""
        return own or (heading_text(self.name, self.report, lang) if self.report else self.name)

    def unit_word(self, lang: str = ENGLISH) -> str:
        """Return its unit for people; empty if it has none."""
        return term("unit", self.unit).in_language(lang) if self.unit in UNITS else self.unit

    def full_heading(self, lang: str = ENGLISH) -> str:
        """Return its name for people, with the unit if there is one."""
        unit = self.unit_word(lang)
        return f"{self.heading(lang)} ({unit})" if unit else self.heading(lang)


def column_total(values: Iterable[Any]) -> Any:
    """Return the sum of the values that are not None, rounded; None if all are."""
    present = [value for value in values if value is not None]
    # unknown is not zero: a sum of nulls is null
    if not present:
        return None
    return rounded(sum(present))


def rounded(value: Any) -> Any:
    """Round a sum of decimal fractions, so that no error of binary ones shows."""
    # to millionths, as amounts have no finer part
    return round(value, 6) if isinstance(value, float) else value


__all__ = ["KINDS", "LANGUAGES", "LOCAL", "UNITS", "Column", "Rows", "column_total", "rounded"]
