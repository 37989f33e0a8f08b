"""Simulated fleet: many lives, listed and paged as the source does, with known truth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Self
from zlib import crc32

from etl.poll import Instant
from etl.simcloud.habits import Habits, lives_of
from etl.simcloud.life import FOREVER, Life, Options, Twist
from etl.simcloud.record import Record, Timeline

UNREADABLE: Final[Record] = {"gpu_nums": "many"}
NAMELESS: Final[Record] = {"instance_uuid": None}


class Fleet:
    """The lives of one account. It takes the lives over and gives them its `options`.

    Call `refresh()` after changing a life or `lives` by other means than the methods below.
    """

    def __init__(self, lives: Iterable[Life] = (), options: Options | None = None) -> None:
        self.lives = list(lives)
        self.options = options or Options()
        self.version = 0
        self.refresh()

    @classmethod
    def generate(
        cls,
        seed: int,
        *,
        instances: int,
        start: Instant,
        days: float,
        options: Options | None = None,
        **habits: Any,
    ) -> Self:
        """Generate a fleet like that of people who rent GPUs; equal arguments give equal fleets.

        `instances` is the most that is ever listed: some are created later, and one that is
        destroyed may be re-created as another life. `habits` are the fields of `Habits`.
        """
        lives = lives_of(seed, instances, start, start + round(days * 86_400), Habits(**habits))
        return cls(lives, options)

    def refresh(self, *changed: Life) -> None:
        """Recompute everything derived from the lives, or from the named ones, and raise `version`."""
        self.version += 1
        if not changed:
            self._timelines: dict[str, Timeline] = {}
        for life in changed or self.lives:
            life.options = self.options
            self._timelines.pop(life.instance_uuid, None)
        self._ordered: list[tuple[Life, Timeline]] | None = None

    def life(self, instance_uuid: str) -> Life:
        """Return the life of an instance. Raises `KeyError` if there is none."""
        for life in self.lives:
            if life.instance_uuid == instance_uuid:
                return life
        raise KeyError(instance_uuid)

    # truth

    def running(self, t0: Instant, t1: Instant) -> int:
        """Return the seconds of true running time of all lives in [t0, t1)."""
        return sum(life.running(t0, t1) for life in self.lives)

    def gpu_seconds(self, t0: Instant, t1: Instant) -> dict[str, int]:
        """Return the rented card-seconds of all lives in [t0, t1) by GPU model."""
        sums: dict[str, int] = {}
        for life in self.lives:
            for gpu_name, seconds in life.gpu_seconds(t0, t1).items():
                sums[gpu_name] = sums.get(gpu_name, 0) + seconds
        return sums

    # what the source shows

    def listed(self, t: Instant) -> list[Life]:
        """Return the lives in a listing made at t, in its order."""
        return [life for life, timeline in self._in_order() if timeline.record(t)]

    def records(self, t: Instant) -> list[Record]:
        """Return the records of a listing made at t, in its order. They are shared: do not change
        them.
        """
        listed = (timeline.record(t) for _, timeline in self._in_order())
        return [record for record in listed if record]

    def page(self, t: Instant, number: int = 1, page_size: int = 100) -> Record:
        """Return the whole answer as a value."""
        records = self.records(t)
        page = records[(number - 1) * page_size : number * page_size]
        listing = {"instance_list": page, "total": len(records)}
        return {"code": 0, "msg": "success", "data": listing}

    def body(self, t: Instant, number: int = 1, page_size: int = 100) -> bytes:
        """Return the whole answer as bytes, equal if nothing changed."""
        fragments = self._fragments(t)
        page = b",".join(fragments[(number - 1) * page_size : number * page_size])
        # put together from fragments: a record is encoded once, not at every listing
        return b'{"code":0,"msg":"success","data":{"instance_list":[%b],"total":%d}}' % (
            page,
            len(fragments),
        )

    def changes(self) -> list[Instant]:
        """Return all instants at which the listing changes, or could, sorted."""
        self._in_order()
        return self._edges

    # disturbances; none changes the truth

    def hide(self, instance_uuid: str, begins: Instant, ends: Instant = FOREVER) -> None:
        """Hide an instance from listings from `begins` to `ends`, though it still exists."""
        life = self.life(instance_uuid)
        life.hidden.append((begins, ends))
        self.refresh(life)

    def break_record(
        self,
        instance_uuid: str,
        begins: Instant,
        ends: Instant = FOREVER,
        *,
        nameless: bool = False,
    ) -> None:
        """Make a record unreadable, except for its identity, unless `nameless`."""
        self.twist(instance_uuid, begins, ends, **(NAMELESS if nameless else UNREADABLE))

    def twist(
        self, instance_uuid: str, begins: Instant, ends: Instant = FOREVER, /, **members: Any
    ) -> None:
        """Make a record show these members, whatever is true."""
        life = self.life(instance_uuid)
        life.twists.append(Twist(begins, ends, members))
        self.refresh(life)

    def delay(self, instance_uuid: str, lag_s: int) -> None:
        """Make the source show an instance as it was `lag_s` ago."""
        life = self.life(instance_uuid)
        life.lag_s = lag_s
        self.refresh(life)

    def choose(self, **options: Any) -> None:
        """Change the options (fields of `Options`)."""
        self.options = replace(self.options, **options)
        self.refresh()

    def _in_order(self) -> list[tuple[Life, Timeline]]:
        if self._ordered is None:
            self._ordered = [(life, self._timeline(life)) for life in self._sorted()]
            self._edges = sorted({at for _, line in self._ordered for at in line.edges})
            self._stretch: tuple[int, list[bytes]] = (-1, [])
        return self._ordered

    def _sorted(self) -> list[Life]:
        # by a hash, not by chance: the order must be the same for every page of a walk
        if self.options.order == "shuffled":
            return sorted(self.lives, key=lambda life: crc32(life.instance_uuid.encode()))
        oldest_first = sorted(self.lives, key=lambda life: life.create_time)
        return oldest_first if self.options.order == "oldest" else oldest_first[::-1]

    def _timeline(self, life: Life) -> Timeline:
        # made once: a page is listed thousands of times in a test
        timeline = self._timelines.get(life.instance_uuid)
        if timeline is None:
            timeline = self._timelines[life.instance_uuid] = Timeline(life)
        return timeline

    def _fragments(self, t: Instant) -> list[bytes]:
        in_order = self._in_order()
        stretch = bisect_right(self._edges, t)
        # nothing changes between two edges: pages of one walk share their fragments
        if stretch != self._stretch[0]:
            listed = (timeline.fragment(t) for _, timeline in in_order)
            self._stretch = stretch, [fragment for fragment in listed if fragment]
        return self._stretch[1]
