"""Generated listings of all resources, applied to a database that is then asked for its promises."""

from __future__ import annotations

import json
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.fuzz_breeding import origin
from bench.fuzz_targets import SCRATCH, TODAY, ZONE, Broken, T
from bench.promises import broken
from etl.dialect import Database, open_database
from etl.resources import RESOURCES
from etl.store import schema
from tests import odd_records
from tests.support import apply, poll_of
from tests.test_canaries import RECORDS

HEALTH: Final = list(HealthCheck)
_values: Final = st.one_of(odd_records.leaves, st.sampled_from([T - 5, T, T + 300, 0.01, "7.5"]))


def _members(record: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    odd = st.fixed_dictionaries({}, optional=dict.fromkeys(record, _values))
    return odd.map(lambda some: {**record, **some})


_moments: Final = st.sampled_from(
    [None, 0, T - 500, T - 60, T, T + 30, T + 200, T + 700, T + 9_000]
)
_instances: Final = st.one_of(
    odd_records.records,
    st.fixed_dictionaries(
        {
            "instance_uuid": st.sampled_from("abc"),
            "status": st.sampled_from([2, 2, 22, 24, 1, 21, 27, 77]),
            "charging_type": st.sampled_from([1, 1, 2, 3, None]),
            "gpu_nums": st.sampled_from([1, 2, 64, 65, None]),
            "create_time": _moments,
            "start_time": _moments,
            "shutdown_regular": st.fixed_dictionaries(
                {"shutdown_time": _moments, "enable": st.booleans()}
            ),
        }
    ),
)
_KINDS: Final = st.sampled_from(["instances"] * 6 + ["gpu_prices", "cards", "bills", "recharges"])
HISTORIES: Final = st.lists(
    _KINDS.flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.lists(_instances if name == "instances" else _members(RECORDS[name][1]), max_size=4),
            st.booleans() if name == "instances" else st.just(True),
            st.sampled_from([60, 300, 300, 3_600, 90_000]),
        )
    ),
    min_size=1,
    max_size=8,
)


class Whole:
    """Applies generated listings of all resources to a database, and asks it for its promises."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.executions = 0
        self.failures: set[str] = set()
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self._template = SCRATCH / "template.db"
        database = open_database(f"sqlite:///{self._template}")
        schema.upgrade(database, ZONE.name, TODAY)
        database.engine.dispose()

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.seed += 1
            self._block(self.seed)

    def _block(self, number: int) -> None:
        """Apply some histories to one database, each as an account of its own."""
        path = SCRATCH / "block.db"
        path.write_bytes(self._template.read_bytes())
        database = open_database(f"sqlite:///{path}")

        @hypothesis.seed(number)
        @settings(max_examples=30, database=None, deadline=None, suppress_health_check=HEALTH)
        @given(HISTORIES)
        def histories(history: Any) -> None:
            self._history(database, history)

        try:
            histories()
            with redirect_stdout(StringIO()):
                # a time of doubt beside a change of terms lies on the stretch that it follows
                wrong = [
                    line
                    for line in broken(database)
                    if not line.startswith("stretches that overlap")
                ]
            if wrong:
                raise Broken("; ".join(wrong))
        except Exception as error:  # noqa: BLE001 - that is what it is looking for
            why = f"{type(error).__name__}: {error} {origin()}"
            if why[:60] not in self.failures:
                self.failures.add(why[:60])
                print(f"block {number}: {why[:2000]}", flush=True)
        finally:
            database.engine.dispose()

    def _history(self, database: Database, history: Any) -> None:
        account, at = f"a{self.executions}", T
        for name, records, complete, after_s in history:
            at += after_s
            resource = RESOURCES[name]
            keys = {"instances": "instance_list", **{n: k for n, (k, _) in RECORDS.items()}}
            content = {keys[name]: records, "total": len(records)}
            body = json.dumps({"code": 0, "data": content}).encode()
            for again in (False, True):
                poll = poll_of(
                    [body], at + 40 * again, complete=complete, account=account, resource=resource
                )
                run = apply(database, poll)
                self.executions += 1
                if again and complete and not resource.counts and run.added + run.changed:
                    raise Broken(f"{name}: the same poll again changes {run}: {body!r}")
            at += 40
