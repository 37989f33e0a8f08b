"""The answer about private images."""

from __future__ import annotations

from typing import Final

from etl.poll import Instant
from etl.simcloud.behaviour import Fail
from etl.simcloud.desk import Query, answer_of
from etl.simcloud.money import Money

PATH: Final = "/image/private/list"


def answer(money: Money, t: Instant, _query: Query) -> bytes | Fail:
    """Return all images that are kept at t."""
    kept = [
        {
            "uuid": image.uuid,
            "title": image.title,
            "remark": "",
            "layer_count": 12,
            "size": image.size_mb / 1_000,
            "pod_uuid": image.pod_uuid,
            "pod_tag": "v1",
            "save_image_status": 2,
            "create_time": image.create_time,
        }
        for image in money.images
        if image.create_time <= t and (image.removed_at is None or t < image.removed_at)
    ]
    return answer_of({"image_list": kept, "total": len(kept)})
