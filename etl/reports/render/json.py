"""Rows as a JSON array, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from etl.reports.render.cells import UNPRINTABLE
from etl.reports.render.columns import Column, Rows


def lines(columns: Sequence[Column], rows: Rows) -> Iterator[str]:
    names = [column.name for column in columns]
    encode = json.JSONEncoder(ensure_ascii=False).encode
    before = None
    for row in rows:
        if before is not None:
            yield before + ","
        line = encode(dict(zip(names, row, strict=True)))
        # JSON escapes the first 32 characters alone, and a terminal obeys others too
        if not line.isprintable():
            line = UNPRINTABLE.sub(lambda match: json.dumps(match[0])[1:-1], line)
        before = ("[" if before is None else " ") + line
    # the comma belongs to the line before, which is known only now: rows are streamed
    yield "[]" if before is None else before + "]"
