"""Replies to requests for reports: a status, headers and a body, whatever is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from etl import reports
from etl.app import App
from etl.errors import Busy, EtlError, SettingsError, StoreError, TookTooLong
from etl.figures.asking import plain_lines, read_report, report_arguments
from etl.figures.openapi import FORMS, INDEX, OPENAPI, index, openapi
from etl.figures.parameters import as_asked
from etl.redact import without_known
from etl.reports.render.columns import Rows
from etl.texts import ENGLISH, LANGUAGES, tr

MOST_ROWS: Final = 50_000
"""The most rows of a reply: they are held in memory, by whoever asks, too."""
LIMIT_S: Final = 20.0
"""Seconds after which a read ends: shorter than a writer waits where readers block it."""
_REPORT: Final = re.compile(r"/reports/([\w-]+)\.(json|csv)")
_STATUS: Final[tuple[tuple[type[EtlError], int], ...]] = (
    (TookTooLong, 504),
    (Busy, 503),
    (SettingsError, 400),
    (StoreError, 503),
)


@dataclass(frozen=True, slots=True)
class FigureReply:
    """A reply to a request: the body is whole, and short enough to be held."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def is_served(path: str) -> bool:
    """Tell whether a path is one of reports, be there such a report or not."""
    return path in (INDEX, OPENAPI) or path.startswith("/reports/")


def reply(app: App, target: str) -> FigureReply:
    """Reply to a GET of `target`, a path with its query; what is wrong with it is a reply, too."""
    parts = urlsplit(target)
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        if parts.path == OPENAPI:
            return _as_reply(200, openapi())
        if parts.path == INDEX:
            lang = dict(given).get("lang", ENGLISH)
            return _as_reply(200, index(lang if lang in LANGUAGES else ENGLISH))
        match = _REPORT.fullmatch(parts.path)
        if match is None or match[1] not in reports.report_names():
            return _refused(
                404, tr("there is no such report"), tr("{index} names them", index=INDEX)
            )
        return _report(app, match[1], match[2], given)
    except ValueError:
        return _refused(400, tr("the query is not understood"), "?from=2026-10&by=gpu")
    except EtlError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        return _refused(status, error.message, error.advice)


def _report(app: App, name: str, form: str, given: Iterable[tuple[str, str]]) -> FigureReply:
    app.require_database()
    chosen = reports.load_report(name)
    options, wanted = as_asked(chosen, form, given)
    arguments = report_arguments(app, chosen, options)
    remarks: list[str] = []
    reading = read_report(app, chosen, arguments, wanted, remarks.append)
    try:
        few = replace(reading, rows=limited(reading.rows, MOST_ROWS))
        lines = list(plain_lines(chosen, wanted, few))
    finally:
        reading.close()
    headers = {
        "Content-Type": f"{FORMS[form]}; charset=utf-8",
        "Chenyu-Observed": as_header(reading.line),
        "Chenyu-Remarks": as_header("; ".join(map(str, remarks))),
    }
    if form == "csv":
        headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return FigureReply(200, "".join(f"{line}\n" for line in lines).encode(), headers)


def limited(rows: Rows, most: int) -> Iterator[Sequence[Any]]:
    """Yield the rows. Raises `SettingsError` if there are more than `most`."""
    for number, row in enumerate(rows):
        if number >= most:
            raise SettingsError(
                tr("there are more than {most} rows", most=most),
                advice=tr("ask for a shorter period, or use chenyu-etl report … -o FILE"),
            )
        yield row


def as_header(text: str) -> str:
    """Return a text as a header can hold it: other signs than those of ASCII as `\\u4e2d`."""
    return (
        "".join(sign if sign.isprintable() else " " for sign in text)
        .encode("ascii", "backslashreplace")
        .decode()
    )


def _refused(status: int, message: str, advice: str | None) -> FigureReply:
    # an error may quote what a driver was given
    said = {"error": without_known(message), "advice": without_known(advice) if advice else None}
    return _as_reply(status, said)


def _as_reply(status: int, content: dict[str, Any] | Sequence[Any]) -> FigureReply:
    body = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    return FigureReply(status, body.encode(), {"Content-Type": "application/json; charset=utf-8"})
