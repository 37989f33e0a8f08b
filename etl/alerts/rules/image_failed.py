"""An image that could not be saved: its data may be lost with the instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.machines import Machine
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import local_time
from etl.history.days import iso
from etl.poll import Instant
from etl.texts import tr

FAILED_IMAGES: Final = """
SELECT f.*, w.owner
FROM (
    SELECT a.name AS account, i.account_id, i.instance_uuid, i.title, i.gpu_name, i.gpu_nums, (
        SELECT epoch(MIN(h.first_seen_at)) FROM instance_history h
        WHERE h.account_id = i.account_id AND h.instance_uuid = i.instance_uuid AND h.version > (
            SELECT MAX(p.version) FROM instance_history p
            WHERE p.account_id = i.account_id AND p.instance_uuid = i.instance_uuid
                AND COALESCE(p.save_image_status, 0) <> 3
        )
    ) AS failed_s
    FROM instance i JOIN account a ON a.account_id = i.account_id
    WHERE i.gone_at IS NULL AND i.save_image_status = 3
) f
LEFT JOIN allocation w ON is_payer_of(w, f, f.failed_s)
WHERE f.failed_s IS NOT NULL
ORDER BY f.account, f.instance_uuid
"""
"""Saves that failed since the first poll; each holds until the next save."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    machine: Machine
    failed_at: Instant


class ImageFailed(AlertRule[FailedImage, RuleOptions]):
    name = "image_failed"
    options = RuleOptions

    def facts(self, snapshot: Snapshot, options: RuleOptions) -> Sequence[FailedImage]:
        rows = snapshot.ask(FAILED_IMAGES)
        return [FailedImage(snapshot.machine(row), row.failed_s) for row in rows]

    def causes(
        self, facts: Sequence[FailedImage], options: RuleOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            machine = row.machine
            yield self.cause(
                machine.account,
                machine.instance_uuid,
                # with the time: the next save that fails is a case of its own
                iso(row.failed_at),
                severity="warning",
                account=machine.account,
                owner=machine.owner,
                words=tr(
                    "Image not saved: {machine}, at {at}",
                    machine=machine.words,
                    at=local_time(moment.zone, row.failed_at),
                ),
            )


RULE = ImageFailed()
