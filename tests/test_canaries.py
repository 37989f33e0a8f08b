"""Secrets in every member and every shape of every resource: none is left anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from etl import tables
from etl.archive.line import encode
from etl.dialect import Database
from etl.exports.parquet import export_parquet
from etl.poll import Page, Poll
from etl.redact import IDENTITIES, WORDS
from etl.resources import RESOURCES
from etl.resources.values import any_words, identifier, words
from etl.simcloud import T0
from tests.polled_money import _apply
from tests.support import rows

CANARY = "Xy9CANARY7zQ"
Shape = Callable[[str], Any]
SURE: tuple[Shape, ...] = (
    lambda s: f"root password: {s}",
    lambda s: f"PASSWORD={s}",
    lambda s: f"密码：{s}",
    lambda s: f"https://me:{s}@git.example.com/x",
    lambda s: f"https://h/?access_token={s}",
    lambda s: f"cy_{s}0123456789abcdef",
    lambda s: f"eyJhbGciOiJIUzI1NiJ9.{s}.{s}",
    lambda s: f"-----BEGIN PRIVATE KEY-----\n{s}\n-----END PRIVATE KEY-----",
    lambda s: f"sshpass -p {s} ssh root@h",
    lambda s: f"Authorization: Bearer {s}",
)
LIKELY: tuple[Shape, ...] = (
    *SURE,
    lambda s: {"password": s},
    lambda s: [{"ssh_info": {"root_pwd": s}}],
    lambda s: {"env": [{"name": "PASSWORD", "value": s}]},
    lambda s: ["session_id", s],
    lambda s: json.dumps({"vncPass": s}),
    lambda s: json.dumps(json.dumps([{"exchange_code": s}])),
    lambda s: f"root:{s}@h:22",
    lambda s: f"h.example/lab?sig={s}",
    lambda s: f"/lab;jsessionid={s}",
    lambda s: f"https%3A%2F%2Fh%2F%3Ftoken%3D{s}",
    lambda s: f"mysql -u root -p{s}",
    lambda s: {f"token={s}": 1},
    lambda s: {"headers": {"Cookie": f"a={s}"}},
)
RECORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "instances": (
        "instance_list",
        {
            "instance_uuid": "a",
            "status": 2,
            "title": "t",
            "create_time": T0,
            "start_time": T0,
            "server_url": [],
            "server_map": [],
            "save_image_status": 2,
            "charging_type": 1,
            "shutdown_regular": {"shutdown_time": 0, "enable": False},
            "image_name": "i",
            "image_tag": "v",
            "gpu_name": "g",
            "gpu_nums": 1,
        },
    ),
    "gpu_prices": (
        "gpu_list",
        {"gpu_uuid": "g", "gpu_name": "n", "status": 1, "price": {"hour": 1}},
    ),
    "cards": (
        "card_list",
        {
            "uuid": "k",
            "title": "t",
            "card_no": "1234",
            "face_amount": 1,
            "sale_price": 1,
            "leave_amount": 1,
            "bind_time": T0,
            "expire_date": T0,
            "valid_days": 3,
            "status_txt": "s",
            "bind_txt": "b",
            "pods": [],
        },
    ),
    "bills": (
        "order_list",
        {
            "order_number": "1",
            "amount": 1,
            "charge_channel": 1,
            "order_time": T0,
            "settle_start_time": T0,
            "settle_end_time": T0,
            "remark": "r",
        },
    ),
    "recharges": (
        "recharge_list",
        {"out_trade_no": "1", "amount": 1, "created_at": T0, "pay_time": T0, "pay_channel": "p"},
    ),
    "workflow_runs": (
        "run_list",
        {
            "run_order_id": "1",
            "workflow_id": "w",
            "revision_id": "v",
            "run_status": "running",
            "freeze_status": "frozen",
            "settlement_status": "settled",
            "quote_amount": "0.03000000",
            "actual_execution_duration_sec": 3,
            "created_at": T0,
            "started_at": T0,
            "terminal_at": T0,
        },
    ),
    "images": (
        "image_list",
        {
            "uuid": "i",
            "title": "t",
            "remark": "r",
            "layer_count": 2,
            "size": 1.5,
            "pod_uuid": "p",
            "pod_tag": "v",
            "save_image_status": 2,
            "create_time": T0,
        },
    ),
}
PLACES = [
    (name, member)
    for name, (_, record) in RECORDS.items()
    for member in (*record, "unknown", "note")
    if member not in IDENTITIES
]


def body_of(name: str, *records: Any) -> bytes:
    return json.dumps(
        {"code": 0, "data": {RECORDS[name][0]: records, "total": len(records)}}
    ).encode()


def hidden(name: str, member: str, shape: Shape, inner: str | None = None) -> dict[str, Any]:
    """A record with a canary in a member, or beside what that member holds."""
    record = dict(RECORDS[name][1])
    value = shape(CANARY)
    record[member] = {inner: value} if inner else value
    return record


def archived(name: str, body: bytes) -> bytes:
    """The line of an archive for one answer."""
    poll = Poll(
        account="lab",
        resource=name,
        started_at=T0,
        finished_at=T0 + 1,
        complete=True,
        walks=((Page(1, 100, body),),),
    )
    return b"".join(encode(poll, same=False))


@given(st.sampled_from(PLACES), st.data())
def test_no_canary_is_left_of_any_member_in_any_shape(place: tuple[str, str], data: Any) -> None:
    name, member = place
    shape = data.draw(st.sampled_from(SURE if member in WORDS else LIKELY))
    inner = data.draw(st.sampled_from([None, "x"])) if member not in WORDS else None
    body = body_of(name, hidden(name, member, shape, inner), RECORDS[name][1])
    line = archived(name, body)
    assert CANARY not in repr(RESOURCES[name].read(body))
    assert CANARY not in line.decode()
    page = json.dumps(json.loads(line)["pages"][0]).encode()
    assert RESOURCES[name].read(page) == RESOURCES[name].read(body), "as it is replayed"


def test_what_a_resource_reads_as_it_is_or_as_words_its_archive_keeps_alike() -> None:
    for name, resource in RESOURCES.items():
        for member in resource.form.members if resource.form else ():
            if member.reading is identifier:
                assert member.name in {*IDENTITIES, "_recharge_id"}, (name, member)
            if member.reading in (words, any_words):
                assert member.name in WORDS, (name, member)


@pytest.mark.parametrize("member", ["server_url", "server_map", "title", "unknown"])
def test_a_secret_costs_no_record(member: str) -> None:
    for shape in SURE:
        seen, rejects = RESOURCES["instances"].read(
            body_of("instances", hidden("instances", member, shape))
        )
        assert (len(seen), len(rejects)) == (1, 0)


def test_no_canary_reaches_a_database_or_an_export(database: Database, tmp_path: Path) -> None:
    for name in RECORDS:
        members = [member for resource, member in PLACES if resource == name]
        records = [
            {**hidden(name, member, shape), **identity_of(name, number)}
            for number, (member, shape) in enumerate(
                (m, s) for m in members for s in (SURE if m in WORDS else LIKELY)
            )
        ]
        _apply(database, name, body_of(name, *records), T0, "lab")
    held = [
        f"{table.name} {row!r}"
        for table in tables.metadata.sorted_tables
        for row in rows(database, f"SELECT * FROM {table.name}")
    ]
    assert any("***" in row for row in held)
    assert not [row for row in held if CANARY in row]
    written = sum(each.rows for each in export_parquet(database, tmp_path / "out"))
    files = list((tmp_path / "out").rglob("*.parquet"))
    assert written > len(RECORDS)
    assert not [f for f in files if CANARY in str(parquet.read_table(f).to_pydict())]


def identity_of(name: str, number: int) -> dict[str, str]:
    member = next(member for member in RECORDS[name][1] if member in IDENTITIES)
    return {member: f"n{number}"}
