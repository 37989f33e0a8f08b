"""Inputs that once broke a promise: `bench/fuzz.py` bred them, and each is run again here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz import SCRATCH, TARGETS, Breeder, run_input

FOUND = sorted((Path(__file__).parent / "fixtures" / "fuzz").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_an_input_that_once_broke_a_promise_keeps_it(path: Path) -> None:
    run_input(path.name.partition("-")[0], path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_hundred_bred_inputs_break_no_promise(target: str, tmp_path: Path) -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    breeder = Breeder(target, tmp_path, seed=1)
    breeder.breed(100)
    assert breeder.failures == set()
