"""docs/terminal.md shows what terminals show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from etl.dialect import Database
from etl.reports.render import width
from tests import terminal_doc

PAGE = Path(__file__).parents[1] / "docs" / "terminal.md"


def test_the_page_is_what_terminals_and_pipes_get(golden: Callable[[str], Database]) -> None:
    assert PAGE.read_text(encoding="utf-8") == terminal_doc.document(golden("sqlite")), (
        "run: python -m tests.terminal_doc > docs/terminal.md"
    )


def test_what_it_shows_fits() -> None:
    parts = PAGE.read_text(encoding="utf-8").split(" columns:\n\n```text\n")
    widths = [int(part.rsplit("\n", 1)[-1]) for part in parts[:-1]]
    shown = [part.partition("\n```")[0].splitlines() for part in parts[1:]]
    assert widths == [80, 120] * 11
    for columns, lines in zip(widths, shown, strict=True):
        assert max(map(width, lines)) <= columns
