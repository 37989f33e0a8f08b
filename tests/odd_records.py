"""Records as the source may send them, documented and odd, for property tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from etl.resources import Reject
from etl.resources.instances import Sighting, read

NOISE = {"instance_uuid": "noise", "status": "no number"}
"""A record that is rejected, so that its neighbours are read one by one."""

texts = st.one_of(
    st.text(st.characters(codec=None), max_size=8),
    st.sampled_from(
        ["", "训练", "a\x00b", "\ud800", "x\x1b[2J", "https://u:p@h/x?token=S#f", "null"]
    ),
)
numbers = st.one_of(
    st.integers(-3, 3_000_000_000),
    st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, 10**30, -(10**30), -1]),
    st.sampled_from([0.0, 2.0, 2.5, -0.0, 1e308, 1_767_225_600.75, float("nan"), float("inf")]),
)
leaves = st.one_of(
    texts, numbers, st.booleans(), st.none(), st.sampled_from(["2", "2.0", " 2", "1e3"])
)
names = st.sampled_from(
    [
        "title",
        "url",
        "port_type",
        "protocol",
        "password",
        "ssh_info",
        "host",
        "port",
        "x",
        "api_key",
    ]
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
ssh = st.fixed_dictionaries(
    {},
    optional={
        "host": texts,
        "port": st.one_of(st.integers(0, 65_535), st.just("22"), numbers),
        "username": texts,
        "password": texts,
        "other": leaves,
    },
)
services = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "title": texts,
            "url": texts,
            "port_type": leaves,
            "protocol": leaves,
            "ssh_info": st.one_of(ssh, st.none(), texts),
            "token": texts,
        },
    ),
    max_size=3,
)
moments = st.one_of(numbers, st.none(), st.sampled_from(["1767225600", "1767225600.9", "soon", ""]))
plain_numbers = st.one_of(st.integers(0, 99), st.sampled_from(["2", 2.0, "2.0"]))
fields: dict[str, st.SearchStrategy[Any]] = {
    "title": texts,
    "create_time": moments,
    "start_time": moments,
    "server_url": st.one_of(st.lists(texts, max_size=3), values),
    "server_map": st.one_of(services, values),
    "save_image_status": st.one_of(plain_numbers, leaves),
    "charging_type": st.one_of(plain_numbers, leaves),
    "shutdown_regular": st.one_of(
        st.fixed_dictionaries(
            {}, optional={"shutdown_time": moments, "enable": leaves, "x": leaves}
        ),
        values,
    ),
    "image_uuid": texts,
    "image_name": st.one_of(texts, leaves),
    "image_tag": texts,
    "gpu_uuid": texts,
    "gpu_name": texts,
    "gpu_nums": st.one_of(plain_numbers, leaves),
    "unknown": values,
    "secret_token": texts,
}
identities = st.one_of(st.sampled_from(["a", "inst_1", "实例"]), leaves)
records = st.fixed_dictionaries(
    {"instance_uuid": identities, "status": st.one_of(plain_numbers, leaves)}, optional=fields
)
likely_records = st.fixed_dictionaries(
    {"instance_uuid": st.just("a"), "status": plain_numbers},
    optional={name: fields[name] for name in ("title", "server_url", "server_map", "start_time")},
)


def page(*records: Any) -> bytes:
    listing = {"instance_list": list(records), "total": len(records)}
    return json.dumps({"code": 0, "data": listing}).encode()


def read_alone(record: Any) -> tuple[Sequence[Sighting], Sequence[Reject]]:
    """The record, read record by record, as beside a neighbour that cannot be understood."""
    seen, rejects = read(page(record, NOISE))
    assert rejects[-1].identity == "noise"
    return seen, rejects[:-1]
