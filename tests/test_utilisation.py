"""Samples of GPU load: what is read of files, and the views and report utilisation against the same figures
from other code, second by second. Shanghai, November 2026."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from etl import reports
from etl.books.rule_files import import_rules
from etl.dialect import Database, open_database
from etl.errors import SettingsError
from etl.history.days import Zone
from etl.money.tariffs import Override
from etl.samples.importing import SampleOptions, import_samples, set_busy_percent
from etl.samples.packed import (
    SampleValue,
    load_times,
    merged_samples,
    pack_samples,
    unpack_samples,
)
from etl.samples.reading import read_samples
from tests.commands import Command, home, path, run
from tests.conftest import FilledOnce
from tests.priced import YUAN, set_prices
from tests.support import apply, columns, poll_of, rows

__all__ = ["home", "path", "run"]

S = 1_793_462_400
"""2026-11-01T00:00:00 in Shanghai, 16:00 of UTC."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400
PERIOD = {"from_day": "2026-11-01", "to_day": "2026-11-30", "now": S + 5 * DAY}
RUNS = {
    "one": [(S + 8 * HOUR, S + 20 * HOUR), (S + 23 * HOUR, S + 2 * DAY)],
    "two": [(S + 9 * HOUR + 7 * MINUTE, S + 30 * HOUR + 3 * MINUTE)],
    "blind": [(S + 10 * HOUR, S + 12 * HOUR)],
}
GPUS = {"one": 1, "two": 2, "blind": 4}
RATE = {"one": 3, "two": 5, "blind": 7}
"""Yuan an hour of each GPU."""
RULES = """title,owner,project,valid_from,valid_to
one,ann,x,,2026-11-02
one,ben,x,2026-11-02,
two,ann,y,,
"""
NVIDIA = "timestamp, index, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB]"


def listed(now: int) -> bytes:
    instances = []
    for name, runs in RUNS.items():
        began = [run for run in runs if run[0] <= now]
        start, end = began[-1] if began else (0, 0)
        instances.append(
            {
                "instance_uuid": f"uuid-{name}",
                "title": name,
                "status": 2 if start <= now < end else 22,
                "create_time": S - DAY,
                "start_time": start,
                "charging_type": 1,
                "gpu_uuid": name,
                "gpu_name": f"GPU {name}",
                "gpu_nums": GPUS[name],
                "server_map": [
                    {"title": "SSH", "ssh_info": {"host": f"{name}.gz.example", "port": 22}}
                ],
            }
        )
    content = {"instance_list": instances, "total": len(instances)}
    return json.dumps({"code": 0, "msg": "success", "data": content}).encode()


def samples() -> Iterator[tuple[str, int, int, int]]:
    """Instance, GPU, moment and utilisation: some hours every minute, some every five, some not at all."""
    dice = Random(18)
    for name in ("one", "two"):
        for begins, ends in RUNS[name]:
            for t in range(begins, ends, HOUR):
                step = dice.choice((MINUTE, 5 * MINUTE, 0))
                for gpu in range(GPUS[name]):
                    level = dice.choice((0, 3, 12, 95))
                    for at in range(t, min(t + HOUR, ends), step) if step else ():
                        yield (
                            name,
                            gpu,
                            at + dice.randrange(MINUTE),
                            level if dice.random() < 0.8 else 0,
                        )


def fill(database: Database, folder: Path) -> None:
    edges = {edge for runs in RUNS.values() for run in runs for edge in run}
    for t in sorted({S - HOUR, S + 3 * DAY} | edges | {edge - 2 for edge in edges}):
        apply(database, poll_of([listed(t)], t, t))
    set_prices(
        database,
        *(Override("hour", rate * YUAN, gpu_uuid=name) for name, rate in RATE.items()),
    )
    rules, file = folder / "rules.csv", folder / "samples.csv"
    rules.write_text(RULES)
    import_rules(database, rules)
    lines = [f"{t},uuid-{name},{gpu},{percent},{1000 + gpu}" for name, gpu, t, percent in samples()]
    file.write_text("\n".join(["time,instance,gpu,utilisation,memory_used", *lines]))
    import_samples(database, [file], SampleOptions(), S + 5 * DAY)


@pytest.fixture(scope="module")
def sampled_once(filled_once: FilledOnce, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return filled_once("sampled", lambda d: fill(d, tmp_path_factory.mktemp("samples")))


@pytest.fixture
def sampled(kind: str, sampled_once: Callable[[str], Database]) -> Database:
    return sampled_once(kind)


def asked(database: Database, by: str, **more: Any) -> dict[str, dict[str, Any]]:
    names, found = reports.run(
        database, reports.load_report("utilisation"), {**PERIOD, "by": by, **more}
    )
    return {row["what"]: row for row in (dict(zip(names, line, strict=True)) for line in found)}


# the other code: every second of every GPU


def seconds_of(name: str) -> Counter[tuple[int, str]]:
    """Card-seconds by day of November and state: busy, idle, unsampled."""
    slots: dict[tuple[int, int], list[int]] = {}
    for who, gpu, t, percent in samples():
        if who == name:
            slots.setdefault((gpu, t // 300), []).append(percent)
    counted: Counter[tuple[int, str]] = Counter()
    for begins, ends in RUNS[name]:
        for gpu in range(GPUS[name]):
            for t in range(begins, ends):
                seen = slots.get((gpu, t // 300))
                mean = None if seen is None else sum(seen) / len(seen)
                state = "unsampled" if mean is None else "busy" if mean >= 10 else "idle"
                counted[(t - S) // DAY + 1, state] += 1
    return counted


def test_busy_idle_and_unsampled_hours_are_those_of_a_count_of_seconds(sampled: Database) -> None:
    view = {
        (r["title"], r["day"]): r
        for r in columns(sampled, "SELECT * FROM gpu_busy_daily ORDER BY day")
    }
    for name in RUNS:
        counted = seconds_of(name)
        for day in {day for day, _ in counted}:
            row = view[name, f"2026-11-{day:02}"]
            for state in ("busy", "idle", "unsampled"):
                # ends of runs are known to two seconds
                assert row[f"{state}_s"] == pytest.approx(counted[day, state], abs=2 * GPUS[name])
            assert row["busy_s"] + row["idle_s"] + row["unsampled_s"] == row["gpu_s"]
            assert row["busy_max_s"] >= row["busy_s"] + row["unsampled_s"]
            assert row["idle_max_s"] >= row["idle_s"] + row["unsampled_s"]


def test_idle_yuan_are_idle_hours_at_their_price_within_bounds(sampled: Database) -> None:
    lines = asked(sampled, "instance")
    for name in RUNS:
        counted = seconds_of(name)
        idle = sum(s for (_, state), s in counted.items() if state == "idle")
        blind = sum(s for (_, state), s in counted.items() if state == "unsampled")
        row = lines[name]
        assert float(row["idle_yuan"]) == pytest.approx(idle * RATE[name] / HOUR, abs=0.02)
        assert row["idle_yuan_min"] <= row["idle_yuan"] <= row["idle_yuan_max"]
        most = (idle + blind) * RATE[name] / HOUR
        assert most - 0.001 <= float(row["idle_yuan_max"]) <= most + 0.05
    assert lines["blind"]["busy_gpu_hours_max"] == pytest.approx(8, abs=0.01)
    assert lines["blind"]["sampled_percent"] == 0
    assert lines["blind"]["mean_percent"] is None


@pytest.mark.parametrize("by", ["model", "project", "owner", "day", "week", "month", "account"])
def test_lines_add_up_to_the_same_however_they_are_grouped(sampled: Database, by: str) -> None:
    parts, whole = asked(sampled, by).values(), asked(sampled, "instance").values()
    for name in ("gpu_hours", "busy_gpu_hours", "idle_gpu_hours", "unsampled_gpu_hours"):
        assert sum(r[name] for r in parts) == pytest.approx(sum(r[name] for r in whole), abs=0.05)
    for name in ("idle_yuan", "idle_yuan_max"):
        assert float(sum(r[name] for r in parts)) == pytest.approx(
            float(sum(r[name] for r in whole)), abs=0.001
        )


def test_rented_hours_are_those_of_report_gpu_hours(sampled: Database) -> None:
    period = {**PERIOD, "by": "instance"}
    names, found = reports.run(sampled, reports.load_report("gpu-hours"), period)
    rented = {r["what"]: r for r in (dict(zip(names, line, strict=True)) for line in found)}
    for name, row in asked(sampled, "instance").items():
        for bound in ("", "_min", "_max"):
            assert row[f"gpu_hours{bound}"] == rented[name][f"gpu_hours{bound}"]


def test_a_day_belongs_to_the_owner_of_that_time(sampled: Database) -> None:
    owners = asked(sampled, "owner")
    first, second = (
        sum(s for (day, _), s in seconds_of("one").items() if day == d) / HOUR for d in (1, 2)
    )
    two = sum(seconds_of("two").values()) / HOUR
    assert owners["ann"]["gpu_hours"] == pytest.approx(first + two, abs=0.02)
    assert owners["ben"]["gpu_hours"] == pytest.approx(second, abs=0.02)
    assert owners["(no rule)"]["gpu_hours"] == pytest.approx(8, abs=0.01)


# what is kept


values = st.builds(SampleValue, st.integers(0, 100), st.integers(-1, 2**31 - 1), st.just(-1))
days = st.dictionaries(st.integers(0, DAY - 1), values, max_size=40)


@given(days, days, days)
def test_samples_merge_the_same_in_any_order_and_twice(a: Any, b: Any, c: Any) -> None:
    assert merged_samples(merged_samples(a, b), c) == merged_samples(a, merged_samples(c, b))
    assert merged_samples(a, a) == a
    assert unpack_samples(pack_samples(a)) == a


@given(days, st.integers(1, 100))
def test_times_of_load_hold_each_sample_and_no_time_without(day: Any, busy: int) -> None:
    times = list(load_times(3, day, busy))
    assert sum(t.samples for t in times) == len(day)
    assert sum(t.percent_sum for t in times) == sum(v.percent for v in day.values())
    seen = {s // 300 for s in day}
    assert sum(t.ends_s - t.begins_s for t in times) == 300 * len(seen)
    for one, then in pairwise(times):
        assert one.ends_s <= then.begins_s
        assert one.ends_s < then.begins_s or one.is_busy != then.is_busy


@pytest.fixture
def rented(database: Database) -> Database:
    for t in (S - HOUR, S + 8 * HOUR, S + 12 * HOUR):
        apply(database, poll_of([listed(t)], t, t))
    return database


def kept(database: Database) -> list[Any]:
    return rows(database, "SELECT * FROM gpu_load ORDER BY 1, 2, 3, 4, 5") + rows(
        database,
        "SELECT account_id, instance_uuid, utc_day, gpu, samples FROM gpu_samples ORDER BY 1, 2, 3, 4",
    )


NOW = S + DAY


def take(database: Database, *files: Path, **options: Any) -> Any:
    return import_samples(database, files, SampleOptions(**options), NOW)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_files_in_any_order_whole_or_in_parts_leave_the_same(
    rented: Database, tmp_path: Path
) -> None:
    lines = [f"{S + 8 * HOUR + 37 * n},one,{n % 2},{n * 7 % 101}" for n in range(400)]
    head = "time,title,gpu,utilisation"
    first, second = lines[:250], lines[150:]
    parts = [
        written(tmp_path, f"{n}.csv", "\n".join([head, *part]))
        for n, part in enumerate((second, first))
    ]
    done = take(rented, *parts)
    assert (done.new, done.same, done.differing) == (400, 100, 0)
    before = kept(rented)
    again = take(rented, written(tmp_path, "all.csv", "\n".join([head, *lines])))
    assert (again.new, again.same) == (0, 400)
    assert kept(rented) == before


def test_of_two_values_for_one_instant_the_higher_counts_and_it_is_said(
    rented: Database, tmp_path: Path
) -> None:
    low, high = (
        written(tmp_path, f"{p}.csv", f"time,title,utilisation\n{S + 9 * HOUR},one,{p}")
        for p in (5, 90)
    )
    for files in ((low, high), (high, low)):
        done = take(rented, *files)
        assert "of which the higher counts" in str(list(done.remarks()))
        assert rows(rented, "SELECT is_busy, samples, percent_sum FROM gpu_load") == [(1, 1, 90)]


def test_another_threshold_counts_past_samples_anew(rented: Database, tmp_path: Path) -> None:
    take(rented, written(tmp_path, "a.csv", f"time,title,utilisation\n{S + 9 * HOUR},one,40"))
    for percent, is_busy in ((41, 0), (40, 1)):
        set_busy_percent(rented, percent)
        assert rows(rented, "SELECT is_busy FROM gpu_load") == [(is_busy,)]


def test_a_file_that_is_wrong_at_its_end_leaves_all_as_it_was(
    rented: Database, tmp_path: Path
) -> None:
    good = written(tmp_path, "a.csv", f"time,title,utilisation\n{S + 9 * HOUR},one,40")
    with pytest.raises(SettingsError, match="no column is utilisation"):
        take(rented, good, written(tmp_path, "b.csv", "time,title\n1,2"))
    assert kept(rented) == []
    import_samples(rented, [good], SampleOptions(), NOW, dry_run=True)
    assert kept(rented) == []


# whose they are


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("uuid-one", "uuid-one"),
        ("one", "uuid-one"),
        ("two.gz.example", "uuid-two"),
        ("nobody", None),
    ],
)
def test_a_sample_is_of_the_instance_that_was_called_so(
    rented: Database, tmp_path: Path, words: str, found: str | None
) -> None:
    file = written(tmp_path, "a.csv", f"time,host,utilisation\n{S + 9 * HOUR},{words},40")
    if found is None:
        with pytest.raises(SettingsError, match="no instance had that name"):
            take(rented, file)
        return
    take(rented, file)
    assert rows(rented, "SELECT instance_uuid FROM gpu_load") == [(found,)]


def test_a_file_without_names_is_of_the_instance_that_it_is_called_by(
    rented: Database, tmp_path: Path
) -> None:
    content = f"{NVIDIA}\n2026/11/01 09:00:00.123, 0, GPU-a, 40 %, 10 MiB, 100 MiB\n"
    take(rented, written(tmp_path, "uuid-two.csv", content))
    assert rows(rented, "SELECT instance_uuid, gpu FROM gpu_load") == [("uuid-two", "0")]
    take(rented, written(tmp_path, "x.csv", content), instance="one")
    lines = "name,instance,valid_from\nGPU-a,uuid-blind,2026-10-01\n"
    take(
        rented,
        written(tmp_path, "y.csv", content),
        map_file=written(tmp_path, "map.csv", lines),
    )
    assert {r[0] for r in rows(rented, "SELECT instance_uuid FROM gpu_load")} == {
        f"uuid-{name}" for name in RUNS
    }


def test_a_sample_in_the_future_or_before_its_instance_is_counted_and_left_out(
    rented: Database, tmp_path: Path
) -> None:
    moments = (S + 9 * HOUR, S - 2 * DAY, NOW + 2 * HOUR)
    lines = [f"{t},uuid-one,40" for t in moments]
    done = take(
        rented, written(tmp_path, "a.csv", "\n".join(["time,instance,utilisation", *lines]))
    )
    assert done.new == 1
    remarks = str(list(done.remarks()))
    assert "uuid-one: samples left out: 1, as the instance did not exist yet" in remarks
    assert "uuid-one: samples left out: 1, as they lie in the future" in remarks


def test_a_title_means_the_instance_that_had_it_then(database: Database, tmp_path: Path) -> None:
    def named(t: int, *titles: str) -> None:
        records = [
            {
                "instance_uuid": f"u{n}",
                "title": title,
                "status": 2,
                "create_time": S,
                "start_time": S,
            }
            for n, title in enumerate(titles)
        ]
        content = {"instance_list": records, "total": len(records)}
        apply(database, poll_of([json.dumps({"code": 0, "data": content}).encode()], t, t))

    for hour, titles in enumerate((("a", "b"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "b"))):
        named(S + hour * HOUR, *titles)
    lines = [f"{S + at},a,50" for at in (HOUR // 2, 5 * HOUR // 2, 9 * HOUR // 2)]
    lines.append(f"{S + 4 * HOUR},b,50")
    done = take(database, written(tmp_path, "a.csv", "\n".join(["time,title,utilisation", *lines])))
    assert rows(database, "SELECT instance_uuid FROM gpu_load ORDER BY begins_s") == [
        ("u0",),
        ("u1",),
    ]
    assert {(w, r.value): n for (w, r), n in done.unmatched.items()} == {
        ("a", "late"): 1,
        ("b", "ambiguous"): 1,
    }


# forms


LINE = ("2026/11/01 09:00:00.123", "0", "GPU-a")
PROMETHEUS = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {
                    "__name__": name,
                    "Hostname": "one",
                    "gpu": "0",
                    "UUID": "GPU-a",
                    "instance": "x:9400",
                },
                "values": [[S + 9 * HOUR, value], [S + 9 * HOUR + 60, "NaN"]],
            }
            for name, value in (
                ("DCGM_FI_DEV_GPU_UTIL", "37"),
                ("DCGM_FI_DEV_FB_USED", "1000"),
                ("DCGM_FI_DEV_FB_FREE", "23576"),
            )
        ],
    },
}
SCRAPE = """# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
# at 1793494800
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="one"} 37
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="one"} 1000
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="one"} 23576
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="one"} 60
"""
CHINESE = "时间,名称,序号,GPU利用率,显存,显存总量\n2026年11月1日 09:00,one,0,37,1000,24576\n"
FORMS: dict[str, str | bytes] = {
    "csv": f"{NVIDIA}\n{', '.join(LINE)}, 37 %, 1000 MiB, 24576 MiB\n",
    "nounits": f"{NVIDIA}\n{', '.join(LINE)}, 37, 1000, 24576\n",
    "gigabytes": f"{NVIDIA.replace('.total [MiB]', '.total [GiB]')}\n{', '.join(LINE)}, 37 %, 1000 MiB, 24\n",
    "grouped": f'{NVIDIA}\n{", ".join(LINE)}, ３７％,"1,000 MiB","24,576 MiB"\n'.replace(", ", ","),
    "repeated headings": f"{NVIDIA}\n{', '.join(LINE)}, [N/A], [N/A], [N/A]\n{NVIDIA}\n"
    f"{', '.join(LINE)}, 37 %, 1000 MiB, 24576 MiB\n2026/11/01 09:0",
    "other columns": f"name, {NVIDIA}, temperature.gpu\nH20, {', '.join(LINE)}, 37 %, 1000 MiB, 24576 MiB, 60\n",
    "utf-16": f"{NVIDIA}\n{', '.join(LINE)}, 37 %, 1000 MiB, 24576 MiB\n".encode("utf-16"),
    "bom": b"\xef\xbb\xbf" + f"{NVIDIA}\n{', '.join(LINE)}, 37 %, 1000 MiB, 24576 MiB\n".encode(),
    "gbk": CHINESE.encode("gbk"),
    "chinese": CHINESE,
    "prometheus": json.dumps(PROMETHEUS),
    "prometheus by line": "\n".join(
        json.dumps({**PROMETHEUS, "data": {"result": [result]}})
        for result in PROMETHEUS["data"]["result"]  # type: ignore[index]
    ),
    "scrape": SCRAPE,
    "scrape with times": SCRAPE.replace("# at 1793494800\n", "")
    .replace('="one"} 37', '="one"} 37 1793494800000')
    .replace("} 1000", "} 1000 1793494800000")
    .replace("} 23576", "} 23576 1793494800000")
    .replace("} 60", "} 60 1793494800000"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_reads_the_same_in_each_form(
    sampled_once: Callable[[str], Database], tmp_path: Path, form: str
) -> None:
    gathered = read_samples(written(tmp_path, "one.csv", FORMS[form]), Zone("Asia/Shanghai"))
    ((source, found),) = gathered.series.items()
    assert source.gpu_key == "0"
    assert found == {S + 9 * HOUR: SampleValue(37, 1000, 24576)}
    assert gathered.without_value == (form == "repeated headings")
    assert gathered.unreadable == (form == "repeated headings")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("2026/11/01 09:00:00.123, 0, 37 %\n", "there are no headings"),
        ("timestamp, index\n1, 2\n", "no column is utilisation"),
        ("", "it is empty"),
        (f"{NVIDIA}\nNVIDIA-SMI has failed\n", "is no time|cells are missing"),
        ('{"status":"error","error":"bad_data"}', "an error of Prometheus: bad_data"),
        ("{", "is no JSON"),
        ("[1]", "is no answer of Prometheus"),
        ('{"data":{"result":[{"metric":{},"values":[]}]}}', "without the name of a known metric"),
        (SCRAPE.replace("# at", "# by"), "the moment of the scrape is missing"),
        (f"{NVIDIA}\n{', '.join(LINE)}, 137 %, 1 MiB, 1 MiB\n", "no utilisation in percent"),
    ],
)
def test_a_file_that_is_none_of_samples_is_refused_with_its_reason(
    tmp_path: Path, content: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        read_samples(written(tmp_path, "a.csv", content), Zone("Asia/Shanghai"))


def test_an_hour_that_clocks_show_twice_is_read_in_order(tmp_path: Path) -> None:
    shown = ["00:59:30", "01:30:00", "01:59:30", "01:00:00", "01:30:00", "02:00:00"]
    content = "time,utilisation\n" + "".join(f"2026-11-01 {t},{n}\n" for n, t in enumerate(shown))
    content += "2026-03-08 02:30:00,9\n"
    gathered = read_samples(written(tmp_path, "a.csv", content), Zone("America/New_York"))
    ((_, found),) = gathered.series.items()
    first = min(found)
    assert [t - first for t in sorted(found)] == [0, 1830, 3600, 3630, 5430, 7230]
    assert [v.percent for _, v in sorted(found.items())] == list(range(6))
    assert gathered.unreadable == 1


def test_a_sheet_is_read_as_a_list_is(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["时间", "实例", "序号", "利用率"])
    book.active.append([datetime.fromisoformat("2026-11-01T09:00"), "uuid-one", 1, 37])
    book.save(tmp_path / "a.xlsx")
    gathered = read_samples(tmp_path / "a.xlsx", Zone("Asia/Shanghai"))
    ((source, found),) = gathered.series.items()
    assert (source.instance, source.gpu) == ("uuid-one", "1")
    assert found == {S + 9 * HOUR: SampleValue(37)}


def test_every_command_of_the_page_works(run: Command, path: Path, home: Path) -> None:
    page = (Path(__file__).parents[1] / "docs/utilisation.md").read_text(encoding="utf-8")
    database = open_database(f"sqlite:///{path}")
    record = {"title": "t", "status": 2, "create_time": S - DAY, "start_time": S}
    records = [{**record, "instance_uuid": f"inst-{n}"} for n in (7, 8)]
    content = {"instance_list": records, "total": 2}
    for t in (S, S + 12 * HOUR):
        apply(database, poll_of([json.dumps({"code": 0, "data": content}).encode()], t, t))
    database.engine.dispose()
    mapped = json.loads(json.dumps(PROMETHEUS).replace('"one"', '"gpu-box-3"'))
    written(home, "inst-7.csv", FORMS["csv"])
    written(home, "nodes.json", json.dumps(mapped))
    (example,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    written(home, "map.csv", example)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    lines = [shlex.split(line, comments=True)[1:] for line in blocks.splitlines() if line]
    assert len(lines) == 3
    for words in [*lines, ["usage", "model", "--busy-percent", "20"]]:
        done = run("--database", str(path), *words)
        assert done.exit_code == 0, (words, done.output)


def test_commands_import_samples_and_say_what_became_of_them(run: Command, path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    for t in (S - HOUR, S + 8 * HOUR, S + 12 * HOUR):
        apply(database, poll_of([listed(t)], t, t))
    database.engine.dispose()
    content = f"time,title,utilisation\n{S + 9 * HOUR},one,40\n{S + 9 * HOUR},nobody,40\n"
    words = ("--database", str(path), "usage")
    done = run(*words, "import", "-", "--json", stdin=content)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["new"] == 1
    assert json.loads(done.stdout)["unmatched"] == 1
    assert "nobody: samples left out: 1, as no instance had that name then" in done.stderr
    assert "busy from 50 percent on" in run(*words, "model", "--busy-percent", "50").output
    assert (
        "idle_gpu_hours"
        in run(
            "--database",
            str(path),
            "report",
            "utilisation",
            "--from",
            "2026-11-01",
            "--to",
            "2026-11-01",
            "--format",
            "csv",
        ).output
    )
