"""A key that the source does not take: a person must act."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etl.alerts.cause import Cause
from etl.alerts.options import Options
from etl.alerts.polling import Polling, polling
from etl.alerts.rules.base import Rule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import Words, one_line


class KeyRefused(Rule[Polling, Options]):
    name = "key_refused"
    wakes = True
    prompt = True
    options = Options

    def facts(self, snapshot: Snapshot, options: Options) -> Sequence[Polling]:
        return polling(snapshot)

    def causes(self, facts: Sequence[Polling], options: Options, moment: Moment) -> Iterator[Cause]:
        for row in facts:
            if row.is_refused:
                error = one_line(row.error, 160)
                yield self.cause(
                    row.account,
                    severity="urgent",
                    account=row.account,
                    words=Words(
                        f"API 密钥被拒绝，数据不再更新：{error}",
                        f"The API key is refused, so nothing is observed: {error}",
                    ),
                )


RULE = KeyRefused()
