"""Every query of docs/cookbook.md runs as it stands, and gives the same rows on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etl import reports
from etl.dialect import Database
from tests.golden_fleet import START

PAGE = Path(__file__).parents[1] / "docs" / "cookbook.md"
ARGUMENTS = {
    "day": "2026-03-10",
    "at": str(START + 400_000),
    "days": "2",
    "none": "1",
    "from_day": "2026-03-06",
    "to_day": "2026-03-10",
}


def questions() -> dict[str, str]:
    """Each heading of the page, with its query."""
    found = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        queries = re.findall(r"```sql\n(.*?)```", part, re.DOTALL)
        assert len(queries) == 1, part
        found[part.partition("\n")[0]] = queries[0]
    return found


def test_the_cookbook_answers_the_same_on_both_databases(
    golden: Callable[[str], Database], tmp_path: Path
) -> None:
    asked = questions()
    assert len(asked) >= 12
    file = tmp_path / "question.sql"
    nothing = []
    for question, sql in asked.items():
        file.write_text(sql, encoding="utf-8")
        report = reports.load_own(file)
        answers: list[Any] = []
        for kind in ("sqlite", "postgres"):
            columns, rows = reports.run(golden(kind), report, ARGUMENTS)
            answers.append((columns, list(rows)))
        assert answers[0] == answers[1], question
        if not answers[0][1]:
            nothing.append(question)
    assert nothing == []
