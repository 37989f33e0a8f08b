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
