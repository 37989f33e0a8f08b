import re
from pathlib import Path

from etl import tables
from tests import schema_doc


def test_the_schema_page_is_what_the_tables_and_views_say() -> None:
    page = Path(__file__).parent.parent / "docs" / "schema.md"
    assert page.read_text(encoding="utf-8") == schema_doc.document(), (
        "run: python -m tests.schema_doc > docs/schema.md"
    )


def test_every_column_of_every_table_and_view_has_a_meaning() -> None:
    nameless = [
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.columns
        if not column.comment
    ]
    for name, columns in schema_doc.view_columns().items():
        known = schema_doc.view_meanings(name)
        nameless += [f"{name}.{column}" for column in columns if not known.get(column)]
    assert nameless == []


def test_a_column_of_a_view_does_not_speak_of_a_table_that_the_view_does_not_read() -> None:
    said = {name: schema_doc.view_meanings(name) for name in schema_doc.view_columns()}
    strange = [
        f"{name}.{column}"
        for name, columns in schema_doc.view_columns().items()
        for column in columns
        if name != "_budget_line"  # which shows such a table
        and re.search("null: any|without its own", said[name][column])
    ]
    assert strange == []
    assert said["card_now"]["title"] == "its name"
    assert said["instance_version"]["title"] == "the user's name for it"
    assert said["instance_version"]["version"] == "1, 2, 3 … without holes"
    assert said["local_day"]["month"] == "2026-11"
    assert said["run_span"]["started_at"] == "its start"
