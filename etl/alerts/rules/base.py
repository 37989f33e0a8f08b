"""The base of every rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.snapshot import Moment, Snapshot
from etl.texts import Text
from etl.units import HOUR_S

F = TypeVar("F")
S = TypeVar("S", bound=RuleOptions)
COSTS_AGE_S: Final = HOUR_S
"""Age after which rules about the costs of whole weeks read them again."""


class AlertRule(ABC, Generic[F, S]):
    """One kind of alert: its settings, the query behind it, and its words.

    To add one, write a file with a subclass and name it in `etl.alerts.rules.RULES`.

    `wakes`: quiet hours do not hold it back. `prompt`: it does not wait to be gathered with others.
    `facts_age_s`: the age up to which its facts are used again.
    """

    name: ClassVar[str]
    wakes: ClassVar[bool] = False
    prompt: ClassVar[bool] = False
    facts_age_s: ClassVar[int] = 0
    options: type[S]

    @abstractmethod
    def facts(self, snapshot: Snapshot, options: S) -> Sequence[F]:
        """Read the facts that the rule judges."""

    @abstractmethod
    def causes(self, facts: Sequence[F], options: S, moment: Moment) -> Iterator[Cause]:
        """Yield a cause for every fact that is worth a message. Pure."""

    def cause(self, *key: object, severity: str, words: Text, **more: Any) -> Cause:
        """Return a cause of this rule; its key is the rule's name and these parts."""
        return Cause(":".join(map(str, (self.name, *key))), self.name, severity, words, **more)

    def steps(
        self, key: tuple[object, ...], steps: Sequence[tuple[str, str]], words: Text, **more: Any
    ) -> Iterator[Cause]:
        """Yield a cause for each limit (end of the key, severity) that was passed, the worst last.

        Only the worst is sent; it covers the others.
        """
        keys = [":".join(map(str, (self.name, *key, end))) for end, _ in steps]
        for i, (end, severity) in enumerate(steps):
            is_worst = i == len(steps) - 1
            yield self.cause(
                *key,
                end,
                severity=severity,
                words=words,
                covers=tuple(keys[:-1]) if is_worst else (),
                # the milder ones hold as well: when the worst clears, they must not be news
                silent=not is_worst,
                **more,
            )
