"""Brings the catalogs up to date with the texts in the code: `python -m tests.catalogs`.

New texts are added untranslated, those that the code lost are dropped, `.mo` files are compiled anew.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from etl import errors
from etl.cli import main
from etl.cli.language import help_key
from etl.texts import CATALOGS, DOMAIN, SYSTEM_REASONS, Text

ROOT = Path(__file__).parents[1]
FOLDER = CATALOGS / "zh" / "LC_MESSAGES"
DOMAINS = (DOMAIN, "click")
PASSES_ON = ("etl/texts.py", "etl/cli/language.py")
"""Hand texts on to `tr` that are found elsewhere."""


def texts() -> dict[str, str]:
    """Every text of the program that has a translation, and a file in which it stands."""
    in_code = {text: path for path, _, text in calls() if text is not None}
    elsewhere = dict.fromkeys(helps(main), "etl/cli") | dict.fromkeys(
        SYSTEM_REASONS, "etl/texts.py"
    )
    return {**elsewhere, **in_code}


def calls() -> Iterator[tuple[str, int, str | None]]:
    """Calls of `tr`: the file, the line and the text; None where it is no literal."""
    for path in sorted((ROOT / "etl").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name in PASSES_ON:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "tr":
                first = node.args[0]
                literal = first.value if isinstance(first, ast.Constant) else None
                yield name, node.lineno, literal if isinstance(literal, str) else None


def untranslated() -> Iterator[str]:
    """Places that give people a text of words outside of `tr`: errors, advice, findings, `say`."""
    givers = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    givers |= {"UsageError", "BadParameter", "Finding", "say", "Wrong", "NoAmount"}
    for path in sorted((ROOT / "etl").rglob("*.py")):
        if "simcloud" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in givers:
                keys = [key.value for key in node.keywords if key.arg == "advice"]
                for text in words_outside([*node.args, *keys]):
                    yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {text!r}"


def words_outside(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Literals with two words or more that are no argument of `tr`."""
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "tr":
            continue
        if isinstance(node, ast.Constant) and re.search(r"[a-z]{2,}[,:]? [a-z]", str(node.value)):
            yield str(node.value)
        yield from words_outside(ast.iter_child_nodes(node))


def helps(command: click.Command) -> Iterator[str]:
    """Every help text of a command and of those below it."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    for text in (
        command.help,
        command.epilog,
        *(o.help for o in options),
        *(o.prompt for o in options),
    ):
        if text:
            yield text.template if isinstance(text, Text) else help_key(text)
    for other in command.commands.values() if isinstance(command, click.Group) else ():
        yield from helps(other)


def of_click() -> set[str]:
    """What click says by itself."""
    found = extract_from_dir(Path(click.__file__).parent, [("**.py", "python")])
    return {one for _, _, text, *_ in found for one in ([text] if isinstance(text, str) else text)}


def catalog(domain: str) -> Catalog:
    return read_po(io.BytesIO((FOLDER / f"{domain}.po").read_bytes()), locale="zh")


class Undated(Catalog):
    """A catalog whose header has neither dates nor the version of Babel."""

    mime_headers = (
        ("Language", "zh"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Plural-Forms", "nplurals=1; plural=0;"),
    )


def compiled(domain: str) -> bytes:
    plain = Undated(locale="zh")
    for message in catalog(domain):
        if message.id and message.string:
            plain.add(message.id, message.string)
    file = io.BytesIO()
    write_mo(file, plain)
    return file.getvalue()


def updated() -> bytes:
    """The catalog of the program with the texts of today."""
    path = FOLDER / f"{DOMAIN}.po"
    old = catalog(DOMAIN) if path.exists() else Catalog(locale="zh")
    new = Catalog(locale="zh", project=DOMAIN, fuzzy=False)
    for text, place in texts().items():
        known = old.get(text)
        new.add(text, known.string if known else "", locations=[(place, 0)])
    file = io.BytesIO()
    write_po(file, new, width=100, include_lineno=False, sort_by_file=True, omit_header=True)
    return HEADER.encode() + file.getvalue()


HEADER = """# Chinese texts of chenyu-etl; `python -m tests.catalogs` brings this file up to date.
msgid ""
msgstr ""
"Language: zh\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


if __name__ == "__main__":
    (FOLDER / f"{DOMAIN}.po").write_bytes(updated())
    for name in DOMAINS:
        (FOLDER / f"{name}.mo").write_bytes(compiled(name))
