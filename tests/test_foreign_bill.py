"""The bridge and the bill's sums hold for a bill that other code made: a provider with windows, roundings
and habits of its own, which shares nothing with the simulated cloud. Expected figures are added up from
its own lines, in fractions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from etl import reports
from etl.dialect import Database
from etl.resources import BALANCE, BILLS, RECHARGES
from tests.conftest import FilledOnce
from tests.test_money_store import take

S = 1_792_771_200
"""2026-10-24T00:00:00 in Shanghai."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAYS, EVERY_S = 24, 7 * HOUR
OPENING = 50_000
CHINA = timezone(timedelta(hours=8))
PERIODS = (
    ("2026-11-01", "2026-11-30"),
    ("2026-10-01", "2026-10-31"),
    ("2026-10-30", "2026-11-02"),
    ("2026-11-05", "2026-11-05"),
    ("2026-10-01", "2026-12-31"),
)


@dataclass(frozen=True)
class Charge:
    order: str
    begins: int
    ends: int
    ordered: int
    fen: int
    channel: int
    remark: str = ""
    since: int = 0
    """When the provider began to list it, and `until` when it ceased to."""
    until: int = 1 << 40


@dataclass
class Provider:
    """A cloud of which only the money is known: begun hours, windows of 97 minutes, lines that come days
    late, corrections, refunds, prepaid weeks and recharges, some of them never paid."""

    dice: Random
    charges: list[Charge] = field(default_factory=list)
    recharges: list[dict[str, Any]] = field(default_factory=list)

    def lives(self) -> None:
        # no correction of the oldest line is ever told from one that the source forgets with age
        self._charge("oldest", S - 2 * DAY, S - 2 * DAY + HOUR, S - 2 * DAY + HOUR, 100)
        for number in range(14):
            begins = S + self.dice.randrange(DAYS * DAY)
            self._bills_run(f"r{number}", begins, begins + self.dice.randrange(200, 4 * DAY))
        for number in range(3):
            begins = S + self.dice.randrange(DAYS) * DAY
            self._charge(f"w{number}", begins, begins + 7 * DAY, begins, 80_000)
        self._corrects()
        for number in range(6):
            paid = S + self.dice.randrange(DAYS * DAY)
            self.recharges.append(
                {
                    "out_trade_no": f"R{number}",
                    "amount": f"{self.dice.randrange(1, 30)},{self.dice.randrange(1_000):03}.50",
                    "created_at": paid - 90,
                    "pay_time": paid if number % 3 else 0,
                }
            )

    def _bills_run(self, order: str, begins: int, ends: int) -> None:
        hour_fen = self.dice.choice((166, 188, 550, 2_199))
        for at in range(begins, ends, 97 * MINUTE):
            to = min(at + 97 * MINUTE, ends)
            hours = -(-(to - at) // HOUR)
            late = self.dice.choice((0, 0, 0, 30, 3 * HOUR, 2 * DAY))
            self._charge(order, at, to, to + late, hours * hour_fen)

    def _charge(self, order: str, begins: int, ends: int, ordered: int, fen: int) -> None:
        channel = 2 if self.dice.random() < 0.15 else 1
        self.charges.append(Charge(order, begins, ends, ordered, fen, channel, since=ordered))

    def _corrects(self) -> None:
        """Every ninth line: another remark, a longer window, taken back; or a refund beside it."""
        for number, line in enumerate(list(self.charges)):
            if number % 9 != 4:
                continue
            at = line.ordered + self.dice.randrange(HOUR, 2 * DAY)
            kind = self.dice.choice(("remark", "window", "withdrawn", "refund"))
            if kind != "refund":
                self.charges[self.charges.index(line)] = replace(line, until=at)
            if kind == "remark":
                self.charges.append(replace(line, remark="corrected", since=at))
            elif kind == "window":
                longer = {"ends": line.ends + 11 * MINUTE, "fen": line.fen + 31}
                self.charges.append(replace(line, since=at, **longer))
            elif kind == "refund":
                self.charges.append(
                    replace(line, ordered=at, since=at, fen=-line.fen // 2, remark="refund")
                )

    def listed(self, now: int) -> list[Charge]:
        return [line for line in self.charges if line.since <= now < line.until]

    def lines(self, now: int) -> Iterator[dict[str, Any]]:
        for line in reversed(self.listed(now)):
            yield {
                "order_number": line.order,
                "settle_start_time": line.begins,
                "settle_end_time": line.ends,
                "order_time": line.ordered,
                "amount": f"￥{line.fen // 100:,}.{line.fen % 100:02}"
                if line.fen > 0
                else line.fen / 100,
                "charge_channel": line.channel,
                "remark": line.remark,
            }

    def balance(self, now: int) -> Fraction:
        """What is left, by what the provider lists today."""
        paid = sum(yuan_of(r) for r in self.recharges if 0 < r["pay_time"] <= now)
        spent = sum(line.fen for line in self.listed(now) if line.channel == 1)
        return OPENING + paid - Fraction(spent, 100)


def yuan_of(recharge: dict[str, Any]) -> Fraction:
    return Fraction(recharge["amount"].replace(",", ""))


def polls() -> Iterator[int]:
    yield from range(S + HOUR, S + (DAYS + 4) * DAY, EVERY_S)


def midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=CHINA).timestamp())


def provider() -> Provider:
    made = Provider(Random(7))
    made.lives()
    return made


@pytest.fixture(scope="module")
def charged_once(filled_once: FilledOnce) -> Callable[[str], Database]:
    return filled_once("foreign", charge)


@pytest.fixture
def charged(kind: str, charged_once: Callable[[str], Database]) -> Database:
    return charged_once(kind)


def charge(database: Database) -> None:
    made = provider()
    for now in polls():
        take(database, BILLS, *made.lines(now), at=now)
        take(database, BALANCE, {"balance": float(made.balance(now)), "card_balance": 0}, at=now)
        known = [r for r in made.recharges if r["created_at"] <= now]
        paid = ({**r, "pay_time": r["pay_time"] * (r["pay_time"] <= now)} for r in known)
        take(database, RECHARGES, *paid, at=now)


def figures(database: Database, first: str, last: str) -> dict[str, float | None]:
    period = {"from_day": first, "to_day": last}
    _, found = reports.run(database, reports.load_report("bridge"), period)
    return {line: amount if figure is None else figure for _, line, amount, figure, _at in found}


@pytest.mark.parametrize(("first", "last"), PERIODS)
def test_the_bridge_leads_over_a_bill_that_other_code_made(
    first: str, last: str, charged: Database
) -> None:
    made = provider()
    newest = max(polls())
    begins, ends = midnight(first), midnight(last) + DAY
    lines = made.listed(newest)
    found = figures(charged, first, last)
    assert found["remains"] == 0
    cut = sum(
        Fraction(
            line.fen * max(0, min(line.ends, ends) - max(line.begins, begins)),
            line.ends - line.begins,
        )
        for line in lines
    )
    assert found["billed by settlement window"] == pytest.approx(float(cut / 100), abs=0.01)
    ordered = sum(line.fen for line in lines if begins <= line.ordered < ends)
    assert found["billed by day of charge"] == pytest.approx(ordered / 100)
    cards = sum(line.fen for line in lines if begins <= line.ordered < ends and line.channel == 2)
    assert found["paid by compute cards"] == pytest.approx(-cards / 100)

    # a day of the balance lasts from poll to poll
    before = [now for now in polls() if now + 2 < begins]
    within = [now for now in polls() if now + 2 < ends]
    if not before:
        return
    opened, closed = before[-1], within[-1]
    billed = sum(x.fen for x in lines if x.channel == 1 and opened < x.ordered <= closed)
    assert found["billed to the balance"] == pytest.approx(billed / 100)
    paid = sum(yuan_of(r) for r in made.recharges if opened < r["pay_time"] <= closed)
    used = made.balance(opened) + paid - made.balance(closed)
    assert found["opening + added - closing"] == pytest.approx(float(used))
    assert found["unexplained by the balance"] == pytest.approx(float(used) - billed / 100)


def test_every_sum_of_the_bill_is_what_the_provider_lists(charged: Database) -> None:
    total = sum(line.fen for line in provider().listed(max(polls()))) / 100
    wide = {"from_day": "2026-10-01", "to_day": "2026-12-31", "now": max(polls())}
    for name, column, more in (
        ("bills", "billed_yuan", {"by": "month"}),
        ("bills", "billed_yuan", {"by": "instance"}),
        ("bill-lines", "amount_yuan", {}),
        ("reconciliation", "billed_yuan", {"by": "day"}),
        ("allocation", "billed_yuan", {}),
    ):
        names, found = reports.run(charged, reports.load_report(name), {**wide, **more})
        assert sum(row[names.index(column)] for row in found) == pytest.approx(total), name
