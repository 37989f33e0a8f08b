"""The last days of each line of a report, for a sparkline beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from etl.dialect import Database
from etl.dialect.rendering import expanded
from etl.history.days import Zone
from etl.reports.header import Param, Report, load_report
from etl.reports.notes import observed
from etl.reports.render.columns import Column
from etl.reports.running import run
from etl.texts import ENGLISH, tr

DAYS: Final = 14
COST: Final = "cost_yuan"
NOBODY: Final = "(no rule)"
"""Who pays in reports that add up, if no rule says so."""
_INSTANCE: Final = (("instance_uuid",), ("instance_uuid",))
_INSTANCE_AND_MODEL: Final = (("instance_uuid", "gpu_name"), ("instance_uuid", "gpu_name"))


_HOURS: Final = Report(
    "last-days",
    "",
    (Param("account", ""), Param("from_day", ""), Param("to_day", "")),
    {},
    expanded(
        """
        SELECT day, account, gpu_name, instance_uuid, hours(gpu_s) AS gpu_hours
        FROM gpu_usage_instance_daily
        WHERE in_period(day) AND account_chosen(account)
        """
    ),
)
"""Card-hours of running time; those of report `daily` are what is charged, time paid ahead included."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Columns of a report, those of the days of the same lines, and the measure of these."""

    own: tuple[str, ...]
    daily: tuple[str, ...]
    measure: str


def trend_of(report: Report, by: str | None) -> Trend | None:
    """Return how the days of a report's lines are found; None if its lines have none."""
    if report.is_own:
        return None
    param = report.param("by")
    by = by or (param.default if param else None)
    keys = _KEYS.get(report.name, {}).get(by)
    if keys is None:
        return None
    measure = COST if report.name in ("overview", "cost") else "gpu_hours"
    return Trend(*keys, measure)


def trend_column(lang: str, *, is_kept: bool) -> Column:
    """Return the column of drawn days, with its heading in a language."""
    heading = "" if lang == ENGLISH else tr("last 14 days").in_language(lang)
    return Column("last_14_days", zh=heading, is_kept=is_kept)


def _by(column: str, own: str = "what") -> tuple[tuple[str, ...], tuple[str, ...]]:
    return ("account", own), ("account", column)


_KEYS: Final[
    Mapping[str, Mapping[str | None, tuple[tuple[str, ...], tuple[str, ...]]]]
] = {
    "overview": {None: _by("project", "project")},
    "cost": {
        "instance": _INSTANCE,
        "project": _by("project"),
        "owner": _by("owner"),
        "model": _by("gpu_name"),
    },
    "gpu-hours": {"model": _by("gpu_name", "gpu_name"), "instance": _INSTANCE_AND_MODEL},
    "uptime": {"instance": _INSTANCE, "gpu": _by("gpu_name")},
    "now": {None: _INSTANCE},
    "timers": {None: _INSTANCE},
    "idle": {None: _INSTANCE},
}  # fmt: skip
"""By report and what its lines are about: columns of the report, and of its days."""


@dataclass(frozen=True, slots=True)
class Days:
    """Sums of days that end with one day, by key. A day outside of `seen` without a sum is not known,
    one inside is 0."""

    last: date
    seen: tuple[date, date] | None
    sums: Mapping[tuple[Any, ...], Mapping[str, float]]

    @property
    def is_known(self) -> bool:
        """Tell whether anything is known of one of these days."""
        days = self._days()
        return any(map(self._is_seen, days)) or any(
            day.isoformat() in known for known in self.sums.values() for day in days
        )

    def of(self, key: tuple[Any, ...]) -> list[float | None]:
        """Return the sums of the last days of a key, the oldest first."""
        known = self.sums.get(key, {})
        # prepaid time costs on days before the first poll too
        return [
            known.get(day.isoformat(), 0.0 if self._is_seen(day) else None) for day in self._days()
        ]

    def _days(self) -> list[date]:
        return [self.last - timedelta(days=ago) for ago in reversed(range(DAYS))]

    def _is_seen(self, day: date) -> bool:
        return self.seen is not None and self.seen[0] <= day <= self.seen[1]


def last_days(
    database: Database, zone: Zone, arguments: Mapping[str, Any], keys: Sequence[str], measure: str
) -> Days:
    """Return the sums of `cost_yuan` or `gpu_hours`, up to `to_day` or the newest day that was seen."""
    account = arguments.get("account")
    seen = observed(database, account)
    is_seen = None if seen is None else (zone.local_date(seen[0]), zone.local_date(seen[1]))
    last = date.fromisoformat(str(arguments["to_day"]))
    # days that are to come, or that nobody has seen yet, say nothing
    last = last if is_seen is None else min(last, is_seen[1])
    daily = load_report("daily") if measure == COST else _HOURS
    period = {"from_day": (last - timedelta(days=DAYS - 1)).isoformat(), "to_day": last.isoformat()}
    names, rows = run(database, daily, {**period, "account": account, "now": arguments["now"]})
    at = [names.index(key) for key in keys]
    day, value = names.index("day"), names.index(measure)
    sums: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        sums[tuple(_payer_in_reports(key, row[i]) for key, i in zip(keys, at, strict=True))][
            row[day]
        ] += row[value] or 0.0
    return Days(last, is_seen, sums)


def _payer_in_reports(key: str, value: Any) -> Any:
    """Return who pays as reports that add up name it: they have a word for nobody."""
    return NOBODY if value is None and key in ("project", "owner") else value
