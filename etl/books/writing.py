"""Write entries as CSV or TOML, in the form in which they are read again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from etl.books.entries import Entry
from etl.books.spelling import quoted_cell
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.units import HOUR_S, MICRO


def write(
    form: str, columns: Mapping[str, Sequence[str]], entries: Iterable[Entry]
) -> Iterator[str]:
    """Yield the lines of a file that reads as `entries`."""
    return (_to_csv if form == "csv" else _to_toml)(columns, list(entries))


def day_or_moment(instant: Instant | None, zone: Zone) -> str | None:
    """Return an instant in the form that `Entry.instant` reads."""
    if instant is None:
        return None
    # a day is what people wrote, as a rule
    day = zone.local_date(instant)
    return day.isoformat() if zone.starts(day) == instant else iso(instant)


def day_or_end(instant: Instant | None, zone: Zone) -> str | None:
    """Return an instant in the form that `Entry.end` reads: a day that counts whole, or a moment."""
    if instant is None:
        return None
    day = zone.local_date(instant)
    return str(day - timedelta(days=1)) if zone.starts(day) == instant else iso(instant)


def exact_hours(seconds: int | None) -> str | None:
    """Return seconds as hours in decimal text, exact to what `Entry.seconds` reads."""
    if seconds is None:
        return None
    return f"{Decimal(seconds) / HOUR_S:.6f}".rstrip("0").rstrip(".")


def exact_yuan(microcny: int) -> str:
    """Return an amount as exact decimal text, with two decimals at least."""
    sign = "-" if microcny < 0 else ""
    whole, rest = divmod(abs(microcny), MICRO)
    fraction = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{fraction}"


def _to_csv(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    names = list(dict.fromkeys(name for known in columns.values() for name in known))
    if len(columns) > 1:
        names.insert(0, "kind")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        row = {name: _csv_cell(value) for name, value in entry.values.items() if value is not None}
        writer.writerow({"kind": entry.kind, **row} if len(columns) > 1 else row)
    yield from out.getvalue().splitlines()


def _to_toml(columns: Mapping[str, Sequence[str]], entries: list[Entry]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        if number:
            yield ""
        yield f"[[{entry.kind}]]"
        # in the order of the columns, so that two versions of a file can be compared line by line
        for name in columns[entry.kind]:
            value = entry.values.get(name)
            if value is not None:
                yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _csv_cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # a negative number begins like a formula, and is none
    return quoted_cell(value) if isinstance(value, str) else str(value)
