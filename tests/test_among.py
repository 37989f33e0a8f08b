"""A condition that a column is one of some texts, which go to the database as one parameter."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from etl.dialect import Database

ODD = ["a", "", "b,c", '"d"', "e\nf", "{g}", "\\n", "h\ti", "训练", "NULL", "j'k"]


@pytest.mark.parametrize(
    "chosen",
    [[], ["a"], [""], ["", "a"], ["e\nf"], ["e", "f"], ["a", "b,c"], ODD, [*ODD[2:4], *ODD[5:]]],
)
def test_those_texts_are_found_and_no_others(chosen: list[str], database: Database) -> None:
    kept = " UNION ALL ".join(f"SELECT CAST(:t{n} AS TEXT) AS name" for n in range(len(ODD)))
    values = {f"t{n}": odd for n, odd in enumerate(ODD)}
    condition, among = database.among("name", chosen)
    with database.reading() as conn:
        found = conn.execute(
            text(f"SELECT name FROM ({kept}) kept WHERE {condition}"), {**values, **among}
        )
        assert set(found.scalars()) == {odd for odd in ODD if odd in chosen}
