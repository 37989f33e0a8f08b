"""The table of rules in the design is true: each rule is that function, and when the function breaks,
each of the tests beside it goes red."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DESIGN = Path(__file__).parent.parent / "docs" / "design.md"
_ROW = re.compile(r"^\| ([^|]+) \| `([\w.]+)` \| (`.+`) \|$", re.MULTILINE)


class Rule(NamedTuple):
    """A row: what it says, the function, and the tests as `file::name`."""

    words: str
    function: str
    tests: tuple[str, ...]


def rules() -> Iterator[Rule]:
    text = DESIGN.read_text(encoding="utf-8")
    section = text[text.index("## Rules, code and tests") :].split("\n## ")[0]
    for words, function, tests in _ROW.findall(section):
        yield Rule(words, function, tuple(re.findall(r"`([^`]+)`", tests)))


def broken(*_: object, **__: object) -> Any:
    raise AssertionError("broken on purpose")


def breaks(function: str, patch: pytest.MonkeyPatch) -> None:
    """Replace a function or method wherever a module of ours holds it."""
    path, name = function.rsplit(".", 1)
    owner: Any
    try:
        owner = import_module(f"etl.{path}")
    except ModuleNotFoundError:
        module, kind = path.rsplit(".", 1)
        owner = getattr(import_module(f"etl.{module}"), kind)
    was = owner.__dict__[name]
    patch.setattr(owner, name, broken)
    for module in [m for key, m in sys.modules.items() if key.startswith(("etl.", "tests."))]:
        if module.__dict__.get(name) is was:
            patch.setattr(module, name, broken)


def test_all_rules_stand_in_the_table() -> None:
    named = {rule.function for rule in rules()}
    own = {
        "history.usage": r"^def (_\w+|begin|leave)\(",
        "history.starts": r"^def (\w+)\(",
        "history.absence": r"^def (\w+)\(",
    }
    for module, pattern in own.items():
        source = Path(str(import_module(f"etl.{module}").__file__)).read_text(encoding="utf-8")
        found = re.findall(pattern, source, re.MULTILINE)
        assert {f"{module}.{name}" for name in found} <= named


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule.function)
def test_a_broken_rule_turns_its_tests_red(
    rule: Rule, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [
        "-qx",
        "-o",
        "addopts=",
        *(f"-pno:{p}" for p in ("cacheprovider", "xdist", "randomly")),
    ]
    folder = DESIGN.parent.parent / "tests"
    breaks(rule.function, monkeypatch)
    for test in rule.tests:
        file, name = test.split("::")
        code = pytest.main([*plain, str(folder / f"{file}.py"), "-k", f"{name} or {name}["])
        assert code == pytest.ExitCode.TESTS_FAILED, test
