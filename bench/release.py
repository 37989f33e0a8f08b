"""Check and make a release: `python -m bench.release [--folder dist] [--tagged] [--offline]`.

It checks version, changelog, wheel and long description, builds wheel and sdist, installs the wheel where nothing else
is, and writes what is in that environment as a software bill of materials (CycloneDX). `--tagged` wants a clean tree
at the version's tag, too; `--offline` also installs the wheel from a wheelhouse, without an index.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from etl import __version__

ROOT = Path(__file__).parents[1]
IN_WHEEL = (
    "etl/py.typed",
    "etl/page/page.html.jinja",
    "etl/page/page.js",
    "etl/page/page.css",
    "etl/locale/zh/LC_MESSAGES/chenyu-etl.mo",
    "etl/_bundled/migrations/env.py",
    "etl/_bundled/sql/macros.sql",
    f"chenyu_etl-{__version__}.dist-info/licenses/LICENSE",
)
IN_SDIST = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "check", "tests/conftest.py")
NEVER = re.compile(r"__pycache__|\.pyc$|\.db$|(^|/)tests/|\.env$|\.key$")
"""Names that a wheel must not hold."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "dist")
    parser.add_argument("--tagged", action="store_true")
    parser.add_argument("--offline", action="store_true")
    asked = parser.parse_args()
    wrong = [*_of_changelog(), *(_of_tag() if asked.tagged else ())]
    if not wrong:
        wheel, sdist = _built(asked.folder)
        wrong = [*_of_wheel(wheel), *_of_sdist(sdist)]
        with tempfile.TemporaryDirectory() as folder:
            wrong += _of_install(Path(folder), wheel, asked.folder)
            wrong += _of_description(Path(folder), [wheel, sdist])
            wrong += _of_wheelhouse(Path(folder), wheel) if asked.offline else ()
    for line in wrong:
        print(f"wrong: {line}")
    print(f"{__version__}: {len(wrong) or 'nothing'} wrong")
    return 1 if wrong else 0


def _of_changelog() -> Iterator[str]:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[?{re.escape(__version__)}\b", text, re.MULTILINE):
        yield f"CHANGELOG.md has no heading ## {__version__}"


def _of_tag() -> Iterator[str]:
    if _said("git", "status", "--porcelain"):
        yield "the tree has changes that are in no commit"
    if f"v{__version__}" not in _said("git", "tag", "--points-at", "HEAD").split():
        yield f"HEAD has no tag v{__version__}"


def _built(folder: Path) -> tuple[Path, Path]:
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(folder))
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def _of_wheel(wheel: Path) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        about = HeaderParser().parsestr(
            packed.read(f"chenyu_etl-{__version__}.dist-info/METADATA").decode()
        )
    yield from (f"the wheel lacks {name}" for name in IN_WHEEL if name not in names)
    yield from (f"the wheel holds {name}" for name in names if NEVER.search(name))
    if about["Version"] != __version__:
        yield f"the wheel says that it is {about['Version']}"
    for field in ("Summary", "License-Expression", "Requires-Python", "Description-Content-Type"):
        if not about[field]:
            yield f"the wheel does not say its {field}"


def _of_sdist(sdist: Path) -> Iterator[str]:
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    yield from (f"the sdist lacks {name}" for name in IN_SDIST if name not in names)


def _of_install(folder: Path, wheel: Path, results: Path) -> Iterator[str]:
    """Install the wheel alone, let it work, and write what it brought."""
    python = _environment(folder / "alone")
    _run(python, "-m", "pip", "install", "--quiet", str(wheel))
    yield from _of_work(python)
    tools = _environment(folder / "tools")
    _run(tools, "-m", "pip", "install", "--quiet", "cyclonedx-bom", "twine")
    bill = results / f"chenyu-etl-{__version__}.cdx.json"
    _run(tools, "-m", "cyclonedx_py", "environment", "-o", str(bill), python)
    if '"chenyu-etl"' not in bill.read_text(encoding="utf-8"):
        yield f"{bill.name} does not name the program"


def _of_work(python: str) -> Iterator[str]:
    command = str(Path(python).with_name("chenyu-etl"))
    if __version__ not in _said(command, "--version"):
        yield "the installed command says another version"
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/demo.db"
        _run(command, "demo", "--days", "1", "--every", "240", "-o", database)
        if "instance" not in _said(command, "--database", database, "report", "now"):
            yield "the installed command gives no report"


def _of_description(folder: Path, made: list[Path]) -> Iterator[str]:
    tools = str(folder / "tools" / "bin" / "python")
    done = subprocess.run([tools, "-m", "twine", "check", "--strict", *map(str, made)], check=False)
    if done.returncode:
        yield "the long description is refused"


def _of_wheelhouse(folder: Path, wheel: Path) -> Iterator[str]:
    """Install from a folder of wheels, without an index."""
    python, house = _environment(folder / "offline"), folder / "wheelhouse"
    _run(python, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(house), f"{wheel}[postgres]")
    install = ("install", "--quiet", "--no-index", "--find-links", str(house))
    _run(python, "-m", "pip", *install, "chenyu-etl[postgres]")
    yield from _of_work(python)
    size = sum(path.stat().st_size for path in house.iterdir())
    print(f"wheelhouse: {len(list(house.iterdir()))} wheels, {size / 1e6:.1f} MB")


def _environment(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


def _run(*words: str) -> None:
    subprocess.run(words, cwd=ROOT, check=True)


def _said(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
