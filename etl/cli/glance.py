"""One screen that is read at a glance: `status` and the head of `report overview` on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from etl.texts import localized, tr

if TYPE_CHECKING:
    from etl.page.facts import Facts
    from etl.page.glance import Glance
    from etl.reports.render.look import Look

MOST_RUNNING: Final = 6
"""Running instances that are named; the longest runs come first."""
INDENT: Final = "  "
LABEL: Final = 11
RUNNING_COLUMNS: Final = ("title", "gpu", "hours", "timer", "owner", "yuan_per_hour")
WIDEST: Final = 100
"""Lines of prose are hard to read when they are longer."""


def month_lines(glance: Glance, look: Look) -> Iterator[str]:
    """Yield what the period costs: estimate and bounds, the same before, GPU hours, the last days."""
    from etl.reports.render.spark import spark

    facts = glance.facts
    yield _section(tr("COST"), _period(facts), look)
    cost, before = facts["cost"], facts["cost_before"]
    low, high = cost.total("cost_yuan_min"), cost.total("cost_yuan_max")
    bounds = tr("between {low} and {high}", low=_with_thousands(low), high=_with_thousands(high))
    yield _figure(tr("estimate"), _yuan(cost.total("cost_yuan")), bounds, look)
    if facts.was_before_observed:
        days = tr("{first} to {last}", first=facts.before[0], last=facts.before[1])
        yield _figure(tr("before"), _yuan(before.total("cost_yuan")), days, look)
    hours = tr("{hours} GPU hours", hours=_with_thousands(cost.total("gpu_hours")))
    unpriced = cost.total("unpriced_hours")
    remark = (
        tr("{hours} h without a known price", hours=_with_thousands(unpriced)) if unpriced else ""
    )
    yield _figure(tr("usage"), hours, remark, look)
    known = [value for value in glance.daily if value is not None]
    if known:
        most = tr("up to {yuan} a day", yuan=_yuan(max(known)))
        yield _figure(tr("14 days"), spark(glance.daily, look.signs), most, look)


def balance_lines(facts: Facts, look: Look) -> Iterator[str]:
    """Yield what each account has left, and how long that lasts."""
    rows = [row for row in facts["balance"].rows if row["channel"] == "all"]
    if not rows:
        return
    yield _section(tr("BALANCE"), "", look)
    for row in rows:
        left, days = row["closing_yuan"], row["days_left"]
        lasts = tr("nothing runs that uses it up")
        if days is not None:
            lasts = tr("lasts {days:,.1f} days", days=days)
        text = look.signs.absent if left is None else _yuan(left)
        yield _figure(row["account"], text, lasts, look)


def running_lines(facts: Facts, look: Look) -> Iterator[str]:
    """Yield what runs now, the longest first, as a table without what is left out."""
    from etl.reports.render import screen

    table = facts["now"]
    running = [row for row in table.rows if row["running_since"] is not None]
    yield _section(tr("RUNNING NOW"), _sum_of_running(running), look)
    columns = [c for name in RUNNING_COLUMNS for c in table.columns if c.name == name]
    rows = [[row[c.name] for c in columns] for row in running[:MOST_RUNNING]]
    if not rows:
        return
    narrow = replace(look, width=look.width - len(INDENT))
    # the sums are in the line above, for all of them
    plain = [replace(column, is_total=False) for column in columns]
    yield from (f"{INDENT}{line}" for line in screen.body(plain, rows, narrow))
    if len(running) > MOST_RUNNING:
        more = tr(
            "and {count} more: chenyu-etl report now --columns {columns}",
            count=len(running) - MOST_RUNNING,
            columns=",".join(RUNNING_COLUMNS[:3]),
        )
        yield INDENT + look.paint("faint", localized(more))


def notice_lines(
    notices: Iterable[tuple[bool, str]], others: Iterable[str], look: Look
) -> Iterator[str]:
    """Yield what needs a person, what costs money now first and with an exclamation mark."""
    listed = [*notices, *((False, str(localized(text)).strip()) for text in others)]
    yield _section(tr("NEEDS ATTENTION"), "" if listed else tr("nothing"), look)
    for is_urgent, text in listed:
        mark = look.paint("bad", "!") if is_urgent else look.paint("odd", "-")
        first, *rest = _wrapped(text, look)
        yield f"{INDENT}{mark} {first}"
        yield from (f"{INDENT}  {line}" for line in rest)


def poll_lines(polls: Sequence[tuple[str, str, bool]], look: Look) -> Iterator[str]:
    """Yield the newest complete poll of each resource: account, words, whether something is wrong."""
    yield _section(tr("LAST COMPLETE POLL"), "", look)
    for account in dict.fromkeys(account for account, _, _ in polls):
        parts = [
            look.paint("bad", f"! {text}") if is_wrong else text
            for name, text, is_wrong in polls
            if name == account
        ]
        label = _left_label(account)
        room = look.width - len(INDENT) - LABEL
        line = ""
        for part in parts:
            longer = f"{line}, {part}" if line else part
            if line and _visible(longer) > room:
                yield f"{INDENT}{label}{line},"
                label, longer = " " * LABEL, part
            line = longer
        yield f"{INDENT}{label}{line}"


def _visible(text: str) -> int:
    import re

    from etl.reports.render import width

    return width(re.sub(r"\x1b\[[0-9;]*m", "", text))


def _section(title: str, beside: str, look: Look) -> str:
    words = look.paint("head", localized(title))
    return f"{words}  {localized(beside)}" if beside else words


def _period(facts: Facts) -> str:
    choice = facts.choice
    return tr(
        "{from_day} to {to_day}, days of {zone}",
        from_day=choice.from_day,
        to_day=choice.to_day,
        zone=facts.zone.name,
    )


def _figure(label: str, text: str, remark: str, look: Look) -> str:
    from etl.reports.render import printable, width

    figure = str(localized(text))
    blank = " " * max(0, 18 - width(figure))
    beside = look.paint("faint", localized(remark)) if remark else ""
    return f"{INDENT}{_left_label(printable(localized(label)))}{blank}{figure}  {beside}".rstrip()


def _left_label(text: str) -> str:
    from etl.reports.render import width

    return text + " " * max(1, LABEL - width(text))


def _sum_of_running(running: Sequence[Any]) -> str:
    if not running:
        return tr("nothing")
    rate = sum(row["yuan_per_hour"] or 0 for row in running)
    return tr("{count} instances, {yuan} an hour", count=len(running), yuan=_yuan(rate))


def _wrapped(text: str, look: Look) -> list[str]:
    from etl.reports.render import printable
    from etl.reports.render.wrapping import wrapped

    return list(wrapped(printable(text), min(look.width, WIDEST) - len(INDENT) - 2))


def _with_thousands(amount: float) -> str:
    return f"{amount:,.2f}"


def _yuan(amount: float) -> str:
    return tr("{amount} yuan", amount=_with_thousands(amount))
