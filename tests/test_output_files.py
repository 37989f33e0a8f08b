"""Files that commands write: never the database itself, never without a name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import Command, home, path, run

__all__ = ["home", "path", "run"]

WRITERS = {
    "report": ("report", "uptime", "--format", "csv", "-o"),
    "month": ("report", "month", "--month", "2026-10", "-o"),
    "focus": ("export", "focus", "-o"),
    "parquet": ("export", "parquet"),
    "prices": ("prices", "export"),
    "rules": ("rules", "show", "--export"),
}
ENDING = {"month": ".xlsx", "focus": ".csv", "prices": ".csv", "rules": ".toml"}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("way", ["itself", "link", "hard link", "wal"])
def test_no_command_writes_over_the_open_database(
    writer: str, way: str, run: Command, path: Path
) -> None:
    kept = path.with_name(f"lab{ENDING.get(writer, '.db')}")
    path.rename(kept)
    target = {"link": Path("l" + kept.suffix), "hard link": Path("h" + kept.suffix)}.get(way, kept)
    if way == "link":
        target.symlink_to(kept)
    elif way == "hard link":
        target.hardlink_to(kept)
    elif way == "wal":
        if writer in ENDING:
            pytest.skip("its ending is another")
        target = Path(f"{kept.name}-wal")
    before = kept.read_bytes()
    result = run("--database", kept.name, *WRITERS[writer], str(target))
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert writer == "parquet" or "is the database itself" in result.stderr
    assert kept.read_bytes() == before
    assert way != "link" or target.is_symlink()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_without_a_name_is_a_wrong_word(writer: str, run: Command, path: Path) -> None:
    result = run("--database", str(path), *WRITERS[writer], "")
    assert result.exit_code == 2
    assert "the name is empty" in result.stderr


def test_a_focus_file_says_its_form(run: Command, path: Path) -> None:
    result = run("--database", str(path), "export", "focus", "-o", "costs.txt")
    assert result.exit_code == 2
    assert "neither .csv nor .parquet" in result.stderr
    assert not os.path.exists("costs.txt")
