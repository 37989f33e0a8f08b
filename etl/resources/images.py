"""Private images, by `/image/private/list`: stored volume, and the application that an image belongs to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from etl.resources.listing import Listing, Reject
from etl.resources.records import Form, Member, Record, likely_list_in
from etl.resources.resource import Resource
from etl.resources.values import Extra, any_words, code, identifier, instant_of, microcny_of, words
from etl.units import HOUR_S

VERSION = 1
LIST_KEY = "image_list"
"""Name of the list, a guess from its sisters: any other list in the answer will do."""
MB_PER_GB: Final = 1_000


def _megabytes(value: Any, name: str, extra: Extra) -> int | None:
    """Read gigabytes, a number or text, as whole megabytes; a finer size is kept as it came, too."""
    # read as amounts are: exact, with the same limits
    millionths = microcny_of(value, name, extra)
    if millionths is None:
        return None
    exact = Decimal(millionths) * MB_PER_GB / 1_000_000
    size = int(exact.to_integral_value())
    if exact != size:
        extra[name] = str(value)
    return size


FORM = Form(
    members=(
        Member("uuid", "uuid", identifier),
        Member("title", "title", words),
        Member("remark", "remark", words),
        Member("layer_count", "layer_count", code),
        Member("size_mb", "size", _megabytes),
        Member("pod_uuid", "pod_uuid", any_words),
        Member("pod_tag", "pod_tag", any_words),
        Member("save_image_status", "save_image_status", code),
        Member("create_time", "create_time", instant_of),
    ),
    identify=lambda record: record.get("uuid"),
)


def open_answer(body: bytes) -> Listing:
    return FORM.open(likely_list_in(body, LIST_KEY))


def read(body: bytes) -> tuple[list[Record], list[Reject]]:
    return FORM.read(likely_list_in(body, LIST_KEY).records)


RESOURCE: Resource[Record] = Resource(
    name="images",
    path="/image/private/list",
    keeping="versions",
    every_s=HOUR_S,
    version=VERSION,
    table="private_image",
    open=open_answer,
    read=read,
    paged=False,
    form=FORM,
)
