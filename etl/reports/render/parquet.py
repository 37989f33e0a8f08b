"""Write rows as Parquet in batches, typed by the kinds of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, Final

from etl.errors import SettingsError
from etl.reports.render.columns import Column, Rows
from etl.texts import tr

BATCH: Final = 20_000
"""Rows of a row group."""
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def pyarrow() -> Any:
    """Return the library. Raises `SettingsError` if it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise SettingsError(
            tr("the library for Parquet is not installed"),
            advice=tr("pip install 'chenyu-etl[parquet]'"),
        ) from error
    return pyarrow


def write_parquet(file: BinaryIO, columns: Sequence[Column], rows: Rows) -> int:
    """Write rows to a file; return their number.

    Columns without a kind are typed by the first rows. Raises `SettingsError` if a later row does not
    fit.
    """
    arrow = pyarrow()
    remaining = iter(rows)
    batch = list(islice(remaining, BATCH))
    # a schema comes before the first row: what is not declared is guessed from a batch
    kinds = [column.kind or _kind(row[i] for row in batch) for i, column in enumerate(columns)]
    schema = arrow.schema(
        [(c.name, arrow_type(arrow, kind)) for c, kind in zip(columns, kinds, strict=True)]
    )
    written = 0
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch:
            writer.write_table(_arrow_table(arrow, schema, batch))
            written += len(batch)
            batch = list(islice(remaining, BATCH))
    return written


def arrow_type(arrow: Any, kind: str) -> Any:
    """Return the Arrow type of a column of one of `KINDS`, or of `bool` or `local`."""
    return {
        "int": arrow.int64(),
        "number": arrow.float64(),
        "instant": arrow.timestamp("ms", "UTC"),
        "local": arrow.timestamp("ms"),
        "day": arrow.date32(),
        "bool": arrow.bool_(),
    }.get(kind, arrow.string())


def array(arrow: Any, values: Sequence[Any], kind: Any) -> Any:
    """Return values of either database as an Arrow array.

    Instants and days come as text or as objects, booleans as 0 and 1.
    """
    first = next((value for value in values if value is not None), None)
    is_number = arrow.types.is_boolean(kind) and isinstance(first, int)
    if is_number and not isinstance(first, bool):
        # Arrow makes no booleans of 0 and 1, and SQLite has no others
        return arrow.array(values, arrow.int64()).cast(kind)
    if isinstance(first, str) and not arrow.types.is_string(kind):
        return arrow.array(values, arrow.string()).cast(kind)
    # sums of Postgres are decimals, where the column is declared a float
    if isinstance(first, Decimal):
        values = [None if value is None else float(value) for value in values]
    return arrow.array(values, kind)


def _arrow_table(arrow: Any, schema: Any, batch: list[Sequence[Any]]) -> Any:
    made = []
    for values, field in zip(zip(*batch, strict=True), schema, strict=True):
        try:
            made.append(array(arrow, values, field.type))
        except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
            raise SettingsError(
                tr("column {name} holds what is no {type}", name=field.name, type=field.type),
                advice=tr("say its kind in the header: -- @column NAME {text} MEANING"),
            ) from error
    return arrow.table(made, schema=schema)


def _kind(values: Iterator[Any]) -> str:
    present = [value for value in values if value is not None]
    # nothing but nulls: text takes whatever a later batch brings
    if not present:
        return "text"
    # before int: a bool is one in Python
    if all(isinstance(value, bool) for value in present):
        return "bool"
    if all(isinstance(value, int) for value in present):
        return "int"
    if all(isinstance(value, int | float) for value in present):
        return "number"
    if all(isinstance(value, str) for value in present):
        for kind, form in (("instant", _INSTANT), ("day", _DAY)):
            if all(form.fullmatch(value) for value in present):
                return kind
    return "text"
