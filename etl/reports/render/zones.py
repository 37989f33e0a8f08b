"""Instants in the reporting time zone, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from etl.history.days import Zone, from_iso
from etl.poll import Instant
from etl.reports.render.columns import LOCAL, Column, Rows

UTC_NAMES: Final = ("UTC", "Etc/UTC")


def in_zone(columns: Sequence[Column], rows: Rows, zone: Zone) -> Iterator[list[Any]]:
    """Yield rows whose instants are local times with their offset: `2026-01-31 23:59:59+08:00`."""
    instants = [i for i, column in enumerate(columns) if column.kind == "instant"]
    for row in rows:
        local = list(row)
        for i in instants:
            if local[i] is not None:
                local[i] = zone.local(from_iso(local[i])).isoformat(sep=" ")
        yield local


def local_beside(
    columns: Sequence[Column], rows: Rows, zone: Zone, *, only: bool = False
) -> tuple[list[Column], Iterator[list[Any]]]:
    """Return columns and rows in which the local time follows each instant, or with `only` replaces it.

    For spreadsheets, whose times have no offset: the heading names the time zone.
    """
    # the same column twice would only confuse
    if zone.name in UTC_NAMES:
        return list(columns), (list(row) for row in rows)
    wide: list[Column] = []
    for column in columns:
        if column.kind != "instant" or not only:
            wide.append(column)
        if column.kind == "instant":
            wide.append(replace(column, kind=LOCAL, unit=zone.name))
    return wide, (_widened(columns, row, zone, only) for row in rows)


def _widened(columns: Sequence[Column], row: Sequence[Any], zone: Zone, only: bool) -> list[Any]:
    cells: list[Any] = []
    for column, value in zip(columns, row, strict=True):
        if column.kind != "instant" or not only:
            cells.append(value)
        if column.kind == "instant":
            cells.append(None if value is None else local_text(from_iso(value), zone))
    return cells


def local_text(instant: Instant, zone: Zone) -> str:
    """Return the local time of an instant without its offset: `2026-01-31 23:59:59`."""
    return zone.local(instant).replace(tzinfo=None).isoformat(sep=" ")
