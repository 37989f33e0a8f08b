"""A code of the source that counts as not running, or as not priced, until it has a meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.texts import Text, tr

CODES: Final = """
SELECT a.name AS account, u.kind, u.code, COUNT(*) AS instances
FROM (
    SELECT account_id, 'status' AS kind, status AS code FROM instance
    WHERE gone_at IS NULL AND status NOT IN (SELECT status FROM instance_status)
    UNION ALL
    SELECT account_id, 'charging', charging_type FROM instance
    WHERE gone_at IS NULL AND charging_type NOT IN (SELECT charging_type FROM charging_type)
) u
JOIN account a ON a.account_id = u.account_id
GROUP BY a.name, u.kind, u.code
ORDER BY u.kind DESC, a.name, u.code
"""


@dataclass(frozen=True, slots=True)
class Code:
    """A code that the lookups do not know. `kind` is status or charging."""

    account: str
    kind: str
    code: int
    instances: int


class UnknownCode(AlertRule[Code, RuleOptions]):
    name = "unknown_code"
    options = RuleOptions

    def facts(self, snapshot: Snapshot, options: RuleOptions) -> Sequence[Code]:
        return [Code(*row) for row in snapshot.ask(CODES)]

    def causes(
        self, facts: Sequence[Code], options: RuleOptions, moment: Moment
    ) -> Iterator[Cause]:
        for row in facts:
            yield self.cause(
                row.account,
                row.kind,
                row.code,
                severity="warning",
                account=row.account,
                words=_words(row),
            )


def _words(row: Code) -> Text:
    status = tr("Unknown status code {code} ({instances}). Set its meaning: {command}")
    charging = tr("Unknown charging code {code} ({instances}). Set its meaning: {command}")
    one, many = tr("1 instance"), tr("{count} instances", count=row.instances)
    return (status if row.kind == "status" else charging).filled(
        code=row.code,
        instances=one if row.instances == 1 else many,
        command=f"chenyu-etl codes set {row.kind} {row.code} …",
    )


RULE = UnknownCode()
