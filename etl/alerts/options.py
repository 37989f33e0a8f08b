"""Values of settings of alerts: times of day, quiet hours, and how they are read from a config file."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFF: Final = ("off", "", False)
"""Values that switch off a setting which can be off."""
S = TypeVar("S", bound=msgspec.Struct)


class RuleOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one rule, by the names that they have in `[alerts]`."""


# of int, so that msgspec reads it by the type of the field, and minutes compare
class TimeOfDay(int):
    """Minutes since local midnight, from text such as `21:30`."""

    def __new__(cls, text: str) -> TimeOfDay:
        match = re.fullmatch(r"(\d{1,2}):(\d\d)", text) if isinstance(text, str) else None
        if match is None or int(match[1]) > 23 or int(match[2]) > 59:
            raise ValueError('it is no time of day such as "21:30"')
        return super().__new__(cls, int(match[1]) * 60 + int(match[2]))

    def __str__(self) -> str:
        return f"{self // 60:02}:{self % 60:02}"


class TimeOfWeek(tuple[int, int]):
    """A weekday (0 is Monday) and minutes since its midnight, from text such as `mon 09:00`."""

    def __new__(cls, text: str) -> TimeOfWeek:
        name, _, clock = str(text).partition(" ")
        if name.lower() not in WEEKDAYS:
            raise ValueError('it names no weekday and time such as "mon 09:00"')
        return super().__new__(cls, (WEEKDAYS.index(name.lower()), TimeOfDay(clock.strip())))


class QuietHours(tuple[int, int]):
    """Quiet hours from one minute of the day to another, from text such as `23:00-08:00`.

    They may span midnight.
    """

    def __new__(cls, text: str) -> QuietHours:
        begins, dash, ends = str(text).partition("-")
        if not dash:
            raise ValueError('it is no span of time such as "23:00-08:00"')
        return super().__new__(cls, (TimeOfDay(begins.strip()), TimeOfDay(ends.strip())))

    def contains(self, minute: int) -> bool:
        begins, ends = self
        # the same minute twice is no time at all, not a whole day
        if begins <= ends:
            return begins <= minute < ends
        return minute >= begins or minute < ends


def read(table: dict[str, Any], kind: type[S]) -> S:
    """Return the settings of one kind that a table holds; the other names in it are for others.

    Raises `msgspec.ValidationError`, whose text ends with the path of the wrong value.
    """
    # only settings that can be None: "off" is a word for them alone
    optional = {
        field.name
        for field in msgspec.structs.fields(kind)
        if isinstance(msgspec.inspect.type_info(field.type), msgspec.inspect.UnionType)
    }
    given = {
        name: None if name in optional and value in OFF else value for name, value in table.items()
    }
    return msgspec.convert(given, kind, dec_hook=_custom)


def _custom(kind: type, value: Any) -> Any:
    return kind(value)
