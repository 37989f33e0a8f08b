"""The dictionary of the views: what each is, and what its columns mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from etl import paths, tables
from etl.reports import Report, parse_report
from etl.store import views

OF_THE_USER: Final = (
    *("allocation_rule", "tag_rule", "lease", "usage_limit"),
    *("price_override", "budget", "setting"),
)
"""Tables of the user's words, in which a column has a sense of its own (`null: any`)."""
_READ: Final = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


def view_text(name: str) -> Report:
    """Return a view as its file describes it."""
    return parse_report(name, paths.VIEWS / f"{name}.sql")


@cache
def view_meanings(name: str) -> Mapping[str, str]:
    """Map each column of a view to its meaning: by its header, else as in the first of the tables and
    views that it reads which has a column of that name. `OF_THE_USER` lend none."""
    view = view_text(name)
    known = {column.name: column.about for column in view.columns.values()}
    for source in dict.fromkeys(_READ.findall(view.sql)):
        for column, about in _lent(source).items():
            known.setdefault(column, about)
    return known


def _lent(source: str) -> Mapping[str, str]:
    if source in views.view_names():
        return view_meanings(source)
    if source not in tables.metadata.tables or source in OF_THE_USER:
        return {}
    return {column.name: column.comment or "" for column in tables.metadata.tables[source].columns}
