"""Names, columns and types of the public views are a contract: a change has to be written down."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import text

from etl.dialect import Database
from etl.store import views
from tests.schema_doc import CONTRACT, contract
from tests.support import columns

CHANGES = Path(__file__).parents[1] / "CHANGELOG.md"
HEADING = "### Views and their columns"
ADVICE = f"""the public views have changed: write what changed under `{HEADING}` of CHANGELOG.md,
then run this with the new list in {CONTRACT.name}, and put its digest there"""
KINDS: dict[str, tuple[type, ...]] = {
    "bigint": (int,),
    "integer": (int,),
    "boolean": (int,),
    "numeric": (int, float),
    "double precision": (int, float),
    "text": (str,),
    "date": (str,),
    "timestamp with time zone": (str,),
    "timestamp without time zone": (str,),
}
FORMS = {
    "date": r"\d{4}-\d\d-\d\d",
    "timestamp with time zone": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "timestamp without time zone": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
}


def listed(database: Database) -> str:
    """The columns of the public views with their types, as Postgres has them."""
    names = ", ".join(f"'{name}'" for name in views.public_names())
    with database.reading() as conn:
        found = conn.execute(
            text(
                "SELECT table_name, column_name, data_type FROM information_schema.columns"
                f" WHERE table_schema = current_schema() AND table_name IN ({names})"
                ' ORDER BY table_name COLLATE "C", ordinal_position'
            )
        ).all()
    return "".join(f"{view} {column}: {kind}\n" for view, column, kind in found)


def test_the_public_views_are_those_of_the_contract(golden: Callable[[str], Database]) -> None:
    assert listed(golden("postgres")) == CONTRACT.read_text(encoding="utf-8"), ADVICE


def test_a_change_of_the_contract_is_in_the_changelog() -> None:
    section = CHANGES.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n##")[0]
    digest = hashlib.sha256(CONTRACT.read_bytes()).hexdigest()[:12]
    assert f"Digest of the list: `{digest}`" in section, ADVICE


def test_values_on_sqlite_are_of_the_kinds_that_the_contract_says(
    golden: Callable[[str], Database],
) -> None:
    odd = []
    for view, kinds in contract().items():
        for row in columns(golden("sqlite"), f"SELECT * FROM {view}"):
            odd += [
                (view, name, value, kinds[name])
                for name, value in row.items()
                if value is not None and not fits(value, kinds[name])
            ]
    assert odd == []


def fits(value: Any, kind: str) -> bool:
    if kind == "boolean" and value not in (0, 1):
        return False
    form = FORMS.get(kind)
    return isinstance(value, KINDS[kind]) and (form is None or bool(re.fullmatch(form, value)))


def test_both_databases_give_the_same_figures(golden: Callable[[str], Database]) -> None:
    for view in contract():
        lite, post = (
            sorted(
                repr([comparable(value) for value in row.values()])
                for row in columns(golden(kind), f"SELECT * FROM {view}")
            )
            for kind in ("sqlite", "postgres")
        )
        assert lite == post, view


def comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ" if value.tzinfo else "%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return round(float(value), 6)
    return value
