"""One file per thing that is collected, and the registry of them.

A resource says where its listing is, how its records are told apart, whether absence from it means
anything (`keeping`), how a record is read, and in which table it is.
"""

from __future__ import annotations

from typing import Any

from etl.resources import (
    balance,
    bills,
    cards,
    images,
    instances,
    list_prices,
    recharges,
    workflow_runs,
)
from etl.resources.listing import Listing, Reject
from etl.resources.records import Record, ValidTime
from etl.resources.resource import Keeping, Resource

MODULES = (instances, list_prices, balance, cards, bills, recharges, workflow_runs, images)
"""The resources, in the order in which they are polled. A further one is one name here."""
RESOURCES: dict[str, Resource[Any]] = {m.RESOURCE.name: m.RESOURCE for m in MODULES}
INSTANCES, BILLS, RECHARGES = instances.RESOURCE, bills.RESOURCE, recharges.RESOURCE
GPU_PRICES, BALANCE, CARDS = list_prices.RESOURCE, balance.RESOURCE, cards.RESOURCE
WORKFLOW_RUNS, IMAGES = workflow_runs.RESOURCE, images.RESOURCE

__all__ = [
    "BALANCE",
    "BILLS",
    "CARDS",
    "GPU_PRICES",
    "IMAGES",
    "INSTANCES",
    "RECHARGES",
    "RESOURCES",
    "WORKFLOW_RUNS",
    "Keeping",
    "Listing",
    "Record",
    "Reject",
    "Resource",
    "ValidTime",
]
