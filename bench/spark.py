"""Every view and golden report on Spark: `python -m bench.spark --python /opt/spark/bin/python`.

The golden fleet of the tests is exported, and read by a program that runs in an environment of its own
(`pip install pyspark`, and Java 17): each report must give the rows of `tests/golden`, each public view as many
rows as on SQLite. `--master spark://127.0.0.1:7077` asks a cluster; `--workers 2` starts one of that many workers
for the time of the check. `--folder DIR` reads an export that is there, and prints times alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from bench.year import last_month
from etl import reports
from etl.dialect import open_database
from etl.dialect.spark import render_spark
from etl.exports import parquet
from etl.reports.render import render
from etl.store import schema, views

CHILD = Path(__file__).with_name("spark_child.py")
PORT = 7_077


def question(words: str, name: str, given: dict[str, str]) -> dict[str, Any]:
    report = reports.load_report(name)
    values = dict(reports.bound_values(report, given))
    return {"words": words, "name": name, "sql": render_spark(report.sql), "values": values}


@contextmanager
def cluster(python: Path, workers: int) -> Iterator[str]:
    """A standalone cluster on this machine; ends with the block."""
    home = next(python.parent.parent.glob("lib/python3*/site-packages/pyspark"))
    env = {**os.environ, "SPARK_HOME": str(home), "SPARK_NO_DAEMONIZE": "1"}
    deploy = "org.apache.spark.deploy"
    url = f"spark://127.0.0.1:{PORT}"
    run = str(home / "bin" / "spark-class")
    master = [
        run,
        f"{deploy}.master.Master",
        "-h",
        "127.0.0.1",
        "-p",
        str(PORT),
        "--webui-port",
        "0",
    ]
    worker = [
        run,
        f"{deploy}.worker.Worker",
        "-c",
        "1",
        "-m",
        "2g",
        "-h",
        "127.0.0.1",
        "--webui-port",
        "0",
    ]
    with TemporaryDirectory() as work, open(os.devnull, "w") as quiet:
        started = []
        try:
            for command in (master, *([*worker, "-d", work, url] for _ in range(workers))):
                started.append(
                    subprocess.Popen(
                        command, env=env, stdout=quiet, stderr=quiet, start_new_session=True
                    )
                )
                time.sleep(4)
            yield url
        finally:
            for process in reversed(started):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()


def ask(python: Path, master: str, folder: Path, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What Spark answers, line by line as it comes."""
    command = [str(python), str(CHILD), master, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        json.dump(asked, child.stdin)
        child.stdin.close()
        for line in child.stdout:
            if line.startswith("{"):
                yield json.loads(line)


def golden(folder: Path) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, int]]:
    """The questions of the golden fleet, the lines of CSV that they must give, and the rows of each view."""
    from tests import golden_fleet
    from tests.conftest import TODAY, ZONE

    database = open_database(f"sqlite:///{folder}/golden.db")
    schema.upgrade(database, ZONE, TODAY)
    golden_fleet.fill(database)
    list(parquet.export_parquet(database, folder / "export"))
    with database.reading() as conn:
        counts = {
            name: int(conn.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one())
            for name in views.view_names()
        }
    database.engine.dispose()
    expected, questions = {}, []
    for words, name, given in golden_fleet.variants():
        questions.append(question(words, name, given))
        path = golden_fleet.path(ZONE, words)
        expected[words] = path.read_text(encoding="utf-8").splitlines()
    return {"views": list(counts), "questions": questions}, expected, counts


def check(given: argparse.Namespace, master: str, folder: Path) -> int:
    """Compare; return how many answers are wrong."""
    asked, expected, counts = golden(folder)
    if given.reports:
        # `cost`, and `cost-day` with it
        names = tuple(given.reports.split(","))
        asked["questions"] = [q for q in asked["questions"] if q["name"] in names]
        expected = {q["words"]: expected[q["words"]] for q in asked["questions"]}
        asked["views"], counts = [], {}
    wrong = right = 0
    took: dict[str, float] = {}
    for answer in ask(given.python, master, folder / "export", asked):
        if "view" in answer:
            is_right = answer.get("rows") == counts[answer["view"]]
        elif "words" in answer and "rows" in answer:
            is_right = (
                list(render("csv", answer["columns"], answer["rows"])) == expected[answer["words"]]
            )
        elif "words" in answer:
            is_right = False
        else:
            print(answer, flush=True)
            continue
        right, wrong = right + is_right, wrong + (not is_right)
        name = answer.get("view") or answer["words"]
        took[name] = answer["s"]
        print("right" if is_right else "wrong", name, answer["s"], flush=True)
        if not is_right:
            print("WRONG", {k: v for k, v in answer.items() if k != "rows"}, flush=True)
            if "words" in answer and "rows" in answer:
                made = list(render("csv", answer["columns"], answer["rows"]))
                for a, b in zip(made, expected[answer["words"]], strict=False):
                    if a != b:
                        print("   has  ", a, "\n   wants", b)
                        break
    print(
        f"{right} of {len(counts) + len(expected)} views and reports gave the same rows, {wrong} did not"
    )
    longest = sorted(took.items(), key=lambda item: item[1], reverse=True)[:8]
    print(f"seconds in all: {sum(took.values()):.0f}; longest: {longest}")
    return wrong + (right + wrong != len(counts) + len(expected))


def times(given: argparse.Namespace, master: str) -> None:
    """Seconds of each report over its last month, on an export that is there."""
    names = given.reports.split(",") if given.reports else reports.report_names()
    questions = [question(name, name, last_month(given.days)) for name in names]
    for answer in ask(given.python, master, given.folder, {"views": [], "questions": questions}):
        print({k: len(v) if k == "rows" else v for k, v in answer.items()}, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--python", type=Path, required=True, help="of an environment with pyspark"
    )
    options.add_argument("--master", default="local[2]")
    options.add_argument(
        "--workers", type=int, default=0, help="start a cluster of so many workers"
    )
    options.add_argument("--folder", type=Path, help="an export that is there: print times alone")
    options.add_argument("--reports", default="", help="these alone, separated by commas")
    options.add_argument("--days", type=int, default=365, help="with --folder: days in it")
    given = options.parse_args()
    with ExitStack() as stack:
        master = given.master
        if given.workers:
            master = stack.enter_context(cluster(given.python, given.workers))
        if given.folder:
            times(given, master)
            return
        folder = Path(stack.enter_context(TemporaryDirectory()))
        wrong = check(given, master, folder)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
