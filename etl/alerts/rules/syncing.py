"""Rules about the sync itself and about what the source shows; and digests, whose time has come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.facts import DueDigest, FailedImage, Polling, UnknownCode
from etl.alerts.rules.runs import named
from etl.alerts.words import Words, moment, one_line
from etl.history.days import Zone, iso
from etl.poll import Instant
from etl.settings.alerts import AlertSettings

_REFUSED: Final = re.compile(
    r"^GET \S+: HTTP (?:401|403|\d+, code (?:401|403|2))\b|^there is no API key"
)
"""As `etl.source.client` and `etl.settings` word it."""


def sync_stale(
    rows: Iterable[Polling],
    settings: AlertSettings,
    zone: Zone,
    now: Instant,
    watching_since: Instant,
) -> Iterator[Cause]:
    """No complete poll for long, though somebody watched or tried for as long: a machine that was
    switched off for the night is not stale in the morning."""
    limit_s = settings.stale_minutes * 60
    for row in rows:
        last, tried = row.last_complete_at, row.tried_since
        watched_s = max(now - watching_since, 0 if tried is None else now - tried)
        if is_refused(row) or watched_s < limit_s or (last is None and tried is None):
            continue
        if last is not None and (now - last < limit_s or _is_the_newest_due(row, last, limit_s)):
            continue
        why = f": {one_line(row.error, 160)}" if row.error else ""
        zh = "从未完整同步过" if last is None else f"自 {moment(zone, last)} 起没有一次完整的同步"
        en = "No complete poll" + (" ever" if last is None else f" since {moment(zone, last)}")
        yield Cause(
            key=f"sync_stale:{row.account}",
            rule="sync_stale",
            severity="urgent",
            account=row.account,
            words=Words(zh + why, en + why),
        )


def done_by(settings: AlertSettings, now: Instant) -> float:
    """A tick that was due by then should be polled by now."""
    return now - settings.stale_minutes * 60 / 2


def _is_the_newest_due(row: Polling, last: Instant, limit_s: int) -> bool:
    """Whether none was due since: polls may be hours apart, or rest at night. `last` is on the source's
    clock, which differs, and a poll of another daemon comes a little before the tick."""
    return row.due_at is not None and last >= row.due_at - limit_s / 4


def key_refused(rows: Iterable[Polling]) -> Iterator[Cause]:
    """A key that the source does not take: a person must act."""
    for row in rows:
        if not is_refused(row):
            continue
        yield Cause(
            key=f"key_refused:{row.account}",
            rule="key_refused",
            severity="urgent",
            account=row.account,
            words=Words(
                f"API 密钥被拒绝:{one_line(row.error, 160)}",
                f"The API key is refused: {one_line(row.error, 160)}",
            ),
        )


def is_refused(row: Polling) -> bool:
    return row.error is not None and _REFUSED.search(row.error) is not None


def unknown_code(rows: Iterable[UnknownCode]) -> Iterator[Cause]:
    """A code of the source that counts as not running, or as not priced, until somebody says what
    it means."""
    for row in rows:
        zh = {"status": "状态码", "charging": "计费码"}[row.kind]
        yield Cause(
            key=f"unknown_code:{row.account}:{row.kind}:{row.code}",
            rule="unknown_code",
            severity="warning",
            account=row.account,
            words=Words(
                f"未知{zh} {row.code}({row.instances} 台):chenyu-etl codes set {row.kind} {row.code} …",
                f"Unknown {row.kind} code {row.code} ({row.instances} instances):"
                f" chenyu-etl codes set {row.kind} {row.code} …",
            ),
        )


def image_failed(rows: Iterable[FailedImage], zone: Zone) -> Iterator[Cause]:
    """An image that could not be saved: what it was meant to keep may be lost with the instance."""
    for row in rows:
        m, at = row.machine, moment(zone, row.failed_at)
        yield Cause(
            key=f"image_failed:{m.account}:{m.instance_uuid}:{iso(row.failed_at)}",
            rule="image_failed",
            severity="warning",
            account=m.account,
            owner=m.owner,
            words=Words("镜像保存失败:", "Image not saved: ")
            + named(m)
            + Words(f",{at}", f", at {at}"),
        )


def digest(rows: Iterable[DueDigest]) -> Iterator[Cause]:
    for row in rows:
        yield Cause(key=row.key, rule="digest", severity="info", words=row.words)
