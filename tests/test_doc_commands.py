"""Commands of the README and of the Chinese pages: each is understood, and what needs no cloud is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from etl.cli import main
from etl.demo import Demo

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs/zh").glob("*.md"))]
FILES = {"prices.csv": 0, "rules.csv": 1}
"""Files that docs/zh/billing.md imports, by the number of their example in it."""
NEEDS_MORE = ("demo", "init", "sync", "run", "service", "doctor", "config", "alerts", "curl")
"""Commands that ask a cloud, a system or a channel, or take long."""


def commands(page: Path) -> list[list[str]]:
    """The words of each command of ours in a page's blocks of shell, and in its tables."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    lines = [*re.split(r"\n|&&", blocks), *re.findall(r"\| `(chenyu-etl [^`]*)` \|", text)]
    words = [shlex.split(line, comments=True) for line in lines if "chenyu-etl" in line]
    return [w[1:] for w in words if w and w[0].endswith("chenyu-etl")]


def parsed(words: list[str]) -> Iterator[click.Context]:
    """The contexts of a command and those above it; click refuses what it does not know."""
    ctx = main.make_context("chenyu-etl", list(words))
    yield ctx
    while isinstance(ctx.command, click.Group):
        name, command, rest = ctx.command.resolve_command(ctx, [*ctx.protected_args, *ctx.args])
        assert command is not None, name
        ctx = command.make_context(name, rest, parent=ctx)
        yield ctx


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
@pytest.mark.filterwarnings("ignore:.*protected_args:DeprecationWarning")
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    for words in commands(page):
        assert list(parsed(words)), words


def test_the_pages_hold_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a demo of some days, and the files of the examples."""
    folder = tmp_path_factory.mktemp("pages")
    demo = Demo(folder / "chenyu-demo.db", 29, 4, 1, 720)
    for _ in demo.polls_done():
        pass
    demo.app.close()
    billing = (ROOT / "docs/zh/billing.md").read_text(encoding="utf-8")
    examples = re.findall(r"```csv\n(.*?)```", billing, re.DOTALL)
    for name, number in FILES.items():
        (folder / name).write_text(examples[number], encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        words
        for page in PAGES[1:]
        for words in commands(page)
        if words and not set(words) & {*NEEDS_MORE}
    ],
    ids=" ".join,
)
def test_a_command_of_a_chinese_page_works(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    environ = {"CHENYU_DATABASE_URL": "chenyu-demo.db", "LC_ALL": "zh_CN.UTF-8"}
    done = CliRunner().invoke(main, words, env=environ)
    assert done.exit_code == 0, done.output
    assert "Traceback" not in done.output
