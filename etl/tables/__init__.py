"""The tables: names, keys and the rules that databases enforce. The contract is `docs/schema.md`."""

from etl.tables.alerts import alert, alert_delivery
from etl.tables.base import account, calendar_day, metadata, setting
from etl.tables.codes import charging_type, instance_status
from etl.tables.costs import (
    allocation,
    allocation_rule,
    budget,
    closed_cost,
    closed_month,
    price_override,
    price_period,
    rule_version,
    tag_rule,
    usage_cost,
)
from etl.tables.instances import (
    FACTS,
    TERMS,
    instance,
    instance_history,
    instance_usage,
    state_length,
    usage_day,
)
from etl.tables.money import (
    BILL_KEY,
    balance,
    bill,
    bill_day,
    billed_usage_day,
    card,
    gpu_price,
    private_image,
    recharge,
    settlement_rule,
    workflow_run,
)
from etl.tables.polls import folded_poll, known_listing, rejected_record, sync_run
from etl.tables.rollups import cost_sum, running_sum
from etl.tables.samples import gpu_load, gpu_samples

__all__ = [
    "BILL_KEY",
    "FACTS",
    "TERMS",
    "account",
    "alert",
    "alert_delivery",
    "allocation",
    "allocation_rule",
    "balance",
    "bill",
    "bill_day",
    "billed_usage_day",
    "budget",
    "calendar_day",
    "card",
    "charging_type",
    "closed_cost",
    "closed_month",
    "cost_sum",
    "folded_poll",
    "gpu_load",
    "gpu_price",
    "gpu_samples",
    "instance",
    "instance_history",
    "instance_status",
    "instance_usage",
    "known_listing",
    "metadata",
    "price_override",
    "price_period",
    "private_image",
    "recharge",
    "rejected_record",
    "rule_version",
    "running_sum",
    "setting",
    "settlement_rule",
    "state_length",
    "sync_run",
    "tag_rule",
    "usage_cost",
    "usage_day",
    "workflow_run",
]
