"""Columns of reports: their kinds, headings and sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Rows = Iterable[Sequence[Any]]
KINDS: Final = ("text", "int", "number", "instant", "day")
"""Kinds of columns. Instants are text such as `2026-01-31T23:59:59Z`, days `2026-01-31`."""
LOCAL: Final = "local"
"""Kind of a column of local times without offset, such as `2026-01-31 23:59:59`; its unit is the zone."""
LANGUAGES: Final = ("en", "zh")
UNITS_ZH: Final = {"yuan": "元", "h": "小时", "card-h": "卡时", "d": "天", "min": "分钟", "s": "秒"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `kind` is one of `KINDS`, or empty if undeclared; `is_total`: its sum has a meaning."""

    name: str
    about: str = ""
    zh: str = ""
    unit: str = ""
    kind: str = ""
    is_total: bool = False
    about_zh: str = ""

    def meaning(self, lang: str = "en") -> str:
        """Return its meaning in a language; in English if there is no Chinese."""
        return self.about_zh or self.about if lang == "zh" else self.about

    def heading(self, lang: str = "en") -> str:
        """Return its name for people, without the unit."""
        return self.zh if lang == "zh" and self.zh else self.name

    def full_heading(self, lang: str = "en") -> str:
        """Return its name for people, with the unit if there is one."""
        unit = UNITS_ZH.get(self.unit, self.unit) if lang == "zh" else self.unit
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
