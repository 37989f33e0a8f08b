"""A month of cost and usage in the columns of FOCUS 1.2 or 1.3, as CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

from etl import paths, store
from etl.dialect import Database
from etl.errors import SettingsError
from etl.reports import plain
from etl.reports.render.cells import is_formula, is_tame
from etl.reports.render.parquet import pyarrow
from etl.steps import report_steps
from etl.texts import tr
from etl.units import HOUR_S

VERSIONS: Final = ("1.2", "1.3")
ADDED: Final[Mapping[str, frozenset[str]]] = {
    "1.3": frozenset({"HostProviderName", "ServiceProviderName"})
}
"""Columns by the version that brought them. 1.3 still demands ProviderName and PublisherName."""
PLACES: Final = 10
"""Decimals of quantities and unit prices; costs are exact to the sixth."""
INSTANTS: Final = frozenset(
    {"BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"}
)
NUMBERS: Final = frozenset(
    {
        "BilledCost",
        "ConsumedQuantity",
        "ContractedCost",
        "ContractedUnitPrice",
        "EffectiveCost",
        "ListCost",
        "ListUnitPrice",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "PricingQuantity",
        "x_CardCost",
        "x_CostMax",
        "x_CostMin",
        "x_EstimatedCost",
        "x_GpuHours",
    }
)


@dataclass(frozen=True, slots=True)
class FocusExport:
    """Summary of an export. `unpriced_hours` were charged at an unknown price, and are in no
    row.
    """

    rows: int
    unpriced_hours: float


def export_focus(
    database: Database,
    month: str,
    path: Path,
    account: str | None = None,
    version: str = VERSIONS[0],
) -> FocusExport:
    """Write a month (`2026-10`, of the reporting time zone) to a file, replaced once the new one is
    whole.

    The file's ending chooses the format: `.csv` or `.parquet`. `version` is one of `VERSIONS`. Raises
    `SettingsError` for any other ending, or if the file cannot be written.
    """
    # a stream has no name to tell the format by
    ending = ".csv" if path == paths.STANDARD_OUTPUT else path.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise SettingsError(
            tr("{path} is neither .csv nor .parquet by its name", path=path),
            advice=tr("name another: -o FILE.csv"),
        )
    # one transaction for rows and remark: both are about the same data
    with paths.replacing(path, database.files) as file, store.reading(database) as known:
        columns, rows_found = known.exports.focus(month, account)
        kept = [i for i, name in enumerate(columns) if name not in _later_than(version)]
        names = [columns[i] for i in kept]
        # batch by batch: a month of a large fleet need not fit into memory
        typed = ([_typed(names, [row[i] for i in kept]) for row in batch] for batch in rows_found)
        batches = _counted(typed)
        write = _write_parquet if ending == ".parquet" else _write_csv
        rows = write(file, names, batches)
        unpriced_s = known.exports.unpriced_s(month, account)
        return FocusExport(rows, round(unpriced_s / HOUR_S, 2))


def _counted(batches: Batches) -> Batches:
    """Yield batches; report how many rows were taken."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        report_steps(done, None)


def decimal(value: Any) -> str:
    """Return a number as FOCUS wants it: plain, without exponent, and as short as possible."""
    text = f"{Decimal(str(value)):.{PLACES}f}".rstrip("0").rstrip(".")
    # a small negative number rounds to it, and no validator takes it for a number
    return "0" if text in ("-0", "") else text


def _later_than(version: str) -> set[str]:
    """Return the columns that came with later versions: FOCUS allows no others without `x_`."""
    later = VERSIONS[VERSIONS.index(version) + 1 :]
    return {name for newer in later for name in ADDED.get(newer, ())}


def _typed(columns: Sequence[str], row: Sequence[Any]) -> list[str | None]:
    """Return values as text: numbers plain, instants in UTC to the second, null as None."""
    return [
        None if value is None else decimal(value) if name in NUMBERS else str(plain(value))
        for name, value in zip(columns, row, strict=True)
    ]


Batches = Iterator[list[list[str | None]]]


def _write_csv(file: IO[bytes], columns: Sequence[str], batches: Batches) -> int:
    rows = 0
    # by line feeds alone, on all systems: the same month gives the same bytes
    lines = csv.writer(_Utf8(file), lineterminator="\n")
    lines.writerow(columns)
    typed = [name in NUMBERS or name in INSTANTS for name in columns]
    for batch in batches:
        lines.writerows(
            [v if is_typed else _harmless(v) for v, is_typed in zip(row, typed, strict=True)]
            for row in batch
        )
        rows += len(batch)
    return rows


def _harmless(value: str | None) -> str | None:
    """Return a text that no spreadsheet runs, as the reports have it; JSON and names stay as they are."""
    return f"'{value}" if value and not is_tame(value) and is_formula(value) else value


def _write_parquet(file: IO[bytes], columns: Sequence[str], batches: Batches) -> int:
    arrow = pyarrow()
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in columns])
    rows = 0
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            # by way of text: amounts keep the digits that the CSV has
            texts = [arrow.array(values, arrow.string()) for values in zip(*batch, strict=True)]
            made = [t.cast(field.type) for t, field in zip(texts, schema, strict=True)]
            writer.write_table(arrow.Table.from_arrays(made, schema=schema))
            rows += len(batch)
    return rows


def _arrow_type(arrow: Any, name: str) -> Any:
    if name in INSTANTS:
        # not text: readers compare and cut them without knowing our spelling
        return arrow.timestamp("ms", "UTC")
    return arrow.float64() if name in NUMBERS else arrow.string()


class _Utf8:
    """Text file for `csv` on top of a file of bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())
