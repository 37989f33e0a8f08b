"""The FOCUS export: each row by the rules that its own validator does not look at."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

from etl.books import closing
from etl.dialect import Database
from etl.errors import SettingsError
from etl.exports import focus
from etl.resources import BILLS
from etl.simcloud import Story
from tests.golden_fleet import START
from tests.support import apply, poll_story, rows
from tests.test_money_records import LINE
from tests.test_money_store import take

Golden = Callable[[str], Database]
MONTH = "2026-03"
MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
ENUMS = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "BillingCurrency": {"CNY"},
    "PricingCurrency": {"CNY"},
    "PricingUnit": {"", "Hours"},
    "ConsumedUnit": {"", "Hours"},
    "ServiceCategory": {"Compute"},
    "ServiceSubcategory": {"Virtual Machines"},
}
CENT = Decimal("0.00001")


@pytest.fixture
def lines(golden: Golden, kind: str, tmp_path: Path) -> list[dict[str, str]]:
    return read(golden(kind), tmp_path / "focus.csv")


def read(database: Database, path: Path) -> list[dict[str, str]]:
    written = focus.export_focus(database, MONTH, path)
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == written.rows
    return found


def billed_by(lines: list[dict[str, str]], *names: str) -> dict[tuple[str, ...], int]:
    """Millionths of a yuan that were billed, by these columns, without what is 0."""
    sums: dict[tuple[str, ...], int] = {}
    for line in lines:
        key = tuple(line[name] for name in names)
        sums[key] = sums.get(key, 0) + int(Decimal(line["BilledCost"]) * 1_000_000)
    return {key: amount for key, amount in sums.items() if amount}


def billed(database: Database) -> int:
    """Millionths of a yuan that the bill of the month is."""
    days = "day BETWEEN '2026-03-01' AND '2026-03-31'"
    ((amount,),) = rows(database, f"SELECT SUM(amount_microcny) FROM bill_daily WHERE {days}")
    return int(amount)


def test_there_is_something_of_everything(lines: list[dict[str, str]]) -> None:
    assert {"Usage-Based", "Recurring"} <= {line["ChargeFrequency"] for line in lines}
    assert any(line["Tags"] for line in lines)


def test_what_may_not_be_null_is_there_and_enums_are_kept(lines: list[dict[str, str]]) -> None:
    for line in lines:
        assert all(line[name] for name in MANDATORY), line
        assert all(line[name] in allowed for name, allowed in ENUMS.items()), line
        assert (line["ChargeCategory"], line["ChargeFrequency"]) != ("Purchase", "Usage-Based")
        assert not {"NULL", "N/A", "None", "nan"} & set(line.values())


def test_instants_are_utc_and_periods_nest(lines: list[dict[str, str]]) -> None:
    for line in lines:
        said = [
            line[f"{what}Period{end}"] for what in ("Billing", "Charge") for end in ("Start", "End")
        ]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", instant) for instant in said)
        month_starts, month_ends, starts, ends = map(datetime.fromisoformat, said)
        assert month_starts <= starts < ends <= month_ends


def test_cost_is_price_times_quantity(lines: list[dict[str, str]]) -> None:
    used = [line for line in lines if line["PricingQuantity"]]
    assert used
    for line in used:
        hours = Decimal(line["PricingQuantity"])
        for what in ("List", "Contracted"):
            cost = Decimal(line[f"{what}UnitPrice"]) * hours
            assert abs(cost - Decimal(line[f"{what}Cost"])) < CENT, line
        assert line["ConsumedQuantity"] == line["PricingQuantity"]
        least, estimate, most = (
            Decimal(line[f"x_{name}"]) for name in ("CostMin", "EstimatedCost", "CostMax")
        )
        assert least <= estimate <= most
        assert estimate == Decimal(line["ContractedCost"])


def test_decimals_are_plain_and_json_is_flat(lines: list[dict[str, str]]) -> None:
    for line in lines:
        for name in focus.NUMBERS:
            assert re.fullmatch(r"(-?\d+(\.\d+)?)?", line[name]), (name, line[name])
        for name in ("Tags", "SkuPriceDetails"):
            if line[name]:
                said = json.loads(line[name])
                assert said
                assert not any(isinstance(value, dict | list) for value in said.values())


def test_the_sum_is_that_of_the_cost_views(
    lines: list[dict[str, str]], golden: Golden, kind: str
) -> None:
    total = sum(Decimal(line["x_EstimatedCost"] or 0) for line in lines)
    ((cost,),) = rows(
        golden(kind),
        "SELECT SUM(cost_microcny) FROM cost_daily WHERE day BETWEEN '2026-03-01' AND '2026-03-31'",
    )
    assert total * 1_000_000 == cost


def test_what_was_billed_is_the_bill_to_the_millionth(
    lines: list[dict[str, str]], golden: Golden, kind: str
) -> None:
    assert sum(billed_by(lines, "x_Day").values()) == billed(golden(kind))
    attributed = rows(
        golden(kind),
        "SELECT CAST(day AS TEXT), COALESCE(instance_uuid, ''), SUM(amount_microcny)"
        " FROM bill_attributed_daily WHERE day BETWEEN '2026-03-01' AND '2026-03-31'"
        " GROUP BY day, instance_uuid HAVING SUM(amount_microcny) <> 0",
    )
    expected = {(day, instance): int(amount) for day, instance, amount in attributed}
    assert billed_by(lines, "x_Day", "ResourceId") == expected
    assert any(instance for _, instance in expected)


def test_prepaid_time_costs_its_part_of_the_price_and_other_time_what_was_billed(
    lines: list[dict[str, str]],
) -> None:
    for line in lines:
        prepaid = line["ChargeFrequency"] == "Recurring"
        assert line["EffectiveCost"] == line["ContractedCost" if prepaid else "BilledCost"]
        assert line["PricingCurrencyEffectiveCost"] == line["EffectiveCost"]


def test_bill_lines_that_no_usage_can_take_have_lines_of_their_own(
    database: Database, tmp_path: Path
) -> None:
    at = 1_773_000_000
    window = {"settle_start_time": at, "settle_end_time": at + 3_600, "order_time": at}
    by_card = {**LINE, **window, "amount": 12.5, "charge_channel": 2}
    paid_back = {**LINE, **window, "amount": -3, "remark": "refund"}
    take(database, BILLS, LINE | window, by_card, paid_back, at=at)
    found = read(database, tmp_path / "focus.csv")
    assert sorted((x["ChargeCategory"], x["BilledCost"], x["ListCost"]) for x in found) == [
        ("Credit", "-3", "-3"),
        ("Usage", "12.5", "12.5"),
        ("Usage", "25.5", "25.5"),
    ]
    assert {line["x_OrderNumber"] for line in found} == {"#O1"}
    assert {line["x_EstimatedCost"] for line in found} == {""}
    assert sorted(line["x_CardCost"] for line in found) == ["0", "0", "12.5"]
    cloud = Story(at - 60)
    cloud.rents()
    apply(database, poll_story(cloud))
    found = read(database, tmp_path / "focus.csv")
    assert sum(Decimal(line["BilledCost"]) for line in found) == 35, "it ran, at a price unknown"


def test_a_closed_month_is_exported_as_it_was_closed(golden_copy: Database, tmp_path: Path) -> None:
    database = golden_copy
    open_sum = sum(
        Decimal(line["x_EstimatedCost"] or 0) for line in read(database, tmp_path / "open.csv")
    )
    with database.writing() as conn:
        conn.exec_driver_sql(
            "UPDATE sync_run SET started_at = '2026-04-02T00:00:00Z', finished_at ="
            " '2026-04-02T00:00:01Z' WHERE sync_run_id = (SELECT MAX(sync_run_id) FROM sync_run"
            " WHERE resource = 'instances' AND outcome = 'complete')"
        )
    closing.close(database, MONTH, None, START + 60 * 86_400)
    found = read(database, tmp_path / "closed.csv")
    assert {line["x_CostSource"] for line in found if line["SkuId"]} == {"closed"}
    assert sum(billed_by(found, "ResourceId").values()) == billed(database)
    assert sum(Decimal(line["x_EstimatedCost"] or 0) for line in found) >= open_sum


def test_parquet_says_the_same_with_types(golden: Golden, kind: str, tmp_path: Path) -> None:
    database = golden(kind)
    lines = read(database, tmp_path / "a.csv")
    focus.export_focus(database, MONTH, tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert str(table.schema.field("ChargePeriodStart").type) == "timestamp[ms, tz=UTC]"
    assert str(table.schema.field("BilledCost").type) == "double"
    assert table.column("ResourceId").to_pylist() == [line["ResourceId"] or None for line in lines]
    assert table.column("BilledCost").to_pylist() == [float(line["BilledCost"]) for line in lines]


def test_again_is_the_same_and_another_account_is_empty(
    golden: Golden, kind: str, tmp_path: Path
) -> None:
    database = golden(kind)
    for name in ("a.csv", "b.csv"):
        focus.export_focus(database, MONTH, tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert focus.export_focus(database, MONTH, tmp_path / "c.csv", "nobody").rows == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "c.csv"]


def test_a_month_that_is_none_is_refused(golden: Golden, kind: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no month"):
        focus.export_focus(golden(kind), "2026-13", tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_version_has_its_own_columns_and_no_later_ones(
    golden: Golden, kind: str, tmp_path: Path
) -> None:
    lines = {}
    for version in focus.VERSIONS:
        path = tmp_path / f"{version}.csv"
        focus.export_focus(golden(kind), MONTH, path, version=version)
        with path.open(newline="", encoding="utf-8") as file:
            lines[version] = list(csv.DictReader(file))
    providers = {"HostProviderName", "ServiceProviderName"}
    assert lines["1.3"][0].keys() - lines["1.2"][0].keys() == providers
    assert {line[name] for line in lines["1.3"] for name in providers} == {"Chenyu Cloud"}
    for before, after in zip(lines["1.2"], lines["1.3"], strict=True):
        assert before.items() <= after.items(), "1.3 withdraws none of our columns"
