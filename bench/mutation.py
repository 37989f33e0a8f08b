"""Which faults the tests find: `python -m bench.mutation [--write] [GROUP …]`, see `GROUPS`.

The tests of a group are collected once. A child of that process for each mutant puts the mutated
code in place of the functions that everybody holds already, and runs the tests that ran the mutated
line, quickest first, until one fails. SQLite only. A mutant that takes five times as long as its
tests is killed by time. `bench/equivalent_mutants.txt` lists mutants that change nothing, with the
reason; `--write` puts the table into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import ast
import gc
import inspect
import os
import pickle
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from bench.mutants import Mutant, mutants_of, names_of

ROOT: Final = Path(__file__).parent.parent
EQUIVALENT: Final = ROOT / "bench" / "equivalent_mutants.txt"
DOCUMENT: Final = ROOT / "docs" / "reliability.md"
BUDGET_S: Final = 5.0
"""Seconds of tests, as they take without a fault, that one mutant is worth."""
LONGEST_S: Final = 1.0
"""Tests that take longer are left out."""


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that are about them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


def _in(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"etl/{folder}/{name}.py" for name in names)


def _tests(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/test_{name}.py" for name in names)


GROUPS: Final = {
    "history": Group(
        _in("history", "diff", "usage", "stretches", "starts", "ends", "absence"),
        _tests(
            "usage", "usage_ends", "stretches", "moves", "first_sighting", "missing", "evidence"
        ),
    ),
    "versions": Group(
        _in("history", "versions", "windows"),
        _tests("versions", "windows", "money_store", "bill_identity", "corrections", "walk_window"),
    ),
    "source": Group(
        _in("source", "walk", "wholeness", "reading"),
        _tests("walk_proof", "walk_edges", "walk", "walk_window"),
    ),
    "store": Group(
        _in("store", "versions", "instances", "windows", "known_instances"),
        _tests("sync", "laws", "missing", "instances", "money_store", "bill_identity")
        + _tests("walk_window", "replay", "usage", "corrections", "gaps", "past_usage", "locks")
        + _tests("live_equals_replay", "side_resources", "unread_money", "repair", "one_failure")
        + _tests("store_state", "poll_memory", "rules"),
    ),
    "rows": Group(
        _in("store", "polls", "resource_tables", "rows", "statements", "transaction", "usage"),
        _tests("store_state", "poll_memory"),
    ),
    "money": Group(
        _in("money", "charging", "formulas", "allocation"),
        _tests("charging", "rules", "rename_bounds"),
    ),
    "timing": Group(
        _in("timing", "clock", "redating"),
        _tests("redating", "repair", "schedule_clocks"),
    ),
}


@dataclass(frozen=True)
class Result:
    """What became of a mutant: killed by a test, by time, or survived so many tests."""

    module: str
    mutant: Mutant
    outcome: str
    by: str = ""

    @property
    def line(self) -> str:
        at = f"{self.module} | {self.mutant.where} | {self.mutant.change}"
        return at.strip()


@dataclass
class Baseline:
    """How long each test takes, and which lines of which module it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))

    def running(self, module: str, lines: Iterable[int]) -> set[str]:
        """Return the tests that run any of these lines."""
        return set().union(*(self.lines.get((module, line), set()) for line in lines))


class Bench:
    """A pytest plugin that runs mutants in place of the tests that were collected."""

    def __init__(self, group: Group, known: set[str], only: str | None) -> None:
        self._group = group
        self._known = known
        self._only = re.compile(only) if only else None
        self._kills: Counter[str] = Counter()
        self.results: list[Result] = []

    def pytest_collection(self) -> None:
        # a fault that was found needs no smallest example
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings.get_profile("tests"), phases=phases)
        settings.load_profile("mutants")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "postgres" not in item.name]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        warm = next(item for item in session.items if "[sqlite" in item.name)
        # fixtures of the session stay, and every child has them
        self._anchor = next(item for item in session.items if item is not warm)
        runtestprotocol(warm, nextitem=self._anchor, log=False)
        gc.collect()
        gc.freeze()
        self._items = {item.nodeid: item for item in session.items}
        baseline = self._measure()
        print(f"{len(baseline.seconds)} tests, {sum(baseline.seconds.values()):.0f} s", flush=True)
        for module in self._group.modules:
            self._run_module(module, baseline)
        return True

    def _measure(self) -> Baseline:
        """Run every test once in a child, and note what it runs."""
        files = {str(ROOT / module): module for module in self._group.modules}

        def work() -> Baseline:
            baseline, ran = Baseline(), set[tuple[str, int]]()
            for nodeid, item in self._items.items():
                ran.clear()
                _forget_all()
                began = time.process_time()
                with _traced(files, ran):
                    passed = self._passes(item)
                spent_s = time.process_time() - began
                if passed and spent_s < LONGEST_S:
                    # those that run no line of it may look at a constant
                    baseline.seconds[nodeid] = spent_s
                    for line in ran:
                        baseline.lines[line].add(nodeid)
            return baseline

        result, _ = _in_child(work, cpu_s=3600)
        assert isinstance(result, Baseline)
        return result

    def _run_module(self, module: str, baseline: Baseline) -> None:
        source = (ROOT / module).read_text()
        tree = ast.parse(source)
        for mutant in mutants_of(tree):
            if self._only and not self._only.search(f"{mutant.where} {mutant.change}"):
                continue
            result = Result(module, mutant, "equivalent")
            if result.line not in self._known:
                with mutant.applied():
                    code = _compiled(tree, module)
                tests = self._tests_for(module, mutant, baseline)
                result = self._run(module, mutant, code, tests, baseline)
            self.results.append(result)
            if result.outcome not in ("killed", "time", "equivalent"):
                print(f"{result.outcome}: {mutant.first}: {mutant.kind}: {result.line}", flush=True)
        print(_row(module, [r for r in self.results if r.module == module]), flush=True)

    def _tests_for(self, module: str, mutant: Mutant, baseline: Baseline) -> list[str]:
        chosen = baseline.running(module, range(mutant.first, mutant.last + 1))
        if not chosen:
            # it runs when the module is imported
            chosen = set(baseline.seconds)
        order = sorted(chosen, key=lambda t: baseline.seconds[t] / (1 + self._kills[t]))
        taken, spent_s = list[str](), 0.0
        for test in order:
            spent_s += baseline.seconds[test]
            if spent_s > BUDGET_S and taken:
                break
            taken.append(test)
        return taken

    def _run(
        self, module: str, mutant: Mutant, code: CodeType, tests: list[str], baseline: Baseline
    ) -> Result:
        lines = range(mutant.first, mutant.last + 1)
        is_imported = not baseline.running(module, lines)

        def work() -> str:
            try:
                fresh = _imported(module, code)
            except Exception:  # noqa: BLE001 - whatever it is, no test could be run
                return "import"
            _put_in_place(module, fresh, mutant, is_imported=is_imported)
            return next((test for test in tests if not self._passes(self._items[test])), "")

        usual_s = sum(baseline.seconds[test] for test in tests)
        by, is_late = _in_child(work, cpu_s=int(5 * usual_s + 5))
        if is_late:
            return Result(module, mutant, "time")
        if isinstance(by, Exception):
            return Result(module, mutant, f"not run: {by!r}")
        if by:
            self._kills[str(by)] += 1
            return Result(module, mutant, "killed", str(by))
        return Result(module, mutant, f"survived {len(tests)} tests")

    def _passes(self, item: pytest.Item) -> bool:
        # tests run in any order: first end what only the one before needed
        item.session._setupstate.teardown_exact(item)
        reports = runtestprotocol(item, nextitem=self._anchor, log=False)
        return not any(report.failed for report in reports)


def _in_child(work: Callable[[], Any], *, cpu_s: int) -> tuple[Any, bool]:
    """Return the result of a function that a child of this process ran, and whether it took too
    long.
    """
    folder = Path(tempfile.mkdtemp(prefix="mutant", dir=os.environ.get("MUTANTS_DIR", "/dev/shm")))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _be_child(work, write, folder, cpu_s)
    os.close(write)
    # it may wait for ever for an event, too
    timer = threading.Timer(2 * cpu_s + 20, os.kill, (child, signal.SIGKILL))
    timer.start()
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    timer.cancel()
    shutil.rmtree(folder, ignore_errors=True)
    if content:
        return pickle.loads(content), False
    # killed by its limit of time or of memory: tests would not have passed
    return None, True


def _be_child(work: Callable[[], Any], write: int, folder: Path, cpu_s: int) -> None:
    """Run the function in a folder of its own and end the process."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        spent_s = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (spent_s + cpu_s, spent_s + cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        tempfile.tempdir = str(folder)
        os.environ["TMPDIR"] = str(folder)
        _basetemp.append(folder)
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - reported by the parent
            result = RuntimeError(f"{type(error).__name__}: {error}")
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(0)


_basetemp: list[Path] = []


class Folders:
    """A plugin that gives each child a folder of its own."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if _basetemp:
            factory = item.config._tmp_path_factory  # type: ignore[attr-defined]
            factory._basetemp = _basetemp[-1]


class _traced:
    """Context that notes the lines of some files as they run, in threads as well."""

    def __init__(self, files: dict[str, str], ran: set[tuple[str, int]]) -> None:
        self._files = files
        self._ran = ran

    def __enter__(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        module = self._files.get(frame.f_code.co_filename)
        if module is None:
            return None

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            self._ran.add((module, frame.f_lineno))
            return line

        return line


def _compiled(tree: ast.Module, module: str) -> CodeType:
    return compile(ast.fix_missing_locations(tree), str(ROOT / module), "exec")


def _imported(module: str, code: CodeType) -> ModuleType:
    """Return a mutated module, which nobody holds."""
    name = _name_of(module)
    live = sys.modules[name]
    fresh = ModuleType(name)
    fresh.__file__ = live.__file__
    # dataclasses look their module up
    sys.modules[name] = fresh
    try:
        exec(code, fresh.__dict__)
    finally:
        sys.modules[name] = live
    return fresh


def _put_in_place(module: str, fresh: ModuleType, mutant: Mutant, *, is_imported: bool) -> None:
    """Replace what the mutated module defines in the process, wherever it is held; the constants,
    too, that a function made which runs only when the module is imported.
    """
    live = sys.modules[_name_of(module)]
    for of, to in _functions(live, fresh):
        of.__code__ = to.__code__
        of.__defaults__, of.__kwdefaults__ = to.__defaults__, to.__kwdefaults__
    if not mutant.where or is_imported:
        changed = mutant.names or (mutant.where.partition(".")[0],)
        for constant in _dependents(module, changed):
            _replace_everywhere(constant, vars(live)[constant], vars(fresh)[constant])
    _forget_all()


def _forget_all() -> None:
    """Clear the caches of all functions: only what they do not remember runs the mutated line."""
    for other in list(sys.modules.values()):
        if getattr(other, "__name__", "").startswith("etl."):
            for value in list(vars(other).values()):
                if callable(getattr(value, "cache_clear", None)):
                    with suppress(TypeError):
                        value.cache_clear()


def _name_of(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


def _functions(live: Any, fresh: Any) -> Iterator[tuple[FunctionType, FunctionType]]:
    """Yield all functions of a module or class, with their mutated counterparts."""
    for name, value in list(vars(live).items()):
        other = vars(fresh).get(name)
        if inspect.isclass(value) and inspect.isclass(other):
            if value.__module__ == other.__module__ and value is not other:
                yield from _functions(value, other)
        elif isinstance(value, property) and isinstance(other, property):
            yield from _pair(value.fget, other.fget)
        else:
            yield from _pair(getattr(value, "__func__", value), getattr(other, "__func__", other))


def _pair(value: Any, other: Any) -> Iterator[tuple[FunctionType, FunctionType]]:
    value, other = inspect.unwrap(value), inspect.unwrap(other)
    if isinstance(value, FunctionType) and isinstance(other, FunctionType) and value is not other:
        yield value, other


def _dependents(module: str, names: tuple[str, ...]) -> list[str]:
    """Return those of these names that are constants of a module, and the constants that are made of
    them, by functions and classes as well.
    """
    changed, constants = set(names), list[str]()
    for statement in ast.parse((ROOT / module).read_text()).body:
        bound = names_of(statement)
        used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
        if changed & (used | set(bound)):
            changed.update(bound)
            constants += bound
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                changed.add(statement.name)
    return constants


def _replace_everywhere(name: str, value: Any, other: Any) -> None:
    for module in list(sys.modules.values()):
        is_ours = getattr(module, "__name__", "").startswith(("etl.", "tests."))
        if is_ours and vars(module).get(name) is value:
            setattr(module, name, other)


def equivalents() -> dict[str, str]:
    """Return the mutants that change nothing, and why."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    entries = (line.rpartition(" | ") for line in lines if " | " in line and line[0] != "#")
    return {mutant.strip(): why for mutant, _, why in entries}


HEADING: Final = "# Mutants: faults that the tests find\n"
ABOUT: Final = """
Made by `python -m bench.mutation --write`: each mutant is one small fault (another comparison, a condition or a
statement left out, another constant), judged by the quick tests of its group on SQLite alone. Those that change
nothing are listed with their reason in `bench/equivalent_mutants.txt`; of those that survive no test tells.
"""
HEAD: Final = (
    "module",
    "mutants",
    "killed",
    "by time",
    "equivalent",
    "survive",
    "of which",
    "killed, %",
)


def _row(module: str, results: Sequence[Result]) -> tuple[str, ...]:
    outcomes = Counter(result.outcome.partition(" ")[0] for result in results)
    left = Counter(r.mutant.kind for r in results if r.outcome.startswith(("survived", "not")))
    killed, late = outcomes["killed"], outcomes["time"]
    of = len(results) - outcomes["equivalent"]
    kinds = ", ".join(f"{kind} {n}" for kind, n in left.most_common())
    share = f"{100 * (killed + late) / max(1, of):.1f}"
    counts = (len(results), killed, late, outcomes["equivalent"], left.total())
    return (module, *map(str, counts), kinds, share)


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows)]
    return "\n".join(lines)


def with_rows(document: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a document with these rows in the table under `HEADING`; those of other modules stay, and
    the text below the table.
    """
    before, _, rest = document.partition(HEADING)
    following = re.search(r"^#+ ", rest, re.MULTILINE)
    ends = following.start() if following else len(rest)
    kept = re.findall(r"^\| (etl/.*) \|$", rest[:ends], re.MULTILINE)
    table = {row.split(" | ")[0]: row.split(" | ") for row in kept}
    table |= {row[0]: list(row) for row in rows}
    ordered = [table[m] for group in GROUPS.values() for m in group.modules if m in table]
    below = rest[:ends].rpartition("|\n")[2] if kept else "\n"
    return f"{before.rstrip()}\n\n{HEADING}{ABOUT}\n{_table(ordered)}\n{below}{rest[ends:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), help=", ".join(GROUPS))
    parser.add_argument("--write", action="store_true", help="put the table into the document")
    parser.add_argument("--only", help="a pattern of functions and changes")
    parser.add_argument("--module", help="a pattern of modules")
    given = parser.parse_args()
    known = set(equivalents())
    for name in given.groups:
        group = GROUPS[name]
        if given.module:
            modules = tuple(m for m in group.modules if re.search(given.module, m))
            group = Group(modules, group.tests)
        bench = Bench(group, known, given.only)
        options = ["-o", "addopts=", "--assert=plain", "--capture=sys", "-p", "no:cacheprovider"]
        options += ["-p", "no:xdist", "-p", "no:faulthandler", "-p", "no:terminal"]
        pytest.main([*options, *group.tests], plugins=[bench, Folders()])
        rows = [_row(m, [r for r in bench.results if r.module == m]) for m in group.modules]
        print(_table(rows))
        if given.write:
            DOCUMENT.write_text(with_rows(DOCUMENT.read_text(), rows))


if __name__ == "__main__":
    main()
