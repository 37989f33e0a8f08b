"""Figures of the database as gauges for Prometheus: the fleet, its costs and the money left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from etl.poll import Instant
from etl.store.status import StatusReader
from etl.units import DAY_S, HOUR_S, MICRO

STOPPED_S: Final = 31 * DAY_S
"""A model that no instance has any more is shown as 0 for so long after it ran."""


def fleet(
    known: StatusReader, accounts: Sequence[str], now: Instant
) -> Iterator[GaugeMetricFamily]:
    """Return gauges of what runs now, by the newest polls; 0 for every other model that the account
    has, or that ran of late.
    """
    running = GaugeMetricFamily(
        "chenyu_etl_running_instances", "Instances that run.", labels=["account", "model"]
    )
    gpus = GaugeMetricFamily(
        "chenyu_etl_running_gpus", "GPUs of instances that run.", labels=["account", "model"]
    )
    # a series that vanishes keeps its last value in a graph, and an alert on it never fires
    counts = dict.fromkeys(known.models(now - STOPPED_S), (0, 0))
    counts |= {(row.account, row.gpu_name): (row.instances, row.gpus) for row in known.running()}
    for (account, model), (instances, cards) in sorted(counts.items()):
        if account in accounts:
            running.add_metric([account, model], instances)
            gpus.add_metric([account, model], cards)
    yield running
    yield gpus


def money(known: StatusReader, accounts: Sequence[str]) -> Iterator[GaugeMetricFamily]:
    """Return gauges of the money left, the hourly cost of all that runs at current prices, and how
    long the money lasts.
    """
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
    burning = dict.fromkeys(accounts, 0) | known.burn()
    for account, cash_microcny, card_microcny in known.left():
        if account in accounts:
            cash, cards = cash_microcny or 0, card_microcny or 0
            left.add_metric([account, "cash"], cash / MICRO)
            left.add_metric([account, "cards"], cards / MICRO)
            # nothing runs: the money lasts for ever, and Prometheus has no word for that
            if burning[account]:
                lasts.add_metric([account], max(0.0, (cash + cards) * HOUR_S / burning[account]))
    for account in accounts:
        burn.add_metric([account], burning[account] / MICRO)
    yield from (left, burn, lasts)


def costs(known: StatusReader, accounts: Sequence[str], today: date) -> Iterator[GaugeMetricFamily]:
    """Return gauges of the cost of today and of this month so far, with the bounds; 0 if nothing was
    used.
    """
    names = {
        "chenyu_etl_cost_yuan": "Cost so far, by the best estimate.",
        "chenyu_etl_cost_min_yuan": "Cost so far, at least.",
        "chenyu_etl_cost_max_yuan": "Cost so far, at most.",
    }
    gauges = [
        GaugeMetricFamily(name, about, labels=["account", "period"])
        for name, about in names.items()
    ]
    for period, first in (("today", today), ("month", today.replace(day=1))):
        amounts = known.costs(first.isoformat(), today.isoformat())
        for account in accounts:
            # 0 if nothing was used: a series that vanishes looks like a daemon that is gone
            for gauge, microcny in zip(gauges, amounts.get(account, (0, 0, 0)), strict=True):
                gauge.add_metric([account, period], microcny / MICRO)
    yield from gauges
