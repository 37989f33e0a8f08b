"""Samples of DCGM: a Prometheus query as JSON, and what the exporter itself serves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from etl.books.grids import row_name
from etl.errors import SettingsError
from etl.poll import Instant
from etl.samples.clock import MachineClock, NoSample
from etl.samples.gathered import Gathered, SampleSource
from etl.samples.packed import SampleValue
from etl.samples.values import megabytes_in, percent_in
from etl.texts import tr

UTILISATION: Final = "DCGM_FI_DEV_GPU_UTIL"
USED: Final = "DCGM_FI_DEV_FB_USED"
FREE: Final = "DCGM_FI_DEV_FB_FREE"
TOTAL: Final = "DCGM_FI_DEV_FB_TOTAL"
METRICS: Final = (UTILISATION, USED, FREE, TOTAL)
_HOSTS: Final = ("Hostname", "hostname", "host", "node", "nodename", "kubernetes_node")
_LINE: Final = re.compile(r"(\w+)(?:\{(.*)\})?\s+(\S+)(?:\s+(\d+))?\s*", re.ASCII)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_MOMENT: Final = re.compile(r"#\s*(?:at|time)\s*[:=]?\s*(.+)", re.IGNORECASE)

Points = dict[SampleSource, dict[Instant, int]]


def read_query(name: str, content: bytes, clock: MachineClock) -> Gathered:
    """Return the samples of answers of Prometheus to queries, one after the other. Raises `SettingsError`."""
    points: dict[str, Points] = {metric: {} for metric in METRICS}
    gathered = Gathered(name)
    for answer in _answers(name, content):
        for result in _results(name, answer):
            labels = result.get("metric")
            if not isinstance(labels, dict) or labels.get("__name__") not in METRICS:
                raise SettingsError(
                    tr("{name} holds a series without the name of a known metric", name=name),
                    advice=tr(
                        "ask for {known} alone, without functions around them",
                        known=", ".join(METRICS),
                    ),
                )
            source, metric = _source_of(labels), str(labels["__name__"])
            for pair in result.get("values") or [result.get("value")]:
                try:
                    moment, value = pair
                    _add_point(points[metric], metric, source, clock.instant(moment, source), value)
                except (NoSample, TypeError, ValueError) as error:
                    gathered.refuse(metric, error)
    _join(points, gathered)
    return gathered


def read_scrape(name: str, text: str, clock: MachineClock) -> Gathered:
    """Return the samples of what a DCGM exporter served, once or appended.

    Their moment is that behind a line's value, else that of the comment `# at MOMENT` above. Raises
    `SettingsError` if there is neither.
    """
    points: dict[str, Points] = {metric: {} for metric in METRICS}
    gathered = Gathered(name)
    moment: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if said := _MOMENT.fullmatch(line.strip()):
            moment = said[1]
        if not line.startswith(METRICS):
            continue
        try:
            matched = _LINE.fullmatch(line)
            if matched is None or matched[1] not in METRICS:
                continue
            when = matched[4] or moment
            if when is None:
                raise _no_moment(name, number)
            source = _source_of(dict(_LABEL.findall(matched[2] or "")))
            _add_point(
                points[matched[1]], matched[1], source, clock.instant(when, source), matched[3]
            )
        except NoSample as error:
            gathered.refuse(row_name("line", number), error)
    _join(points, gathered)
    return gathered


def _no_moment(name: str, line: int) -> SettingsError:
    return SettingsError(
        tr("{name}, line {line}: the moment of the scrape is missing", name=name, line=line),
        advice=tr("put a line # at SECONDS above each scrape, by date +%s"),
    )


def _answers(name: str, content: bytes) -> Iterator[Any]:
    """Yield the JSON of a file: one answer, or one a line."""
    try:
        yield msgspec.json.decode(content)
        return
    except msgspec.DecodeError as error:
        whole = error
    try:
        answers = [msgspec.json.decode(line) for line in content.splitlines() if line.strip()]
    except msgspec.DecodeError:
        raise SettingsError(
            tr("{name} is no JSON: {error}", name=name, error=whole),
            advice=tr("nothing was changed"),
        ) from whole
    yield from answers


def _results(name: str, answer: Any) -> Sequence[Mapping[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    results = data.get("result") if isinstance(data, dict) else None
    if isinstance(results, list) and all(isinstance(result, dict) for result in results):
        return results
    reason = answer.get("error") if isinstance(answer, dict) else None
    raise SettingsError(
        tr("{name} is no answer of Prometheus to a query", name=name)
        if reason is None
        else tr(
            "{name} holds an error of Prometheus: {reason}", name=name, reason=str(reason)[:200]
        ),
        advice=tr("save what /api/v1/query_range answers"),
    )


def _source_of(labels: Mapping[str, Any]) -> SampleSource:
    hosts = [str(labels[label]) for label in _HOSTS if labels.get(label)]
    # Prometheus calls what it scrapes an instance: a host and a port
    hosts.append(re.sub(r":\d+$", "", str(labels.get("instance", ""))))
    return SampleSource(
        instance=str(labels.get("instance_uuid", "")),
        title=str(labels.get("title", "")),
        host=hosts[0],
        uuid=str(labels.get("UUID", "")),
        gpu=str(labels.get("gpu", "")),
    )


def _add_point(
    points: Points, metric: str, source: SampleSource, at: Instant, value: object
) -> None:
    text = str(value)
    number = percent_in(text) if metric == UTILISATION else megabytes_in(text, "mib")
    if number is not None and number >= 0:
        points.setdefault(source, {})[at] = number


def _join(points: Mapping[str, Points], gathered: Gathered) -> None:
    for source, percents in points[UTILISATION].items():
        used, free, total = (points[metric].get(source, {}) for metric in (USED, FREE, TOTAL))
        for at, percent in percents.items():
            memory = used.get(at, -1)
            whole = memory + free[at] if memory >= 0 and at in free else -1
            gathered.add(source, at, SampleValue(percent, memory, total.get(at, whole)))
