"""What settlement windows say of how running time is charged, on bills made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from etl.money.billing.evidence import BillLine, MeteredRun, evidence
from etl.money.billing.hypotheses import Counting, roundest
from etl.money.billing.judgement import (
    Judgement,
    indistinct,
    judge_hypotheses,
    other_remarks,
    stopped_charges,
)
from etl.money.charging import ChargingModel
from etl.money.periods import FOREVER
from etl.money.tariffs import ListPrice, PricePeriod, Prices, PriceTerms

T = 1_767_571_200
YUAN = 1_000_000
HOUR = 3_600
TERMS = PriceTerms("g1", "RTX", "img", 1, False)
PRICES = Prices("lab", [ListPrice("g1", "RTX", 0, None, None, {"hour": 5 * YUAN})], [], {1: "hour"})

Charge = Callable[[int, int], int]
"""(seconds since the run began, GPUs) -> what was charged so far, millionths."""


def run(number: int, starts: int, lasts: int, **more: object) -> MeteredRun:
    ends = starts + lasts
    found = MeteredRun(
        f"i{number}", starts, ends - 100, ends - 20, ends + 100, TERMS, 1 + number % 3
    )
    return replace(found, **more)  # type: ignore[arg-type]


def fleet(count: int = 12, lasts: int = 5_431) -> list[MeteredRun]:
    """Runs that do not overlap, of lengths that end within minutes and hours."""
    return [run(n, T + n * 20_000 + 7 * n, lasts + 397 * n) for n in range(count)]


def billed(
    runs: Sequence[MeteredRun], charge: Charge, every_s: int = HOUR, **more: str
) -> list[BillLine]:
    """Lines by windows of `every_s` from the start of a run on, whole fen."""
    lines = []
    for each in runs:
        ends = each.ended_min_s + 100
        for begins in range(each.started_s, ends, every_s):
            until = min(begins + every_s, ends)
            so_far = charge(until - each.started_s, each.gpus)
            before = charge(begins - each.started_s, each.gpus)
            amount = (so_far - before + 5_000) // 10_000 * 10_000
            lines.append(BillLine(begins, until, amount, **more))
    return lines


def by_step(step_s: int, extra: int = 0, per_gpu: int = 0) -> Charge:
    def charge(seconds: int, gpus: int) -> int:
        steps = -(-seconds // step_s)
        return steps * step_s * (gpus * (5 * YUAN + per_gpu) + extra) // HOUR

    return charge


def periods(terms: PriceTerms) -> Sequence[PricePeriod]:
    return PRICES.periods(terms)


def verdict(lines: Sequence[BillLine], runs: Sequence[MeteredRun]) -> Judgement:
    return judge_hypotheses(evidence(lines, runs), periods, ChargingModel())


@pytest.mark.parametrize("step_s", [1, 60, HOUR])
@pytest.mark.parametrize("every_s", [HOUR, 100 * HOUR])
def test_the_step_is_found_by_hour_and_by_run(step_s: int, every_s: int) -> None:
    found = verdict(billed(fleet(), by_step(step_s), every_s), fleet())
    assert found.is_clear
    assert found.model == ChargingModel("start", step_s)
    assert found.best is not None
    assert found.best.share == 1
    assert found.learned == ()


def test_a_boot_that_is_not_charged_is_found() -> None:
    runs = fleet()
    boots = [40 + 9 * n for n in range(len(runs))]
    late = [
        replace(each, started_s=each.started_s + boot)
        for each, boot in zip(runs, boots, strict=True)
    ]
    found = verdict(billed(late, by_step(1)), runs)
    assert found.model == ChargingModel("running", 1, 90, 180)
    assert found.boots_s == tuple(boots)


def test_an_extra_for_an_image_is_learned() -> None:
    found = verdict(billed(fleet(), by_step(1, extra=300_000)), fleet())
    assert [(o.price_microcny, o.image_uuid, o.per, o.adds) for o in found.learned] == [
        (300_000, "img", "instance", True)
    ]


def test_an_extra_for_each_gpu_is_told_from_one_for_the_instance() -> None:
    found = verdict(billed(fleet(), by_step(1, per_gpu=250_000)), fleet())
    assert [(o.price_microcny, o.per) for o in found.learned] == [(250_000, "gpu")]


def test_a_price_that_is_not_listed_is_learned() -> None:
    terms = replace(TERMS, gpu_uuid="g2", gpu_name="new")
    runs = [replace(each, terms=terms) for each in fleet()]
    found = verdict(billed(runs, by_step(1)), runs)
    assert [(o.price_microcny, o.gpu_uuid, o.adds) for o in found.learned] == [
        (5 * YUAN, "g2", False)
    ]


def test_runs_without_a_gpu_have_a_price_of_their_own() -> None:
    bare = replace(TERMS, no_card=True)
    runs = [
        replace(each, terms=bare, gpus=0) if n % 2 else each for n, each in enumerate(fleet(16))
    ]
    lines = billed(runs, lambda s, gpus: s * (gpus * 5 * YUAN if gpus else 100_000) // HOUR)
    found = verdict(lines, runs)
    assert [(o.price_microcny, o.no_card) for o in found.learned] == [(100_000, True)]


def test_what_cannot_be_told_apart_is_said_with_its_reason() -> None:
    whole = [run(n, T + n * 20_000, 2 * HOUR) for n in range(12)]
    found = verdict(billed(whole, by_step(HOUR)), whole)
    said = indistinct(found)
    assert any("begun hour" in each and "every window lasts whole hours" in each for each in said)


def test_too_little_evidence_is_no_verdict() -> None:
    found = verdict(billed(fleet(3), by_step(1), 100 * HOUR), fleet(3))
    assert not found.is_clear
    assert found.model is None
    assert "it takes 8" in str(found.why_not)
    assert verdict([], []).best is None


def test_a_bill_that_nothing_explains_is_no_verdict() -> None:
    lines = [
        replace(line, amount=(line.starts_s * 7919) % 90 * 10_000)
        for line in billed(fleet(), by_step(1))
    ]
    found = verdict(lines, fleet())
    assert not found.is_clear
    assert "the best hypothesis explains" in str(found.why_not)


@pytest.mark.parametrize(("wrong", "is_clear"), [(5, False), (10, True)])
def test_a_model_that_explains_too_few_windows_is_not_offered(wrong: int, is_clear: bool) -> None:
    lines = [
        replace(line, amount=line.amount + (n * 7919 % 83 + 9) * 10_000 * (n % wrong == 0))
        for n, line in enumerate(billed(fleet(20), by_step(1)))
    ]
    found = verdict(lines, fleet(20))
    assert found.is_clear is is_clear
    assert (found.model is not None) is is_clear


def test_a_single_window_does_not_tell_two_models_apart() -> None:
    whole = [run(n, T + n * 20_000, 5_400 + 60 * n) for n in range(11)]
    for odd, is_said in ((1, True), (4, False)):
        runs = [*whole, *(run(20 + n, T + (20 + n) * 20_000, 5_431) for n in range(odd))]
        said = indistinct(verdict(billed(runs, by_step(1), 100 * HOUR), runs))
        assert any("by the begun minute" in each for each in said) is is_said


@pytest.mark.parametrize(("windows", "is_learned"), [(2, False), (3, True)])
def test_a_price_is_learned_from_three_windows_at_least(windows: int, is_learned: bool) -> None:
    terms = replace(TERMS, gpu_uuid="g2", gpu_name="new")
    runs = [replace(each, terms=terms) if n < windows else each for n, each in enumerate(fleet(20))]
    found = verdict(billed(runs, by_step(1), 100 * HOUR), runs)
    assert found.is_clear
    assert [o.gpu_uuid for o in found.learned] == ["g2"] * is_learned


def test_windows_in_which_two_may_have_run_are_left_out() -> None:
    runs = [*fleet(), *(replace(each, instance_uuid=f"{each.instance_uuid}b") for each in fleet())]
    found = evidence(billed(fleet(), by_step(1)), runs)
    assert found.windows == []
    assert len(found.shared) == len(billed(fleet(), by_step(1)))


def test_windows_of_a_run_whose_start_is_not_certain_are_left_out() -> None:
    runs = [replace(each, is_certain=n > 0) for n, each in enumerate(fleet())]
    lines = billed(fleet(), by_step(1), 100 * HOUR)
    found = evidence(lines, runs)
    assert [window.starts_s for window in found.shared] == [runs[0].started_s]
    assert len(found.windows) == len(lines) - 1


def test_a_window_is_told_by_the_start_of_a_run_and_so_are_those_that_follow() -> None:
    always = run(99, T - 50_000, 900_000)
    lines = billed(fleet(), by_step(1))
    found = evidence(lines, [*fleet(), always])
    assert {window.sign for window in found.windows} == {"begins", "follows"}
    assert len(found.windows) == len(lines)


def test_stopped_instances_that_cost_something_are_noticed() -> None:
    runs = fleet()
    lines = billed(runs, by_step(1), remark="run")
    assert evidence(lines, runs).quiet_ends == len(runs)
    for each, after in pairwise(runs):
        lines.append(BillLine(each.ended_min_s + 100, after.started_s, 200_000, "kept"))
    found = verdict(lines, runs)
    assert found.model == ChargingModel("start", 1)
    assert stopped_charges(found.evidence)[:2] == (len(runs) - 1, (len(runs) - 1) * 200_000)
    assert other_remarks(found) == {"kept": (len(runs) - 1, (len(runs) - 1) * 200_000)}


def test_a_window_that_costs_nothing_is_no_charge_of_stopped_instances() -> None:
    runs = fleet()
    lines = billed(runs, by_step(1))
    for (each, after), fee in zip(pairwise(runs), [0, 200_000, 0] * len(runs), strict=False):
        lines.append(BillLine(each.ended_min_s + 100, after.started_s, fee))
    found = evidence(lines, runs)
    charged = [window for window in found.stopped if window.amount == 200_000]
    assert len(found.stopped) == len(runs) - 1
    assert stopped_charges(verdict(lines, runs).evidence) == (
        len(charged),
        len(charged) * 200_000,
        sum(window.length_s for window in charged),
    )


@pytest.mark.parametrize("fee", [370_000, 90 * YUAN])  # as an hour might cost, and never
def test_lines_about_something_else_are_set_aside(fee: int) -> None:
    runs = fleet()
    lines = billed(runs, by_step(1), remark="run")
    disks = [BillLine(r.started_s + 9, r.started_s + 2_000, fee, "disk") for r in runs]
    found = verdict([*lines, *disks, *(replace(d, ends_s=d.ends_s + 600) for d in disks)], runs)
    assert found.set_aside == {"disk": 2 * len(runs)}
    assert found.model == ChargingModel("start", 1)
    assert found.best is not None
    assert found.best.share == 1


def test_a_rounded_minute_is_counted_when_half_of_it_has_passed() -> None:
    nearest = Counting("start", 60, "nearest")
    assert [nearest.charged(s) for s in (0, 29, 30, 89, 90)] == [0, 0, 60, 60, 120]
    assert [Counting("start", 60).charged(s) for s in (0, 1, 60, 61)] == [0, 60, 60, 120]


def test_rounded_minutes_are_estimated_by_the_second() -> None:
    def charge(seconds: int, gpus: int) -> int:
        return nearest.charged(seconds) * gpus * 5 * YUAN // HOUR

    nearest = Counting("start", 60, "nearest")
    found = verdict(billed(fleet(), charge), fleet())
    assert found.best is not None
    assert found.best.hypothesis.counting == nearest
    assert found.model == ChargingModel("start", 1)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(298_765, 301_234, 300_000), (0, 5, 0), (7, 7, 7), (5_490_001, 5_509_999, 5_500_000)],
)
def test_of_prices_that_fit_as_well_the_roundest_is_learned(
    least: int, most: int, expected: int
) -> None:
    assert roundest(least, most) == expected


def test_price_periods_cover_all_time() -> None:
    assert [(p.starts_s, p.ends_s) for p in periods(TERMS)] == [(0, FOREVER)]
