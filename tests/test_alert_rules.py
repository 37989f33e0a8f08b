"""Rules: what holds, by plain rows; and what is said of it in both languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etl.alerts.cause import Cause
from etl.alerts.machines import Machine, Meter, Running
from etl.alerts.polling import Polling
from etl.alerts.rules import RULES, rule
from etl.alerts.rules.balance import Purse
from etl.alerts.rules.budget import Spending
from etl.alerts.rules.card_expiry import ExpiringCard
from etl.alerts.rules.cost_day import DayCost
from etl.alerts.rules.idle_gpu import SampledRun
from etl.alerts.rules.image_failed import FailedImage
from etl.alerts.rules.odd_day import OddDay
from etl.alerts.rules.stopped import Stop
from etl.alerts.rules.unknown_code import Code
from etl.alerts.snapshot import Moment
from etl.alerts.words import clock, hours, local_time, short_line, truncate, yuan
from etl.errors import ErrorKind
from etl.history.days import Zone
from etl.money.charging import ChargingModel
from etl.money.periods import BEGINNING, FOREVER
from etl.money.tariffs import PricePeriod
from etl.reports.words import WORDS
from etl.units import DAY_S
from tests.alerting import at, settings

HOUR = 3_600
ZONE = Zone("Asia/Shanghai")
NOW = at("2026-11-24 10:00")  # a Tuesday
MICRO = 1_000_000
TRAIN = Machine("lab", "u1", "train", "李雷", "RTX 4090", 2)
PRICE = PricePeriod(
    BEGINNING, FOREVER, "running", "list", HOUR, False, 5_500_000, 5_500_000, 5_500_000, 0
)


def ran(hours: float, **more: Any) -> Running:
    """So long until now, on two cards of 5.50 yuan an hour."""
    return runs_since(NOW - round(hours * HOUR), **more)


def runs_since(since: int, machine: Machine = TRAIN, **more: Any) -> Running:
    meter = Meter(since, 2, (PRICE,), ChargingModel(), ZONE)
    return Running(machine, since, NOW, meter=meter, **more)


def causes(name: str, *facts: Any, now: int = NOW, written: Any = None, **more: Any) -> list[Cause]:
    """What a rule says of facts; `written` is in `[alerts]`."""
    given = settings(**(written or {}))
    moment = Moment(**{"now": now, "zone": ZONE, "owners": given.owners, **more})
    return list(rule(name).causes(facts, given.options(name), moment))


def keys(found: Any) -> list[str]:
    return [cause.key for cause in found]


def test_a_rule_is_named_as_its_file() -> None:
    assert [rule(name).name for name in RULES] == list(RULES)


def test_quiet_hours_never_hold_back_what_cannot_wait_or_has_a_time_of_its_own() -> None:
    waking = {name for name in RULES if rule(name).wakes}
    assert waking == {"balance", "long_run", "roll_call", "key_refused", "digest"}


# long runs


@pytest.mark.parametrize(
    ("row", "fires"),
    [
        (ran(8), True),
        (ran(7.99), False),
        (ran(8, timer_at=NOW + HOUR), False),
        (ran(8, timer_at=NOW - 300), False),  # about to be carried out
        (ran(8, timer_at=NOW - 700), True),  # it did not stop it
        (ran(8, prepaid=True), False),
        (replace(ran(9), as_of=NOW - 2 * HOUR), False),  # seen for seven hours only
    ],
)
def test_a_run_is_long_after_eight_hours_without_a_timer(row: Running, fires: bool) -> None:
    found = keys(causes("long_run", row))
    assert bool(found) == fires


def test_a_long_run_says_whose_how_long_and_how_much() -> None:
    (cause,) = causes("long_run", ran(9.5))
    assert cause.words.in_language("zh") == (
        "仍在运行：train（李雷），2 × RTX 4090，已运行 9.5 小时，未设定时关机，已花费约 ¥104.50，每小时 ¥11.00"
    )
    assert cause.words == (
        "Still running: train (李雷), 2 × RTX 4090, for 9.5 h without a timer,"
        " about ¥104.50 so far, ¥11.00 an hour"
    )
    assert (cause.owner, cause.repeat_s) == ("李雷", 24 * HOUR)
    assert cause.key == "long_run:lab:u1:2026-11-23T16:30:00Z"


def test_an_unknown_price_is_left_out() -> None:
    row = ran(9)
    assert row.meter is not None
    gpus = replace(row, meter=replace(row.meter, gpu_nums=None))
    held = replace(row, meter=replace(row.meter, periods=(replace(PRICE, kind="held"),)))
    for unpriced in (replace(row, meter=None), gpus, held):
        (cause,) = causes("long_run", unpriced)
        (evening_cause,) = evening("21:30", replace(unpriced, since=NOW))
        assert "¥" not in "".join(c.words.in_language("zh") for c in (cause, evening_cause))


def test_an_instance_without_owner_is_said_to_be_unassigned() -> None:
    row = replace(ran(9), machine=replace(TRAIN, owner=None, unclaimed=True))
    (cause,) = causes("long_run", row)
    assert cause.words.in_language("zh").startswith("仍在运行：train（无归属），2 × RTX 4090")
    assert cause.words.startswith("Still running: train (unassigned), 2 × RTX 4090")
    (roll,) = evening("21:30", row)
    assert roll.words.in_language("zh").startswith("晚间点名（无归属）：1 台")
    assert (roll.owner, roll.key) == (None, "roll_call:lab::2026-11-24")


# the evening


def evening(clock: str, *rows: Running, **said: Any) -> list[Cause]:
    now = at(f"2026-11-24 {clock}")
    moved = [replace(r, as_of=now - 60) for r in rows]
    return causes("roll_call", *moved, now=now, written=said)


@pytest.mark.parametrize(
    ("clock", "fires"), [("21:29", False), ("21:30", True), ("22:29", True), ("22:30", False)]
)
def test_the_roll_is_called_at_half_past_nine(clock: str, fires: bool) -> None:
    assert bool(evening(clock, ran(1))) == fires


def test_the_roll_names_each_owner_and_the_cost_until_morning() -> None:
    other = runs_since(NOW - HOUR, replace(TRAIN, instance_uuid="u2", owner="王芳", title="eval"))
    found = evening("21:30", ran(1), other, replace(other, timer_at=NOW + 10 * DAY_S))
    assert keys(found) == ["roll_call:lab:李雷:2026-11-24", "roll_call:lab:王芳:2026-11-24"]
    head, line = found[0].words.in_language("zh").split("\n")
    assert (
        head
        == "晚间点名（李雷）：1 台仍在运行，未设定时关机，到明早 09:00 UTC+8 还要花费约 ¥126.50"
    )
    assert line == "  · train（李雷），2 × RTX 4090，自 11-24 09:00 UTC+8，到明早共约 ¥264.00"
    assert "about ¥126.50 more by 09:00 UTC+8 tomorrow" in found[0].words


def test_what_starts_after_the_roll_call_is_not_forgotten_yet() -> None:
    late = runs_since(at("2026-11-24 21:40"))
    assert evening("21:50", late) == []


def test_the_roll_call_can_be_moved_and_switched_off() -> None:
    assert evening("20:00", ran(1), roll_call="20:00")
    assert evening("21:30", ran(1), roll_call="off") == []


# stops


def test_a_stop_is_told_to_owners_who_asked() -> None:
    row = Stop(TRAIN, NOW - 5 * HOUR, NOW - HOUR, 44 * MICRO)
    assert causes("stopped", row, written={"owners": {"李雷": {}}}) == []
    (cause,) = causes("stopped", row, written={"owners": {"李雷": {"stops": True}}})
    assert cause.words.in_language("zh") == (
        "已停止：train（李雷），2 × RTX 4090，11-24 09:00 UTC+8 停止，共运行 4.0 小时，约 ¥44.00"
    )
    assert cause.words.endswith("at 11-24 09:00 UTC+8 after 4.0 h, about ¥44.00")


# balance


def purse(left: int, an_hour: int, *, back: int = 30, now: int = NOW) -> Purse:
    """Points of every hour, down to `left` now."""
    points = [(now - i * HOUR, (left + i * an_hour) * MICRO) for i in range(back, -1, -1)]
    return Purse("lab", now, tuple(points))


def low(row: Purse, *open_keys: str, now: int = NOW, **said: Any) -> list[Cause]:
    return causes("balance", row, now=now, written=said, open_keys=frozenset(open_keys))


@pytest.mark.parametrize(
    ("left", "said"),
    [(73, None), (71, "balance:lab:72h"), (25, "balance:lab:72h"), (23, "balance:lab:24h")],
)
def test_a_balance_is_low_by_the_time_that_it_lasts(left: int, said: str | None) -> None:
    found = [cause for cause in low(purse(left * 10, 10)) if not cause.silent]
    assert keys(found) == ([said] if said else [])


def test_the_lower_limit_speaks_for_the_higher_one() -> None:
    higher, lower = low(purse(100, 10))
    assert (higher.key, higher.silent) == ("balance:lab:72h", True)
    assert (lower.covers, lower.severity) == (("balance:lab:72h",), "urgent")
    assert lower.words == "¥100.00 left: it lasts 10.0 h at ¥10.00 an hour, the last day's rate"
    assert (
        lower.words.in_language("zh")
        == "余额 ¥100.00，按近一天的消耗（每小时 ¥10.00）还可用 10.0 小时"
    )


def test_a_recharge_does_not_count_as_negative_spending() -> None:
    row = purse(1_000, 10)
    charged = [
        (at, left + (5_000 * MICRO if at > NOW - 5 * HOUR else 0)) for at, left in row.points
    ]
    rate = replace(row, points=tuple(charged)).burn_per_s
    assert rate == pytest.approx(10 * MICRO / HOUR, rel=0.05)


def test_a_short_history_and_nothing_spent_say_nothing() -> None:
    assert low(purse(10, 10, back=2)) == []
    assert low(purse(10, 0)) == []
    assert low(Purse("lab", NOW, ())) == []


def test_what_runs_now_counts_where_it_costs_more_than_the_last_day_did() -> None:
    row = replace(purse(500, 10), running_microcny=50 * MICRO)
    lower = low(row)[1]
    assert lower.key == "balance:lab:24h"
    assert (
        lower.words.in_language("zh")
        == "余额 ¥500.00，按现在的运行（每小时 ¥50.00）还可用 10.0 小时"
    )
    assert "it lasts 10.0 h at ¥50.00 an hour, what runs now" in lower.words
    assert keys(low(replace(row, running_microcny=5 * MICRO))) == ["balance:lab:72h"]
    assert low(replace(purse(10, 10, back=2), running_microcny=10 * MICRO))
    assert low(Purse("lab", NOW, (), 10 * MICRO)) == []


def test_an_old_balance_says_nothing() -> None:
    assert low(purse(100, 10), now=NOW + 7 * HOUR) == []


def test_a_balance_at_the_limit_does_not_come_and_go() -> None:
    assert low(purse(800, 10)) == []
    assert keys(low(purse(800, 10), "balance:lab:72h")) == ["balance:lab:72h"]
    assert low(purse(910, 10), "balance:lab:72h") == []


@pytest.mark.parametrize(
    ("day", "left", "fires"),
    [
        ("2026-11-27 10:00", 73, True),  # a Friday; Monday noon is 74 hours ahead
        ("2026-11-27 10:00", 75, False),
        ("2026-11-27 08:59", 73, False),
        ("2026-11-26 10:00", 73, False),
    ],
)
def test_on_friday_a_balance_must_last_until_monday_noon(day: str, left: int, fires: bool) -> None:
    now = at(day)
    found = keys(low(purse(left * 10, 10, now=now), now=now))
    assert found == ([f"balance:lab:weekend:{day[:10]}"] if fires else [])
    assert low(purse(730, 10, now=now), now=now, balance_weekend=False) == []


# cards, budgets, costs of days


@pytest.mark.parametrize(
    ("days", "said", "held"),
    [(8, None, 0), (7, "7d", 1), (1.1, "7d", 1), (1, "1d", 2), (-1, None, 0)],
)
def test_a_card_that_expires_is_told_seven_days_and_one_day_before(
    days: float, said: str | None, held: int
) -> None:
    row = ExpiringCard("lab", "c1", "大卡", 5 * MICRO, NOW + round(days * DAY_S))
    found = causes("card_expiry", row)
    assert [c.key.rsplit(":", 1)[1] for c in found if not c.silent] == ([said] if said else [])
    assert len(found) == held


@pytest.mark.parametrize(
    ("spent", "said", "severity"),
    [(49, None, None), (50, "50", "warning"), (80, "80", "warning"), (120, "100", "urgent")],
)
def test_a_budget_is_told_at_half_at_four_fifths_and_when_it_is_used(
    spent: int, said: str | None, severity: str | None
) -> None:
    row = Spending("project", "nlp", "2026-11", 100 * MICRO, spent * MICRO)
    found = [c for c in causes("budget", row) if not c.silent]
    assert [(c.key, c.severity) for c in found] == (
        [(f"budget:project:nlp:2026-11:{said}", severity)] if said else []
    )


def test_a_budget_that_will_not_do_is_told_before_it_is_used() -> None:
    row = Spending("project", "nlp", "2026-11", 100 * MICRO, 40 * MICRO, 130 * MICRO)
    assert keys(causes("budget", row)) == ["budget:project:nlp:2026-11:projected"]
    used = replace(row, spent_microcny=110 * MICRO)
    assert "projected" not in " ".join(keys(causes("budget", used)))
    nearly = replace(row, projected_microcny=97 * MICRO)
    assert keys(causes("budget", nearly)) == []
    assert causes("budget", nearly, open_keys=frozenset(["budget:project:nlp:2026-11:projected"]))


def days(*weeks: int, today: int = 0, yesterday: int = 0) -> list[DayCost]:
    """Costs of the last Mondays and Tuesdays, oldest first, and of the two days now."""
    rows = [
        DayCost("lab", "2026-11-24", today * MICRO),
        DayCost("lab", "2026-11-23", yesterday * MICRO),
    ]
    for i, cost in enumerate(weeks):
        back = NOW - (len(weeks) - i) * 7 * DAY_S
        for when in (back, back - DAY_S):
            rows.append(DayCost("lab", ZONE.local(when).date().isoformat(), cost * MICRO))
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (days(1_000, 1_100, 900, today=1_400), []),
        (days(1_000, 1_100, 900, today=1_600), ["cost_day:lab:2026-11-24"]),
        (days(1_000, 1_100, 900, yesterday=1_600), ["cost_day:lab:2026-11-23"]),
        (days(1_000, 9_000, 900, today=1_600), ["cost_day:lab:2026-11-24"]),  # the median
        (days(1_000, 1_100, today=9_000), []),  # two weeks say too little
        (days(10, 11, 9, today=60), []),  # fifty yuan are no news
    ],
)
def test_a_day_that_costs_half_more_than_its_weekday_is_told(
    rows: list[DayCost], said: list[str]
) -> None:
    assert keys(causes("cost_day", *rows)) == said


ODD = OddDay("lab", "model", "H100", "2026-11-23", 400 * MICRO, 0, "new model", "train", "u1")


def test_a_machine_that_moves_its_model_and_its_project_is_told_once_as_the_project() -> None:
    project = replace(ODD, scope="project", name="nlp")
    other = replace(ODD, scope="instance", name="b", title="b", instance_uuid="u2")
    found = causes("odd_day", other, ODD, project)
    assert keys(found) == ["odd_day:lab:u1:2026-11-23", "odd_day:lab:u2:2026-11-23"]
    assert str(found[0].words).startswith("project nlp cost")
    assert str(found[0].words).endswith("usually ¥0.00: new model, train")


def test_every_reason_of_the_report_has_its_words() -> None:
    for reason in WORDS["reason"]:
        (cause,) = causes("odd_day", replace(ODD, reason=reason))
        assert f": {reason}, train" in str(cause.words)


# idle GPUs


def loads(*times: tuple[float, float, int], gpus: int = 2) -> tuple[tuple[int, int, int], ...]:
    """Times of load of each GPU, in hours before now."""
    return gpus * tuple(
        (NOW - round(b * HOUR), NOW - round(e * HOUR), busy) for b, e, busy in times
    )


@pytest.mark.parametrize(
    ("sampled", "fires"),
    [
        (loads((4, 0, 0)), True),
        (loads((3.9, 0, 0)), False),
        (loads((8, 6, 0), (2, 0, 0)), True),  # not sampled between: idle for four all the same
        (loads((8, 6, 0), (6, 5, 1), (3, 0, 0)), False),  # busy since
        ((*loads((4, 0, 0), gpus=1), *loads((4, 0, 1), gpus=1)), False),  # one GPU works
        (loads((4, 0, 0), gpus=1), False),  # of the other nothing is known
        (loads((9, 3, 0)), False),  # too old to say what it does now
        (loads((30, 0, 0)), True),
        ((), False),
    ],
)
def test_a_machine_is_idle_after_four_sampled_hours_of_all_its_gpus(
    sampled: Any, fires: bool
) -> None:
    found = causes("idle_gpu", SampledRun(ran(20), sampled))
    assert bool(found) == fires


def test_idle_time_before_a_run_does_not_count_for_it() -> None:
    assert causes("idle_gpu", SampledRun(ran(3), loads((30, 0, 0)))) == []
    (cause,) = causes("idle_gpu", SampledRun(ran(5), loads((30, 0, 0))))
    assert str(cause.words) == (
        "Idle: train (李雷), 2 × RTX 4090, no GPU was busy in the last 5.0 h of samples, ¥11.00 an hour"
    )


# the sync


def stale(row: Polling, watching_since: int = NOW - HOUR, **more: Any) -> list[str]:
    return keys(causes("sync_stale", row, watching_since=watching_since, **more))


def due(at: float) -> Any:
    return lambda account, until: at


def test_a_sync_is_stale_after_half_an_hour() -> None:
    assert stale(Polling("lab", NOW - 1_800)) == []
    assert stale(Polling("lab", NOW - 1_801)) == ["sync_stale:lab"]


def test_the_age_of_a_poll_is_judged_on_one_clock() -> None:
    """Polls are dated by the source, whose clock may be hours off."""
    assert stale(Polling("lab", NOW - 9 * HOUR, offset_s=-9 * HOUR)) == []
    assert stale(Polling("lab", NOW, offset_s=9 * HOUR)) == ["sync_stale:lab"]


def test_a_poll_in_the_future_is_stale_at_once() -> None:
    assert stale(Polling("lab", NOW + 61), watching_since=NOW, due=due(0)) == ["sync_stale:lab"]
    assert stale(Polling("lab", NOW + 60), watching_since=NOW) == []


def test_a_machine_that_slept_is_not_stale_when_it_wakes() -> None:
    assert stale(Polling("lab", NOW - 9 * HOUR), watching_since=NOW) == []


def test_a_sync_is_not_stale_while_no_poll_was_due() -> None:
    """Polls by the hour, or by a cron expression that rests at night."""
    last = NOW - 9 * HOUR
    assert stale(Polling("lab", last), due=due(last - 3)) == []
    assert stale(Polling("lab", last), due=due(last + 400)) == []  # the source's clock is behind
    assert stale(Polling("lab", last), due=due(last + 500)) == ["sync_stale:lab"]
    assert stale(Polling("lab", last), due=due(float("-inf"))) == []
    asked: list[float] = []
    stale(Polling("lab", last), due=lambda account, until: asked.append(until))
    assert asked == [NOW - 900]


def test_failing_polls_are_stale_though_nobody_watches_between_them() -> None:
    row = Polling("lab", NOW - HOUR, tried_since=NOW - 1_900, error="GET /x: HTTP 500")
    assert stale(row, watching_since=NOW) == ["sync_stale:lab"]
    assert stale(Polling("lab", None, NOW - 1_900, "GET /x: HTTP 500")) == ["sync_stale:lab"]
    assert stale(Polling("lab", None)) == []


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        (ErrorKind.KEY_REFUSED, True),
        (ErrorKind.FORBIDDEN, True),
        (ErrorKind.NO_KEY, True),
        (ErrorKind.UNAVAILABLE, False),
        (ErrorKind.CLOCK, False),
        (None, False),
    ],
)
def test_a_refused_key_is_told_as_such_and_not_as_stale(
    kind: ErrorKind | None, refused: bool
) -> None:
    """Whatever the words of the error are."""
    row = Polling("lab", NOW - 9 * HOUR, NOW - 8 * HOUR, "GET /x: HTTP 500: code 401", kind)
    assert keys(causes("key_refused", row)) == (["key_refused:lab"] if refused else [])
    assert stale(row) == ([] if refused else ["sync_stale:lab"])


def test_unknown_codes_and_failed_images_say_what_to_do() -> None:
    (code,) = causes("unknown_code", Code("lab", "status", 77, 3))
    assert code.key == "unknown_code:lab:status:77"
    assert "codes set status 77" in code.words.in_language("zh")
    (image,) = causes("image_failed", FailedImage(TRAIN, NOW))
    assert image.key == "image_failed:lab:u1:2026-11-24T02:00:00Z"
    assert (
        image.words.in_language("zh")
        == "镜像保存失败：train（李雷），2 × RTX 4090，11-24 10:00 UTC+8"
    )


# words


def test_numbers_are_for_people() -> None:
    assert (yuan(1_234_505_000), yuan(-5_000), yuan(0)) == ("¥1,234.51", "-¥0.01", "¥0.00")
    assert (hours(9.25 * HOUR), hours(1_234 * HOUR)) == ("9.2", "1,234")


def test_instants_are_local_and_name_their_zone() -> None:
    assert local_time(ZONE, NOW) == "11-24 10:00 UTC+8"
    assert local_time(Zone("UTC"), NOW) == "11-24 02:00 UTC"
    assert local_time(Zone("Asia/Kolkata"), NOW) == "11-24 07:30 UTC+5:30"
    assert clock(Zone("America/St_Johns"), NOW) == "22:30 UTC-3:30"


def test_a_title_is_one_short_line() -> None:
    assert short_line("a\nb\x1b[2J\u202ec" + "x" * 99).startswith("a b [2J c")
    assert len(short_line("长" * 99)) == 60


def test_what_hides_or_turns_text_is_left_out_of_a_title() -> None:
    assert short_line("a\u202eb\u2066c\u200bd\u00ade\ufeff") == "a b c d e"
    assert short_line("x\u200dy") == "x y"
    assert short_line("👨\u200d👩\u200d👧 家") == "👨\u200d👩\u200d👧 家"


@pytest.mark.parametrize(
    "sign", ["👨\u200d👩\u200d👧", "é", "👍🏽", "🇨🇳", "❤\ufe0f", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_a_cut_halves_no_character(sign: str) -> None:
    text = f"ab{sign}{sign}"
    for most in range(2, 2 + len(sign)):
        assert truncate(text, most) == "ab"
    assert truncate(text, 2 + len(sign)) == f"ab{sign}"


# a budget of nothing


def test_a_budget_of_nothing_is_told_at_the_first_fen() -> None:
    row = Spending("project", "frozen", "2026-11", 0, 10_000)
    (cause,) = causes("budget", row)
    assert (cause.key, cause.severity) == ("budget:project:frozen:2026-11:100", "urgent")
    assert cause.words.in_language("zh") == "2026-11 项目“frozen”的预算：预算为 ¥0.00，已花费 ¥0.01"
    assert cause.words == "Budget of project frozen, 2026-11: ¥0.01 spent of a budget of ¥0.00"
    for less in (0, 9_999):
        assert causes("budget", replace(row, spent_microcny=less)) == []


@pytest.mark.parametrize(("spent", "told"), [(4_999, []), (5_000, ["50"]), (10_000, ["100"])])
def test_a_budget_of_a_fen_is_told_as_any_other(spent: int, told: list[str]) -> None:
    """One that is raised or lowered later is the same cause: what was told of it is not told again."""
    row = Spending("project", "frozen", "2026-11", 10_000, spent)
    found = [cause.key.rpartition(":")[2] for cause in causes("budget", row) if not cause.silent]
    assert found == told
