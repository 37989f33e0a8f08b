"""Instants and days in short, with what they have in common below their heading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.reports.render.columns import LOCAL
from etl.reports.render.table import printable


def short_moments(kind: str, values: Sequence[Any], absent: str) -> tuple[list[str], str]:
    """Return instants without seconds, or days, and the unit of their column.

    A year that they share stands in the unit, as the time zone does: `11-28 21:45`, and below the
    heading `2026 UTC`.
    """
    spelled = [None if value is None else printable(value).replace("T", " ") for value in values]
    present = [text for text in spelled if text is not None]
    zones = {_written_zone(kind, text) for text in present}
    years = {text[:4] for text in present}
    zone = zones.pop() if len(zones) == 1 else None
    begin = 5 if len(years) == 1 else 0
    cells = [
        absent if text is None else _short(kind, text, begin, zone is not None) for text in spelled
    ]
    unit = [years.pop() if begin else "", zone or ""]
    return cells, " ".join(filter(None, unit))


def _written_zone(kind: str, text: str) -> str:
    """Return the time zone in which an instant is written."""
    if kind in ("day", LOCAL):
        return ""
    return "UTC" if text.endswith("Z") else text[19:]


def _short(kind: str, text: str, begin: int, is_one_zone: bool) -> str:
    if kind == "day":
        return text[begin:]
    return text[begin:16] + ("" if is_one_zone else text[19:])
