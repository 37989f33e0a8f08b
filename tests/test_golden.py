"""Every report gives its golden rows, on both databases, in two time zones."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

from etl import reports
from etl.dialect import Database
from tests import golden_fleet
from tests.golden_fleet import GOLDEN, ZONES, as_csv, move, variants

Golden = Callable[[str], Database]
KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int),
    "number": lambda value: isinstance(value, float),
    "instant": lambda value: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None,
    "day": lambda value: re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None,
}


def test_every_report_gives_its_golden_rows(kind: str, golden: Golden) -> None:
    """`python -m tests.golden_fleet` writes them anew: look at the difference."""
    database = golden(kind)
    wrong = []
    for zone in reversed(ZONES):
        move(database, zone)
        for words, name, arguments in variants():
            expected = golden_fleet.path(zone, words).read_text(encoding="utf-8")
            if as_csv(database, name, arguments) != expected:
                wrong.append(f"{zone} {words}")
    assert wrong == []


def test_no_golden_file_is_left_over() -> None:
    expected = {golden_fleet.path(zone, words) for zone in ZONES for words, _, _ in variants()}
    assert set(GOLDEN.rglob("*.csv")) == expected


def test_every_report_has_golden_rows_with_something_in_every_column() -> None:
    filled: dict[str, set[str]] = {}
    for zone in ZONES:
        for words, name, _ in variants():
            text = golden_fleet.path(zone, words).read_text(encoding="utf-8")
            for row in csv.DictReader(io.StringIO(text)):
                filled.setdefault(name, set()).update(k for k, v in row.items() if v)
    empty = {
        name: set(reports.load_report(name).columns) - filled.get(name, set())
        for name in reports.report_names()
    }
    assert {name: columns for name, columns in empty.items() if columns} == {}


def test_values_are_of_the_kind_that_the_header_says(kind: str, golden: Golden) -> None:
    database = golden(kind)
    wrong = set()
    for _, name, arguments in variants():
        found, rows = reports.run(database, reports.load_report(name), arguments)
        for column, values in zip(
            reports.load_report(name).described(found), zip(*rows, strict=True), strict=False
        ):
            if not all(value is None or KINDS[column.kind](value) for value in values):
                wrong.add(f"{name}.{column.name} is no {column.kind}")
    assert wrong == set()
