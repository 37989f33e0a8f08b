"""Records of `/instance/list`, in the source's own form, and as bytes."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import cache
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from etl.poll import Instant
from etl.simcloud.life import Life, Run

LEAK_MARK: Final = "SIM-SECRET-"
"""Every password and token of the simulated cloud begins with it."""

Record = dict[str, Any]


class Timeline:
    """Records of one life in listings, made once per stretch without change."""

    __slots__ = ("_bytes", "_life", "_records", "edges")

    def __init__(self, life: Life) -> None:
        self._life = life
        self.edges = life.moments()
        self._records: list[Record | None] = [None] * len(self.edges)
        self._bytes: list[bytes | None] = [None] * len(self.edges)

    def record(self, t: Instant) -> Record | None:
        """Return the record in a listing made at t, None if it is not listed. Do not change it."""
        index = bisect_right(self.edges, t) - 1
        if index < 0:
            return None
        if self._records[index] is None:
            self._records[index] = record_of(self._life, self.edges[index])
        # an empty record stands for "not listed", None for "not made yet"
        return self._records[index] or None

    def fragment(self, t: Instant) -> bytes:
        """Return the record as JSON, empty if it is not listed."""
        index = bisect_right(self.edges, t) - 1
        if index < 0:
            return b""
        fragment = self._bytes[index]
        if fragment is None:
            record = self.record(t)
            fragment = self._bytes[index] = b"" if record is None else to_json(record)
        return fragment


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def record_of(life: Life, t: Instant) -> Record:
    """Return the record of a life in a listing made at t; an empty one if it is not listed."""
    if not life.is_listed(t):
        return {}
    record = _as_it_is(life, t - life.lag_s)
    for twist in life.twists:
        if twist.begins <= t < twist.ends:
            record |= twist.members
    return record


@cache
def gpu_uuid(gpu_name: str) -> str:
    """Return the source's identity of a GPU model."""
    return f"gpu_{uuid5(NAMESPACE_URL, gpu_name)}"


@cache
def image_uuid(image_name: str, image_tag: str) -> str:
    return f"img_{uuid5(NAMESPACE_URL, image_name + ':' + image_tag)}"


def _as_it_is(life: Life, t: Instant) -> Record:
    run = life.run_at(t)
    start_time = life.start_time_at(t)
    timer = life.timer_at(t)
    hardware = run or life
    name, tag = life.image
    record: Record = {
        "instance_uuid": life.instance_uuid,
        "status": life.status_at(t),
        "title": life.title_at(t),
        "create_time": life.create_time,
        "start_time": start_time or 0,
        **_services(life, run),
        "save_image_status": life.image_save_at(t),
        "charging_type": hardware.charging_type,
        "shutdown_regular": {"shutdown_time": timer or 0, "enable": timer is not None},
        "image_uuid": image_uuid(name, tag),
        "image_name": name,
        "image_tag": tag,
        "gpu_uuid": gpu_uuid(hardware.gpu_name),
        "gpu_name": hardware.gpu_name,
        "gpu_nums": hardware.gpu_nums,
    }
    # a source may choose either: 0, or no such member
    if start_time is None and life.options.never_started == "missing":
        del record["start_time"]
    return record


def _services(life: Life, run: Run | None) -> Record:
    """Return the addresses of services; password and token change with every start."""
    if run is None:
        # null, as the source may answer: a decoder that expects a list would fail
        return {"server_url": [], "server_map": None}
    secret = LEAK_MARK + sha256(f"{life.instance_uuid}/{run.start}".encode()).hexdigest()[:16]
    host = life.instance_uuid.removeprefix("inst_").replace("-", "")
    # a token in the query, as real ones have: it must not be stored
    jupyter = f"https://jupyter-{host[-12:]}.chenyu.cn/lab?token={secret}"
    terminal = f"ssh://ssh-{host[-12:]}.chenyu.cn:22"
    ssh = {
        "host": f"inst{host}.gzxx.chenyu.cn",
        "port": 20_000 + sum(host.encode()) % 10_000,
        "username": "root",
        "password": secret,
    }
    return {
        "server_url": [jupyter, terminal],
        "server_map": [
            {"title": "Jupyter Lab", "url": jupyter, "port_type": "http", "protocol": "tcp"},
            {
                "title": "SSH Terminal",
                "url": terminal,
                "port_type": "ssh",
                "protocol": "tcp",
                "ssh_info": ssh,
            },
        ],
    }
