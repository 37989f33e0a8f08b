"""Inputs bred from right ones: some by the lines of code that they reach, the others in bulk."""

from __future__ import annotations

import gc
import hashlib
import random
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.fuzz_targets import BULK, CANARY, TARGETS, seeds
from etl.errors import EtlError

SLOW: Final = 100
"""So many times the median of right inputs of its length is slow."""
LONGEST: Final = 20_000
SCALAR: Final = re.compile(
    rb'"(?:\\.|[^"\\]){0,200}"|-?\d[\d.eE+-]{0,40}|true|false|null|\{\}|\[\]'
)
"""A value, or a name, of JSON."""
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


VALUES: Final = (
    *(b"null", b"true", b"false", b"0", b"-1", b"1e3", b"0.1", b"1e-7", b"99999999999999999999"),
    *(b"2147483648", b"-9223372036854775809", b"1767225600", b"1767225600000", b"1.7672256e9"),
    *(
        b'""',
        b'"0"',
        b'" 7 "',
        b'"1.50"',
        b'"\\ud83d"',
        b'"2026-02-30 24:00:00"',
        b'"\xe9\x95\xbf"',
    ),
    *(b"[]", b"{}", b"[null]", b'{"a":1}', b"[[1]]", b'"' + b"x" * 300 + b'"', b"1e400", b"-0.0"),
)
"""Values of JSON."""


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
    return bytes(content[:LONGEST])


def _replace_value(content: bytearray, at: int, word: bytes) -> None:
    """Put a word in place of the value that follows the next colon."""
    colon = content.find(b":", at)
    if colon >= 0:
        ends = min((e for e in (content.find(c, colon) for c in (b",", b"}")) if e > 0), default=-1)
        content[colon + 1 : ends] = word


def revalued(chance: random.Random, pool: list[bytes]) -> bytes:
    """Return an input of the pool with other values in some places: a word, or what stands elsewhere."""
    content = chance.choice(pool)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = SCALAR.search(content, chance.randrange(len(content) + 1))
        if place is None:
            continue
        word = chance.choice(VALUES) if chance.randrange(3) else _value_of(chance, pool)
        content = content[: place.start()] + word + content[place.end() :]
    return content[:LONGEST]


def _value_of(chance: random.Random, pool: list[bytes]) -> bytes:
    other = chance.choice(pool)
    place = SCALAR.search(other, chance.randrange(len(other) + 1))
    return b"null" if place is None else place.group()


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
        self._run = TARGETS[target]

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._learn_usual()
        for content in self.pool:
            self._reach(content)
        while time.monotonic() < until:
            self.breed(100)

    def _learn_usual(self) -> None:
        # warm first: patterns are compiled and caches filled once
        usual = [self._timed(c) / len(c) for _ in range(5) for c in seeds(self.target)]
        self._usual_s = median(usual)

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

    def run_bulk(self, seconds: float) -> None:
        """Run descendants of what was kept, without tracing: by bytes, or by values in the structure."""
        self._run = run = BULK[self.target]
        self._learn_usual()
        until, slow_s = time.monotonic() + seconds, SLOW * self._usual_s * 200
        gc.collect()
        gc.freeze()
        while time.monotonic() < until:
            for _ in range(500):
                content = (
                    revalued(self.chance, self.pool)
                    if self.executions % 2
                    else bred(self.chance, self.pool)
                )
                began = time.thread_time()
                try:
                    run(content)
                except Exception as error:  # noqa: BLE001 - that is what it is looking for
                    self._keep(content, f"{type(error).__name__}: {error}")
                self.executions += 1
                if time.thread_time() - began > slow_s:
                    self._look_again(content)

    def once(self, content: bytes) -> None:
        self.executions += 1
        began = time.thread_time()
        try:
            self._run(content)
        except EtlError as error:
            self._keep(content, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - that is what it is looking for
            self._keep(content, f"{type(error).__name__}: {error}")
        spent_s = time.thread_time() - began
        usual_s = self._usual_s * max(len(content), 200)
        if 0 < SLOW * usual_s < spent_s and not sys.gettrace():
            self._look_again(content)

    def _look_again(self, content: bytes) -> None:
        """Keep an input that is slow each time: once the machine may have been busy."""
        again_s = min(self._timed(content) for _ in range(3))
        if again_s > SLOW * self._usual_s * max(len(content), 200):
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
            self._run(content)
        return time.thread_time() - began

    def _keep(self, content: bytes, why: str) -> None:
        kind = f"{why[:40]} {origin()}"
        if kind not in self.failures:
            self.failures.add(kind)
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{self.target}-{hashlib.sha256(content).hexdigest()[:12]}"
            (self.folder / name).write_bytes(content)
            print(f"{name}: {why[:300]} {origin()}", flush=True)


def origin() -> str:
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
