"""Files that commands write: never the database itself, never without a name."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from etl.errors import SettingsError
from etl.paths import refuse_stream, replacing
from etl.simcloud import Server
from tests.commands import KEY, Command, cloud, home, path, run, server
from tests.live import COMMAND, environment, flushed_by

__all__ = ["cloud", "home", "path", "run", "server"]

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


# links, pipes, and everybody's rights

EVERY_WRITER = {
    **WRITERS,
    "page": ("page", "-o"),
    "backup": ("db", "backup"),
    "metrics": ("sync", "--metrics-file"),
}


def target_of(writer: str, home: Path) -> Path:
    return home / f"out{ {'page': '.html', **ENDING}.get(writer, '.csv') }"


@pytest.mark.parametrize("writer", sorted(EVERY_WRITER.keys() - {"parquet"}))
def test_an_output_takes_the_place_of_a_link_and_what_it_led_to_stays(
    writer: str, run: Command, path: Path, home: Path, server: Server
) -> None:
    victim, target = home / "victim", target_of(writer, home)
    victim.write_text("precious")
    target.symlink_to(victim)
    result = run("--database", str(path), *EVERY_WRITER[writer], str(target))
    assert result.exit_code == 0, result.output
    assert victim.read_text() == "precious"
    assert not target.is_symlink()
    assert not list(home.glob(".*")), "nothing is left beside it"


@pytest.mark.parametrize("writer", sorted(EVERY_WRITER.keys() - {"parquet"}))
def test_a_pipe_or_a_device_is_never_replaced(
    writer: str, run: Command, path: Path, home: Path, server: Server
) -> None:
    target = target_of(writer, home)
    os.mkfifo(target)
    result = run("--database", str(path), *EVERY_WRITER[writer], str(target))
    assert result.exit_code == 2
    assert "is no file that can be replaced" in result.stderr
    assert target.is_fifo()
    with pytest.raises(SettingsError, match="no file that can be replaced"):
        refuse_stream(Path("/dev/null"))


def test_a_file_is_written_by_a_name_that_nobody_can_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for _ in range(2):
        with replacing(tmp_path / "out.csv") as file:
            (hidden,) = tmp_path.glob(".*")
            names.append(hidden.name)
            file.write(b"x")
    assert names[0] != names[1]
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    (tmp_path / ".chenyu-etl.known.new").symlink_to(victim)
    with pytest.raises(SettingsError, match="cannot be written"), replacing(tmp_path / "out.csv"):
        pytest.fail("it was opened through a link")
    assert victim.read_text() == "precious"


def test_the_archive_is_not_written_through_a_link(
    run: Command, path: Path, home: Path, server: Server
) -> None:
    victim, folder = home / "victim", home / "archive"
    victim.write_text("precious")
    folder.mkdir()
    assert run("--database", str(path), "sync", "--archive", str(folder)).exit_code == 0
    (file,) = folder.glob("*.jsonl.gz")
    file.unlink()
    file.symlink_to(victim)
    result = run("--database", str(path), "sync", "--archive", str(folder))
    assert result.exit_code == 6
    assert file.name in result.stderr
    assert victim.read_text() == "precious"


def test_nothing_that_is_made_is_for_everybody_to_write_to(home: Path, server: Server) -> None:
    environ = {
        **environment(server.base_url, str(home / "x.db"), home, CHENYU_API_KEY=KEY),
        **{name: os.environ[name] for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")},
        "E": str(COMMAND),
    }
    line = (
        "umask 0; $E init --no-service && $E sync --archive arch --metrics-file m.prom"
        " && $E report now -o r.csv && $E page -o p.html && $E db backup b.db"
        " && $E export parquet pq && $E service install --user --folder units"
    )
    done = subprocess.run(["bash", "-c", line], env=environ, capture_output=True, cwd=home)
    assert done.returncode == 0, done.stderr
    made = list(home.rglob("*"))
    assert len(made) > 20
    assert [file for file in made if file.stat().st_mode & 0o002] == []
    kept = [
        *home.rglob("*.key"),
        *home.rglob("config.toml"),
        *home.glob("x.db*"),
        *home.glob("b.db*"),
    ]
    kept += [home / "arch", *(home / "arch").iterdir()]
    assert len(kept) >= 8
    for secret in kept:
        assert secret.stat().st_mode & 0o077 == 0, secret


def test_a_file_that_is_closed_to_others_stays_so_when_it_is_replaced(tmp_path: Path) -> None:
    output = tmp_path / "r.csv"
    output.write_text("old")
    output.chmod(0o600)
    with replacing(output) as file:
        (beside,) = tmp_path.glob(".chenyu-etl.*")
        assert beside.stat().st_mode & 0o777 == 0o600, "while it is written, too"
        file.write(b"new")
    assert output.stat().st_mode & 0o777 == 0o600
    assert output.read_text() == "new"


# where nothing more can be written


def full(*words: str, database: Path, code: str = "", **environ: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose standard output is a full disk."""
    program = f"import sys\n{code}\nfrom etl.start import main\nmain()"
    with open("/dev/full", "w") as out:
        done = subprocess.run(
            [sys.executable, "-c", program, "--database", str(database), *words],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, **environ},
        )
    return done.returncode, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is none here")
@pytest.mark.parametrize("words", [("report", "now"), ("status",), ("status", "--json")])
def test_a_full_disk_at_standard_output_is_one_line(words: tuple[str, ...], path: Path) -> None:
    code, said = full(*words, database=path)
    assert code == 2
    assert "error: standard output cannot be written: No space left on device" in said
    assert "Traceback" not in said
    assert "Exception" not in said


FULL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import sqlalchemy, etl.app, etl.exports.parquet, xlsxwriter, pyarrow.parquet
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


@pytest.mark.parametrize(
    "words", [("report", "uptime", "-o", "u.xlsx"), ("export", "parquet", "there")]
)
def test_a_file_that_cannot_grow_is_one_line_and_leaves_nothing(
    words: tuple[str, ...], path: Path, home: Path
) -> None:
    done = full("status", database=path)  # the -shm file is made, which could not grow either
    with sqlite3.connect(path) as kept:
        kept.execute("PRAGMA journal_mode = WAL")
        kept.execute("SELECT COUNT(*) FROM account").fetchall()
        before = set(home.iterdir())
        done = full(*words, database=path, code=FULL_FILES)
    kept.close()
    assert done[0] == 2, done[1]
    assert done[1].splitlines()[-2].startswith("error: ")
    assert "Exception" not in done[1]
    assert "Error closing" not in done[1]
    assert "Traceback" not in done[1]
    assert set(home.iterdir()) <= before


def test_a_narrow_encoding_ends_no_report(path: Path, home: Path) -> None:
    (home / "own.sql").write_text("SELECT '训' AS t, 1 AS n", encoding="utf-8")
    words = ["--database", str(path), "report", "--file", "own.sql", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "etl.cli", *words],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )
    assert json.loads(done.stdout) == [{"t": "训", "n": 1}]


def test_bytes_are_hexadecimal_text(run: Command, path: Path, home: Path) -> None:
    (home / "own.sql").write_text("SELECT X'00ff' AS b")
    for form, said in (("json", '[{"b": "00ff"}]'), ("csv", "b\n00ff"), ("table", "00ff")):
        result = run("--database", str(path), "report", "--file", "own.sql", "--format", form)
        assert result.stdout.strip().endswith(said)


def test_ctrl_c_while_modules_load_ends_with_130() -> None:
    code = (
        "import sys\nclass Stop:\n    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\nfrom etl.start import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")


FULL_BOOK = """
import io, sys
from etl.reports.render.columns import Column
from etl.reports.render.xlsx import Book
class Full(io.BytesIO):
    def write(self, content):
        if self.tell() >= int(sys.argv[1]):
            raise OSError(28, "No space left on device")
        return super().write(content)
file = Full()
try:
    with Book(file, 0) as book:
        book.sheet("a", [Column("n")], [[1]])
except OSError as error:
    sys.stdout.write(error.strerror)
file.close()
"""


@pytest.mark.parametrize("room", ["0", "1000"])
def test_a_workbook_on_a_full_disk_complains_once(room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_BOOK, room], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("No space left on device", "")


def test_an_output_is_on_disk_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut would else leave an empty file where a whole one was."""
    flushed = flushed_by(monkeypatch)
    with replacing(tmp_path / "page.html") as file:
        file.write(b"whole")
    assert flushed == [(tmp_path / "page.html").stat().st_ino]
