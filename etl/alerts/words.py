"""Words for people, in both languages. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from etl.history.days import Zone
from etl.poll import Instant
from etl.units import HOUR_S


class Words(NamedTuple):
    """One thing said in Chinese and in English. It may have several lines."""

    zh: str
    en: str

    def __add__(self, other: object) -> Words:
        assert isinstance(other, Words)
        return Words(self.zh + other.zh, self.en + other.en)

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


NOTHING = Words("", "")


def same(text: str) -> Words:
    """Words that are alike in both languages."""
    return Words(text, text)


def joined(parts: Iterable[Words], joint: str = "\n") -> Words:
    listed = list(parts)
    return Words(joint.join(p.zh for p in listed), joint.join(p.en for p in listed))


def yuan(microcny: int) -> str:
    """`¥1,234.50`, rounded to the fen."""
    fen = (abs(microcny) + 5_000) // 10_000
    return f"{'-' if microcny < 0 else ''}¥{fen // 100:,}.{fen % 100:02}"


def about(microcny: int | None, zh: str, en: str) -> Words:
    """An amount inside a sentence (`{}` is its place); nothing where it is not known."""
    if microcny is None:
        return NOTHING
    return Words(zh.format(yuan(microcny)), en.format(yuan(microcny)))


def hours(seconds: float) -> str:
    """`9.2`; from 100 hours on without the fraction."""
    value = seconds / HOUR_S
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def moment(zone: Zone, at: Instant) -> str:
    """`11-24 21:30`, local time."""
    return zone.local(at).strftime("%m-%d %H:%M")


def one_line(text: str | None, limit: int = 60) -> str:
    """What a user wrote, as one short line without anything that hides or breaks lines."""
    plain = "".join(c if c.isprintable() else " " for c in text or "").strip()
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
