"""Figures for Prometheus: counters of this process, and gauges of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import floor
from pathlib import Path
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from etl import __version__, store
from etl.app import App
from etl.errors import EtlError
from etl.paths import replacing
from etl.poll import APPLIED, OUTCOMES
from etl.polling import Result
from etl.service import gauges
from etl.service.ticks import Watch
from etl.store.alerts import AlertsReader
from etl.units import DAY_S

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# an unchanged poll takes tenths of a second, a first load a minute
BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
POLLED: Final = (*APPLIED, "failed")
UNPOLLED: Final = ("covered", "held", "coalesced")
COSTS_AGE_S: Final = 60.0
"""Costs are read anew after so long: they add up a month."""
PUBLIC: Final = 0o644
"""The mode of a metrics file: another user's program reads it."""

# a second series for each counter, which says when it began: of no use here, and as many again
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics(Collector):
    """Metrics of observed ticks; `text` returns them for Prometheus to scrape."""

    def __init__(self, app: App, watches: Callable[[], Iterable[Watch]]) -> None:
        self._app = app
        self._watches = watches
        self._registry = CollectorRegistry()
        by_poll = ("account", "resource")
        self._polls = self._counter(
            "polls", "Polls by outcome; skipped ones had no turn.", *by_poll, "outcome"
        )
        self._unpolled = self._counter(
            "ticks_without_poll",
            "Ticks without a poll of their own: covered by another process, held after failures, or"
            " coalesced with one that came late or waited.",
            *by_poll,
            "reason",
        )
        self._requests = self._counter("requests", "Requests to the source.", *by_poll)
        self._retries = self._counter("request_retries", "Requests that were retries.", *by_poll)
        self._versions = self._counter("versions_written", "Versions written.", *by_poll)
        self._rejected = self._counter(
            "rejected_records", "Records of polls that were not understood.", *by_poll
        )
        self._took = Histogram(
            "chenyu_etl_poll_duration_seconds",
            "How long polls took, failed ones too.",
            ("resource",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._watched = set[tuple[str, str]]()
        self._costs: tuple[float, list[str], list[Metric]] = float("-inf"), [], []
        self._registry.register(self)

    def text(self) -> bytes:
        self._follow_watches()
        return generate_latest(self._registry)

    def observe(
        self,
        watch: Watch,
        outcome: str,
        result: Result | None = None,
        took_s: float = 0.0,
        ticks: int = 1,
    ) -> None:
        names = (watch.account.name, watch.resource.name)
        counter = self._unpolled if outcome in UNPOLLED else self._polls
        counter.labels(*names, outcome).inc(ticks)
        if outcome in POLLED and result is not None:
            self._took.labels(names[1]).observe(took_s)
        if result is not None and result.outcome is not None:
            run = result.outcome.run
            self._requests.labels(*names).inc(run.requests)
            self._retries.labels(*names).inc(run.retries)
            self._versions.labels(*names).inc(run.added + run.changed)
            self._rejected.labels(*names).inc(run.rejected)

    def collect(self) -> Iterator[Metric]:
        yield build_info()
        yield from self._ages()
        yield from self._from_database()

    def _follow_watches(self) -> None:
        """Begin every counter of a watch at 0, and drop those of accounts that are no longer
        watched.
        """
        watched = {(w.account.name, w.resource.name) for w in self._watches()}
        single = (self._requests, self._retries, self._versions, self._rejected)
        # what is no longer watched must not look like an account whose polls stand still
        for names in self._watched - watched:
            for counter in single:
                counter.remove(*names)
            for outcome in OUTCOMES:
                self._polls.remove(*names, outcome)
            for reason in UNPOLLED:
                self._unpolled.remove(*names, reason)
        for names in watched:
            for counter in single:
                counter.labels(*names)
            for outcome in OUTCOMES:
                self._polls.labels(*names, outcome)
            for reason in UNPOLLED:
                self._unpolled.labels(*names, reason)
        self._watched = watched

    def _ages(self) -> Iterator[GaugeMetricFamily]:
        ages = last_polls()
        count = GaugeMetricFamily(
            "chenyu_etl_listed_records",
            "Records in the newest listing.",
            labels=["account", "resource"],
        )
        now = self._app.clock()
        for watch in self._watches():
            names = [watch.account.name, watch.resource.name]
            if watch.complete_at is not None:
                ages[0].add_metric(names, now - watch.complete_at)
                ages[1].add_metric(names, watch.complete_at)
            if watch.listed is not None:
                count.add_metric(names, watch.listed)
        yield from ages
        yield count

    def _from_database(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("chenyu_etl_database_up", "Whether the database could be read.")
        families: list[Metric] = []
        accounts = list(dict.fromkeys(watch.account.name for watch in self._watches()))
        try:
            with store.reading(self._app.database) as known:
                families.extend(gauges.fleet(known.status, accounts, self._app.now()))
                families.extend(gauges.money(known.status, accounts))
                families.append(self._undelivered(known.alerts))
            families.extend(self._month_costs(accounts))
            up.add_metric([], 1)
        except EtlError:
            # whole or not at all: some of the gauges would look like accounts that were taken away
            families.clear()
            # the counters of this process are served all the same: a scrape that fails says less
            up.add_metric([], 0)
        yield up
        yield from families

    def _month_costs(self, accounts: list[str]) -> list[Metric]:
        now = self._app.clock()
        read_at, of_accounts, families = self._costs
        if of_accounts != accounts or not 0 <= now - read_at < COSTS_AGE_S:
            today = self._app.today()
            with store.reading(self._app.database) as known:
                families = list(gauges.costs(known.status, accounts, today))
            self._costs = now, accounts, families
        return families

    def _undelivered(self, known: AlertsReader) -> GaugeMetricFamily:
        """Return gauges of undelivered messages, for every channel in the settings and others that
        hold some.
        """
        gauge = GaugeMetricFamily(
            "chenyu_etl_alert_messages",
            "Messages that a channel did not take: to be tried again, or given up in the last day.",
            labels=["channel", "state"],
        )
        troubles = {t.channel: t for t in known.troubles(floor(self._app.clock()) - DAY_S)}
        channels = [channel.name for channel in self._app.settings.alerts.channels]
        for name in dict.fromkeys([*channels, *troubles]):
            trouble = troubles.get(name)
            gauge.add_metric([name, "waiting"], trouble.waiting if trouble else 0)
            gauge.add_metric([name, "given_up"], trouble.given_up if trouble else 0)
        return gauge

    def _counter(self, name: str, about: str, *labels: str) -> Any:
        return Counter(f"chenyu_etl_{name}", about, labels, registry=self._registry)


class DatabaseMetrics(Collector):
    """The figures of the database alone, for a process that polls once and ends."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._resources = app.settings.resources

    def collect(self) -> Iterator[Metric]:
        accounts, now = self._app.watched(), self._app.now()
        yield build_info()
        with store.reading(self._app.database) as known:
            yield from self._polls(known, accounts, now)
            yield from gauges.fleet(known.status, accounts, now)
            yield from gauges.money(known.status, accounts)
        today = self._app.today()
        with store.reading(self._app.database) as known:
            yield from gauges.costs(known.status, accounts, today)

    def _polls(self, known: store.Reading, accounts: list[str], now: int) -> Iterator[Metric]:
        polls = CounterMetricFamily(
            "chenyu_etl_polls",
            "Polls by outcome; skipped ones had no turn.",
            labels=["account", "resource", "outcome"],
        )
        age, at = last_polls()
        counted = known.status.outcomes()
        collected = {(name, resource) for name in accounts for resource in self._resources}
        for account, resource in sorted(collected | set(counted)):
            for outcome in OUTCOMES if account in accounts else ():
                polls.add_metric(
                    [account, resource, outcome],
                    counted.get((account, resource), {}).get(outcome, 0),
                )
        for poll in known.status.polls(now):
            if poll.account in accounts and poll.age_s is not None:
                age.add_metric([poll.account, poll.resource], poll.age_s)
                at.add_metric([poll.account, poll.resource], now - poll.age_s)
        yield from (polls, age, at)


def last_polls() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """Return gauges without values yet: the age of the newest complete poll, and its moment.

    An age below 0 is a poll from the future. A file that is written once needs the moment.
    """
    labels = ["account", "resource"]
    return (
        GaugeMetricFamily(
            "chenyu_etl_last_complete_poll_age_seconds",
            "Time since the newest complete poll.",
            labels=labels,
        ),
        GaugeMetricFamily(
            "chenyu_etl_last_complete_poll_timestamp_seconds",
            "When the newest complete poll was, on this machine's clock.",
            labels=labels,
        ),
    )


def build_info() -> GaugeMetricFamily:
    info = GaugeMetricFamily("chenyu_etl_build_info", "The program.", labels=["version"])
    info.add_metric([__version__], 1)
    return info


def write_textfile(app: App, path: Path) -> None:
    """Write the database's figures for node_exporter's textfile collector, whole or not at all.

    Raises `SettingsError` if the file cannot be written.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseMetrics(app))
    content = generate_latest(registry)
    with replacing(path, app.database.files, PUBLIC) as file:
        file.write(content)
