"""Brings the catalogs up to date with the texts in the code: `python -m tests.catalogs`.

New texts are added untranslated, those that the code lost are dropped, `.mo` files are compiled anew.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
from babel import Locale
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from etl import errors, reports
from etl.cli import main
from etl.cli.language import help_key
from etl.reports.header import MEANING
from etl.reports.render.columns import UNITS
from etl.reports.words import WORDS
from etl.texts import CATALOGS, DOMAIN, ENGLISH, HEADING, LANGUAGES, SYSTEM_REASONS, Text

ROOT = Path(__file__).parents[1]
TRANSLATED = [lang for lang in LANGUAGES if lang != ENGLISH]
DOMAINS = (DOMAIN, "click")
READ_ALOUD = ("alt", "aria-label", "placeholder", "title")
READS_CHINESE = (
    "etl/books/spelling.py",  # headings and words of the user's files
    "etl/cli/language.py",  # asks whether a stream takes Chinese
    "etl/demo.py",
    "etl/dialect/postgres_errors.py",  # a server may speak Chinese
    "etl/history/codes.py",  # names that the database keeps in both languages
    "etl/money/amounts.py",
    "etl/redact/",
    "etl/samples/values.py",  # units and blanks of the user's files
    "etl/simcloud/",
    "etl/store/codes.py",
)
TEMPLATES = sorted((ROOT / "etl" / "page").glob("*.jinja"))
PASSES_ON = (
    "etl/texts.py",
    "etl/cli/language.py",
    "etl/page/words.py",
    "etl/reports/header.py",
    "etl/reports/render/columns.py",
    "etl/reports/words.py",
)
"""Hand texts on to `tr` and `term` that are found elsewhere."""

Key = tuple[str, str]
"""The context of a text, empty if it has none, and the text."""


def texts() -> dict[Key, str]:
    """Every text of the program that has a translation, and a file in which it stands."""
    in_code = {key: path for path, _, key in [*calls(), *of_page()] if key is not None}
    elsewhere = {("", text): "etl/cli" for text in helps(main)}
    elsewhere |= {("", text): "etl/texts.py" for text in SYSTEM_REASONS}
    elsewhere |= {("unit", unit): "etl/reports/render/columns.py" for unit in UNITS}
    elsewhere |= {(c, w): "etl/reports/words.py" for c, words in WORDS.items() for w in words}
    return {**elsewhere, **dict(of_reports()), **in_code}


def of_reports() -> Iterator[tuple[Key, str]]:
    """Texts of the headers of our reports, and the headings of their columns."""
    for name in reports.report_names():
        report = reports.load_report(name)
        path = f"sql/reports/{name}.sql"
        meanings = [
            report.about,
            *(one.about for one in (*report.params, *report.columns.values())),
        ]
        yield from (((MEANING, str(meaning)), path) for meaning in meanings)
        yield from (((HEADING, column), path) for column in report.columns)


def of_page() -> Iterator[tuple[str, int, Key | None]]:
    """Calls of `words` in the templates of the page, like `calls`."""
    for template in TEMPLATES:
        path = template.relative_to(ROOT).as_posix()
        parsed = Environment().parse(template.read_text(encoding="utf-8"))
        for call in parsed.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "words":
                text = call.args[0]
                is_literal = isinstance(text, nodes.Const) and isinstance(text.value, str)
                yield path, call.lineno, ("", text.value) if is_literal else None


class _Bare(HTMLParser):
    """Collects the words of a page that a person reads, code left out."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "script", "style")
        self.words += [value or "" for name, value in attrs if name in READ_ALOUD]

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "script", "style")

    def handle_data(self, data: str) -> None:
        self.words += [] if self._code else data.split()


def bare_words_of_page() -> list[str]:
    """Words in the templates of the page that no language but one has."""
    reader = _Bare()
    for template in TEMPLATES:
        reader.feed(re.sub(r"{{.*?}}|{%.*?%}", "", template.read_text(encoding="utf-8")))
    return [word for word in reader.words if re.search(r"[^\W\d_]", word)]


def in_other_scripts() -> Iterator[str]:
    """Chinese in strings of the code: the catalogs are its place, but for what is read or simulated."""
    for path in sorted((ROOT / "etl").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(READS_CHINESE):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documents = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            is_code = isinstance(node, ast.Constant) and id(node) not in documents
            if is_code and re.search(r"[\u4e00-\u9fff]", str(node.value)):
                yield f"{name}:{node.lineno} {node.value!r}"


def may_differ() -> set[Key]:
    """Headings that the catalog may have of one report alone."""
    every = map(reports.load_report, reports.report_names())
    return {
        (f"{HEADING} of {report.name}", column) for report in every for column in report.columns
    }


def calls() -> Iterator[tuple[str, int, Key | None]]:
    """Calls of `tr` and `term`: the file, the line and the text; None where it is no literal."""
    for path in sorted((ROOT / "etl").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tr", "term"):
                takes = 1 if ast.unparse(node.func) == "tr" else 2
                words = [a.value for a in node.args[:takes] if isinstance(a, ast.Constant)]
                is_literal = len(words) == takes and all(isinstance(w, str) for w in words)
                if is_literal or name not in PASSES_ON:
                    yield name, node.lineno, ("", *words)[-2:] if is_literal else None


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
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tr", "term"):
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


def folder(lang: str) -> Path:
    return CATALOGS / lang / "LC_MESSAGES"


def catalog(domain: str, lang: str = "zh") -> Catalog:
    """The catalog of a language; of a new one, that of Chinese without its translations."""
    path = folder(lang) / f"{domain}.po"
    if path.exists():
        return read_po(io.BytesIO(path.read_bytes()), locale=lang)
    made = Catalog(locale=lang)
    for message in catalog(domain):
        if message.id:
            made.add(message.id, locations=message.locations, context=message.context)
    return made


class Undated(Catalog):
    """A catalog whose header has neither dates nor the version of Babel."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", str(self.locale)),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Plural-Forms", f"nplurals={self.num_plurals}; plural={self.plural_expr};"),
        ]


def compiled(domain: str, lang: str) -> bytes:
    plain = Undated(locale=lang)
    for message in catalog(domain, lang):
        if message.id and message.string:
            plain.add(message.id, message.string, context=message.context)
    file = io.BytesIO()
    write_mo(file, plain)
    return file.getvalue()


def updated(lang: str) -> bytes:
    """The catalog of the program with the texts of today."""
    old = catalog(DOMAIN, lang)
    new = Catalog(locale=lang, project=DOMAIN, fuzzy=False)
    own = {key: "sql/reports" for key in sorted(may_differ()) if old.get(key[1], key[0])}
    for (context, text), place in (texts() | own).items():
        known = old.get(text, context or None)
        translation = known.string if known else ""
        new.add(text, translation, locations=[(place, 0)], context=context or None)
    return written(new)


def written(texts_of: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, texts_of, width=100, include_lineno=False, sort_by_file=True, omit_header=True)
    header = HEADER.format(
        language=Locale.parse(lang := str(texts_of.locale)).english_name,
        lang=lang,
        plurals=texts_of.num_plurals,
        plural=texts_of.plural_expr,
    )
    return header.encode() + file.getvalue()


HEADER = """# {language} texts of chenyu-etl; `python -m tests.catalogs` brings this file up to date.
msgid ""
msgstr ""
"Language: {lang}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals={plurals}; plural={plural};\\n"

"""


if __name__ == "__main__":
    for language in TRANSLATED:
        folder(language).mkdir(parents=True, exist_ok=True)
        (folder(language) / f"{DOMAIN}.po").write_bytes(updated(language))
        for name in DOMAINS:
            source = folder(language) / f"{name}.po"
            if not source.exists():
                source.write_bytes(written(catalog(name, language)))
            (folder(language) / f"{name}.mo").write_bytes(compiled(name, language))
