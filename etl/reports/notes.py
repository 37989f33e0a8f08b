"""The sheet of notes: everything that a reader of a report must know beside its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from etl import __version__
from etl.dialect import Database
from etl.dialect.rendering import expanded
from etl.history.days import Zone, from_iso, iso
from etl.poll import Instant
from etl.reports.header import Param, Report
from etl.reports.observation import SEEN, line_above
from etl.reports.render.zones import UTC_NAMES, local_text
from etl.reports.running import NOW, run
from etl.units import MICRO

Note = tuple[str, Any]
_LABELS: Final = {
    "report": "报表",
    "about": "内容",
    "period": "期间",
    "observation": "观测",
    "month": "月份",
    "time zone": "时区",
    "settled until (UTC)": "已结算至 (UTC)",
    "observed since (UTC)": "观测始于 (UTC)",
    "column": "列",
    "corrected by the source": "账单已更正",
    "gap in observation": "观测缺口",
    "gaps in observation": "观测缺口",
    "records not understood": "未能读取的记录",
    "closed since (UTC)": "关账时间 (UTC)",
    "program": "程序版本",
    "made at (UTC)": "生成时间 (UTC)",
}
_WORDS: Final = {
    "en": {
        "corrected": "{account}: {lines} bill lines of {yuan:.2f} yuan in all no longer count",
        "unread": "{account}: {records} of {resource}",
        "gap": "{account}: {start} – {end}, {minutes} min",
    },
    "zh": {
        "corrected": "{account}: {lines} 行账单（共 {yuan:.2f} 元）不再计入",
        "unread": "{account}: {resource} {records} 条",
        "gap": "{account}: {start} – {end}，{minutes} 分钟",
    },
}
_RESOURCES_ZH: Final = {
    "bills": "账单",
    "recharges": "充值",
    "balance": "余额",
    "cards": "算力卡",
    "gpu_prices": "价格",
}
# before the first poll and after the newest nobody looked either, though no two polls surround it
_GAPS: Final = Report(
    "gaps",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    expanded(
        """
SELECT g.account, g.gap_from_s, g.gap_to_s
FROM (
    SELECT account, gap_from_s, gap_to_s
    FROM sync_gap
    WHERE gap_to_s > period_starts_s() AND gap_from_s < asked_ends_s()
    UNION ALL
    SELECT a.name, period_starts_s(), earlier(COALESCE(s.first_s, asked_ends_s()), asked_ends_s())
    FROM account a
    LEFT JOIN sync_span s ON s.account = a.name
    UNION ALL
    SELECT account, later(last_s, period_starts_s()), asked_ends_s()
    FROM sync_span
) g
WHERE account_chosen(g.account) AND g.gap_to_s - g.gap_from_s > {GAP_S}
ORDER BY g.account, g.gap_from_s
"""
    ),
)
_SETTLED: Final = Report(
    "settled",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT a.name, r.reach_s
FROM account a
LEFT JOIN _bill_reach r ON r.account_id = a.account_id
WHERE account_chosen(a.name)
ORDER BY a.name
"""
    ),
)
_SINCE: Final = Report(
    "since",
    "",
    (Param("account", ""), Param("from_day", "")),
    {},
    expanded(
        """
SELECT a.name, b.first_whole_s
FROM account a
LEFT JOIN _sync_bounds b ON b.account_id = a.account_id
WHERE account_chosen(a.name)
    AND (b.first_whole_s IS NULL OR b.first_whole_s > period_starts_s())
ORDER BY a.name
"""
    ),
)
_CORRECTED: Final = Report(
    "corrected",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    expanded(
        """
SELECT c.account, COUNT(*) AS lines, sum_of(c.amount_microcny) AS amount_microcny
FROM bill_correction c
WHERE account_chosen(c.account) AND in_period(c.day)
GROUP BY c.account
ORDER BY c.account
"""
    ),
)
_CLOSED: Final = Report(
    "closed",
    "",
    (Param("account", ""), Param("from_day", "")),
    {},
    expanded(
        """
SELECT m.account, m.closed_at FROM _month_closed m
WHERE account_chosen(m.account) AND m.month = month_of(:from_day)
ORDER BY m.account
"""
    ),
)
_UNREAD: Final = Report(
    "unread",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT account, resource, records FROM _money_unread
WHERE account_chosen(account)
ORDER BY account, resource
"""
    ),
)
_OBSERVED: Final = Report(
    "observed",
    "",
    (Param("account", ""),),
    {},
    expanded(
        """
SELECT MIN(s.first_s) AS begins_s, MAX(s.last_s) AS ends_s
FROM sync_span s
WHERE account_chosen(s.account)
"""
    ),
)


def notes_of_report(
    database: Database,
    report: Report,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """Return labels and values, labels in `lang`; `arguments` as for `run`, with both days."""
    arguments = {**arguments, NOW: made_at}
    lines: list[Note] = [("report", report.name), ("about", report.meaning(lang))]
    if report.param("from_day") is not None:
        lines.append(("period", f"{arguments['from_day']} – {arguments['to_day']}"))
    lines.append(("observation", line_above(database, report, arguments, lang)))
    lines += _seen(database, arguments, zone, lang)
    lines += [("column", _column_note(column, lang)) for column in report.columns.values()]
    return _labelled([*lines, *_made(made_at, zone)], lang)


def notes_of_month(
    database: Database,
    month: str,
    arguments: dict[str, Any],
    *,
    zone: str,
    made_at: Instant,
    lang: str = "en",
) -> list[Note]:
    """Return labels and values for a workbook of several reports about one month."""
    arguments = {**arguments, NOW: made_at}
    line = line_above(database, SEEN, arguments, lang)
    closed = [
        ("closed since (UTC)", _account_instant(account, from_iso(closed_at), zone))
        for account, closed_at in run(database, _CLOSED, arguments)[1]
    ]
    seen = _seen(database, arguments, zone, lang)
    lines = [("month", month), *closed, ("observation", line), *seen]
    return _labelled([*lines, *_made(made_at, zone)], lang)


def observed(database: Database, account: str | None) -> tuple[Instant, Instant] | None:
    """Return the start of the first and of the newest complete poll, of an account or of all."""
    # an aggregate without groups has one row, of nulls if there are none
    ((first, last),) = run(database, _OBSERVED, {"account": account})[1]
    return None if first is None else (first, last)


def unread(database: Database, account: str | None, lang: str = "en") -> list[str]:
    """Return remarks on the records of money that were not understood, and are in no sum."""
    rows = run(database, _UNREAD, {"account": account})[1]
    names = _RESOURCES_ZH if lang == "zh" else {}
    return [
        _WORDS[lang]["unread"].format(
            account=account, resource=names.get(resource, resource), records=records
        )
        for account, resource, records in rows
    ]


def is_about_money(report: Report) -> bool:
    """Tell whether a report reads prices, costs, bills, balances, cards or recharges."""
    return (
        # of the SQL, so that a report of the user's gets the same notes
        re.search(r"\b(cost|bill|balance|card|recharge|reconcil|budget|burn)", report.sql)
        is not None
    )


def _seen(database: Database, arguments: dict[str, Any], zone: str, lang: str) -> Iterator[Note]:
    """Yield notes on how far the period was observed and billed.

    They say until when the bill has settled, when the first poll was if that is within the period, and
    which times nobody observed.
    """
    yield "time zone", zone
    for account, reach in run(database, _SETTLED, arguments)[1]:
        # for each account: one that settles late must not hide behind another
        yield "settled until (UTC)", _account_instant(account, reach, zone)
    for account, lines, microcny in run(database, _CORRECTED, arguments)[1]:
        words = _WORDS[lang]["corrected"]
        # for people, to the fen: no sum is made of it
        yuan = microcny / MICRO
        yield "corrected by the source", words.format(account=account, lines=lines, yuan=yuan)
    for account, since in run(database, _SINCE, arguments)[1]:
        yield "observed since (UTC)", _account_instant(account, since, zone)
    gaps = list(run(database, _GAPS, arguments)[1])
    for account, start_s, end_s in gaps:
        minutes = (end_s - start_s) // 60
        yield (
            "gap in observation",
            _WORDS[lang]["gap"].format(
                account=account, start=_both(start_s, zone), end=_both(end_s, zone), minutes=minutes
            ),
        )
    # said even if there are none: a missing line would say nothing
    if not gaps:
        yield "gaps in observation", 0
    for words in unread(database, arguments.get("account"), lang):
        yield "records not understood", words


def _account_instant(account: str, at: Instant | None, zone: str) -> str:
    return f"{account}: {'–' if at is None else _both(at, zone)}"


def _both(at: Instant, zone: str) -> str:
    """Return an instant in UTC, and the local time."""
    return iso(at) if zone in UTC_NAMES else f"{iso(at)} ({local_text(at, Zone(zone))} {zone})"


def _made(made_at: Instant, zone: str) -> list[Note]:
    return [("program", f"chenyu-etl {__version__}"), ("made at (UTC)", _both(made_at, zone))]


def _labelled(lines: list[Note], lang: str) -> list[Note]:
    return [(_LABELS[label] if lang == "zh" else label, value) for label, value in lines]


def _column_note(column: Any, lang: str) -> str:
    return f"{column.full_heading(lang)}: {column.meaning(lang)}"
