"""Every view and golden report on Spark: `python -m bench.spark --python /opt/spark/bin/python`.

The golden fleet of the tests is exported, and read by a program that runs in an environment of its own
(`pip install pyspark`, and Java 17): each report must give the rows of `tests/golden`, each view those that it has
on SQLite. `--seen FILE` keeps what was right, so that a check that was stopped goes on; `--reports` asks some of
them. `--master spark://127.0.0.1:7077` asks a cluster; `--workers 2` starts one of that many workers for the time
of the check.

`--folder DIR` prints times alone, on the export in DIR; without one there, a fleet of `--instances` and `--days` is
made in bulk and exported to it, `--accounts` times under another account's name.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pyarrow
import pyarrow.compute
import pyarrow.parquet as parquet_files
from sqlalchemy import text

from bench.costs import FIRST, ZONE
from bench.grown import fill, sizes
from bench.year import last_month
from etl import reports
from etl.dialect import Database, open_database
from etl.dialect.spark import render_spark
from etl.exports import parquet
from etl.reports.render import render
from etl.store import schema, views

CHILD = Path(__file__).with_name("spark_child.py")
HOST, PORT = "127.0.0.1", 7_077
VIEW = "view "
FACTS = {
    "cost by month and model": "SELECT account, month_of(day) AS month, gpu_name,"
    " SUM(cost_microcny) AS cost_microcny FROM _cost_line"
    " GROUP BY account, month_of(day), gpu_name ORDER BY account, month, gpu_name",
    "running time by owner and day": "SELECT owner, day, SUM(used_s) AS used_s FROM _cost_line"
    " GROUP BY owner, day ORDER BY owner, day",
    "longest runs": "SELECT instance_uuid, usage_no, running_s FROM run_span"
    " ORDER BY running_s DESC, instance_uuid, usage_no LIMIT 100",
    "events by kind": "SELECT event, COUNT(*) AS events FROM instance_event GROUP BY event"
    " ORDER BY event",
}
"""Figures straight from files of facts, with no view of ours below them."""
TIMED = "gpu-hours,cost:month,uptime:month,coverage"
Question = dict[str, Any]


def question(words: str, name: str, given: dict[str, Any]) -> Question:
    report = reports.load_report(name)
    values = dict(reports.bound_values(report, given))
    return {"words": words, "sql": render_spark(report.sql), "values": values}


@contextmanager
def cluster(python: Path, workers: int) -> Iterator[str]:
    """A standalone cluster on this machine; ends with the block."""
    home = next(python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
    env = {**os.environ, "SPARK_HOME": str(home), "SPARK_NO_DAEMONIZE": "1"}
    url, deploy = f"spark://{HOST}:{PORT}", "org.apache.spark.deploy"
    own = ["-h", HOST, "--webui-port", "0"]
    master = [f"{deploy}.master.Master", *own, "-p", str(PORT)]
    worker = [f"{deploy}.worker.Worker", *own, "-c", "1", "-m", "2g"]
    with TemporaryDirectory() as work, ExitStack() as started:
        for command in (master, *([*worker, "-d", work, url] for _ in range(workers))):
            process = subprocess.Popen(
                [str(home / "bin" / "spark-class"), *command],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            started.callback(_end, process)
            time.sleep(4)
        yield url


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def ask(
    given: argparse.Namespace, master: str, folder: Path, questions: Sequence[Question]
) -> Iterator[dict[str, Any]]:
    """What Spark answers, line by line as it comes; a Spark that dies is started again for the rest."""
    left = {one["words"]: one for one in questions}
    while left:
        before = len(left)
        for answer in _ask(given, master, folder, list(left.values())):
            left.pop(answer.get("words", ""), None)
            yield answer
        if len(left) == before:
            yield {"error": f"Spark ended without an answer to {len(left)} questions"}
            return


def _ask(
    given: argparse.Namespace, master: str, folder: Path, questions: Sequence[Question]
) -> Iterator[dict[str, Any]]:
    command = (given.python, CHILD, master, folder, given.memory, given.together)
    with subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        json.dump(questions, child.stdin)
        child.stdin.close()
        for line in child.stdout:
            if line.startswith("{"):
                yield json.loads(line)


def golden(folder: Path) -> tuple[list[Question], dict[str, list[str]]]:
    """The questions of the golden fleet, which is exported to the folder, and the lines that each must give."""
    from tests import golden_fleet
    from tests.conftest import TODAY, ZONE

    database = open_database(f"sqlite:///{folder}/golden.db")
    schema.upgrade(database, ZONE, TODAY)
    golden_fleet.fill(database)
    list(parquet.export_parquet(database, folder / "export"))
    questions, expected = [], {}
    for words, name, given in golden_fleet.variants():
        questions.append(question(words, name, given))
        path = golden_fleet.path(ZONE, words)
        expected[words] = path.read_text(encoding="utf-8").splitlines()
    for name in views.view_names():
        words, sql = f"{VIEW}{name}", f"SELECT * FROM {name}"
        questions.append({"words": words, "sql": sql, "values": {}})
        expected[words] = _view(database, sql)
    database.engine.dispose()
    return questions, expected


def _view(database: Database, sql: str) -> list[str]:
    with database.reading() as conn:
        result = conn.execute(text(sql))
        return in_any_order(list(result.keys()), result.all())


def in_any_order(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows as lines. Engines differ in the order of rows and columns, and past the sixth place of a fraction."""
    order = sorted(range(len(columns)), key=columns.__getitem__)
    lines = sorted(json.dumps([_alike(row[at]) for at in order]) for row in rows)
    return [",".join(columns[at] for at in order), *lines]


def _alike(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        short = round(value, 6)
        return int(short) if short.is_integer() else short
    return value


def made(answer: dict[str, Any]) -> list[str]:
    """The lines of an answer, as `golden` expects them."""
    if "rows" not in answer:
        return []
    if answer["words"].startswith(VIEW):
        return in_any_order(answer["columns"], answer["rows"])
    return list(render("csv", answer["columns"], answer["rows"]))


def key(script: str, one: Question) -> str:
    """Names a question and all texts below it, in the file of what was right."""
    texts = f"{json.dumps(one)}{script}"
    return f"{one['words']}\t{sha256(texts.encode()).hexdigest()}"


def check(given: argparse.Namespace, master: str, folder: Path) -> int:
    """Compare; return how many answers are wrong or missing."""
    questions, expected = golden(folder)
    if given.reports:
        # `cost`, and `cost-day` with it
        names = given.reports.split(",")
        questions = [q for n in names for q in questions if f"{q['words']}-".startswith(f"{n}-")]
    export = folder / "export"
    script = (export / "spark.sql").read_text(encoding="utf-8")
    keys = {one["words"]: key(script, one) for one in questions}
    seen = given.seen.read_text(encoding="utf-8").splitlines() if given.seen.exists() else []
    right = sum(line in seen for line in keys.values())
    took: dict[str, float] = {}
    for answer in ask(
        given, master, export, [q for q in questions if keys[q["words"]] not in seen]
    ):
        if "words" not in answer:
            print(answer, flush=True)
            continue
        words, lines = answer["words"], made(answer)
        took[words] = answer["s"]
        is_right = lines == expected[words]
        right += is_right
        print("right" if is_right else "wrong", words, answer["s"], flush=True)
        if is_right:
            with given.seen.open("a", encoding="utf-8") as file:
                print(keys[words], file=file)
        else:
            _explain(answer, lines, expected[words])
    print(f"{right} of {len(questions)} views and reports gave the same rows")
    longest = sorted(took.items(), key=lambda item: item[1], reverse=True)[:8]
    print(f"seconds of all of this run: {sum(took.values()):.0f}; longest: {longest}")
    return len(questions) - right


def _explain(answer: dict[str, Any], lines: list[str], expected: list[str]) -> None:
    print("   ", answer.get("error", f"{len(lines)} lines, {len(expected)} wanted"))
    differing = [pair for pair in zip(lines, expected, strict=False) if pair[0] != pair[1]]
    for has, wants in differing[:2]:
        print(f"    has   {has}\n    wants {wants}", flush=True)


def export_fleet(given: argparse.Namespace) -> None:
    """A fleet in bulk, exported to the folder, with the seconds of both."""
    database = open_database(f"sqlite:///{given.folder}/grown.db")
    if not database.exists():
        schema.upgrade(database, ZONE.name, FIRST + timedelta(days=given.days))
        began = time.perf_counter(), time.process_time()
        fill(database, given)
        _took("filled", began)
        with database.engine.connect() as conn:
            conn.exec_driver_sql("ANALYZE")
    sizes(database)
    whole = time.perf_counter(), time.process_time()
    began = whole
    for written in parquet.export_parquet(database, given.folder / "export"):
        _took(f"{written.name}: {written.rows:,} rows in {written.files} files", began)
        began = time.perf_counter(), time.process_time()
    _took("exported", whole)
    database.engine.dispose()
    for file in (given.folder / "export").rglob("part-0.parquet"):
        _multiply(file, given.accounts)


def _multiply(file: Path, accounts: int) -> None:
    """Write the file's rows again, for further accounts: their fleets are alike but for name and number."""
    table = parquet_files.ParquetFile(file).read()
    names = {"account", "name"} if file.parent.name == "account" else {"account"}
    if not {*names, "account_id"} & {*table.column_names}:
        return
    for number in range(1, accounts):
        made = table
        for at, field in enumerate(table.schema):
            if field.name in names:
                column = pyarrow.array([f"lab{number}"] * len(table), field.type)
            elif field.name == "account_id":
                column = pyarrow.compute.add(table[at], number).cast(field.type)
            else:
                continue
            made = made.set_column(at, field, column)
        other = file.with_name(f"part-{number}.parquet")
        parquet_files.write_table(made, other, compression="zstd")


def _took(what: str, began: tuple[float, float]) -> None:
    wall_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    print(f"{what} | {wall_s:.1f} s, CPU {cpu_s:.1f} s", flush=True)


def times(given: argparse.Namespace, master: str) -> None:
    """Seconds of facts and of reports over the last month; all are asked twice, the second time warm."""
    month = last_month(given.days)
    questions: list[Question] = [
        {"words": words, "sql": render_spark(sql), "values": {}} for words, sql in FACTS.items()
    ]
    for words in filter(None, (given.reports or TIMED).split(",")):
        name, _, by = words.partition(":")
        questions.append(question(words, name, {**month, "by": by} if by else month))
    questions += [{**one, "words": f"{one['words']}, again"} for one in questions]
    cpu_s = _cpu_s()
    for answer in ask(given, master, given.folder / "export", questions):
        about = {k: len(v) if k == "rows" else v for k, v in answer.items() if k != "columns"}
        cpu_s, before_s = _cpu_s(), cpu_s
        print(about, f"CPU {cpu_s - before_s:.1f} s, load {os.getloadavg()[0]:.0f}", flush=True)


def _cpu_s() -> float:
    """CPU seconds of all processes below this one: the driver, the master, workers and executors."""
    used_s = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            used_s += sum(process.cpu_times()[:2])
    return used_s


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--python", type=Path, required=True, help="of an environment with pyspark"
    )
    options.add_argument("--master", default="local[2]")
    options.add_argument("--workers", type=int, default=0, help="of a cluster to start")
    options.add_argument("--memory", default="6g", help="of the driver, which makes the plans")
    options.add_argument("--together", type=int, default=2, help="questions at the same time")
    options.add_argument("--seen", type=Path, default=Path(os.devnull), help="what was right")
    options.add_argument("--folder", type=Path, help="print times alone, on the export in it")
    options.add_argument(
        "--reports",
        default="",
        help="these alone, separated by commas; of times cost:month, too, and a comma alone: facts",
    )
    options.add_argument("--instances", type=int, default=1_000, help="to fill --folder with")
    options.add_argument("--accounts", type=int, default=1, help="that have such a fleet each")
    options.add_argument("--days", type=int, default=31, help="of the fleet in --folder")
    options.add_argument("--rest", type=int, default=100, help="hours between two runs, at most")
    given = options.parse_args()
    if given.folder:
        # one after the other: times and CPU seconds are of one question
        given.together = 1
    if given.folder and not (given.folder / "export").exists():
        export_fleet(given)
    with ExitStack() as stack:
        master = given.master
        if given.workers:
            master = stack.enter_context(cluster(given.python, given.workers))
        if given.folder:
            times(given, master)
            return
        wrong = check(given, master, Path(stack.enter_context(TemporaryDirectory())))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
