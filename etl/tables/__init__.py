"""The tables: names, keys and what the databases enforce. The contract is `docs/schema.md`."""

from etl.tables.base import account, calendar_day, metadata, setting
from etl.tables.instances import (
    FACTS,
    TERMS,
    charging_type,
    instance,
    instance_history,
    instance_status,
    instance_usage,
    rejected_record,
    sync_run,
    usage_day,
)
from etl.tables.money import BILL_KEY, balance, bill, bill_day, card, gpu_price, recharge

__all__ = [
    "BILL_KEY",
    "FACTS",
    "TERMS",
    "account",
    "balance",
    "bill",
    "bill_day",
    "calendar_day",
    "card",
    "charging_type",
    "gpu_price",
    "instance",
    "instance_history",
    "instance_status",
    "instance_usage",
    "metadata",
    "recharge",
    "rejected_record",
    "setting",
    "sync_run",
    "usage_day",
]
