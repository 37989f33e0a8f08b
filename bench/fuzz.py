"""Inputs that nobody meant, by the million: `python -m bench.fuzz TARGET [--seconds N] [--corpus FOLDER]`.

Targets: decode (answers of every resource), archive (lines), packed (files), prices, rules, config,
periods (words of `--from`), redact (no canary survives). `whole` applies generated listings to a
database: decode, diff, usage, store, and asks it what `bench/promises.py` asks. Inputs are bred by
the lines of code that they reach. One that breaks a promise is written to the folder and printed;
tests/fixtures/fuzz holds those that once did, and tests/test_fuzz.py runs them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import lzma
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import date
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any, Final

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.promises import broken
from etl.archive.line import encode, is_json, read_line
from etl.archive.packed import lines
from etl.books import price_files, rule_entries
from etl.books.documents import parse
from etl.dialect import Database, open_database
from etl.errors import Changed, EtlError
from etl.history.days import Zone
from etl.poll import Page, Poll
from etl.redact import redact, redact_words, scrub
from etl.reports.periods import day_range, days_that_follow
from etl.resources import RESOURCES, Resource
from etl.settings import load
from etl.source.wholeness import collected, judge, older
from etl.store import schema
from tests import odd_records
from tests.support import apply, poll_of
from tests.test_canaries import RECORDS

T: Final = 1_767_225_600
CANARY: Final = "Xy9CANARY7zQ"
ZONE: Final = Zone("Asia/Shanghai")
TODAY: Final = date(2026, 11, 24)
SLOW: Final = 100
"""So many times the median of right inputs of its length is slow."""
SCRATCH: Final = Path(os.environ.get("FUZZ_DIR", "/dev/shm")) / f"fuzz{os.getpid()}"


class Broken(AssertionError):
    """A promise that an input broke."""


def decode(content: bytes) -> None:
    """Every resource: what is opened and what is read agree; only `Changed` is raised."""
    for resource in RESOURCES.values():
        try:
            listing = resource.open(content)
        except Changed:
            _refuses_to_read(resource, content)
            continue
        _read_alike(resource, content, listing.identities)
        page = Page(1, 100, content)
        verdict = judge(resource, [page])
        if verdict.complete and verdict.total != len(verdict.identities):
            raise Broken(f"{resource.name}: complete, and does not add up")
        older(resource, page, T)
        collected(resource, [page])


def _refuses_to_read(resource: Resource[Any], content: bytes) -> None:
    with suppress(Changed):
        resource.read(content)
        raise Broken(f"{resource.name}: read, though it cannot be opened")


def _read_alike(resource: Resource[Any], content: bytes, names: Iterable[str | None]) -> None:
    records, rejects = resource.read(content)
    listed = sorted(name for name in names if name)
    read = [r.identity for r in records] + [r.identity for r in rejects if r.identity]
    if not resource.counts and sorted(read) != listed:
        raise Broken(f"{resource.name}: {sorted(read)} read, {listed} listed")
    if resource.read(content) != (records, rejects):
        raise Broken(f"{resource.name}: read otherwise the second time")


def archive(content: bytes) -> None:
    """A line is a poll or a `ValueError`; written again, it is the same poll."""
    try:
        archived = read_line(content)
    except ValueError:
        return
    if not is_json(content):
        raise Broken("a poll that is no JSON")
    if archived.walks is None or archived.resource not in RESOURCES:
        return
    poll = Poll(
        archived.account,
        archived.resource,
        archived.started_at,
        archived.finished_at,
        bool(archived.complete),
        archived.walks,
    )
    again = read_line(b"".join(encode(poll, same=False)))
    if [len(walk) for walk in again.walks or ()] != [len(walk) for walk in archived.walks]:
        raise Broken("other pages when written again")
    if (again.started_at, again.finished_at) != (archived.started_at, archived.finished_at):
        raise Broken("other instants when written again")


def packed(content: bytes) -> None:
    """A file, plain or packed or cut, gives lines, and None for what is torn."""
    shape, rest = content[:1], content[1:]
    bodies = {
        b"g": lambda: gzip.compress(rest),
        b"x": lambda: lzma.compress(rest),
        b"c": lambda: gzip.compress(rest)[: -1 - len(rest) % 20],
        b"d": lambda: gzip.compress(rest[:9]) + gzip.compress(rest[9:]) + rest[:3],
    }
    path = SCRATCH.with_suffix(".packed")
    path.write_bytes(bodies.get(shape, lambda: content)())
    with suppress(EtlError):
        for line in lines(str(path)):
            if line is not None and not line.strip():
                raise Broken("an empty line")


def prices(content: bytes) -> None:
    with suppress(EtlError):
        price_files.prices_of(parse("prices", content, price_files.COLUMNS), ZONE)


def rules(content: bytes) -> None:
    with suppress(EtlError):
        rule_entries.rules_of(parse("rules", content, rule_entries.COLUMNS), ZONE)


def config(content: bytes) -> None:
    path = SCRATCH.with_suffix(".toml")
    path.write_bytes(content)
    with suppress(EtlError):
        load({}, {"HOME": str(SCRATCH)}, path)


def periods(content: bytes) -> None:
    since, _, until = content.decode("utf-8", "surrogateescape").partition("\n")
    with suppress(EtlError):
        first, last = day_range(since or None, until or None, TODAY)
        days_that_follow(first, last)
        if first > last:
            raise Broken("a period that ends before it begins")


def redaction(content: bytes) -> None:
    """Beside whatever else, a secret that is named as one is cut; twice is as once."""
    text = content.decode("utf-8", "replace")
    shapes = (
        {"password": CANARY, "x": text},
        [text, {"api_key": CANARY}],
        {"note": text, "env": [{"name": "PASSWORD", "value": CANARY}]},
        f"https://me:{CANARY}@h.example/{_plain(text)}",
        f"{_plain(text)} password={CANARY}",
        f"{_plain(text)}\npassword: {CANARY}\n{text}",
    )
    for shape in shapes:
        plain = redact(shape)
        if CANARY in json.dumps(plain) and CANARY not in text + _plain(text):
            raise Broken(f"a canary in {plain!r}")
        if redact(plain) != plain:
            raise Broken(f"twice is not as once: {redact(plain)!r}, {plain!r}")
    scrub(text)
    redact_words(text)


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isalnum() or c == " ")


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decode": decode,
    "archive": archive,
    "packed": packed,
    "prices": prices,
    "rules": rules,
    "config": config,
    "periods": periods,
    "redact": redaction,
}


def run_input(target: str, content: bytes) -> None:
    """Run one input. Raises whatever it breaks."""
    TARGETS[target](content)


# breeding


def seeds(target: str) -> list[bytes]:
    """Return inputs that are right, to begin with."""
    if target in ("decode", "archive", "packed"):
        bodies = list(_bodies())
        if target == "decode":
            return bodies
        made = [_line(body, resource) for body, resource in zip(bodies, RESOURCES, strict=False)]
        return made if target == "archive" else [b"g" + b"".join(made), b"x" + made[0], *made]
    if target == "periods":
        words = ["2026-10", "last-month\ntoday", "7d", "2026-W47", "2026-Q3\n2026-12-31", "0001"]
        return [word.encode() for word in words]
    if target == "redact":
        texts = ["root:pw@h:22", '{"token":"x"}', "mysql -u root -ppw", "https%3A%2F%2Fh%3Fa%3Db"]
        return [text.encode() for text in texts]
    return [text.encode() for text in SEEDS[target]]


SEEDS: Final = {
    "prices": (
        "gpu_name,unit,price,valid_from,valid_to,note\nRTX 4090,hour,1.58,2026-01-01,,x\n",
        '[[price]]\ngpu_name = "A100"\nunit = "hour"\nprice = 1.5\nvalid_from = 2026-01-01\n',
        "显卡\t单价（元）\t单位\nA100\t１.5\t小时\n",
    ),
    "rules": (
        'kind,title,project,owner,valid_from\nrule,"train*",p,o,2026-01-01\n',
        '[[rule]]\ntitle = "a*"\nproject = "p"\n[[budget]]\nproject = "p"\nyuan = 5\n',
    ),
    "config": (
        'base_url = "http://127.0.0.1:1"\ntimezone = "Asia/Shanghai"\npage_size = 10\n'
        '[accounts.lab]\napi_key_file = "k"\n[schedule]\ninstances = "2m"\n'
        '[alerts]\nlang = "en"\n[alerts.channels.a]\nurl = "https://h"\n',
    ),
}


def _bodies() -> Iterator[bytes]:
    for list_key, record in RECORDS.values():
        content = {list_key: [record], "total": 1}
        yield json.dumps({"code": 0, "data": content}).encode()
        yield json.dumps({"code": 0, "data": {list_key: [record, {}], "total": "2"}}).encode()
    yield b'{"code":0,"data":{"balance":1.5,"card_balance":"2"}}'


def _line(body: bytes, resource: str) -> bytes:
    walks = ((Page(1, 100, body),), (Page(1, 100, body), Page(2, 100, body)))
    return b"".join(encode(Poll("lab", resource, T, T + 1, True, walks), same=False))


WORDS: Final = (
    *(
        b"null",
        b"true",
        b"-0",
        b"1e999",
        b"1e99999999999999999999",
        b"NaN",
        b"Infinity",
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xff",
    ),
    *(b"9" * 400, b"9" * 5000, b'"' + b"9" * 5000 + b'"', b"[" * 300, b'{"a":' * 300, b"{}", b"[]"),
    *(b'"total":', b'"instance_uuid":', b'"password":"' + CANARY.encode() + b'"', b"\xef\xbb\xbf"),
    *(b"2026-02-30", b"0000-00-00", b"9999-12-31", b"24:00", b"\xe2\x80\xae", b"\r\n", b"\x1f\x8b"),
    *(b"=1+1", b"1_000", b"\xef\xbc\x91", b"1e-400", b"\n\n", b"'''", b"\\x", b"inf", b"-1", b"*"),
)


def bred(chance: random.Random, pool: list[bytes]) -> bytes:
    """Return a descendant of inputs of the pool."""
    content = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(content) + 1)
        match chance.randrange(6):
            case 0:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                content[at:at] = chance.choice(WORDS)
            case 2:
                del content[at : at + chance.choice((1, 2, 8, 40))]
            case 3:
                other = chance.choice(pool)
                begins = chance.randrange(len(other) + 1)
                content[at:at] = other[begins : begins + chance.choice((4, 20, 100))]
            case 4:
                _replace_value(content, at, chance.choice(WORDS))
            case _:
                content[at:at] = content[at : at + chance.choice((1, 9, 60))]
    return bytes(content[:20_000])


def _replace_value(content: bytearray, at: int, word: bytes) -> None:
    """Put a word in place of the value that follows the next colon."""
    colon = content.find(b":", at)
    if colon >= 0:
        ends = min((e for e in (content.find(c, colon) for c in (b",", b"}")) if e > 0), default=-1)
        content[colon + 1 : ends] = word


class Breeder:
    """Breeds inputs for a target, and keeps those that reach lines that none reached before."""

    def __init__(self, target: str, folder: Path, seed: int) -> None:
        self.target, self.folder = target, folder
        self.chance = random.Random(seed)
        self.pool = seeds(target)
        self.executions = 0
        self.failures: set[str] = set()
        self._seen: set[tuple[str, int]] = set()
        self._usual_s = 0.0

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        # warm first: patterns are compiled and caches filled once
        usual = [self._timed(content) / len(content) for _ in range(5) for content in self.pool]
        self._usual_s = median(usual)
        for content in self.pool:
            self._reach(content)
        while time.monotonic() < until:
            self.breed(100)

    def breed(self, executions: int) -> None:
        """Run descendants of the pool."""
        for _ in range(executions):
            content = bred(self.chance, self.pool)
            # tracing costs ten times the input, so only some of them teach
            if self.executions % 50 == 0:
                if self._reach(content):
                    self.pool.append(content)
            else:
                self.once(content)

    def once(self, content: bytes) -> None:
        self.executions += 1
        began = time.thread_time()
        try:
            run_input(self.target, content)
        except EtlError as error:
            self._keep(content, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - that is what it is looking for
            self._keep(content, f"{type(error).__name__}: {error}")
        spent_s = time.thread_time() - began
        usual_s = self._usual_s * max(len(content), 200)
        if 0 < SLOW * usual_s < spent_s and not sys.gettrace():
            # once more: the machine may have been busy
            again_s = min(self._timed(content) for _ in range(3))
            if again_s > SLOW * usual_s:
                self._keep(content, f"slow: {again_s:.3f} s of {len(content)} bytes")

    def _reach(self, content: bytes) -> bool:
        """Run an input, and tell whether it reached a line of the project for the first time."""
        before = len(self._seen)
        with _lines_reached(self._seen):
            self.once(content)
        return len(self._seen) > before

    def _timed(self, content: bytes) -> float:
        began = time.thread_time()
        with suppress(Exception):
            run_input(self.target, content)
        return time.thread_time() - began

    def _keep(self, content: bytes, why: str) -> None:
        kind = f"{why[:40]} {_origin()}"
        if kind not in self.failures:
            self.failures.add(kind)
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{self.target}-{hashlib.sha256(content).hexdigest()[:12]}"
            (self.folder / name).write_bytes(content)
            print(f"{name}: {why[:300]} {_origin()}", flush=True)


def _origin() -> str:
    """Return the innermost line of the project in the traceback being handled."""
    _, _, trace = sys.exc_info()
    found = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/etl/" in code.co_filename:
            found = f"{code.co_filename.rpartition('/etl/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


@contextmanager
def _lines_reached(seen: set[tuple[str, int]]) -> Iterator[None]:
    def line(frame: Any, event: str, arg: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: Any, event: str, arg: Any) -> Any:
        return line if "/etl/" in frame.f_code.co_filename else None

    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(None)


# the whole

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
            why = f"{type(error).__name__}: {error} {_origin()}"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "whole", "all"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--corpus", type=Path, default=SCRATCH / "found")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for target in TARGETS if given.target == "all" else [given.target]:
        fuzz: Breeder | Whole
        if target == "whole":
            fuzz = Whole(given.corpus, given.seed)
        else:
            fuzz = Breeder(target, given.corpus, given.seed)
        began = time.process_time()
        fuzz.run(given.seconds)
        spent_s = time.process_time() - began
        print(f"{target}: {fuzz.executions:,} executions, {len(fuzz.failures)} failures", end=" ")
        print(f"in {spent_s:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
