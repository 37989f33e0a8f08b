"""Asks Spark what `bench.spark` hands it on standard input; runs in an environment with pyspark alone."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]


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


def answered(about: dict[str, Any], ask: Callable[[], dict[str, Any]]) -> None:
    began = time.perf_counter()
    try:
        about |= ask()
    except Exception as error:  # noqa: BLE001 - told, and the next is asked
        about["error"] = str(error).replace("\n", " ")[:600]
    about["s"] = round(time.perf_counter() - began, 2)
    print(json.dumps(about), flush=True)


def main() -> None:
    master, folder = sys.argv[1:]
    asked = json.load(sys.stdin)
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.chdir(folder)
    began = time.perf_counter()
    spark = (
        SparkSession.builder.master(master)
        .appName("chenyu-etl")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", os.environ.get("PARTITIONS", "2"))
        .config("spark.driver.memory", "5g")
        .config("spark.executor.memory", "1g")
        # plans are deep and tables small: compiling them costs more than running them
        .config("spark.sql.codegen.wholeStage", os.environ.get("CODEGEN", "false"))
        .config(
            "spark.sql.codegen.factoryMode",
            "NO_CODEGEN" if os.environ.get("CODEGEN", "false") == "false" else "FALLBACK",
        )
        .config("spark.sql.adaptive.enabled", os.environ.get("ADAPTIVE", "false"))
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    with open("spark.sql", encoding="utf-8") as script:
        statements = [part for part in script.read().split(";\n") if part.strip()]
    for statement in statements:
        try:
            # Spark takes paths to be below the folder of the cluster's start
            spark.sql(statement.replace("(path '", f"(path '{folder}/"))
        except Exception as error:  # noqa: BLE001 - told, and the next is asked
            print(json.dumps({"statement": statement[:120], "error": str(error)[:600]}), flush=True)
    print(
        json.dumps({"spark": spark.version, "ready_s": round(time.perf_counter() - began, 1)}),
        flush=True,
    )
    for name in asked["views"]:
        answered({"view": name}, partial(size_of, spark, name))
    for question in asked["questions"]:
        answered({"words": question["words"]}, partial(rows_of, spark, question))
    spark.stop()


def size_of(spark: Any, view: str) -> dict[str, Any]:
    return {"rows": len(spark.table(view).collect())}


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


if __name__ == "__main__":
    main()
