"""What a part of usage costs: seconds charged by the charging model, at every price that held.

Pure; the view `cost_open` says the same in SQL of the stretches that are still open. Seconds are
charged from the start of the stretch on, so that its parts add up: whoever has run for d seconds was
charged F(d) = max(0, d - boot) rounded up to whole steps. Each amount is rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from etl.money.pricing import PricePeriod
from etl.poll import Instant

HOUR_S: Final = 3_600
MOST_GPUS: Final = 64
"""More are taken for a wrong number: their cost is not known."""
UNCERTAIN_STARTS: Final = frozenset({"possible_run", "unknown_start", "gone"})
"""Evidence of stretches that may not start when their run did: when a step begins is not known."""


@dataclass(frozen=True, slots=True)
class ChargingModel:
    """How running time is charged. `boot_s` and `boot_max_s`: seconds after the start that are not
    charged where it counts from running, estimate and at most."""

    counts_from: Literal["start", "running"] = "start"
    step_s: int = 1
    boot_s: int = 60
    boot_max_s: int = 180


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a stretch that falls into one day; instants are epoch seconds."""

    kind: str
    evidence: str
    usage_started_at: Instant
    started_at: Instant
    running_s: int
    running_min_s: int
    running_max_s: int
    gpu_nums: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part at one price: what `usage_cost` holds of it. Amounts are millionths of a yuan, None
    where the price or the number of GPUs is not known."""

    starts_s: Instant
    ends_s: Instant
    price_source: str
    used_s: int
    charged_s: int
    charged_min_s: int
    charged_max_s: int
    cost_microcny: int | None
    cost_min_microcny: int | None
    cost_max_microcny: int | None
    list_cost_microcny: int | None


def hour_microcny(price: PricePeriod, gpu_nums: int | None) -> int | None:
    """What all GPUs of an instance cost an hour while a price holds; None where nobody knows. The view
    `burn_now` says the same by the day."""
    if gpu_nums is None or gpu_nums not in range(MOST_GPUS + 1) or price.price_microcny is None:
        return None
    flat = price.flat_microcny or 0
    return HOUR_S * (gpu_nums * price.price_microcny + flat) // price.per_s


def pieces(part: Part, periods: Sequence[PricePeriod], model: ChargingModel) -> Iterator[Piece]:
    """What a part costs, one piece for each price. Nothing where its kind is not what is charged."""
    begins, origin = part.started_at, part.usage_started_at
    ends = begins + part.running_max_s
    counter = _counter(part, model)
    for period in periods:
        if period.starts_s >= ends or period.ends_s <= begins or period.kind != part.kind:
            continue
        at = max(period.starts_s, begins)
        least, estimate, most = (
            max(at, min(begins + length, period.ends_s)) - origin
            for length in (part.running_min_s, part.running_s, part.running_max_s)
        )
        charged = counter.charged(at - origin, least, estimate, most)
        gpus = part.gpu_nums if part.gpu_nums in range(MOST_GPUS + 1) else None
        yield _priced(at, origin + estimate, charged, gpus, period)


@dataclass(frozen=True, slots=True)
class _Counter:
    step_s: int
    most_step_s: int
    is_certain: bool
    boot_s: int
    boot_max_s: int

    def charged(self, begins: int, least: int, estimate: int, most: int) -> tuple[int, int, int]:
        """Seconds charged between two ages of the stretch: estimate, at least, at most."""
        step_s, boot_max_s = self.most_step_s, self.boot_max_s
        charged_s = _steps(estimate - self.boot_s, self.step_s) - _steps(
            begins - self.boot_s, self.step_s
        )
        if not self.is_certain:
            sure_s = max(0, least - max(begins, boot_max_s))
            return charged_s, sure_s // step_s * step_s, _steps(most - begins, step_s)
        return (
            charged_s,
            max(0, _steps(least - boot_max_s, step_s) - _steps(begins, step_s)),
            _steps(most, step_s) - _steps(begins - boot_max_s, step_s),
        )


def _counter(part: Part, model: ChargingModel) -> _Counter:
    if part.kind == "held":
        return _Counter(1, 1, False, 0, 0)
    is_seen_up = part.evidence in ("possible_run", "unknown_start")
    boots = model.counts_from == "running" and not is_seen_up
    return _Counter(
        step_s=1 if part.evidence == "possible_run" else model.step_s,
        most_step_s=model.step_s,
        is_certain=model.step_s > 1 and part.evidence not in UNCERTAIN_STARTS,
        boot_s=model.boot_s if boots else 0,
        boot_max_s=model.boot_max_s if boots else 0,
    )


def _steps(seconds: int, step_s: int) -> int:
    """Rounded up to whole steps, never below 0."""
    return -(-seconds // step_s) * step_s if seconds > 0 else 0


def _priced(
    at: Instant,
    ends_s: Instant,
    charged: tuple[int, int, int],
    gpus: int | None,
    price: PricePeriod,
) -> Piece:
    charged_s, charged_min_s, charged_max_s = charged
    amounts: list[Any] = [None] * 4
    if gpus is not None and price.list_microcny is not None:
        listed = charged_s * gpus * price.list_microcny
        amounts[3] = (listed + price.list_per_s // 2) // price.list_per_s
    if gpus is not None and price.price_microcny is not None:
        flat, per_s = price.flat_microcny or 0, price.per_s
        most = charged_max_s * (gpus * (price.price_max_microcny or 0) + flat)
        amounts[:3] = (
            (charged_s * (gpus * price.price_microcny + flat) + per_s // 2) // per_s,
            charged_min_s * (gpus * (price.price_min_microcny or 0) + flat) // per_s,
            -(-most // per_s),
        )
    return Piece(
        at,
        ends_s,
        "unknown" if amounts[0] is None else price.price_source,
        ends_s - at,
        *charged,
        *amounts,
    )
