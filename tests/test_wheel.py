"""The wheel: everything inside, and it works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from etl import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "unpacked"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def run(unpacked: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command from the unpacked wheel alone, started elsewhere."""
    # -S: not the checkout, which this site's editable install names, but what is beside it
    beside = [path for path in sys.path if path.endswith("site-packages")]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(unpacked.parent),
        "PYTHONPATH": os.pathsep.join([str(unpacked), *beside]),
    }
    return subprocess.run(
        [sys.executable, "-S", "-W", "error", "-m", "etl.cli", *words],
        cwd=unpacked.parent,
        env=environ,
        capture_output=True,
        text=True,
    )


def test_it_speaks_chinese(unpacked: Path) -> None:
    done = run(unpacked, "--lang", "zh", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("用法：")
    assert "几秒内同步" in done.stdout


def test_migrations_and_sql_are_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("migrations", "sql"):
        wanted = {
            f"etl/_bundled/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / kind).rglob("*.*")
            if path.suffix in (".py", ".sql", ".mako")
        }
        assert len(wanted) >= 3
        assert wanted <= names


def test_the_package_and_nothing_of_the_workshop_is_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "etl",
        f"chenyu_etl-{__version__}.dist-info",
    }
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "etl").rglob("*.py")}
    assert modules <= set(names)
    assert not any(name.endswith((".db", ".pyc", ".key", ".toml")) for name in names)


def test_it_names_its_command_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        info = f"chenyu_etl-{__version__}.dist-info"
        assert "chenyu-etl = etl.start:main" in packed.read(f"{info}/entry_points.txt").decode()
        said = packed.read(f"{info}/METADATA").decode()
        assert "\nLicense-Expression: MIT\n" in said
        assert "\nRequires-Python: >=3.11\n" in said
        assert packed.read(f"{info}/licenses/LICENSE")


def test_it_works_outside_of_the_checkout(unpacked: Path) -> None:
    assert run(unpacked, "--version").stdout.strip().endswith(__version__)
    made = run(unpacked, "--database", "x.db", "db", "upgrade")
    assert made.stderr.endswith("x.db (created: a new, empty history)\nupgraded\n")
    assert run(unpacked, "--database", "x.db", "report", "now").stdout.endswith("(no rows)\n")
    demo = run(unpacked, "demo", "--days", "1", "--instances", "5", "--every", "240")
    assert demo.returncode == 0, demo.stderr
    assert "SIMULATED" in demo.stdout


def test_it_is_the_wheel_that_was_tried(unpacked: Path) -> None:
    missing = run(unpacked, "--debug", "sync")
    assert missing.returncode == 1
    assert str(unpacked) in missing.stderr
    assert str(ROOT / "etl") not in missing.stderr
