"""What the bill teaches of each account: evidence read, judged, and kept where it is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from etl import tables
from etl.books.entries import yuan
from etl.books.price_files import learn, set_model
from etl.dialect import Database, translated
from etl.errors import SettingsError
from etl.history.codes import PREPAID_UNITS
from etl.history.days import iso
from etl.history.usage import Terms
from etl.money.billing.evidence import BillLine, Run, evidence
from etl.money.billing.judgement import Verdict, indistinct, judged, other_remarks, stopped_charges
from etl.money.charging import ChargingModel
from etl.money.pricing import FOREVER, PER_S, PricePeriod, Prices, PriceTerms
from etl.poll import Instant
from etl.store import Tx
from etl.store.deriving import charging_model, overrides, price_terms

CERTAIN: Final = frozenset({"observed", "unseen_run"})
"""Evidence of stretches whose start is the start of a run."""
SHOWN_RIVALS: Final = 3
DAY_S: Final = 86_400
GAP_S: Final = 600


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one account's bill says. `prepaid`: how many prepaid periods passed whole while it was
    observed, and how many lines charge one at the price that is known."""

    account: str
    since: Instant
    lines: int
    verdict: Verdict
    prepaid: tuple[int, int]


def lessons(database: Database, account: str | None, days: int) -> list[Lesson]:
    """What the newest `days` of the bill of each account say. Raises `SettingsError` where there is
    no such account."""
    with translated(database), database.reading() as conn:
        a = tables.account.c
        asked = select(a.account_id, a.name).order_by(a.name)
        found = conn.execute(asked if account is None else asked.where(a.name == account)).all()
        if not found:
            raise SettingsError(
                f"there is no account {account!r}" if account else "nothing is synced yet",
                advice="see chenyu-etl status",
            )
        return [_lesson(database, conn, row[0], row[1], days) for row in found]


def accept(database: Database, found: Sequence[Lesson]) -> tuple[ChargingModel, int]:
    """Charge by what the bill says from now on; the model, and how many prices were learned.

    Raises `SettingsError` where it does not say one thing.
    """
    clear = [lesson for lesson in found if lesson.verdict.is_clear]
    models = {_essence(lesson.verdict.model) for lesson in clear}
    if not clear:
        reasons = "; ".join(f"{each.account}: {each.verdict.why_not}" for each in found)
        raise SettingsError(
            f"the bill says too little: {reasons}",
            advice="poll more often, wait for more bill lines, or set it: chenyu-etl prices model",
        )
    if len(models) > 1:
        raise SettingsError(
            "the bills of the accounts speak for different models",
            advice="choose one account (--account), or set it: chenyu-etl prices model",
        )
    model = clear[0].verdict.model
    assert model is not None
    learned = [
        replace(each, account=lesson.account) for lesson in clear for each in lesson.verdict.learned
    ]
    learn(database, learned)
    set_model(database, model)
    return model, len(learned)


def in_words(lesson: Lesson) -> Iterator[str]:
    """The verdict for people."""
    verdict, name = lesson.verdict, lesson.account
    told = Counter(window.told for window in verdict.windows)
    yield (
        f"{name}: {lesson.lines} bill lines since {iso(lesson.since)}. {len(verdict.windows)} windows are"
        f" of one instance: in {told['alone']} nothing else ran, {told['begins']} begin when one run began,"
        f" {told['follows']} follow one of those; {len(verdict.evidence.shared)} could be of several"
    )
    if verdict.why_not is not None:
        yield f"  undecided: {verdict.why_not}"
    if verdict.best is not None:
        yield from _fit_words("fits best" if verdict.is_clear else "closest", verdict)
    yield from (f"  not told apart from {said}" for said in indistinct(verdict))
    for rival in verdict.rivals[:SHOWN_RIVALS]:
        yield (
            f"  less well: {rival.fit.hypothesis.in_words}"
            f" ({_percent(rival.fit.share)} of the windows, {rival.differing} of them differ)"
        )
    yield from _learned_words(verdict)
    yield f"  {_stopped_words(verdict)}"
    for remark, (count, amount) in other_remarks(verdict).items():
        yield f"  {count} windows with the remark {remark!r} ({yuan(amount)} yuan) are of no running time"
    if lesson.prepaid[0]:
        yield f"  prepaid: {lesson.prepaid[1]} lines are of a prepaid period as it is priced; at least {lesson.prepaid[0]} periods began and passed"


def as_record(lesson: Lesson) -> dict[str, Any]:
    """The verdict for programs."""
    verdict = lesson.verdict
    count, amount, seconds = stopped_charges(verdict.evidence)
    return {
        "account": lesson.account,
        "since": iso(lesson.since),
        "bill_lines": lesson.lines,
        "windows": len(verdict.windows),
        "shared_windows": len(verdict.evidence.shared),
        "other_remarks": {
            remark: {"windows": n, "amount_microcny": amount}
            for remark, (n, amount) in other_remarks(verdict).items()
        },
        "is_clear": verdict.is_clear,
        "why_not": verdict.why_not,
        "hypotheses": [
            {
                "hypothesis": fit.hypothesis.in_words,
                "explained": len(fit.explained),
                "share": round(fit.share, 4),
                "mean_error": round(fit.error_permille / 1000, 6),
            }
            for fit in verdict.fits
        ],
        "not_told_apart": indistinct(verdict),
        "model": None
        if verdict.model is None
        else {name: getattr(verdict.model, name) for name in verdict.model.__slots__},
        "learned": [
            {name: v for name in each.__slots__ if (v := getattr(each, name)) is not None}
            for each in verdict.learned
        ],
        "stopped": {
            "windows": count,
            "amount_microcny": amount,
            "seconds": seconds,
            "quiet_ends": verdict.evidence.quiet_ends,
        },
        "prepaid": {"periods": lesson.prepaid[0], "lines_as_priced": lesson.prepaid[1]},
    }


def _fit_words(label: str, verdict: Verdict) -> Iterator[str]:
    best = verdict.best
    assert best is not None
    yield f"  {label}: {best.hypothesis.in_words}"
    yield (
        f"    explains {len(best.explained)} of {best.windows} windows to the fen"
        f" ({_percent(best.share)}), mean error {best.error_permille / 10:.2f} %"
    )
    if verdict.boots_s:
        boots = verdict.boots_s
        yield f"    boots that are not charged last {boots[0]} to {boots[-1]} s, {len(boots)} seen"


def _learned_words(verdict: Verdict) -> Iterator[str]:
    for each in verdict.learned:
        about = (
            f"image {each.image_uuid}, on top"
            if each.image_uuid
            else "runs without a GPU"
            if each.no_card
            else f"{each.gpu_name or each.gpu_uuid}"
        )
        yield (
            f"  learned: {yuan(each.price_microcny)} yuan an hour per {each.per}"
            f" for {about} ({each.note})"
        )


def _stopped_words(verdict: Verdict) -> str:
    count, amount, seconds = stopped_charges(verdict.evidence)
    quiet = verdict.evidence.quiet_ends
    if count:
        return (
            f"stopped instances cost something: {count} windows in which nothing ran, or that begin where"
            f" a run ended, were charged {yuan(amount)} yuan,"
            f" {amount * 3600 // max(1, seconds) / 1e6:.4f} an hour"
        )
    if quiet:
        return f"stopped instances cost nothing: after {quiet} ends of runs no window begins"
    return "whether stopped instances cost something cannot be told: no end of a run is seen"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _essence(model: ChargingModel | None) -> tuple[Any, ...]:
    assert model is not None
    return model.counts_from, model.step_s


def _lesson(database: Database, conn: Connection, account_id: int, name: str, days: int) -> Lesson:
    since, until = _observed(conn, account_id, days)
    gaps = _gaps(conn, account_id)
    units = _units(conn)
    lines = _lines(conn, account_id, since, until)
    usable = [line for line in lines if not _in_gap(line, gaps)]
    runs = list(_runs(conn, account_id, since, units, until))
    deriver = Tx(database, conn, account_id).deriver()
    prices = Prices(name, deriver.listed_prices(), overrides(conn, "user"), units)
    periods: Callable[[PriceTerms], Sequence[PricePeriod]] = cache(prices.periods)
    prepaid = _prepaid(conn, account_id, since, until, units, periods, usable)
    rest = [line for line in usable if line not in prepaid.lines]
    verdict = judged(evidence(rest, runs), periods, charging_model(conn))
    return Lesson(name, since, len(lines), verdict, (prepaid.expected, prepaid.found))


def _observed(conn: Connection, account_id: int, days: int) -> tuple[Instant, Instant]:
    """From when to when instances were observed, of the newest days of the bill."""
    run, bill = tables.sync_run.c, tables.bill.c
    mine = (
        run.account_id == account_id,
        run.resource == "instances",
        run.outcome == "complete",
    )
    first, last = conn.execute(
        select(func.min(run.finished_at), func.max(run.started_at)).where(*mine)
    ).one()
    newest = conn.scalar(select(func.max(bill.settle_end_at)).where(bill.account_id == account_id))
    if first is None or newest is None:
        return 0, 0
    return max(first, newest - days * DAY_S), last


def _gaps(conn: Connection, account_id: int) -> list[tuple[Instant, Instant]]:
    """Times in which instances may have come and gone unseen."""
    run = tables.sync_run.c
    found = conn.execute(
        select(run.started_at, run.finished_at)
        .where(run.account_id == account_id, run.resource == "instances", run.outcome == "complete")
        .order_by(run.started_at)
    ).all()
    return [
        (before[1], after[0]) for before, after in pairwise(found) if after[0] - before[1] > GAP_S
    ]


def _in_gap(line: BillLine, gaps: Sequence[tuple[Instant, Instant]]) -> bool:
    return any(begins < line.ends_s and ends > line.starts_s for begins, ends in gaps)


def _units(conn: Connection) -> dict[int, str | None]:
    c = tables.charging_type.c
    return {row[0]: row[1] for row in conn.execute(select(c.charging_type, c.unit))}


def _lines(conn: Connection, account_id: int, since: Instant, until: Instant) -> list[BillLine]:
    b = tables.bill.c
    rows = conn.execute(
        select(b.settle_start_at, b.settle_end_at, b.amount_microcny, b.remark)
        .where(b.account_id == account_id, b.settle_end_at >= since, b.settle_end_at <= until)
        .where(b.settle_start_at >= since)
        .order_by(b.settle_start_at, b.settle_end_at)
    )
    return [BillLine(*row) for row in rows]


def _runs(
    conn: Connection,
    account_id: int,
    since: Instant,
    units: dict[int, str | None],
    horizon: Instant,
) -> Iterator[Run]:
    """What ran and is not prepaid."""
    for row in _stretches(conn, account_id, since, "running"):
        if units.get(row.charging_type) in PREPAID_UNITS:
            continue
        is_open = row.ended_at is None
        is_known = row.evidence in CERTAIN and row.gpu_nums is not None and row.gpu_nums >= 0
        yield Run(
            row.instance_uuid,
            row.started_at,
            max(row.started_at, horizon) if is_open else row.ended_min,
            max(row.started_at, horizon) if is_open else row.ended_at,
            FOREVER if is_open else row.ended_max,
            _terms(row),
            row.gpu_nums or 0,
            is_known,
        )


def _stretches(conn: Connection, account_id: int, since: Instant, kind: str) -> Any:
    u = tables.instance_usage.c
    return conn.execute(
        select(tables.instance_usage)
        .where(u.account_id == account_id, u.kind == kind)
        .where(or_(u.ended_max.is_(None), u.ended_max >= since))
        .order_by(u.started_at, u.instance_uuid)
    )


def _terms(row: Any) -> PriceTerms:
    return price_terms(
        Terms(row.gpu_uuid, row.gpu_name, row.gpu_nums, row.charging_type, row.image_uuid)
    )


@dataclass(frozen=True, slots=True)
class _Prepaid:
    expected: int
    found: int
    lines: frozenset[BillLine]


def _prepaid(
    conn: Connection,
    account_id: int,
    since: Instant,
    until: Instant,
    units: dict[int, str | None],
    periods: Callable[[PriceTerms], Sequence[PricePeriod]],
    lines: Sequence[BillLine],
) -> _Prepaid:
    """How many periods passed whole, and the lines that are of one."""
    expected = 0
    used: set[BillLine] = set()
    priced: set[BillLine] = set()
    for row in _stretches(conn, account_id, since, "held"):
        per_s = PER_S[units.get(row.charging_type) or "month"]
        begins = max(since, row.started_at)
        ends = until if row.ended_at is None else min(until, row.ended_at)
        expected += max(0, ends - begins) // per_s
        for line in lines:
            if line.ends_s - line.starts_s in (0, per_s) and begins <= line.starts_s < ends:
                due = _due(row, line.starts_s, periods)
                if due == line.amount or line.ends_s > line.starts_s:
                    used.add(line)
                if due == line.amount:
                    priced.add(line)
    return _Prepaid(expected, len(priced), frozenset(used))


def _due(
    row: Any, at: Instant, periods: Callable[[PriceTerms], Sequence[PricePeriod]]
) -> int | None:
    """What a prepaid period costs that begins at `at`; None where its price is not known."""
    price = next(p for p in periods(_terms(row)) if p.starts_s <= at < p.ends_s)
    if price.price_microcny is None or price.flat_microcny is None:
        return None
    return (row.gpu_nums or 0) * price.price_microcny + price.flat_microcny
