"""Asks Spark what `bench.spark` hands it on standard input; runs in an environment with pyspark alone."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]

VIEW, WORD = (
    re.compile(r"^CREATE OR REPLACE TEMPORARY VIEW (\w+)", re.MULTILINE),
    re.compile(r"\w+"),
)


def plain(value: Any) -> Any:
    """A value in the form that golden rows have."""
    if isinstance(value, datetime):
        # collected instants are in the zone of the process, which is UTC; local times come without one
        return value.isoformat()[:19]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        # whole numbers have no places after the point there, and fractions are floats elsewhere
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value


def session(master: str, memory: str) -> Any:
    spark = (
        SparkSession.builder.master(master)
        .appName("chenyu-etl")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", os.environ.get("PARTITIONS", "2"))
        .config("spark.driver.memory", memory)
        .config("spark.executor.memory", "1g")
        # plans are deep and tables small: compiling them costs more than running them
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    return spark


def set_up(spark: Any, folder: str, questions: list[dict[str, Any]]) -> None:
    """Make those tables and views of the export's script that the questions read."""
    began = time.perf_counter()
    script = Path(folder, "spark.sql").read_text(encoding="utf-8")
    statements = [(VIEW.search(part), part) for part in script.split(";\n") if part.strip()]
    texts = {match[1]: part for match, part in statements if match}
    needed: set[str] = set()
    read = {word for one in questions for word in WORD.findall(one["sql"])}
    while more := read & texts.keys() - needed:
        needed |= more
        read = {word for name in more for word in WORD.findall(texts[name])}
    for match, statement in statements:
        if match and match[1] not in needed:
            continue
        try:
            # Spark takes paths to be below the folder of the cluster's start
            spark.sql(statement.replace("(path '", f"(path '{folder}/"))
        except Exception as error:  # noqa: BLE001 - told, and the next is asked
            say({"statement": statement[:120], "error": str(error)[:600]})
    say({"spark": spark.version, "ready_s": round(time.perf_counter() - began, 1)})


def answer(spark: Any, question: dict[str, Any]) -> None:
    """Print the question's rows, or its error, with the seconds that it took."""
    began = time.perf_counter()
    about = {"words": question["words"]}
    try:
        about |= rows_of(spark, question)
    except Exception as error:  # noqa: BLE001 - told, and the next is asked
        about["error"] = str(error).replace("\n", " ")[:600]
    say({**about, "s": round(time.perf_counter() - began, 2)})


def rows_of(spark: Any, question: dict[str, Any]) -> dict[str, Any]:
    frame = spark.sql(question["sql"], args=question["values"])
    zoned = [field.dataType.simpleString() == "timestamp" for field in frame.schema.fields]
    rows = [
        [
            f"{plain(v)}Z" if has_zone and v is not None else local(plain(v), v)
            for v, has_zone in zip(row, zoned, strict=True)
        ]
        for row in frame.collect()
    ]
    return {"columns": frame.columns, "rows": rows}


def local(text: Any, value: Any) -> Any:
    return text.replace("T", " ") if isinstance(value, datetime) else text


def say(about: dict[str, Any]) -> None:
    # one write: several questions are answered at the same time
    sys.stdout.write(json.dumps(about) + "\n")
    sys.stdout.flush()


def main() -> None:
    master, folder, memory, together = sys.argv[1:]
    questions = json.load(sys.stdin)
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.chdir(folder)
    spark = session(master, memory)
    set_up(spark, folder, questions)
    # a plan is made on one core
    with ThreadPoolExecutor(int(together)) as pool:
        for question in questions:
            pool.submit(answer, spark, question)
    spark.stop()


if __name__ == "__main__":
    main()
