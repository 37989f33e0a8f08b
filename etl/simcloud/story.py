"""A scripted fleet with its own clock: its events read like a story."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from etl.poll import Instant
from etl.simcloud.charging import Charging
from etl.simcloud.fleet import NAMELESS, UNREADABLE, Fleet
from etl.simcloud.life import FOREVER, Life, Options, Restart, Run, Span, Timer, Twist
from etl.simcloud.money import Money
from etl.simcloud.prices import Yuan
from etl.simcloud.record import Record

T0: Final[Instant] = 1_767_225_600
"""2026-01-01T00:00:00Z."""


class Story:
    """A scripted fleet. Every event happens at `now` and takes no time, unless a duration is given.

    Instances are named by the uuid that `rents` returns. Raises `ValueError` if an event makes no
    sense (a start of a running instance), `KeyError` for an instance that was never rented.
    """

    def __init__(
        self,
        now: Instant = T0,
        options: Options | None = None,
        charging: Charging | None = None,
    ) -> None:
        self.now = now
        self.fleet = Fleet((), options)
        # no refill: in a story money comes when somebody pays
        self.money = Money(self.fleet, charging, refill=None)

    # time

    def passes(
        self, *, seconds: int = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> Instant:
        """Let time pass; return the new `now`."""
        self.now += seconds + round(minutes * 60 + hours * 3_600 + days * 86_400)
        return self.now

    def clock(self) -> float:
        """Return `now`, as a clock for `serve`."""
        return float(self.now)

    # the life of an instance

    def rents(
        self,
        *,
        gpus: int = 1,
        model: str = "RTX 4090",
        title: str = "train",
        charging_type: int = 1,
        starts: bool = True,
        boot_s: int = 0,
        image: tuple[str, str] = ("PyTorch 2.0 环境", "v2.0"),
        uuid: str | None = None,
    ) -> str:
        """Create an instance, start it (unless `starts` is False) and return its uuid."""
        # counted, not drawn: a test that fails names the same instance each time
        name = uuid or f"inst_00000000-0000-4000-8000-{len(self.fleet.lives) + 1:012d}"
        life = Life(name, self.now, title, image=image, options=self.fleet.options)
        life.gpu_name, life.gpu_nums, life.charging_type = model, gpus, charging_type
        self.fleet.lives.append(life)
        self.fleet.refresh(life)
        if starts:
            self.starts(name, boot_s=boot_s)
        return name

    def rents_many(self, instances: int, **same: Any) -> list[str]:
        """Rent several equal instances, as `rents` does; return their uuids."""
        return [self.rents(**same) for _ in range(instances)]

    def starts(
        self,
        a: str,
        *,
        gpus: int | None = None,
        model: str | None = None,
        charging_type: int | None = None,
        boot_s: int = 0,
    ) -> None:
        """Start an instance, on other GPUs if they are named."""
        life = self._alive(a)
        if life.is_on(self.now):
            raise ValueError(f"{a} is on")
        # as the source keeps them: what is not chosen anew is as it was
        before = life.runs[-1] if life.runs else life
        run = Run(
            self.now,
            boot_s=boot_s,
            gpu_name=model or before.gpu_name,
            gpu_nums=before.gpu_nums if gpus is None else gpus,
            charging_type=charging_type or before.charging_type,
        )
        life.runs.append(run)
        self.fleet.refresh(life)

    def stops(self, a: str, *, stopping_s: int = 0, status: int = 22) -> None:
        """Stop an instance; a stopped one shows `status` (23: stopped abnormally)."""
        run = self._on(a)
        self._run(a, replace(run, stop=self.now, stopping_s=stopping_s, stopped_status=status))

    def restarts(self, a: str, *, lasts_s: int = 20) -> None:
        """Restart an instance: status 27 is shown for `lasts_s`."""
        run = self._on(a)
        self._run(a, replace(run, restarts=(*run.restarts, Restart(self.now, lasts_s))))

    def sets_timer(self, a: str, at: Instant | None) -> None:
        """Schedule an instance's shutdown, which the platform does exactly then; None takes it
        back.
        """
        if at is not None and at <= self.now:
            raise ValueError(f"{at} is not ahead of {self.now}")
        run = self._on(a)
        self._run(a, replace(run, timers=(*run.timers, Timer(self.now, at))))

    def renames(self, a: str, title: str) -> None:
        life = self._alive(a)
        life.titles.append((self.now, title))
        self.fleet.refresh(life)

    def saves_image(self, a: str, state: int = 2) -> None:
        """Set the state of an instance's image: 1 uploading, 2 uploaded, 3 failed to upload."""
        life = self._alive(a)
        life.image_saves.append((self.now, state))
        self.fleet.refresh(life)

    def destroys(self, a: str) -> None:
        life = self._alive(a)
        life.destroyed_at = self.now
        self.fleet.refresh(life)

    # money

    def price(self, gpu_name: str, *, status: int | None = None, **yuan: Yuan | None) -> None:
        """Set a model's list price by unit (`hour=5.5`) from now on; None: no longer offered."""
        self.money.prices.change(gpu_name, self.now, status=status, **yuan)

    def recharges(self, yuan: Yuan) -> None:
        """Pay into the balance, which begins at 0 and may fall below it."""
        self.money.recharge(self.now, yuan)

    def gives_card(
        self, face_amount: Yuan, *, sale_price: Yuan | None = None, valid_days: int = 90
    ) -> str:
        """Bind a compute card, which pays from now on; return its uuid."""
        card = self.money.give_card(
            self.now, face_amount, sale_price=sale_price, valid_days=valid_days
        )
        return card.uuid

    def is_charged(self, yuan: Yuan, remark: str = "其他费用") -> None:
        """Add a bill line that no instance explains; a negative one is paid back."""
        self.money.charge(self.now, yuan, remark)

    # disturbances; none changes the truth

    def hides(self, a: str) -> None:
        """Hide an instance from listings from now on, though it still exists."""
        self.fleet.hide(a, self.now)

    def shows(self, a: str) -> None:
        """List a hidden instance again."""
        life = self.life(a)
        life.hidden = [(begins, min(ends, self.now)) for begins, ends in life.hidden]
        self.fleet.refresh(life)

    def breaks_record(self, a: str, *, nameless: bool = False) -> None:
        """Make a record unreadable from now on, except for its identity, unless `nameless`."""
        self.twists(a, **(NAMELESS if nameless else UNREADABLE))

    def twists(self, a: str, /, **members: Any) -> None:
        """Make a record show these members from now on, whatever is true (`status=77`)."""
        self.life(a).twists.append(Twist(self.now, FOREVER, members))
        self.fleet.refresh(self.life(a))

    def mends_record(self, a: str) -> None:
        """Make a record show the truth again."""
        life = self.life(a)
        life.twists = [replace(w, ends=min(w.ends, self.now)) for w in life.twists]
        self.fleet.refresh(life)

    def lags(self, a: str, lag_s: int) -> None:
        """Make the source show an instance as it was `lag_s` ago, at all times."""
        self.fleet.delay(a, lag_s)

    # truth

    def life(self, a: str) -> Life:
        return self.fleet.life(a)

    def spans(self, a: str) -> list[Span]:
        """Return the true running time of an instance so far, one span a run."""
        return self.life(a).spans

    def running(self, a: str, t0: Instant = 0, t1: Instant | None = None) -> int:
        """Return the seconds that an instance truly ran in [t0, t1), until now by default."""
        return self.life(a).running(t0, self.now if t1 is None else t1)

    def true_cost(self, a: str, t0: Instant = 0, t1: Instant | None = None) -> int:
        """Return the true cost of an instance in [t0, t1), until now by default; millionths of a
        yuan.
        """
        return self.money.true_cost(a, t0, self.now if t1 is None else t1)

    # what the source shows now

    def records(self) -> list[Record]:
        """Return the records of a listing made now, which the caller may change."""
        # copies: the fleet shares its records between listings
        copies: list[Record] = json.loads(json.dumps(self.fleet.records(self.now)))
        return copies

    def record(self, a: str) -> Record:
        """Return the record of an instance in a listing made now. Raises `KeyError` if it is not
        listed.
        """
        for record in self.records():
            if record["instance_uuid"] == a:
                return record
        raise KeyError(a)

    def page(self, number: int = 1, page_size: int = 100) -> Record:
        return self.fleet.page(self.now, number, page_size)

    def body(self, number: int = 1, page_size: int = 100) -> bytes:
        return self.fleet.body(self.now, number, page_size)

    def _alive(self, a: str) -> Life:
        life = self.life(a)
        if not life.exists(self.now):
            raise ValueError(f"{a} is destroyed")
        return life

    def _on(self, a: str) -> Run:
        life = self._alive(a)
        if not life.is_on(self.now):
            raise ValueError(f"{a} is off")
        return life.runs[-1]

    def _run(self, a: str, run: Run) -> None:
        life = self.life(a)
        life.runs[-1] = run
        self.fleet.refresh(life)
