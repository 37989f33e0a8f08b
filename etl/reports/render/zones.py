"""Instants in the reporting time zone, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etl.history.days import Zone, from_iso
from etl.reports.render.columns import Column, Rows


def in_zone(columns: Sequence[Column], rows: Rows, zone: Zone) -> Iterator[list[Any]]:
    """Yield rows whose instants are local times with their offset: `2026-01-31 23:59:59+08:00`."""
    instants = [i for i, column in enumerate(columns) if column.kind == "instant"]
    for row in rows:
        local = list(row)
        for i in instants:
            if local[i] is not None:
                local[i] = zone.local(from_iso(local[i])).isoformat(sep=" ")
        yield local
