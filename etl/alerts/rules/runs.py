"""Rules about what runs, and what ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.facts import Machine, Running, Stopped
from etl.alerts.words import Words, about, hours, joined, moment, one_line, same
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.settings.alerts import AlertSettings
from etl.units import HOUR_S

TIMER_GRACE_S: Final = 600
"""A timer that is so long past did not stop it."""
ROLL_CALL_S: Final = HOUR_S
"""How long after its time a roll call is still one."""
FRESH_S: Final = HOUR_S
LISTED: Final = 20


def long_run(rows: Iterable[Running], settings: AlertSettings, zone: Zone) -> Iterator[Cause]:
    """What has run for long without a timer; again each day."""
    for row in rows:
        ran_s = row.as_of - row.since
        if not is_loose(row) or ran_s < settings.long_run_hours * HOUR_S:
            continue
        m = row.machine
        yield Cause(
            key=f"long_run:{m.account}:{m.instance_uuid}:{iso(row.since)}",
            rule="long_run",
            severity="warning",
            account=m.account,
            owner=m.owner,
            repeat_s=round(settings.long_run_again_hours * HOUR_S),
            words=Words("仍在运行:", "Still running: ")
            + named(m)
            + Words(
                f",已 {hours(ran_s)} 小时,未设定时关机", f", for {hours(ran_s)} h without a timer"
            )
            + about(row.cost(row.as_of), ",已花约 {}", ", about {} so far")
            + about(row.hour_microcny, ",每小时 {}", ", {} an hour"),
        )


def roll_call(
    rows: Iterable[Running], settings: AlertSettings, zone: Zone, now: Instant
) -> Iterator[Cause]:
    """In the evening, for each owner: what still runs without a timer, and its cost by morning."""
    if settings.roll_call is None:
        return
    today = zone.local(now).date()
    called_at = zone.at(today, settings.roll_call)
    if not called_at <= now < called_at + ROLL_CALL_S:
        return
    morning = zone.at(today + timedelta(days=1), settings.morning)
    loose = [r for r in rows if is_loose(r) and r.since <= called_at <= r.as_of + FRESH_S]
    for (account, owner), found in groupby(sorted(loose, key=_whose), key=_whose):
        yield _evening(account, owner, list(found), today.isoformat(), (now, morning), zone)


def stopped(rows: Iterable[Stopped], settings: AlertSettings, zone: Zone) -> Iterator[Cause]:
    """Each run that ended, for owners who asked to hear of it."""
    asked = {owner.name for owner in settings.owners if owner.stops}
    for row in rows:
        m = row.machine
        if m.owner not in asked:
            continue
        ran = hours(row.running_s)
        yield Cause(
            key=f"stopped:{m.account}:{m.instance_uuid}:{iso(row.started_at)}",
            rule="stopped",
            severity="info",
            account=m.account,
            owner=m.owner,
            words=Words("已停止:", "Stopped: ")
            + named(m)
            + Words(
                f",{moment(zone, row.ended_at)} 停止,运行 {ran} 小时",
                f", at {moment(zone, row.ended_at)} after {ran} h",
            )
            + about(row.cost_microcny, ",约 {}", ", about {}"),
        )


def is_loose(row: Running) -> bool:
    """Whether nothing will stop it but its owner, and its time costs money."""
    held = row.timer_at is not None and row.as_of < row.timer_at + TIMER_GRACE_S
    return not row.prepaid and not held


def named(m: Machine) -> Words:
    """`train (李雷), 2 × RTX 4090`. That it is nobody's is said where others are somebody's."""
    title, owner = one_line(m.title) or m.instance_uuid, one_line(m.owner)
    who = Words("无归属", "nobody's") if m.unclaimed else same(owner)
    gpus = f"{m.gpu_nums or 0} × {one_line(m.gpu_name) or 'GPU'}"
    if not who.zh or (owner and owner in title):
        return Words(f"{title},{gpus}", f"{title}, {gpus}")
    return Words(f"{title}({who.zh}),{gpus}", f"{title} ({who.en}), {gpus}")


def _whose(row: Running) -> tuple[str, str]:
    return row.machine.account, row.machine.owner or ""


def _evening(
    account: str,
    owner: str,
    rows: Sequence[Running],
    day: str,
    span: tuple[Instant, Instant],
    zone: Zone,
) -> Cause:
    morning = span[1]
    rows = sorted(rows, key=lambda r: (-(r.hour_microcny or 0), r.since))
    clock = zone.local(morning).strftime("%H:%M")
    head = _head(owner, rows, span, clock)
    lines = [_line(row, morning, clock, zone) for row in rows[:LISTED]]
    left = len(rows) - len(lines)
    if left:
        lines.append(Words(f"  ……另有 {left} 台", f"  … and {left} more"))
    return Cause(
        key=f"roll_call:{account}:{owner}:{day}",
        rule="roll_call",
        severity="warning",
        account=account,
        owner=owner or None,
        words=joined([head, *lines]),
    )


def _head(owner: str, rows: Sequence[Running], span: tuple[Instant, Instant], clock: str) -> Words:
    """How many there are, and what they will cost in the time that is left until morning."""
    tonight = [cost for r in rows if (cost := _between(r, *span)) is not None]
    who = Words(f"({one_line(owner)})", f" ({one_line(owner)})") if owner else same("")
    if rows[0].machine.unclaimed:
        who = Words("(无归属)", " (nobody's)")
    count = len(rows)
    return (
        Words("晚间点名", "Evening roll call")
        + who
        + Words(f":{count} 台仍在运行且未设定时关机", f": {count} still run without a timer")
        + about(
            sum(tonight) if tonight else None,
            f",到明早 {clock} 还要花约 {{}}",
            f", about {{}} more by {clock}",
        )
    )


def _between(row: Running, now: Instant, morning: Instant) -> int | None:
    so_far, in_all = row.cost(now), row.cost(morning)
    return None if so_far is None or in_all is None else in_all - so_far


def _line(row: Running, morning: Instant, clock: str, zone: Zone) -> Words:
    since = moment(zone, row.since)
    return (
        same("  · ")
        + named(row.machine)
        + Words(f",自 {since}", f", since {since}")
        + about(
            row.cost(morning),
            f",到 {clock} 共约 {{}}",
            f", about {{}} in all by {clock}",
        )
    )
