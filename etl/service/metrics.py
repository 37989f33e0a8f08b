"""Figures for Prometheus: what this process did, and what the database says now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import floor
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from etl import __version__, store
from etl.app import App
from etl.errors import EtlError
from etl.polling import Result
from etl.service.ticks import Watch
from etl.store.alerts import AlertsReader
from etl.store.status import StatusReader
from etl.units import DAY_S, MICRO

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
POLLED: Final = ("complete", "partial", "failed")
UNPOLLED: Final = ("covered", "held")

disable_created_metrics()  # type: ignore[no-untyped-call]

Gauges = Callable[[StatusReader], Iterable[GaugeMetricFamily]]


def fleet(known: StatusReader) -> Iterator[GaugeMetricFamily]:
    """Gauges of what runs now, by the newest polls."""
    running = GaugeMetricFamily(
        "chenyu_etl_running_instances", "Instances that run.", labels=["account", "model"]
    )
    gpus = GaugeMetricFamily(
        "chenyu_etl_running_gpus", "GPUs of instances that run.", labels=["account", "model"]
    )
    for row in known.running():
        running.add_metric([row.account, row.gpu_name], row.instances)
        gpus.add_metric([row.account, row.gpu_name], row.gpus)
    yield running
    yield gpus


def money(known: StatusReader) -> Iterator[GaugeMetricFamily]:
    """Gauges of what is left, what all that runs costs an hour at the prices of now, and how long
    that lasts."""
    left = GaugeMetricFamily(
        "chenyu_etl_balance_yuan", "What is left.", labels=["account", "channel"]
    )
    burn = GaugeMetricFamily(
        "chenyu_etl_burn_yuan_per_hour", "What all that runs costs an hour.", labels=["account"]
    )
    lasts = GaugeMetricFamily(
        "chenyu_etl_balance_lasts_seconds",
        "How long cash and cards last if all goes on as it runs.",
        labels=["account"],
    )
    burning = known.burn()
    for account, cash_microcny, card_microcny in known.left():
        cash, cards = cash_microcny or 0, card_microcny or 0
        left.add_metric([account, "cash"], cash / MICRO)
        left.add_metric([account, "cards"], cards / MICRO)
        if burning.get(account):
            lasts.add_metric([account], max(0.0, (cash + cards) * 3600 / burning[account]))
    for account, microcny in sorted(burning.items()):
        burn.add_metric([account], microcny / MICRO)
    yield from (left, burn, lasts)


GAUGES: list[Gauges] = [fleet, money]
"""What is read from the database at each scrape."""


class Metrics(Collector):
    """Observes ticks; `text` is what Prometheus scrapes."""

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
            "Ticks that needed no poll: covered by another process, or held after failures.",
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
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def observe(
        self, watch: Watch, outcome: str, result: Result | None = None, took_s: float = 0.0
    ) -> None:
        names = (watch.account.name, watch.resource.name)
        counter = self._unpolled if outcome in UNPOLLED else self._polls
        counter.labels(*names, outcome).inc()
        if outcome in POLLED and result is not None:
            self._took.labels(names[1]).observe(took_s)
        if result is not None and result.outcome is not None:
            run = result.outcome.run
            self._requests.labels(*names).inc(run.requests)
            self._retries.labels(*names).inc(run.retries)
            self._versions.labels(*names).inc(run.added + run.changed)
            self._rejected.labels(*names).inc(run.rejected)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        info = GaugeMetricFamily("chenyu_etl_build_info", "The program.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from self._freshness()
        yield from self._from_database()

    def _freshness(self) -> Iterator[GaugeMetricFamily]:
        labels = ["account", "resource"]
        now = self._app.clock()
        age = GaugeMetricFamily(
            "chenyu_etl_last_complete_poll_age_seconds",
            "Time since the newest complete poll.",
            labels=labels,
        )
        count = GaugeMetricFamily(
            "chenyu_etl_listed_records", "Records in the newest listing.", labels=labels
        )
        for watch in self._watches():
            names = [watch.account.name, watch.resource.name]
            if watch.complete_at is not None:
                age.add_metric(names, max(0.0, now - watch.complete_at))
            if watch.listed is not None:
                count.add_metric(names, watch.listed)
        yield age
        yield count

    def _from_database(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("chenyu_etl_database_up", "Whether the database could be read.")
        found: list[GaugeMetricFamily] = []
        try:
            with store.reading(self._app.database) as known:
                for gauges in GAUGES:
                    found.extend(gauges(known.status))
                found.append(self._undelivered(known.alerts))
            up.add_metric([], 1)
        except EtlError:
            found.clear()
            up.add_metric([], 0)
        yield up
        yield from found

    def _undelivered(self, known: AlertsReader) -> GaugeMetricFamily:
        """Gauges of every channel in the settings, and of others that hold messages: 0 if all is well."""
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
