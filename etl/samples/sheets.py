"""Samples as rows with headings: nvidia-smi's CSV, and a form of our own as CSV or .xlsx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from etl.books.grids import Row, csv_rows, decoded, read_grid, row_name
from etl.books.spelling import SAMPLE_HEADINGS, sample_column_of
from etl.errors import SettingsError
from etl.samples.clock import MachineClock, NoSample
from etl.samples.gathered import Gathered, SampleSource
from etl.samples.packed import SampleValue
from etl.samples.values import megabytes_in, percent_in
from etl.texts import tr


class _Heading(NamedTuple):
    """Where each column is, and the units of its heading."""

    at: Mapping[str, int]
    units: Mapping[str, str]

    def text(self, cells: Sequence[Any], name: str) -> str:
        at = self.at.get(name)
        if at is None or cells[at] is None:
            return ""
        # a workbook makes a float of an index
        value = cells[at]
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def read_sheet(name: str, content: bytes, clock: MachineClock) -> Gathered:
    """Return the samples of a CSV or .xlsx file. Raises `SettingsError` for one without headings."""
    gathered = Gathered(name)
    # CSV row by row: a month of minutes is a million cells
    if content.startswith(b"PK\x03\x04"):
        grid = read_grid(name, content)
        _read_rows(grid.rows, grid.word, gathered, clock)
    else:
        _read_rows(csv_rows(name, decoded(name, content)), "line", gathered, clock)
    return gathered


def _read_rows(rows: Iterable[Row], word: str, gathered: Gathered, clock: MachineClock) -> None:
    heading: _Heading | None = None
    for row in rows:
        if heading is None:
            heading = _heading_of(row.cells)
            _refuse_unfit(gathered.name, row_name(word, row.line), heading)
            continue
        try:
            _read_row(row.cells, heading, gathered, clock)
        except (NoSample, IndexError) as error:
            # a log that is appended to repeats its headings, and new ones may be others
            again = _heading_of(row.cells)
            if "time" in again.at:
                _refuse_unfit(gathered.name, row_name(word, row.line), again)
                heading = again
                continue
            reason = tr("cells are missing") if isinstance(error, IndexError) else error
            gathered.refuse(row_name(word, row.line), reason)


def _heading_of(cells: Sequence[Any]) -> _Heading:
    meant = [sample_column_of(str(cell or "")) for cell in cells]
    return _Heading(
        {name: at for at, (name, _) in enumerate(meant) if name},
        {name: unit for name, unit in meant if name},
    )


def _refuse_unfit(name: str, location: str, heading: _Heading) -> None:
    missing = [column for column in ("time", "utilisation") if column not in heading.at]
    if not missing:
        return
    if not heading.at:
        raise SettingsError(
            tr("{name}, {location}: there are no headings", name=name, location=location),
            advice=tr("have nvidia-smi write them: --format=csv or csv,nounits, without noheader"),
        )
    raise SettingsError(
        tr(
            "{name}, {location}: no column is {missing}",
            name=name,
            location=location,
            missing=" or ".join(missing),
        ),
        advice=tr("columns are {known}, or those of nvidia-smi", known=", ".join(SAMPLE_HEADINGS)),
    )


def _read_row(
    cells: Sequence[Any], heading: _Heading, gathered: Gathered, clock: MachineClock
) -> None:
    source = SampleSource(*(heading.text(cells, name) for name in SampleSource._fields))
    at = clock.instant(cells[heading.at["time"]], source.host or source.instance or source.title)
    percent = percent_in(heading.text(cells, "utilisation"))
    if percent is None:
        gathered.without_value += 1
        return
    used, total = (
        megabytes_in(heading.text(cells, name), heading.units.get(name, ""))
        for name in ("memory_used", "memory_total")
    )
    gathered.add(source, at, SampleValue(percent, used, total))
