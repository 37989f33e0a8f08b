"""A key that the source does not take: a person must act."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.polling import Polling, polling
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import short_line
from etl.texts import tr


class KeyRefused(AlertRule[Polling, RuleOptions]):
    name = "key_refused"
    # every hour until somebody acts is an hour that nobody will ever know of
    wakes = True
    prompt = True
    options = RuleOptions

    def facts(self, snapshot: Snapshot, options: RuleOptions) -> Sequence[Polling]:
        return polling(snapshot)

    def causes(
        self, facts: Sequence[Polling], options: RuleOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            if row.is_refused:
                yield self.cause(
                    row.account,
                    severity="urgent",
                    account=row.account,
                    words=tr(
                        "The API key is refused, so nothing is observed: {error}",
                        error=short_line(row.error, 160),
                    ),
                )


RULE = KeyRefused()
