"""Amounts, times and names as messages write them. Pure."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from etl.history.days import Zone
from etl.poll import Instant
from etl.texts import Text, joined
from etl.units import FEN, HOUR_S

ZWJ: Final = "\u200d"


NOTHING: Final = joined(())


def yuan(microcny: int) -> str:
    """Write an amount as `¥1,234.50`, rounded to the fen."""
    # half up, by whole numbers: no float comes near an amount
    fen = (abs(microcny) + FEN // 2) // FEN
    # no minus before a rounded nothing
    sign = "-" if microcny < 0 and fen else ""
    return f"{sign}¥{fen // 100:,}.{fen % 100:02}"


def about(microcny: int | None, clause: Text, **values: Any) -> Text:
    """Put an amount in place of a clause's `{yuan}`; return no words if it is not known."""
    return NOTHING if microcny is None else clause.filled(yuan=yuan(microcny), **values)


def hours(seconds: float) -> str:
    """Write seconds as hours, such as `9.2`; from 100 hours on without the fraction."""
    value = seconds / HOUR_S
    # of hundreds of hours, six minutes say nothing
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def clock(zone: Zone, at: Instant) -> str:
    """Write the local time of day and its offset from UTC, such as `21:30 UTC+8`."""
    return f"{zone.local(at):%H:%M} {_offset(zone, at)}"


def local_time(zone: Zone, at: Instant) -> str:
    """Write the local day and time, such as `11-24 21:30 UTC+8`."""
    return f"{zone.local(at):%m-%d} {clock(zone, at)}"


def short_line(text: str | None, limit: int = 60) -> str:
    """Return a user's text as one short line, without characters that hide, reverse or break it."""
    given = text or ""
    plain = "".join(c if _is_harmless(given, i) else " " for i, c in enumerate(given))
    plain = " ".join(plain.split())
    return plain if len(plain) <= limit else truncate(plain, limit - 1) + "…"


def truncate(text: str, most: int) -> str:
    """Return at most `most` code points of a text, without splitting what people see as one."""
    if len(text) <= most:
        return text
    # an emoji or a letter with marks is several code points, and half of one shows as a box
    while most > 0 and _continues(text, most):
        most -= 1
    return text[:most]


def _is_harmless(text: str, at: int) -> bool:
    """Tell whether a character is visible; the joiner inside an emoji such as a family may stay."""
    if text[at] != ZWJ:
        return text[at].isprintable()
    around = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
    # between two letters it would hide something; between two emoji it makes one of them
    return len(around) == 2 and not any(c.isascii() or c.isspace() for c in around)


def _continues(text: str, at: int) -> bool:
    """Tell whether the code point at a position belongs to the character before it."""
    here, before = text[at], text[at - 1]
    if ZWJ in (here, before) or unicodedata.category(here) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= here <= "\U0001f3ff" or "\U000e0020" <= here <= "\U000e007f":
        return True  # skin tones; letters inside a flag
    return _is_flag(here) and _flags_before(text, at) % 2 == 1


def _flags_before(text: str, at: int) -> int:
    count = 0
    while at - count > 0 and _is_flag(text[at - count - 1]):
        count += 1
    return count


def _is_flag(sign: str) -> bool:
    """Tell whether it is one of the two letters that make a country's flag."""
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _offset(zone: Zone, at: Instant) -> str:
    offset = zone.local(at).utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    if minutes == 0:
        return "UTC"
    whole, part = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{whole}" + (f":{part:02}" if part else "")
