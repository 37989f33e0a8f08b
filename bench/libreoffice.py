"""What LibreOffice makes of our workbooks: `python -m bench.libreoffice DATABASE.db [--from DAY] [--to DAY]`

Every report and the workbook of the last month are written, opened by LibreOffice without a screen
(`soffice`, Debian's libreoffice-calc), computed anew, saved, and compared cell by cell with what was
written: sums are the same, numbers are numbers, days are days, order numbers keep their digits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from etl import reports

ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>0</value></prop></item>
</oor:items>"""
"""LibreOffice's setting to compute every formula anew when a workbook is opened."""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("database")
    options.add_argument("--from", dest="since", default="last-month")
    options.add_argument("--to", dest="until")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="libreoffice-") as room:
        ours, theirs = Path(room) / "ours", Path(room) / "theirs"
        ours.mkdir()
        _write(given, ours)
        _open(Path(room), sorted(ours.glob("*.xlsx")), theirs)
        counts = [_compared(path, theirs / path.name) for path in sorted(ours.glob("*.xlsx"))]
    print(
        f"{len(counts)} workbooks: {sum(c[0] for c in counts)} cells, {sum(c[1] for c in counts)} sums,"
        f" {sum(c[2] for c in counts)} differ"
    )
    sys.exit(1 if not counts or any(c[2] for c in counts) else 0)


def _write(given: argparse.Namespace, folder: Path) -> None:
    program = [sys.executable, "-m", "etl.cli", "--database", given.database, "report"]
    days = ["--from", given.since] + (["--to", given.until] if given.until else [])
    for name in reports.report_names():
        asks = days if reports.load_report(name).param("from_day") else []
        file = folder / f"{name}.xlsx"
        subprocess.run(
            [*program, name, *asks, "--bounds", "-o", file], check=True, stderr=subprocess.DEVNULL
        )
    month = given.since[:7] if given.since[:2] == "20" else given.since
    for lang in ("en", "zh"):
        file = folder / f"month-{lang}.xlsx"
        subprocess.run(
            [*program, "month", "--month", month, "--lang", lang, "-o", file],
            check=True,
            stderr=subprocess.DEVNULL,
        )


def _open(room: Path, files: list[Path], theirs: Path) -> None:
    settings = room / "profile" / "user"
    settings.mkdir(parents=True)
    (settings / "registrymodifications.xcu").write_text(ALWAYS)
    profile = f"-env:UserInstallation=file://{room / 'profile'}"
    command = ["soffice", profile, "--headless", "--convert-to", "xlsx", "--outdir", str(theirs)]
    subprocess.run([*command, *map(str, files)], check=True, stdout=subprocess.DEVNULL)


def _compared(ours: Path, theirs: Path) -> tuple[int, int, int]:
    """Cells, sums and differences."""
    formulas = load_workbook(ours)
    values, computed = (load_workbook(path, data_only=True) for path in (ours, theirs))
    cells = sums = differ = 0
    if values.sheetnames != computed.sheetnames:
        print(f"{ours.name}: sheets {computed.sheetnames} instead of {values.sheetnames}")
        differ += 1
    for sheet, where, value in _cells(values):
        cells += 1
        sums += str(formulas[sheet][where].value).startswith("=SUBTOTAL")
        found = computed[sheet][where].value
        if not _is_same(value, found):
            differ += 1
            print(f"{ours.name} {sheet}!{where}: {found!r} instead of {value!r}")
    return cells, sums, differ


def _cells(book: Any) -> Iterator[tuple[str, str, Any]]:
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.value is not None:
                    yield sheet.title, cell.coordinate, cell.value


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) < 5e-7 * max(1, abs(one) / 1e6)
    return type(one) is type(other) and one == other


if __name__ == "__main__":
    main()
