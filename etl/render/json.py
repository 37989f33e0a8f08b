"""Rows as a JSON array, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from etl.render.cells import UNPRINTABLE
from etl.render.columns import Column, Rows


def lines(columns: Sequence[Column], rows: Rows) -> Iterator[str]:
    names = [column.name for column in columns]
    before = None
    for row in rows:
        if before is not None:
            yield before + ","
        line = UNPRINTABLE.sub(
            lambda found: json.dumps(found[0])[1:-1],
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False),
        )
        before = ("[" if before is None else " ") + line
    yield "[]" if before is None else before + "]"
